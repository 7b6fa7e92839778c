/* SPDX-License-Identifier: Apache-2.0 */
/* What stays, case by case.  Entries are written KEY SEQUENCE KIND VALUE, as in "a9Pv": P put, D
 * delete, M merge, B blob; deleted ranges "a-c:9".  The operator writes operands behind the base,
 * or behind "-" where there is none, and refuses "!"; the filter drops values that end with x; the
 * blob "v" stands for the value "blob.v". */
#include "engine/lsm/merge/reduce.h"

#include "tests/support/fake_source.h"
#include "tests/support/reduce_text.h"
#include "tests/support/rows.h"

struct row {
    const char *name;
    const char *flags; /* b bottom, m operator, f filter */
    const char *snapshots, *ranges, *input;
    const char *output; /* entries */
    const char *output_ranges;
};

static const struct row rows[] = {
    { "nothing gives nothing", "", "", "", "", "", "" },
    { "of a key the newest version stays", "", "", "", "a9Px a7Py a3D b2P1", "a9Px b2P1", "" },
    { "a deletion stays where something may lie below", "", "", "", "a9D a7Py", "a9D", "" },
    { "at the bottom it goes, with what it hides", "b", "", "", "a9D a7Py b3P1", "b0P1", "" },
    { "each snapshot keeps what it sees", "", "5 8", "", "a9P4 a8P3 a7P2 a5P1 a4P0",
      "a9P4 a8P3 a5P1", "" },
    { "two snapshots that see the same keep it once", "", "5 8", "", "a9P4 a4P1 a3P0", "a9P4 a4P1",
      "" },
    { "a snapshot sees its own number", "", "5", "", "a6P6 a5P5", "a6P6 a5P5", "" },
    { "at the bottom only what all see gets number 0", "b", "5", "", "a6P6 a5P5 b4P4",
      "a6P6 a0P5 b0P4", "" },
    { "a deletion that only new readers see stays at the bottom", "b", "5", "", "a6D a5P5",
      "a6D a0P5", "" },
    { "a deletion that a snapshot sees goes there", "b", "5", "", "a6P6 a5D a4P4", "a6P6", "" },
    { "a blob that is hidden goes", "", "", "", "a9Bv a7Bw b3D b2Bu", "a9Bv b3D", "" },
    { "a blob at the bottom keeps its address", "b", "", "", "a9Bv", "a0Bv", "" },
    /* deleted ranges */
    { "a range deletes what is older", "", "", "a-c:5", "a4P1 a3P2 b6P3 b4P4 c4P5", "b6P3 c4P5",
      "a-c:5" },
    { "what has its number is not older", "", "", "a-c:5", "a5P1", "a5P1", "a-c:5" },
    { "at the bottom a range goes with what it deletes", "b", "", "a-c:5", "a4P1 b6P3", "b0P3",
      "" },
    { "a snapshot keeps what it sees from a newer range", "", "4", "a-c:5", "a6P2 a4P1",
      "a6P2 a4P1", "a-c:5" },
    { "a range that a snapshot does not see stays at the bottom", "b", "4", "a-c:5 a-c:3",
      "a4P1 b2P0", "a0P1", "a-c:5" },
    { "of two ranges that the same readers see the newest stays", "", "4", "a-c:9 a-c:7 a-c:3", "",
      "", "a-c:9 a-c:3" },
    { "a covered blob goes", "", "", "a-c:5", "a4Bv", "", "a-c:5" },
    { "a covered deletion goes", "", "", "a-c:5", "a4D", "", "a-c:5" },
    /* merges */
    { "without an operator operands stay, and what is below them", "", "", "",
      "a9M2 a8M1 a7P0 a6Pu", "a9M2 a8M1 a7P0", "" },
    { "and a deletion below them", "", "", "", "a9M2 a7D a6Pu", "a9M2 a7D", "" },
    { "which goes at the bottom", "b", "", "", "a9M2 a7D a6Pu", "a9M2", "" },
    { "operands and a value become one value", "m", "", "", "a9M2 a8M1 a7P0 a6Pu", "a9P012", "" },
    { "at the bottom it gets number 0", "bm", "", "", "a9M2 a8M1 a7P0", "a0P012", "" },
    { "operands over a deletion", "m", "", "", "a9M2 a7D a6Pu", "a9P-2", "" },
    { "operands over a deleted range", "m", "", "a-c:5", "a9M2 a4P0", "a9P-2", "a-c:5" },
    { "a range between operands", "m", "", "a-c:8", "a9M2 a7M1 a4P0", "a9P-2", "a-c:8" },
    { "a range over a key with operands only", "m", "", "a-c:8", "a9M2", "a9P-2", "a-c:8" },
    { "operands over what may lie below stay", "m", "", "", "a9M2 a8M1 b1P1", "a9M2 a8M1 b1P1",
      "" },
    { "at the bottom nothing lies below", "bm", "", "", "a9M2 a8M1 b1P1", "a0P-12 b0P1", "" },
    { "operands do not reach over a snapshot", "m", "8", "", "a9M2 a8M1 a7P0", "a9M2 a8P01", "" },
    { "each stripe by itself", "m", "7", "", "a9M3 a8P2 a7M1 a6P0", "a9P23 a7P01", "" },
    { "a range that a snapshot parts from the operands is no base", "m", "6", "a-c:5", "a9M2 a4P0",
      "a9M2", "a-c:5" },
    { "a blob is read to be merged", "m", "", "", "a9M2 a7Bv", "a9Pblob.v2", "" },
    { "operands that the operator refuses stay, and their base", "m", "", "", "a9M! a8M1 a7P0 a6Pu",
      "a9M! a8M1 a7P0", "" },
    { "at the bottom too", "bm", "", "", "a9M! a7D b4M! b3Bv", "a9M! b4M! b0Bv", "" },
    /* the filter */
    { "a value that is filtered becomes a deletion", "f", "", "", "a9Px a8P1 b3Py", "a9D b3Py",
      "" },
    { "at the bottom it goes", "bf", "", "", "a9Px a8P1 b3Py", "b0Py", "" },
    { "what a snapshot sees is not filtered", "f", "9", "", "a9Px", "a9Px", "" },
    { "what it does not see is", "bf", "8", "", "a9Px a8Py b7Px", "a9D a0Py b0Px", "" },
    { "merge results are filtered", "fm", "", "", "a9Mx a8P1 b9M1 b8Px", "a9D b9Px1", "" },
    { "at the bottom they go", "bfm", "", "", "a9Mx a8P1", "", "" },
    { "values below operands that stay are not", "f", "", "", "a9M1 a8Px", "a9M1 a8Px", "" },
    { "a filtered blob goes", "f", "", "", "a9Bx b8Bv", "a9D b8Bv", "" },
};

static void write_output(struct lsm_reduce *reduce, struct buffer *ret)
{
    struct lsm_entry entry;
    kvorum_status status;
    while ((status = lsm_reduce_next(reduce, &entry)) == KVORUM_OK)
        reduce_text_write(ret, &entry);
    assert_int_equal(status, KVORUM_NOT_FOUND);
    assert_int_equal(lsm_reduce_next(reduce, &entry), KVORUM_NOT_FOUND);
}

static kvorum_status write_range(void *context, const struct lsm_range *range)
{
    struct buffer *text = context;
    buffer_printf(text, "%s%.*s-%.*s:%llu", text->size > 0 ? " " : "", (int)range->lower.size,
                  (const char *)range->lower.data, (int)range->upper.size,
                  (const char *)range->upper.data, (unsigned long long)range->sequence);
    return KVORUM_OK;
}

static void assert_text(struct buffer *text, const char *expected)
{
    buffer_append_u8(text, 0);
    assert_string_equal((const char *)text->data, expected);
    buffer_reset(text);
}

static void check(const void *context)
{
    const struct row *row = context;
    struct reduce_text text;
    struct lsm_reduce *reduce;
    struct buffer output;
    reduce_text_init(&text, row->flags, row->snapshots, row->ranges, row->input);
    struct fake_source *source = fake_source_create(text.entries, text.entry_count);
    buffer_init(&output, 1 << 16);
    assert_int_equal(lsm_reduce_create(&text.options, &source->base, &reduce), KVORUM_OK);
    write_output(reduce, &output);
    assert_text(&output, row->output);
    assert_int_equal(
        lsm_reduce_ranges(reduce, (struct bytes){ 0 }, (struct bytes){ 0 }, write_range, &output),
        KVORUM_OK);
    assert_text(&output, row->output_ranges);
    lsm_reduce_destroy(reduce);
    source->base.ops->close(&source->base);
    reduce_text_done(&text);
    buffer_done(&output);
}

/* --- clipping ------------------------------------------------------------------------------ */

struct clip_row {
    const char *name, *lower, *upper, *ranges;
};

static const struct clip_row clip_rows[] = {
    { "no bounds take all", "", "", "b-d:9 d-f:9 d-f:4 m-:7" },
    { "a bound inside a fragment cuts it", "c", "e", "c-d:9 d-e:9 d-e:4" },
    { "bounds of fragments cut nothing", "b", "d", "b-d:9" },
    { "behind an upper bound nothing comes", "a", "b", "" },
    { "a fragment without upper bound is cut", "n", "p", "n-p:7" },
    { "or stays so", "n", "", "n-:7" },
};

static void check_clip(const void *context)
{
    const struct clip_row *row = context;
    struct reduce_text text;
    struct lsm_reduce *reduce;
    struct buffer output;
    reduce_text_init(&text, "", "4", "b-f:9 d-f:4 m-:7", "");
    struct fake_source *source = fake_source_create(text.entries, 0);
    buffer_init(&output, 1 << 16);
    assert_int_equal(lsm_reduce_create(&text.options, &source->base, &reduce), KVORUM_OK);
    assert_int_equal(lsm_reduce_ranges(reduce, bytes_of_string(row->lower),
                                       bytes_of_string(row->upper), write_range, &output),
                     KVORUM_OK);
    lsm_reduce_destroy(reduce);
    source->base.ops->close(&source->base);
    assert_text(&output, row->ranges);
    reduce_text_done(&text);
    buffer_done(&output);
}

/* --- failures ------------------------------------------------------------------------------ */

static void test_source_fails(void)
{
    for (size_t moves = 1; moves < 6; moves++) {
        struct reduce_text text;
        struct lsm_reduce *reduce;
        struct lsm_entry entry;
        kvorum_status status;
        reduce_text_init(&text, "m", "", "", "a9M2 a8M1 a7P0 b6P1 c5P1 d4P1");
        struct fake_source *source = fake_source_create(text.entries, text.entry_count);
        source->moves_left = moves;
        source->failure = KVORUM_IO;
        assert_int_equal(lsm_reduce_create(&text.options, &source->base, &reduce), KVORUM_OK);
        do
            status = lsm_reduce_next(reduce, &entry);
        while (status == KVORUM_OK);
        assert_int_equal(status, KVORUM_IO);
        lsm_reduce_destroy(reduce);
        source->base.ops->close(&source->base);
        reduce_text_done(&text);
    }
}

static kvorum_status fail_to_read(void *context, const struct lsm_entry *entry,
                                  struct buffer *memory, struct bytes *ret_value)
{
    (void)entry;
    (void)memory;
    (void)ret_value;
    struct reduce_text *text = context;
    return text->blob_status;
}

static void test_blob_fails(void)
{
    static const struct {
        const char *flags, *input;
        kvorum_status read, status;
    } cases[] = {
        { "m", "a9M1 a8Bv", KVORUM_IO, KVORUM_IO },
        { "m", "a9M1 a8Bv", KVORUM_CORRUPT, KVORUM_OK },
        { "m", "a9M1 a8Bv", KVORUM_NOT_FOUND, KVORUM_OK },
        { "f", "a8Bx", KVORUM_IO, KVORUM_IO },
        { "f", "a8Bx", KVORUM_CORRUPT, KVORUM_OK },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reduce_text text;
        struct lsm_reduce *reduce;
        struct lsm_entry entry;
        reduce_text_init(&text, cases[i].flags, "", "", cases[i].input);
        text.options.blob_read = fail_to_read;
        text.blob_status = cases[i].read;
        struct fake_source *source = fake_source_create(text.entries, text.entry_count);
        assert_int_equal(lsm_reduce_create(&text.options, &source->base, &reduce), KVORUM_OK);
        assert_int_equal(lsm_reduce_next(reduce, &entry), cases[i].status);
        for (size_t j = 0; j < text.entry_count && cases[i].status == KVORUM_OK; j++) {
            assert_int_equal(entry.kind, text.entries[j].kind); /* all stays as it is */
            assert_true(bytes_equal(entry.value, text.entries[j].value));
            assert_int_equal(lsm_reduce_next(reduce, &entry),
                             j + 1 < text.entry_count ? KVORUM_OK : KVORUM_NOT_FOUND);
        }
        lsm_reduce_destroy(reduce);
        source->base.ops->close(&source->base);
        reduce_text_done(&text);
    }
}

/* 70 operands of 1 MiB: the newest 64 stay, the others and the base become a value. */
static void test_many_operands(void)
{
    enum { COUNT = 70, SIZE = 1 << 20 };
    static struct lsm_entry entries[COUNT + 1];
    struct reduce_text text;
    struct lsm_reduce *reduce;
    struct lsm_entry entry;
    size_t operands = 0, size = 0;
    char *value = malloc(SIZE);
    assert_non_null(value);
    memset(value, 'v', SIZE);
    for (size_t i = 0; i <= COUNT; i++)
        entries[i] = (struct lsm_entry){ BYTES_LITERAL("a"), bytes_make(value, SIZE), 100 - i,
                                         i < COUNT ? LSM_MERGE : LSM_PUT };
    reduce_text_init(&text, "m", "", "", "");
    struct fake_source *source = fake_source_create(entries, COUNT + 1);
    assert_int_equal(lsm_reduce_create(&text.options, &source->base, &reduce), KVORUM_OK);
    while (lsm_reduce_next(reduce, &entry) == KVORUM_OK) {
        operands += entry.kind == LSM_MERGE;
        size += entry.value.size;
        assert_int_equal(entry.sequence, 100 - (operands - (entry.kind == LSM_MERGE)));
    }
    assert_int_equal(entry.kind, LSM_PUT);
    assert_int_equal(operands, 64);
    assert_int_equal(size, (size_t)(COUNT + 1) * SIZE);
    lsm_reduce_destroy(reduce);
    source->base.ops->close(&source->base);
    reduce_text_done(&text);
    free(value);
}

static const struct named_test tests[] = {
    { "a source that fails is passed on", test_source_fails },
    { "so is a blob that cannot be read, unless it is damaged", test_blob_fails },
    { "too many operands for memory are combined in parts", test_many_operands },
};

int main(void)
{
    int failed = RUN_ROWS("reduce", rows, check);
    failed += RUN_ROWS("reduce clip", clip_rows, check_clip);
    return RUN_TESTS("reduce failures", tests) + failed;
}
