/* SPDX-License-Identifier: Apache-2.0 */
/* Edits and finding on levels in the notation of fake_tables.h; sources over one level. */
#include "engine/lsm/levels/levels.h"

#include "base/random.h"
#include "tests/support/fake_tables.h"
#include "tests/support/rows.h"

/* --- edits --------------------------------------------------------------------------------- */

struct edit_row {
    const char *name, *before;
    const char *removed; /* "LEVEL PLACE ..." */
    const char *added;   /* levels */
    const char *after;
};

static const struct edit_row edit_rows[] = {
    { "an edit of nothing changes nothing", "0: a-c | 1: a-d", "", "", "0: a-c | 1: a-d" },
    { "nothing can be added to nothing", "", "", "", "" },
    { "tables are put in order below level 0", "1: c-e", "", "1: x-z a-b g-h",
      "1: a-b c-e g-h x-z" },
    { "a flushed table goes to the front of level 0", "0: a-c b-d", "", "0: m-n",
      "0: m-n a-c b-d" },
    { "a compaction replaces its tables", "0: a-d c-f | 1: a-b c-e x-z", "0 0 0 1 1 0 1 1",
      "1: a-c c-f", "1: a-c c-f x-z" },
    { "a table may end where the next begins", "2: a-c", "", "2: c-d", "2: a-c c-d" },
    { "the last table may have no upper bound", "2: a-c", "", "2: c-", "2: a-c c-" },
    { "everything can go", "0: a-c | 3: b-d", "0 0 3 0", "", "" },
    { "tables of different levels may overlap", "1: a-z", "", "2: b-c | 6: a-z",
      "1: a-z | 2: b-c | 6: a-z" },
};

static size_t find_removed(const struct lsm_levels *levels, const char *text,
                           struct lsm_table **ret_removed)
{
    size_t count = 0;
    unsigned level, place;
    int used;
    while (sscanf(text, "%u %u%n", &level, &place, &used) == 2) {
        ret_removed[count++] = levels->level[level].tables[place];
        text += used;
    }
    return count;
}

static size_t take_tables(const struct lsm_levels *levels, struct lsm_edit_add *ret_added)
{
    size_t count = 0;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < levels->level[i].count; j++) {
            lsm_table_reference(levels->level[i].tables[j]);
            ret_added[count++] = (struct lsm_edit_add){ i, levels->level[i].tables[j] };
        }
    return count;
}

static void assert_levels(const struct lsm_levels *levels, const char *expected)
{
    struct buffer text;
    buffer_init(&text, 4096);
    fake_levels_print(levels, &text);
    buffer_append_u8(&text, 0);
    assert_string_equal((const char *)text.data, expected);
    buffer_done(&text);
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        uint64_t size = 0;
        for (size_t j = 0; j < levels->level[i].count; j++)
            size += levels->level[i].tables[j]->meta.size;
        assert_int_equal(levels->level[i].size, size);
    }
}

static void check_edit(const void *context)
{
    const struct edit_row *row = context;
    struct lsm_table *removed[8];
    struct lsm_edit_add added[8];
    struct lsm_levels *old = fake_levels_parse(row->before), *after;
    struct lsm_levels *fresh = fake_levels_parse(row->added);
    for (size_t i = 0; i < fresh->level[0].count; i++)
        fresh->level[0].tables[i]->meta.sequence_max += 1000;
    struct lsm_edit edit = { added, take_tables(fresh, added), removed,
                             find_removed(old, row->removed, removed) };
    assert_int_equal(lsm_levels_edit(old, &edit, &after), KVORUM_OK);
    lsm_levels_release(fresh);
    assert_levels(old, row->before);
    assert_levels(after, row->after);
    struct lsm_levels *kept = lsm_levels_reference(after);
    lsm_levels_release(after);
    lsm_levels_release(old);
    assert_levels(kept, row->after);
    lsm_levels_release(kept);
    assert_int_equal(fake_tables_alive, 0);
}

/* --- finding ------------------------------------------------------------------------------- */

struct find_row {
    const char *name, *level1, *key;
    size_t found;      /* lsm_level_find */
    const char *table; /* lsm_level_table: its lower bound, or NULL */
};

static const struct find_row find_rows[] = {
    { "an empty level holds nothing", "", "k", 0, NULL },
    { "a key before all tables", "c-e g-k", "a", 0, NULL },
    { "a lower bound is inside", "c-e g-k", "c", 0, "c" },
    { "an upper bound is not", "c-e g-k", "e", 1, NULL },
    { "an upper bound that is the next one's lower bound", "c-e e-k", "e", 1, "e" },
    { "a key in the gap", "c-e g-k", "f", 1, NULL },
    { "a key behind all tables", "c-e g-k", "zz", 2, NULL },
    { "a table without upper bound holds the rest", "c-e g-", "zzzzzzzzzzz", 1, "g" },
    { "bounds that begin with the same eight bytes", "aaaaaaaab-aaaaaaaad aaaaaaaae-aaaaaaaag",
      "aaaaaaaaf", 1, "aaaaaaaae" },
    { "a key of which a bound is the beginning", "aaaaaaaa-aaaaaaaab c-d", "aaaaaaaaa", 0,
      "aaaaaaaa" },
    { "a key that is the beginning of a bound", "a-aaaaaaaaaa b-d", "aaaaaaaaa", 0, "a" },
};

static void check_find(const void *context)
{
    const struct find_row *row = context;
    char text[128];
    snprintf(text, sizeof(text), "1: %s", row->level1);
    struct lsm_levels *levels = fake_levels_parse(text);
    const struct lsm_level *level = &levels->level[1];
    assert_int_equal(lsm_level_find(level, bytes_of_string(row->key)), row->found);
    const struct lsm_table *table = lsm_level_table(level, bytes_of_string(row->key));
    if (row->table == NULL)
        assert_null(table);
    else
        assert_true(table != NULL && bytes_equal(table->meta.lower, bytes_of_string(row->table)));
    lsm_levels_release(levels);
}

static size_t find_slowly(const struct lsm_level *level, struct bytes key)
{
    size_t index = 0;
    while (index < level->count && !lsm_below_upper(key, level->tables[index]->meta.upper))
        index++;
    return index;
}

/* Bounds of which most begin with the same eight bytes. */
static void test_find_model(void)
{
    struct random random;
    struct buffer text;
    random_init(&random, 11);
    buffer_init(&text, 1 << 16);
    for (int round = 0; round < 300; round++) {
        unsigned at = 0, count = (unsigned)random_below(&random, 30);
        buffer_reset(&text);
        buffer_printf(&text, "1:");
        for (unsigned i = 0; i < count; i++) {
            unsigned lower = at + (unsigned)random_below(&random, 3);
            at = lower + 1 + (unsigned)random_below(&random, 5);
            buffer_printf(&text, " k%05x000%02x-k%05x000%02x", lower / 16, lower % 16, at / 16,
                          at % 16);
        }
        buffer_append_u8(&text, 0);
        struct lsm_levels *levels = fake_levels_parse((const char *)text.data);
        for (unsigned i = 0; i < at + 2; i++) {
            char key[24];
            snprintf(key, sizeof(key), "k%05x000%02x", i / 16, i % 16);
            key[random_chance(&random, 1, 4) ? random_below(&random, 11) : 11] = 0;
            assert_int_equal(lsm_level_find(&levels->level[1], bytes_of_string(key)),
                             find_slowly(&levels->level[1], bytes_of_string(key)));
        }
        lsm_levels_release(levels);
    }
    buffer_done(&text);
}

struct below_row {
    const char *name, *levels;
    int level;
    const char *lower, *upper;
    bool below;
    int lowest;
};

static const struct below_row below_rows[] = {
    { "nothing is below nothing", "", 0, "a", "z", false, -1 },
    { "a table two levels down", "1: a-z | 3: c-e", 1, "d", "f", true, 3 },
    { "tables of the same level do not count", "3: c-e", 3, "a", "z", false, 3 },
    { "an interval that ends where a table begins", "2: c-e", 1, "a", "c", false, 2 },
    { "an interval that begins where a table ends", "2: c-e", 1, "e", "f", false, 2 },
    { "an interval without an end", "2: c-e x-y", 1, "f", "", true, 2 },
    { "a table without an end", "6: c-", 0, "zz", "", true, 6 },
    { "an interval in a gap", "2: a-c x-z | 3: b-d", 1, "e", "f", false, 3 },
};

static void check_below(const void *context)
{
    const struct below_row *row = context;
    struct lsm_levels *levels = fake_levels_parse(row->levels);
    assert_int_equal(lsm_levels_below(levels, row->level, bytes_of_string(row->lower),
                                      bytes_of_string(row->upper)),
                     row->below);
    assert_int_equal(lsm_levels_lowest(levels), row->lowest);
    lsm_levels_release(levels);
}

/* --- sources ------------------------------------------------------------------------------- */

enum { SOURCE_TABLES = 6, PER_TABLE = 8, WALKS = 3000 };

struct shelf {
    struct lsm_levels *levels;
    struct lsm_source *source;
    char keys[SOURCE_TABLES * PER_TABLE][8];
    struct lsm_entry entries[SOURCE_TABLES * PER_TABLE];
    size_t count;
};

/* Tables b0-b9, c0-c9, ... of `counts` entries with the keys b1, b2, ... */
static void shelf_open(struct shelf *shelf, const size_t *counts)
{
    *shelf = (struct shelf){ .levels = fake_levels_parse("3: b0-b9 c0-c9 d0-d9 e0-e9 f0-f9 g0-") };
    const struct lsm_level *level = &shelf->levels->level[3];
    const struct lsm_table_scan scan = { 0 };
    for (size_t i = 0; i < level->count; i++) {
        struct fake_table *table = (struct fake_table *)level->tables[i];
        table->entries = shelf->entries + shelf->count;
        table->entry_count = counts[i];
        for (size_t j = 0; j < counts[i]; j++) {
            char *key = shelf->keys[shelf->count];
            snprintf(key, 8, "%c%c", (char)('b' + i), (char)('1' + j));
            shelf->entries[shelf->count] =
                (struct lsm_entry){ bytes_of_string(key), { 0 }, shelf->count + 1, LSM_PUT };
            shelf->count++;
        }
    }
    assert_int_equal(lsm_level_source(level, &scan, &shelf->source), KVORUM_OK);
}

static void shelf_close(struct shelf *shelf)
{
    shelf->source->ops->close(shelf->source);
    lsm_levels_release(shelf->levels);
    assert_int_equal(fake_tables_open, 0);
    assert_int_equal(fake_tables_alive, 0);
}

static void shelf_check(const struct shelf *shelf, size_t at)
{
    const struct lsm_source *source = shelf->source;
    assert_int_equal(source->status, KVORUM_OK);
    assert_int_equal(source->valid, at < shelf->count);
    if (source->valid)
        assert_int_equal(source->entry.sequence, at + 1);
    assert_true(fake_tables_open <= 1);
}

static size_t shelf_jump(struct shelf *shelf, struct random *random)
{
    struct lsm_source *source = shelf->source;
    char text[4];
    size_t at = 0;
    snprintf(text, sizeof(text), "%c%c", (char)('a' + random_below(random, 8)),
             (char)('0' + random_below(random, 10)));
    struct bytes key = bytes_of_string(text);
    while (at < shelf->count && bytes_compare(shelf->entries[at].key, key) < 0)
        at++;
    switch (random_below(random, 4)) {
    case 0:
        source->ops->first(source);
        return 0;
    case 1:
        source->ops->last(source);
        return shelf->count - 1;
    case 2:
        for (unsigned step = 0; step < LSM_ASK_STEPS && random_chance(random, 4, 5); step++)
            source->ops->ask(source, key, step);
        source->ops->seek(source, key, LSM_SEQUENCE_MAX);
        return at;
    default:
        source->ops->seek_before(source, key);
        return at - 1;
    }
}

static void shelf_walk(struct shelf *shelf, struct random *random)
{
    size_t at = shelf_jump(shelf, random);
    for (int i = 0; i < WALKS; i++) {
        shelf_check(shelf, at);
        if (at >= shelf->count || random_chance(random, 1, 10)) {
            at = shelf_jump(shelf, random);
        } else if (random_chance(random, (uint32_t)(i / 50) % 4 + 1, 5)) {
            shelf->source->ops->next(shelf->source);
            at++;
        } else {
            shelf->source->ops->previous(shelf->source);
            at--;
        }
    }
}

static void test_source_walks(void)
{
    static const size_t counts[][SOURCE_TABLES] = {
        { 3, 3, 3, 3, 3, 3 }, { 8, 0, 0, 1, 0, 2 }, { 0, 1, 0, 0, 5, 0 }, { 0, 0, 0, 0, 0, 0 }
    };
    struct random random;
    struct shelf shelf;
    random_init(&random, 3);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        shelf_open(&shelf, counts[i]);
        shelf_walk(&shelf, &random);
        shelf_close(&shelf);
    }
}

static void test_source_is_lazy(void)
{
    static const size_t counts[SOURCE_TABLES] = { 2, 2, 2, 2, 2, 2 };
    struct shelf shelf;
    shelf_open(&shelf, counts);
    struct fake_table *fourth = (struct fake_table *)shelf.levels->level[3].tables[3];
    fourth->open_status = KVORUM_IO;
    assert_int_equal(fake_tables_open, 0);
    shelf.source->ops->seek(shelf.source, BYTES_LITERAL("d2"), LSM_SEQUENCE_MAX);
    shelf_check(&shelf, 5);
    shelf.source->ops->next(shelf.source);
    assert_false(shelf.source->valid);
    assert_int_equal(shelf.source->status, KVORUM_IO);
    shelf.source->ops->seek_before(shelf.source, BYTES_LITERAL("f0"));
    assert_int_equal(shelf.source->status, KVORUM_IO);
    shelf.source->ops->seek(shelf.source, BYTES_LITERAL("f0"), LSM_SEQUENCE_MAX);
    shelf_check(&shelf, 8);
    shelf_close(&shelf);
}

static void test_source_sequential(void)
{
    const struct lsm_level empty = { 0 };
    const struct lsm_table_scan scan = { .sequential = true };
    struct lsm_source *source;
    assert_int_equal(lsm_level_source(&empty, &scan, &source), KVORUM_OK);
    assert_null(source->ops->previous);
    source->ops->first(source);
    assert_false(source->valid);
    source->ops->close(source);
}

static const struct named_test tests[] = {
    { "finding agrees with a walk over all tables", test_find_model },
    { "a source walks both ways over full and empty tables", test_source_walks },
    { "a table that cannot be opened stops the source there, and only there", test_source_is_lazy },
    { "a sequential source only goes forward", test_source_sequential },
};

int main(void)
{
    int failed = RUN_ROWS("levels edits", edit_rows, check_edit);
    failed += RUN_ROWS("levels find", find_rows, check_find);
    failed += RUN_ROWS("levels below", below_rows, check_below);
    return RUN_TESTS("levels", tests) + failed;
}
