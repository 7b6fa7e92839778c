/* SPDX-License-Identifier: Apache-2.0 */
/* What is picked, on levels in the notation of fake_tables.h. */
#include "engine/lsm/levels/picker.h"

#include "tests/support/fake_tables.h"
#include "tests/support/rows.h"

/* Level 0 is due with 3 tables, level 1 above 100 bytes, level 2 above 1000, ...; a table of the
 * notation has 10 bytes.  A pick is written "0>1: a-d c-f + a-b" (its tables, those it meets),
 * with "move" in place of ">" when it is one. */
static const struct lsm_policy policy = { 3, 100, 10, 50, 500 };

struct row {
    const char *name, *levels;
    const char *picks; /* all that can run side by side */
};

static const struct row rows[] = {
    { "nothing is due in an empty store", "", "" },
    { "nor below the trigger", "0: a-b c-d | 1: a-z:99", "" },
    { "level 0 goes with all that it meets", "0: c-f a-d b-c | 1: a-b c-e x-z",
      "0>1: c-f a-d b-c + a-b c-e" },
    { "also what lies between its tables", "0: a-b a-b x-y | 1: a-c g-h x-z p-q",
      "0>1: a-b a-b x-y + a-c g-h p-q x-z" },
    { "tables that overlap do not move", "0: a-d c-f x-y", "0>1: a-d c-f x-y +" },
    { "tables that do not, move together", "0: x-y c-f a-b", "0move1: x-y c-f a-b +" },
    { "unless something is met", "0: x-y c-f a-b | 1: k-l", "0>1: x-y c-f a-b + k-l" },
    { "a level that is full gives one table at a time", "1: a-c:60 d-f:60 | 2: b-e:10 x-z:10",
      "1>2: a-c + b-e" },
    { "two, when it is that full and they are apart", "1: a-c:160 d-f:160 | 2: b-d:10 e-z:10",
      "1>2: a-c + b-d | 1>2: d-f + e-z" },
    { "a table that meets nothing moves", "1: a-c:60 d-f:60 | 2: x-z:10", "1move2: a-c +" },
    { "unless it would meet too much below", "1: a-c:160 | 3: a-b:300 b-c:300", "1>2: a-c +" },
    { "a bit below is no hindrance", "1: a-c:160 | 3: a-b:300 x-z:300", "1move2: a-c +" },
    { "the fullest level goes first", "0: a-b a-b a-b | 1: a-c:50 | 2: a-m:1600 m-z:1600",
      "2move3: a-m + | 2move3: m-z + | 0>1: a-b a-b a-b + a-c" },
    { "the lowest level is never due", "6: a-c:99999999999", "" },
    { "a bound that is open", "1: a-c:10 d-:160 | 2: b-e:10 x-:10", "1>2: a-c + b-e" },
    { "level 1 does not start when level 0 waits for it",
      "0: a-b a-b a-b a-b a-b a-b | 1: a-m:150 m-z:100 | 2: a-c:10 p-q:10", "1>2: a-m + a-c" },
    /* deletions */
    { "a table of deletions goes down", "1: a-c d-f%60 | 3: d-e x-z", "1move2: d-f +" },
    { "half of them is not enough", "1: a-c d-f%50 | 3: d-e x-z", "" },
    { "it is rewritten where it meets nothing any more", "1: a-c d-f%60 | 3: x-z", "1>2: d-f +" },
    { "it stays where nothing is lower", "1: a-c d-f%60", "" },
    { "in level 0 it waits for the others", "0: a-c%90 | 1: a-b", "" },
};

static void write_pick(struct buffer *text, const struct lsm_pick *pick)
{
    buffer_printf(text, "%s%d%s%d:", text->size > 0 ? " | " : "", pick->level,
                  pick->move ? "move" : ">", pick->target);
    for (size_t i = 0; i <= pick->input_count; i++) {
        if (i == pick->upper_count)
            buffer_append_text(text, " +");
        if (i == pick->input_count)
            return;
        const struct lsm_table_meta *meta = &pick->inputs[i]->meta;
        buffer_printf(text, " %.*s-%.*s", (int)meta->lower.size, (const char *)meta->lower.data,
                      (int)meta->upper.size, (const char *)meta->upper.data);
    }
}

static void cursor_init(struct lsm_picker_cursor *cursor)
{
    for (int i = 0; i < ENGINE_LEVELS; i++)
        buffer_init(&cursor->key[i], ENGINE_KEY_SIZE_MAX + 1);
}

static void cursor_done(struct lsm_picker_cursor *cursor)
{
    for (int i = 0; i < ENGINE_LEVELS; i++)
        buffer_done(&cursor->key[i]);
}

static void assert_not_busy(const struct lsm_levels *levels)
{
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < levels->level[i].count; j++)
            assert_false(levels->level[i].tables[j]->busy);
}

static void assert_text(struct buffer *text, const char *expected)
{
    buffer_append_u8(text, 0);
    assert_string_equal((const char *)text->data, expected);
    buffer_done(text);
}

static void check_picks(const char *text_of_levels, const struct lsm_reads *reads,
                        const char *expected)
{
    struct lsm_levels *levels = fake_levels_parse(text_of_levels);
    struct lsm_picker_cursor cursor;
    struct lsm_pick picks[16];
    struct buffer text;
    size_t count = 0;
    buffer_init(&text, 4096);
    cursor_init(&cursor);
    while (lsm_pick_next(levels, &policy, reads, &cursor, &picks[count]))
        write_pick(&text, &picks[count++]);
    while (count > 0)
        lsm_pick_done(&picks[--count]);
    assert_not_busy(levels);
    assert_text(&text, expected);
    cursor_done(&cursor);
    lsm_levels_release(levels);
}

static void check(const void *context)
{
    const struct row *row = context;
    check_picks(row->levels, NULL, row->picks);
}

/* --- reads --------------------------------------------------------------------------------- */

struct reads_row {
    const char *name, *levels;
    struct lsm_reads reads; /* waste, written, early */
    const char *picks;
};

static const struct reads_row reads_rows[] = {
    { "no waste, no hurry", "0: a-d c-f", { 0, 0, 0 }, "" },
    { "waste pays for what is rewritten",
      "0: a-d c-f | 1: b-e:60",
      { 80, 10, 0 },
      "0>1: a-d c-f + b-e" },
    { "and not before it is as much", "0: a-d c-f | 1: b-e:60", { 79, 10, 0 }, "" },
    { "what is not met costs nothing",
      "0: a-d c-f | 1: b-e:60 x-z:1",
      { 80, 10, 0 },
      "0>1: a-d c-f + b-e" },
    { "the more is written, the sooner level 0 is full again",
      "0: a-d c-f | 1: b-e:60",
      { 159, 20, 0 },
      "" },
    { "the larger its tables, the later",
      "0: a-d c-f:50 | 1: b-e:60",
      { 40, 10, 0 },
      "0>1: a-d c-f + b-e" },
    { "one table will do", "0: a-d | 1: b-e:90", { 100, 10, 0 }, "0>1: a-d + b-e" },
    { "it is as full again after one more", "0: a-d | 1: b-e:90", { 99, 10, 0 }, "" },
    { "or due after one more anyway", "0: a-d | 1: b-e:90", { 100, 10, 1 }, "0>1: a-d + b-e" },
    { "but there must be one", "1: b-e:90", { 1000000, 1, 2 }, "" },
    { "tables taken early count", "0: a-d | 1: b-e:90", { 0, 0, 2 }, "0>1: a-d + b-e" },
    { "a level that is full goes first",
      "0: a-d | 1: b-e:190 | 2: c-d",
      { 1000, 1, 0 },
      "1>2: b-e + c-d" },
    { "no other level is for sale", "1: a-d | 2: b-e", { 1000000, 1, 0 }, "" },
};

static void check_reads(const void *context)
{
    const struct reads_row *row = context;
    struct lsm_levels *levels = fake_levels_parse(row->levels);
    bool due = lsm_level_score(levels, &policy, &row->reads, 0) >= 1;
    assert_int_equal(due, strstr(row->picks, "0>1") != NULL || row->reads.waste == 1000);
    lsm_levels_release(levels);
    check_picks(row->levels, &row->reads, row->picks);
}

/* --- round robin --------------------------------------------------------------------------- */

static void test_round_robin(void)
{
    struct lsm_levels *levels = fake_levels_parse("1: a-c:90 d-f:90 g-:90 | 2: b-e h-z");
    struct lsm_picker_cursor cursor;
    struct lsm_pick pick;
    struct buffer text;
    buffer_init(&text, 4096);
    cursor_init(&cursor);
    for (int i = 0; i < 4; i++) {
        assert_true(lsm_pick_next(levels, &policy, NULL, &cursor, &pick));
        write_pick(&text, &pick);
        lsm_pick_done(&pick);
    }
    assert_text(&text, "1>2: a-c + b-e | 1>2: d-f + b-e | 1>2: g- + h-z | 1>2: a-c + b-e");
    cursor_done(&cursor);
    lsm_levels_release(levels);
}

/* --- by hand ------------------------------------------------------------------------------- */

struct range_row {
    const char *name, *levels;
    int level, target;
    const char *lower, *upper;
    const char *other; /* "LEVEL TARGET LOWER UPPER" picked before, or NULL */
    const char *pick;  /* "": refused */
};

static const struct range_row range_rows[] = {
    { "all of a level", "1: a-c d-f | 2: e-g x-z", 1, 2, "", "", NULL, "1>2: a-c d-f + e-g" },
    { "a part of it", "1: a-c d-f | 2: e-g x-z", 1, 2, "d", "e", NULL, "1>2: d-f + e-g" },
    { "nothing there", "1: a-c d-f | 2: e-g x-z", 1, 2, "k", "l", NULL, "" },
    { "in place", "1: a-c | 2: a-c d-f x-z", 2, 2, "b", "e", NULL, "2>2: a-c d-f +" },
    { "what meets nothing moves", "1: a-c d-f | 2: x-z", 1, 2, "a", "f", NULL,
      "1move2: a-c d-f +" },
    { "level 0 brings older tables along that meet it", "0: a-c x-z b-f e-g", 0, 1, "a", "b", NULL,
      "0>1: a-c b-f e-g +" },
    { "newer ones stay", "0: a-c b-f e-g", 0, 1, "e", "f", NULL, "0>1: b-f e-g +" },
    { "only the older of two that meet", "0: a-f e-g", 0, 1, "f", "g", NULL, "0move1: e-g +" },
    { "nothing while a table of it is busy", "1: a-c d-f | 2: b-e", 1, 2, "a", "b", "1 2 d e", "" },
    { "nor while another writes between its tables", "0: d-e x-y a-b", 0, 1, "d", "e", "0 1 x y",
      "0move1: d-e +" },
    { "two that write apart from each other may", "1: a-c d-f | 2: b-c e-g", 1, 2, "a", "b",
      "1 2 d e", "1>2: a-c + b-c" },
    { "a rewrite in place does not span what is moved in", "1: d-e | 2: a-c x-z", 2, 2, "a", "z",
      "1 2 d e", "" },
    { "and nothing is moved into its span", "1: d-e | 2: a-c x-z", 1, 2, "d", "e", "2 2 a z", "" },
    { "a lower level does not care", "1: d-e | 2: a-c x-z | 3: a-b", 2, 3, "a", "b", "1 2 d e",
      "2>3: a-c + a-b" },
};

static void check_range(const void *context)
{
    const struct range_row *row = context;
    struct lsm_levels *levels = fake_levels_parse(row->levels);
    struct lsm_pick other, pick;
    struct buffer text;
    buffer_init(&text, 4096);
    buffer_reserve(&text, 1);
    if (row->other != NULL) {
        char lower[8], upper[8];
        int level, target;
        assert_int_equal(sscanf(row->other, "%d %d %7s %7s", &level, &target, lower, upper), 4);
        assert_true(lsm_pick_range(levels, level, target, bytes_of_string(lower),
                                   bytes_of_string(upper), &other));
    }
    if (lsm_pick_range(levels, row->level, row->target, bytes_of_string(row->lower),
                       bytes_of_string(row->upper), &pick)) {
        write_pick(&text, &pick);
        lsm_pick_done(&pick);
    }
    assert_text(&text, row->pick);
    if (row->other != NULL)
        lsm_pick_done(&other);
    assert_not_busy(levels);
    lsm_levels_release(levels);
}

/* --- figures ------------------------------------------------------------------------------- */

struct score_row {
    const char *name, *levels;
    int level;
    double score;
    uint64_t pending;
};

static const struct score_row score_rows[] = {
    { "an empty store", "", 0, 0, 0 },
    { "level 0 counts tables", "0: a-b a-b a-b | 1: a-c:30", 0, 1, 60 },
    { "others count bytes", "1: a-c:40 d-e:10 | 2: a-z:90", 1, 0.5, 0 },
    { "each is ten times the one above", "3: a-c:5000", 3, 0.5, 0 },
    { "too much takes along what it meets", "1: a-c:150 | 2: a-z:300", 1, 1.5, 150 },
    { "and overflows the next level", "1: a-c:200 | 2: a-z:1000", 1, 2, 600 + 100 },
    { "the lowest is never full", "6: a-c:99999999999", 6, 0, 0 },
    { "deletions make a level due", "1: a-c%60 | 2: x-z", 1, 1, 0 },
};

static void check_score(const void *context)
{
    const struct score_row *row = context;
    struct lsm_levels *levels = fake_levels_parse(row->levels);
    double score = lsm_level_score(levels, &policy, NULL, row->level);
    assert_true(score > row->score - 1e-9 && score < row->score + 1e-9);
    assert_int_equal(lsm_pending_size(levels, &policy), row->pending);
    lsm_levels_release(levels);
}

static const struct named_test tests[] = {
    { "a level goes on behind the last table, and round", test_round_robin },
};

int main(void)
{
    int failed = RUN_ROWS("picker", rows, check);
    failed += RUN_ROWS("picker and reads", reads_rows, check_reads);
    failed += RUN_ROWS("picker by hand", range_rows, check_range);
    failed += RUN_ROWS("picker figures", score_rows, check_score);
    return RUN_TESTS("picker round robin", tests) + failed;
}
