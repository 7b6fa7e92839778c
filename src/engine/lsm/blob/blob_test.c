/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, and the bytes of blob files against golden files, good and bad.  KVORUM_GOLDEN=write
 * makes the files anew. */
#include "engine/lsm/blob/blob.h"

#include "base/hash.h"
#include "engine/lsm/log/little.h"
#include "tests/support/rows.h"
#include <stdio.h>
#include <string.h>

/* --- addresses ----------------------------------------------------------------------------- */

struct address_row {
    const char *name;
    struct lsm_blob_address address;
    bool good;
};

static const struct address_row address_rows[] = {
    { "the first record of a file", { 1, 64, 24 }, true },
    { "the largest numbers", { UINT64_MAX, (1ull << 62), LSM_BLOB_RECORD_SIZE_MAX }, true },
    { "no file has number 0", { 0, 64, 24 }, false },
    { "a record in the header", { 1, 56, 24 }, false },
    { "a record between two places", { 1, 68, 24 }, false },
    { "a record less than its own head", { 1, 64, 8 }, false },
    { "a size that is not filled up", { 1, 64, 25 }, false },
    { "a size of more than any value", { 1, 64, LSM_BLOB_RECORD_SIZE_MAX + 8 }, false },
    { "an end that no file has", { 1, (uint64_t)INT64_MAX - 7, 24 }, false },
};

static void check_address(const void *context)
{
    const struct address_row *row = context;
    uint8_t bytes[LSM_BLOB_ADDRESS_MAX + 1];
    struct lsm_blob_address read = { 9, 9, 9 };
    size_t size = lsm_blob_address_encode(&row->address, bytes);
    assert_true(size <= LSM_BLOB_ADDRESS_MAX);
    assert_int_equal(lsm_blob_address_decode(bytes_make(bytes, size), &read), row->good);
    if (!row->good) {
        assert_int_equal(read.number, 9);
        return;
    }
    assert_int_equal(read.number, row->address.number);
    assert_int_equal(read.offset, row->address.offset);
    assert_int_equal(read.size, row->address.size);
    bytes[size] = 0;
    assert_false(lsm_blob_address_decode(bytes_make(bytes, size + 1), &read));
    for (size_t cut = 0; cut < size; cut++)
        assert_false(lsm_blob_address_decode(bytes_make(bytes, cut), &read));
}

/* --- files --------------------------------------------------------------------------------- */

enum { NUMBER = 19, RECORDS = 3, IMAGE_SIZE = 256 };

static const struct lsm_id store = { 0x1716151413121110, 0x1f1e1d1c1b1a1918 };
static const struct {
    const char *key, *value;
} records[RECORDS] = { { "apple", "red and round" }, { "banana", "" }, { "cherry", "two by two" } };

struct image {
    uint8_t bytes[IMAGE_SIZE];
    size_t size;
    struct lsm_blob_address addresses[RECORDS];
};

static void make(struct image *image)
{
    lsm_blob_header_encode(&store, NUMBER, image->bytes);
    image->size = LSM_BLOB_HEADER_SIZE;
    for (int i = 0; i < RECORDS; i++) {
        struct bytes key = bytes_of_string(records[i].key);
        struct bytes value = bytes_of_string(records[i].value);
        image->addresses[i] =
            (struct lsm_blob_address){ NUMBER, image->size,
                                       lsm_blob_record_size(key.size, value.size) };
        lsm_blob_record_encode(&store, &image->addresses[i], key, value,
                               image->bytes + image->size);
        image->size += image->addresses[i].size;
    }
    assert_true(image->size <= IMAGE_SIZE);
}

static void leave(struct image *image)
{
    (void)image;
}

static void seal_header(struct image *image)
{
    little_put64(image->bytes + 56, hash64(bytes_make(image->bytes + 8, 48), 0));
}

static void newer(struct image *image)
{
    little_put32(image->bytes + 8, LSM_BLOB_VERSION + 1);
    seal_header(image);
}

static void version_zero(struct image *image)
{
    little_put32(image->bytes + 8, 0);
    seal_header(image);
}

static void other_store(struct image *image)
{
    image->bytes[16] ^= 1;
    seal_header(image);
}

static void other_number(struct image *image)
{
    image->bytes[32] ^= 1;
    seal_header(image);
}

static void not_zero(struct image *image)
{
    image->bytes[50] = 1;
    seal_header(image);
}

static void flip_header(struct image *image)
{
    image->bytes[20] ^= 4;
}

static void flip_magic(struct image *image)
{
    image->bytes[3] ^= 4;
}

static void make_foreign(struct image *image)
{
    static const char line[] = "2026-11-21 07:00:00 GET /index.html";
    memset(image->bytes, ' ', image->size);
    memcpy(image->bytes, line, sizeof(line) - 1);
}

static void flip_value(struct image *image)
{
    image->bytes[image->addresses[0].offset + 25] ^= 1;
}

static void flip_fill(struct image *image)
{
    image->bytes[image->addresses[1].offset + 23] ^= 1;
}

static void flip_size(struct image *image)
{
    image->bytes[image->addresses[2].offset + 15] ^= 0x40;
}

/* The first record where the last one was: both take as much. */
static void move(struct image *image)
{
    memcpy(image->bytes + image->addresses[2].offset, image->bytes + image->addresses[0].offset,
           image->addresses[2].size);
}

struct row {
    const char *name, *file;
    void (*damage)(struct image *image);
    kvorum_status header;
    const char *intact; /* a letter for each record: good or bad */
};

static const struct row rows[] = {
    { "a good file", "good.blb", leave, KVORUM_OK, "ggg" },
    { "a newer version is refused by name", "newer.blb", newer, KVORUM_NEWER_FORMAT, "ggg" },
    { "version 0 never was", "version_zero.blb", version_zero, KVORUM_CORRUPT, "ggg" },
    { "another store's file is foreign", "other_store.blb", other_store, KVORUM_FOREIGN, "ggg" },
    { "another file's header is corrupt", "other_number.blb", other_number, KVORUM_CORRUPT, "ggg" },
    { "a byte that means nothing yet", "not_zero.blb", not_zero, KVORUM_CORRUPT, "ggg" },
    { "a damaged header hinders no record", "header_flipped.blb", flip_header, KVORUM_CORRUPT,
      "ggg" },
    { "a damaged magic is corrupt, not foreign", "magic_flipped.blb", flip_magic, KVORUM_CORRUPT,
      "ggg" },
    { "another program's file is foreign", "foreign.blb", make_foreign, KVORUM_FOREIGN, "bbb" },
    { "a flipped bit costs its record", "flipped.blb", flip_value, KVORUM_OK, "bgg" },
    { "also among the zeros that fill it up", "fill_flipped.blb", flip_fill, KVORUM_OK, "gbg" },
    { "a damaged size is not believed", "long_size.blb", flip_size, KVORUM_OK, "ggb" },
    { "a record in another place is none", "moved.blb", move, KVORUM_OK, "ggb" },
};

static void sync_golden(const struct row *row, const struct image *image)
{
    const char *wish = getenv("KVORUM_GOLDEN");
    uint8_t golden[IMAGE_SIZE];
    char path[256];
    snprintf(path, sizeof(path), "tests/golden/blob/%s", row->file);
    if (wish != NULL && strcmp(wish, "write") == 0) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(image->bytes, 1, image->size, out), image->size);
        fclose(out);
    }
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(golden, 1, sizeof(golden), file), image->size);
    fclose(file);
    assert_memory_equal(image->bytes, golden, image->size);
}

static void check_record(const struct image *image, int index, bool good)
{
    struct bytes key, value;
    kvorum_status status =
        lsm_blob_record_decode(&store, &image->addresses[index],
                               image->bytes + image->addresses[index].offset, &key, &value);
    assert_int_equal(status, good ? KVORUM_OK : KVORUM_CORRUPT);
    if (!good)
        return;
    assert_true(bytes_equal(key, bytes_of_string(records[index].key)));
    assert_true(bytes_equal(value, bytes_of_string(records[index].value)));
}

static void check(const void *context)
{
    const struct row *row = context;
    struct image image;
    make(&image);
    row->damage(&image);
    sync_golden(row, &image);
    assert_int_equal(lsm_blob_header_judge(bytes_make(image.bytes, image.size), &store, NUMBER),
                     row->header);
    for (int i = 0; i < RECORDS; i++)
        check_record(&image, i, row->intact[i] == 'g');
}

static void test_flips(void)
{
    struct image image;
    struct bytes key, value;
    make(&image);
    for (size_t bit = 0; bit < image.size * 8; bit++) {
        image.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        unsigned bad =
            lsm_blob_header_judge(bytes_make(image.bytes, image.size), &store, NUMBER) != KVORUM_OK;
        for (int i = 0; i < RECORDS; i++)
            bad += lsm_blob_record_decode(&store, &image.addresses[i],
                                          image.bytes + image.addresses[i].offset, &key,
                                          &value) != KVORUM_OK;
        assert_int_equal(bad, 1);
        image.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_short_header(void)
{
    struct image image;
    make(&image);
    for (size_t size = 0; size < LSM_BLOB_HEADER_SIZE; size++)
        assert_int_equal(lsm_blob_header_judge(bytes_make(image.bytes, size), &store, NUMBER),
                         KVORUM_CORRUPT);
}

static const struct named_test tests[] = {
    { "every flipped bit is noticed once", test_flips },
    { "a cut header is corrupt", test_short_header },
};

int main(void)
{
    int failed = RUN_ROWS("blob address", address_rows, check_address);
    failed += RUN_ROWS("blob", rows, check);
    return RUN_TESTS("blob damage", tests) + failed;
}
