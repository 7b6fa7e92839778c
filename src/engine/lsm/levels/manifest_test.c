/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest's bytes against golden files, good and bad.  KVORUM_GOLDEN=write makes the files
 * anew. */
#include "engine/lsm/levels/manifest.h"

#include "base/hash.h"
#include "engine/lsm/log/little.h"
#include "tests/support/rows.h"
#include <stdio.h>

enum { IMAGE_MAX = 2048, TABLES = 5, BLOBS = 2, ARENA_LIMIT = 1 << 20 };

#define KEY(text)                                                                                  \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define TABLE_ID(number)                                                                           \
    {                                                                                              \
        0xa0 + (number), 0xb0 + (number)                                                           \
    }

/* Blob file 3 is full of what tables refer to, of 7 there is little. */
static const struct lsm_blob_share golden_shares[] = { { 3, 136 }, { 7, 16 }, { 3, 800 } };

/* Level 0: two tables that overlap; 1: two that touch; 3: one without an upper bound. */
static const struct lsm_manifest_table golden_tables[TABLES] = {
    { 0, { 9, 4096, TABLE_ID(9), KEY("b"), KEY("k"), 30, 41, 20, 2, 0 }, golden_shares, 2 },
    { 0, { 8, 5000, TABLE_ID(8), KEY("a"), KEY("c"), 20, 29, 10, 0, 1 }, NULL, 0 },
    { 1, { 4, 70000, TABLE_ID(4), KEY("a"), KEY("f"), 5, 19, 900, 100, 0 }, NULL, 0 },
    { 1, { 5, 60000, TABLE_ID(5), KEY("f"), KEY("m"), 6, 18, 800, 0, 2 }, golden_shares + 2, 1 },
    { 3, { 2, 900000, TABLE_ID(2), KEY("a"), KEY(""), 0, 0, 20000, 0, 0 }, NULL, 0 },
};
static const struct lsm_manifest_blob golden_blobs[BLOBS] = { { 3, 1000 }, { 7, 2000 } };

struct draft {
    struct lsm_manifest manifest;
    struct lsm_manifest_table tables[TABLES];
    struct lsm_manifest_blob blobs[BLOBS];
    struct lsm_blob_share shares[2]; /* of the first table */
};

static void draft_init(struct draft *draft)
{
    memcpy(draft->tables, golden_tables, sizeof(golden_tables));
    memcpy(draft->blobs, golden_blobs, sizeof(golden_blobs));
    memcpy(draft->shares, golden_shares, sizeof(draft->shares));
    draft->tables[0].shares = draft->shares;
    draft->manifest = (struct lsm_manifest){
        .store = { 0x1716151413121110, 0x1f1e1d1c1b1a1918 },
        .next_file = 10,
        .flushed_sequence = 41,
        .flushed_batch = 17,
        .log_begins = true,
        .first_segment = 6,
        .merge_name = BYTES_LITERAL("add"),
        .tables = draft->tables,
        .table_count = TABLES,
        .blobs = draft->blobs,
        .blob_count = BLOBS,
    };
}

/* --- what is wrong with the bad ones: their checksum fits ------------------------------------ */

static void good(struct draft *draft)
{
    (void)draft;
}

static void empty(struct draft *draft)
{
    draft->manifest.table_count = draft->manifest.blob_count = 0;
    draft->manifest.merge_name.size = 0;
}

static void level_too_low(struct draft *draft)
{
    draft->tables[4].level = ENGINE_LEVELS;
}

static void levels_fall(struct draft *draft)
{
    draft->tables[1].level = 2;
}

static void level0_oldest_first(struct draft *draft)
{
    draft->tables[0].meta.sequence_max = 28;
    draft->tables[0].meta.sequence_min = 28;
}

static void overlap(struct draft *draft)
{
    draft->tables[3].meta.lower = BYTES_LITERAL("e");
}

static void behind_the_end(struct draft *draft)
{
    draft->tables[2].meta.upper.size = 0;
}

static void bounds_equal(struct draft *draft)
{
    draft->tables[4].meta.upper = BYTES_LITERAL("a");
}

static void number_zero(struct draft *draft)
{
    draft->tables[4].meta.number = 0;
}

static void number_not_given_out(struct draft *draft)
{
    draft->tables[0].meta.number = 10;
}

static void number_twice(struct draft *draft)
{
    draft->tables[4].meta.number = 5;
}

static void number_of_blob(struct draft *draft)
{
    draft->tables[4].meta.number = 7;
}

static void sequences_fall(struct draft *draft)
{
    draft->tables[2].meta.sequence_min = 20;
}

static void sequence_not_flushed(struct draft *draft)
{
    draft->manifest.flushed_sequence = 40;
}

static void sequence_too_large(struct draft *draft)
{
    draft->manifest.flushed_sequence = LSM_SEQUENCE_MAX + 1;
}

static void more_deletes_than_entries(struct draft *draft)
{
    draft->tables[0].meta.deletes = 21;
}

static void table_of_nothing(struct draft *draft)
{
    draft->tables[4].meta.entries = 0;
}

static void size_zero(struct draft *draft)
{
    draft->tables[4].meta.size = 0;
}

static void blobs_fall(struct draft *draft)
{
    draft->blobs[0].number = 8;
    draft->tables[1].meta.number = 3;
}

static void blob_not_given_out(struct draft *draft)
{
    draft->blobs[1].number = 10;
}

static void blob_of_a_header(struct draft *draft)
{
    draft->blobs[1].size = 64;
}

static void shares_fall(struct draft *draft)
{
    draft->shares[0] = golden_shares[1];
    draft->shares[1] = golden_shares[0];
}

static void share_of_nothing(struct draft *draft)
{
    draft->shares[0].number = 4;
}

static void share_behind_all(struct draft *draft)
{
    draft->shares[1].number = 8;
}

static void share_too_small(struct draft *draft)
{
    draft->shares[1].size = 15;
}

static void shares_too_large(struct draft *draft)
{
    draft->shares[0].size = 144;
}

static void blob_of_nobody(struct draft *draft)
{
    draft->tables[0].share_count = 1;
}

/* --- bytes that no manifest gives ------------------------------------------------------------ */

static size_t seal(uint8_t *image, size_t size)
{
    little_put64(image + 16, size);
    little_put64(image + size - 8, hash64(bytes_make(image + 8, size - 16), 0));
    return size;
}

static size_t as_it_is(uint8_t *image, size_t size)
{
    (void)image;
    return size;
}

static size_t newer(uint8_t *image, size_t size)
{
    little_put32(image + 8, 2);
    return seal(image, size);
}

static size_t version_zero(uint8_t *image, size_t size)
{
    little_put32(image + 8, 0);
    return seal(image, size);
}

static size_t foreign(uint8_t *image, size_t size)
{
    memset(image, ' ', size);
    return size;
}

static size_t magic_flipped(uint8_t *image, size_t size)
{
    image[3] ^= 4;
    return size;
}

static size_t cut(uint8_t *image, size_t size)
{
    (void)image;
    return size - 1;
}

static size_t cut_in_header(uint8_t *image, size_t size)
{
    (void)image;
    (void)size;
    return 60;
}

static size_t long_tail(uint8_t *image, size_t size)
{
    memset(image + size, 0, 8);
    return seal(image, size + 8);
}

static size_t more_tables_than_bytes(uint8_t *image, size_t size)
{
    little_put32(image + 64, UINT32_MAX);
    return seal(image, size);
}

static size_t more_blobs_than_bytes(uint8_t *image, size_t size)
{
    little_put32(image + 68, UINT32_MAX);
    return seal(image, size);
}

static size_t more_shares_than_bytes(uint8_t *image, size_t size)
{
    image[88 + 3 + 77] = 0x7f; /* behind the bounds of the first table */
    return seal(image, size - 300);
}

static size_t name_too_long(uint8_t *image, size_t size)
{
    little_put32(image + 12, 256);
    return seal(image, size);
}

static size_t bound_too_long(uint8_t *image, size_t size)
{
    image[88 + 3 + 73] = 0x7f; /* the lower bound of the first table takes what follows */
    return seal(image, size);
}

static size_t bound_size_not_shortest(uint8_t *image, size_t size)
{
    uint8_t *at = image + 88 + 3 + 73;
    memmove(at + 1, at, size - (size_t)(at - image));
    at[0] = 0x81;
    at[1] = 0;
    return seal(image, size + 1);
}

struct row {
    const char *name, *file;
    void (*draft)(struct draft *draft);
    size_t (*change)(uint8_t *image, size_t size);
    kvorum_status status;
};

static const struct row rows[] = {
    { "a good manifest is read", "good", good, as_it_is, KVORUM_OK },
    { "one of nothing is read", "empty", empty, as_it_is, KVORUM_OK },
    { "a level that does not exist", "level", level_too_low, as_it_is, KVORUM_CORRUPT },
    { "levels out of order", "levels-fall", levels_fall, as_it_is, KVORUM_CORRUPT },
    { "level 0 not newest first", "level0-order", level0_oldest_first, as_it_is, KVORUM_CORRUPT },
    { "tables of a level that overlap", "overlap", overlap, as_it_is, KVORUM_CORRUPT },
    { "a table behind one without an end", "behind", behind_the_end, as_it_is, KVORUM_CORRUPT },
    { "an empty interval", "bounds-equal", bounds_equal, as_it_is, KVORUM_CORRUPT },
    { "file number 0", "number-zero", number_zero, as_it_is, KVORUM_CORRUPT },
    { "a file number that is still to be given out", "number-next", number_not_given_out, as_it_is,
      KVORUM_CORRUPT },
    { "a file number used by two tables", "number-twice", number_twice, as_it_is, KVORUM_CORRUPT },
    { "a file number used by a table and a blob file", "number-of-blob", number_of_blob, as_it_is,
      KVORUM_CORRUPT },
    { "a smallest sequence number above the largest", "sequences-fall", sequences_fall, as_it_is,
      KVORUM_CORRUPT },
    { "a sequence number that is not flushed", "sequence-not-flushed", sequence_not_flushed,
      as_it_is, KVORUM_CORRUPT },
    { "a sequence number that cannot be", "sequence-large", sequence_too_large, as_it_is,
      KVORUM_CORRUPT },
    { "more deletions than entries", "deletes", more_deletes_than_entries, as_it_is,
      KVORUM_CORRUPT },
    { "a table of nothing", "table-of-nothing", table_of_nothing, as_it_is, KVORUM_CORRUPT },
    { "an empty file", "size-zero", size_zero, as_it_is, KVORUM_CORRUPT },
    { "blob files out of order", "blobs-fall", blobs_fall, as_it_is, KVORUM_CORRUPT },
    { "a blob file's number that is still to be given out", "blob-next", blob_not_given_out,
      as_it_is, KVORUM_CORRUPT },
    { "a blob file of nothing", "blob-empty", blob_of_a_header, as_it_is, KVORUM_CORRUPT },
    { "a blob file that no table refers to", "blob-of-nobody", blob_of_nobody, as_it_is,
      KVORUM_CORRUPT },
    { "shares out of order", "shares-fall", shares_fall, as_it_is, KVORUM_CORRUPT },
    { "a share of a file that is not listed", "share-of-nothing", share_of_nothing, as_it_is,
      KVORUM_CORRUPT },
    { "a share of a file behind all that are", "share-behind", share_behind_all, as_it_is,
      KVORUM_CORRUPT },
    { "a share that is less than a record", "share-small", share_too_small, as_it_is,
      KVORUM_CORRUPT },
    { "more shares than there are bytes in a blob file", "shares-large", shares_too_large, as_it_is,
      KVORUM_CORRUPT },
    { "more shares than there are bytes for", "shares", good, more_shares_than_bytes,
      KVORUM_CORRUPT },
    { "a newer version is refused by name", "newer", good, newer, KVORUM_NEWER_FORMAT },
    { "version 0 never was", "version-zero", good, version_zero, KVORUM_CORRUPT },
    { "another program's file is foreign", "foreign", good, foreign, KVORUM_FOREIGN },
    { "a damaged magic is corrupt, not foreign", "magic-flipped", good, magic_flipped,
      KVORUM_CORRUPT },
    { "a cut manifest is corrupt", "cut", good, cut, KVORUM_CORRUPT },
    { "a cut header is corrupt", "cut-in-header", good, cut_in_header, KVORUM_CORRUPT },
    { "bytes left over", "long-tail", good, long_tail, KVORUM_CORRUPT },
    { "more tables than there are bytes for", "tables", good, more_tables_than_bytes,
      KVORUM_CORRUPT },
    { "more blob files than there are bytes for", "blobs", good, more_blobs_than_bytes,
      KVORUM_CORRUPT },
    { "a name longer than allowed", "name", good, name_too_long, KVORUM_CORRUPT },
    { "a bound that takes what follows it", "bound", good, bound_too_long, KVORUM_CORRUPT },
    { "a size not in its shortest form", "size-form", good, bound_size_not_shortest,
      KVORUM_CORRUPT },
};

static size_t encode(const struct lsm_manifest *manifest, uint8_t *ret_image)
{
    struct buffer buffer;
    buffer_init(&buffer, IMAGE_MAX - 16);
    lsm_manifest_encode(manifest, &buffer);
    assert_false(buffer.failed);
    size_t size = buffer.size;
    memcpy(ret_image, buffer.data, size);
    buffer_done(&buffer);
    return size;
}

static void sync_golden(const char *name, const uint8_t *made, size_t size)
{
    const char *wish = getenv("KVORUM_GOLDEN");
    uint8_t golden[IMAGE_MAX];
    char path[256];
    snprintf(path, sizeof(path), "tests/golden/manifest/%s", name);
    if (wish != NULL && strcmp(wish, "write") == 0) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(made, 1, size, out), size);
        fclose(out);
    }
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(golden, 1, sizeof(golden), file), size);
    fclose(file);
    assert_memory_equal(made, golden, size);
}

static void assert_shares(const struct lsm_manifest_table *read,
                          const struct lsm_manifest_table *wanted)
{
    assert_int_equal(read->share_count, wanted->share_count);
    for (size_t i = 0; i < wanted->share_count; i++) {
        assert_int_equal(read->shares[i].number, wanted->shares[i].number);
        assert_int_equal(read->shares[i].size, wanted->shares[i].size);
    }
}

static void assert_tables(const struct lsm_manifest *read, const struct lsm_manifest *wanted)
{
    for (size_t i = 0; i < wanted->table_count; i++) {
        const struct lsm_table_meta *a = &read->tables[i].meta, *b = &wanted->tables[i].meta;
        assert_int_equal(read->tables[i].level, wanted->tables[i].level);
        assert_true(bytes_equal(a->lower, b->lower) && bytes_equal(a->upper, b->upper));
        assert_int_equal(a->number, b->number);
        assert_int_equal(a->size, b->size);
        assert_int_equal(a->file.low, b->file.low);
        assert_int_equal(a->file.high, b->file.high);
        assert_int_equal(a->sequence_min, b->sequence_min);
        assert_int_equal(a->sequence_max, b->sequence_max);
        assert_int_equal(a->entries, b->entries);
        assert_int_equal(a->deletes, b->deletes);
        assert_int_equal(a->ranges, b->ranges);
        assert_shares(&read->tables[i], &wanted->tables[i]);
    }
}

static void assert_same(const struct lsm_manifest *read, const struct lsm_manifest *wanted)
{
    assert_int_equal(read->store.low, wanted->store.low);
    assert_int_equal(read->store.high, wanted->store.high);
    assert_int_equal(read->next_file, wanted->next_file);
    assert_int_equal(read->flushed_sequence, wanted->flushed_sequence);
    assert_int_equal(read->first_segment, wanted->first_segment);
    assert_int_equal(read->flushed_batch, wanted->flushed_batch);
    assert_int_equal(read->log_begins, wanted->log_begins);
    assert_true(bytes_equal(read->merge_name, wanted->merge_name));
    assert_int_equal(read->table_count, wanted->table_count);
    assert_int_equal(read->blob_count, wanted->blob_count);
    assert_tables(read, wanted);
    for (size_t i = 0; i < wanted->blob_count; i++) {
        assert_int_equal(read->blobs[i].number, wanted->blobs[i].number);
        assert_int_equal(read->blobs[i].size, wanted->blobs[i].size);
    }
}

static void check(const void *context)
{
    const struct row *row = context;
    uint8_t image[IMAGE_MAX];
    struct draft draft;
    struct lsm_manifest read;
    struct arena arena;
    draft_init(&draft);
    row->draft(&draft);
    size_t size = row->change(image, encode(&draft.manifest, image));
    sync_golden(row->file, image, size);
    arena_init(&arena, ARENA_LIMIT);
    assert_int_equal(lsm_manifest_decode(bytes_make(image, size), &arena, &read), row->status);
    if (row->status == KVORUM_OK)
        assert_same(&read, &draft.manifest);
    arena_done(&arena);
}

/* --- the good one, damaged everywhere -------------------------------------------------------- */

static kvorum_status decode_copy(const uint8_t *image, size_t size, size_t arena_limit)
{
    struct lsm_manifest read;
    struct arena arena;
    uint8_t *copy = malloc(size + 1); /* so that reading past it is seen */
    assert_non_null(copy);
    memcpy(copy, image, size);
    arena_init(&arena, arena_limit);
    kvorum_status status = lsm_manifest_decode(bytes_make(copy, size), &arena, &read);
    arena_done(&arena);
    free(copy);
    return status;
}

static size_t encode_good(uint8_t *image)
{
    struct draft draft;
    draft_init(&draft);
    return encode(&draft.manifest, image);
}

static void test_flips(void)
{
    uint8_t image[IMAGE_MAX];
    size_t size = encode_good(image);
    for (size_t bit = 0; bit < size * 8; bit++) {
        image[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(decode_copy(image, size, ARENA_LIMIT), KVORUM_CORRUPT);
        image[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(decode_copy(image, size, ARENA_LIMIT), KVORUM_OK);
}

static void test_cuts(void)
{
    uint8_t image[IMAGE_MAX];
    size_t size = encode_good(image);
    for (size_t end = 0; end < size; end++) {
        assert_int_equal(decode_copy(image, end, ARENA_LIMIT), KVORUM_CORRUPT);
        uint8_t sealed[IMAGE_MAX];
        memcpy(sealed, image, end);
        if (end >= 80)
            assert_int_equal(decode_copy(sealed, seal(sealed, end), ARENA_LIMIT), KVORUM_CORRUPT);
    }
}

static void test_memory(void)
{
    uint8_t image[IMAGE_MAX];
    size_t size = encode_good(image);
    assert_int_equal(decode_copy(image, size, 64), KVORUM_NO_MEMORY);
    struct buffer small;
    struct draft draft;
    draft_init(&draft);
    for (size_t limit = 0; limit < size; limit++) {
        buffer_init(&small, limit);
        lsm_manifest_encode(&draft.manifest, &small);
        assert_true(small.failed);
        buffer_done(&small);
    }
}

static void test_append(void)
{
    uint8_t image[IMAGE_MAX];
    size_t size = encode_good(image);
    struct buffer buffer;
    struct draft draft;
    draft_init(&draft);
    buffer_init(&buffer, IMAGE_MAX);
    buffer_append_text(&buffer, "before");
    lsm_manifest_encode(&draft.manifest, &buffer);
    assert_int_equal(buffer.size, 6 + size);
    assert_memory_equal(buffer.data + 6, image, size);
    buffer_done(&buffer);
}

static const struct named_test tests[] = {
    { "every flipped bit is noticed", test_flips },
    { "every cut is noticed, also where the checksum fits", test_cuts },
    { "memory that runs out is said", test_memory },
    { "encoding appends to what is there", test_append },
};

int main(void)
{
    int failed = RUN_ROWS("manifest", rows, check);
    return RUN_TESTS("manifest damage", tests) + failed;
}
