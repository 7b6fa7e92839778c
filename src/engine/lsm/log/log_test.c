/* SPDX-License-Identifier: Apache-2.0 */
/* The log's bytes against golden files, good and bad.  KVORUM_GOLDEN=write makes the files anew. */
#include "engine/lsm/log/log_reader.h"

#include "engine/engine.h"
#include "engine/lsm/log/little.h"
#include "tests/support/memory_file.h"
#include "tests/support/rows.h"
#include <stdio.h>

enum { IMAGE_SIZE = 288, FIRST = 96, SECOND = 136, THIRD = 184, END = 216 };

static const struct lsm_log_header golden_header = {
    .store = { 0x1716151413121110, 0x1f1e1d1c1b1a1918 },
    .file = { 0x2726252423222120, 0x2f2e2d2c2b2a2928 },
    .number = 3,
    .first_sequence = 41,
    .previous_size = 4000,
};

static uint64_t append(uint8_t *image, uint64_t offset, uint64_t sequence, uint32_t undurable,
                       enum lsm_log_type type, struct bytes payload)
{
    struct lsm_log_record record = { sequence, undurable, type, payload };
    lsm_log_record_encode(&golden_header.file, offset, &record, image + offset);
    return offset + lsm_log_record_size(payload.size);
}

/* Record 41 puts a = 1; 42, made before 41 was synced, puts key = value and deletes a; 43 is a
 * mark. */
static void make_good(uint8_t *image, uint32_t undurable)
{
    struct engine_batch *batch = engine_batch_create();
    memset(image, 0, IMAGE_SIZE);
    lsm_log_header_encode(&golden_header, image);
    assert_int_equal(engine_batch_put(batch, BYTES_LITERAL("a"), BYTES_LITERAL("1")), KVORUM_OK);
    uint64_t end = append(image, FIRST, 41, 0, LSM_LOG_BATCH, engine_batch_bytes(batch));
    assert_int_equal(end, SECOND);
    engine_batch_reset(batch);
    assert_int_equal(engine_batch_put(batch, BYTES_LITERAL("key"), BYTES_LITERAL("value")),
                     KVORUM_OK);
    assert_int_equal(engine_batch_delete(batch, BYTES_LITERAL("a")), KVORUM_OK);
    end = append(image, SECOND, 42, 1, LSM_LOG_BATCH, engine_batch_bytes(batch));
    assert_int_equal(end, THIRD);
    end = append(image, THIRD, 43, undurable, LSM_LOG_MARK, (struct bytes){ 0 });
    assert_int_equal(end, END);
    engine_batch_destroy(batch);
}

/* --- how the bad ones are made ------------------------------------------------------------- */

static size_t make_plain(uint8_t *image)
{
    make_good(image, 0);
    return IMAGE_SIZE;
}

/* 43 says that segment 4 begins with record 43. */
static size_t make_next(uint8_t *image)
{
    make_good(image, 0);
    append(image, THIRD, 43, 0, LSM_LOG_NEXT, (struct bytes){ 0 });
    return IMAGE_SIZE;
}

static size_t make_torn(uint8_t *image)
{
    make_good(image, 0);
    memset(image + SECOND + 36, 0, IMAGE_SIZE - SECOND - 36);
    return IMAGE_SIZE;
}

static size_t make_cut(uint8_t *image)
{
    make_good(image, 0);
    return THIRD - 3;
}

static size_t make_flipped(uint8_t *image)
{
    make_good(image, 0);
    image[SECOND + 40] ^= 0x10;
    return IMAGE_SIZE;
}

/* 43 was made when neither 41 nor 42 were known to be durable: it proves nothing about 42. */
static size_t make_flipped_unsynced(uint8_t *image)
{
    make_good(image, 2);
    image[SECOND + 40] ^= 0x10;
    return IMAGE_SIZE;
}

static size_t make_long_size(uint8_t *image)
{
    make_good(image, 2);
    little_put32(image + SECOND + 12, 0x3fffffff);
    return IMAGE_SIZE;
}

static size_t make_moved(uint8_t *image)
{
    make_good(image, 0);
    memmove(image + SECOND + 8, image + SECOND, THIRD - SECOND);
    return THIRD + 8;
}

static size_t make_foreign(uint8_t *image)
{
    static const char line[] = "2026-11-21 07:00:00 GET /index.html";
    memset(image, ' ', IMAGE_SIZE);
    memcpy(image, line, sizeof(line) - 1);
    return IMAGE_SIZE;
}

static size_t make_newer(uint8_t *image)
{
    make_good(image, 0);
    little_put32(image + 8, 2);
    little_put64(image + 88, 0xc07f6a2f1d18280e); /* of this header with version 2 */
    return IMAGE_SIZE;
}

static size_t make_header_flipped(uint8_t *image)
{
    make_good(image, 0);
    image[50] ^= 1;
    return IMAGE_SIZE;
}

static size_t make_magic_flipped(uint8_t *image)
{
    make_good(image, 0);
    image[2] ^= 1;
    return IMAGE_SIZE;
}

static size_t make_header_cut(uint8_t *image)
{
    make_good(image, 0);
    return 60;
}

/* --- what reading them gives --------------------------------------------------------------- */

struct row {
    const char *name, *file;
    size_t (*make)(uint8_t *image);
    kvorum_status opened;
    unsigned records;     /* read before the first invalid place */
    uint64_t end;         /* that place */
    kvorum_status search; /* OK: proof that something durable is damaged there */
};

static const struct row rows[] = {
    { "a good segment is read to its end", "good.log", make_plain, KVORUM_OK, 3, END,
      KVORUM_NOT_FOUND },
    { "behind the end stands that there is a next segment", "next.log", make_next, KVORUM_OK, 3,
      END, KVORUM_NOT_FOUND },
    { "a torn record at the end is no record", "torn.log", make_torn, KVORUM_OK, 1, SECOND,
      KVORUM_NOT_FOUND },
    { "a file cut inside a record ends before it", "cut.log", make_cut, KVORUM_OK, 1, SECOND,
      KVORUM_NOT_FOUND },
    { "a flipped bit before a record that says it was durable is damage", "flipped.log",
      make_flipped, KVORUM_OK, 1, SECOND, KVORUM_OK },
    { "before one that does not say so, it may be a torn write", "flipped_unsynced.log",
      make_flipped_unsynced, KVORUM_OK, 1, SECOND, KVORUM_NOT_FOUND },
    { "a damaged size is not believed", "long_size.log", make_long_size, KVORUM_OK, 1, SECOND,
      KVORUM_NOT_FOUND },
    { "a record in another place is no record", "moved.log", make_moved, KVORUM_OK, 1, SECOND,
      KVORUM_NOT_FOUND },
    { "another program's file is foreign", "foreign.log", make_foreign, KVORUM_FOREIGN, 0, 0, 0 },
    { "a newer version is refused by name", "newer.log", make_newer, KVORUM_NEWER_FORMAT, 0, 0, 0 },
    { "a damaged header is corrupt", "header_flipped.log", make_header_flipped, KVORUM_CORRUPT, 0,
      0, 0 },
    { "a damaged magic is corrupt, not foreign", "magic_flipped.log", make_magic_flipped,
      KVORUM_CORRUPT, 0, 0, 0 },
    { "a cut header is corrupt", "header_cut.log", make_header_cut, KVORUM_CORRUPT, 0, 0, 0 },
};

static size_t golden_read(const char *path, uint8_t *image)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(image, 1, IMAGE_SIZE + 1, file);
    fclose(file);
    return size;
}

static void golden_write(const char *path, const uint8_t *image, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(image, 1, size, file), size);
    fclose(file);
}

static void check_reading(const struct row *row, struct bytes bytes)
{
    struct memory_file file = memory_file_of(bytes);
    struct lsm_log_reader reader;
    struct lsm_log_record record;
    uint64_t offset;
    unsigned records = 0;
    kvorum_status status = lsm_log_reader_init(&reader, &file.base);
    assert_int_equal(status, row->opened);
    if (status == KVORUM_OK) {
        while ((status = lsm_log_reader_next(&reader, &record)) == KVORUM_OK)
            assert_int_equal(record.sequence, 41 + records++);
        assert_int_equal(status, KVORUM_NOT_FOUND);
        assert_int_equal(records, row->records);
        assert_int_equal(reader.offset, row->end);
        assert_int_equal(lsm_log_reader_search(&reader, &offset), row->search);
    }
    lsm_log_reader_done(&reader);
}

static void check(const void *context)
{
    const struct row *row = context;
    const char *wish = getenv("KVORUM_GOLDEN");
    uint8_t made[IMAGE_SIZE + 1], golden[IMAGE_SIZE + 1];
    char path[256];
    size_t size = row->make(made);
    snprintf(path, sizeof(path), "tests/golden/log/%s", row->file);
    if (wish != NULL && strcmp(wish, "write") == 0)
        golden_write(path, made, size);
    assert_int_equal(golden_read(path, golden), size);
    assert_memory_equal(made, golden, size);
    check_reading(row, bytes_make(golden, size));
}

int main(void)
{
    return RUN_ROWS("log", rows, check);
}
