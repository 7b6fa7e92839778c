/* SPDX-License-Identifier: Apache-2.0 */
/* Stores simulated in memory: flushes, picks and installed results in random order, several
 * compactions under way at once.  After every step newer versions of each key stand above older
 * ones; picks never conflict; compacting comes to an end.  And what the policy costs: how often a
 * byte is written until it rests. */
#include "engine/lsm/levels/picker.h"

#include "base/random.h"
#include "tests/support/fake_tables.h"
#include "tests/support/rows.h"

enum { KEYS = 64, RUNNING_MAX = 4, KEY_SIZE = 10 };

/* Newest sequence number of each key in a table; 0: it is not there. */
struct content {
    uint64_t of[KEYS];
};

struct running {
    struct lsm_pick pick;
    struct lsm_levels *levels; /* that it was picked from */
};

struct store {
    struct random random;
    struct lsm_policy policy;
    struct lsm_picker_cursor cursor;
    struct lsm_levels *levels;
    struct lsm_reads reads;
    struct running running[RUNNING_MAX];
    size_t running_count;
    uint64_t sequence;
    struct content newest; /* what reads must find */
};

static void store_init(struct store *store, uint64_t seed)
{
    *store = (struct store){ .policy = { 3, 200, 3, 100, 400 } };
    random_init(&store->random, seed);
    for (int i = 0; i < ENGINE_LEVELS; i++)
        buffer_init(&store->cursor.key[i], ENGINE_KEY_SIZE_MAX + 1);
    assert_int_equal(lsm_levels_create(&store->levels), KVORUM_OK);
}

static void store_done(struct store *store)
{
    lsm_levels_release(store->levels);
    for (int i = 0; i < ENGINE_LEVELS; i++)
        buffer_done(&store->cursor.key[i]);
    assert_int_equal(fake_tables_alive, 0);
}

static struct content *content_of(const struct lsm_table *table)
{
    return ((const struct fake_table *)table)->content;
}

/* Bounds from `lower` to before `upper`, numbers of keys. */
static struct lsm_table *make_table(const struct content *content, unsigned lower, unsigned upper)
{
    char first[FAKE_TABLE_KEY_MAX], behind[FAKE_TABLE_KEY_MAX];
    struct content *kept = calloc(1, sizeof(*kept));
    uint64_t size = 0, newest = 0;
    assert_non_null(kept);
    for (unsigned i = lower; i < upper; i++) {
        kept->of[i] = content->of[i];
        size += content->of[i] > 0 ? KEY_SIZE : 0;
        newest = content->of[i] > newest ? content->of[i] : newest;
    }
    snprintf(first, sizeof(first), "%02u", lower);
    snprintf(behind, sizeof(behind), "%02u", upper);
    if (upper == KEYS)
        behind[0] = 0;
    struct lsm_table *table = fake_table_create(first, behind, size);
    table->meta.sequence_max = newest;
    table->meta.entries = size / KEY_SIZE;
    ((struct fake_table *)table)->content = kept;
    return table;
}

static void edit(struct store *store, const struct lsm_edit *edit)
{
    struct lsm_levels *levels;
    assert_int_equal(lsm_levels_edit(store->levels, edit, &levels), KVORUM_OK);
    lsm_levels_release(store->levels);
    store->levels = levels;
}

static void flush(struct store *store)
{
    struct random *random = &store->random;
    struct content content = { { 0 } };
    unsigned lower = (unsigned)random_below(random, KEYS);
    unsigned upper = lower + 1 + (unsigned)random_below(random, KEYS - lower);
    for (unsigned i = lower; i < upper; i++)
        if (i == lower || random_chance(random, 1, 4))
            content.of[i] = store->newest.of[i] = ++store->sequence;
    struct lsm_edit_add added = { 0, make_table(&content, lower, upper) };
    added.table->meta.deletes = random_below(random, added.table->meta.entries + 1);
    edit(store, &(struct lsm_edit){ &added, 1, NULL, 0 });
}

/* --- compactions --------------------------------------------------------------------------- */

static unsigned number_of(struct bytes bound)
{
    char text[4] = "64";
    if (bound.size > 0)
        snprintf(text, sizeof(text), "%.*s", (int)bound.size, (const char *)bound.data);
    return (unsigned)strtoul(text, NULL, 10);
}

static struct content merge_inputs(const struct lsm_pick *pick)
{
    struct content merged = { { 0 } };
    for (size_t i = 0; i < pick->input_count; i++)
        for (unsigned key = 0; key < KEYS; key++)
            if (content_of(pick->inputs[i])->of[key] > merged.of[key])
                merged.of[key] = content_of(pick->inputs[i])->of[key];
    return merged;
}

/* Tables of at most ten keys: as wide as they may be, so that they fill the whole interval, or only
 * from their first key to their last, so that there are gaps. */
static size_t write_outputs(const struct lsm_pick *pick, bool wide, struct lsm_edit_add *ret_added)
{
    struct content merged = merge_inputs(pick);
    unsigned begin = number_of(pick->lower), end = number_of(pick->upper), behind = begin;
    size_t count = 0, keys = 0;
    for (unsigned key = begin; key < end; key++) {
        if (merged.of[key] > 0) {
            begin = !wide && keys == 0 ? key : begin;
            behind = key + 1;
            keys++;
        }
        if (keys < 10 && key + 1 < end)
            continue;
        if (keys > 0)
            ret_added[count++] =
                (struct lsm_edit_add){ pick->target,
                                       make_table(&merged, begin, wide ? key + 1 : behind) };
        begin = key + 1;
        keys = 0;
    }
    return count;
}

static size_t move_inputs(const struct lsm_pick *pick, struct lsm_edit_add *ret_added)
{
    for (size_t i = 0; i < pick->input_count; i++) {
        lsm_table_reference(pick->inputs[i]);
        ret_added[i] = (struct lsm_edit_add){ pick->target, pick->inputs[i] };
    }
    return pick->input_count;
}

static void finish(struct store *store, size_t index)
{
    struct running *running = &store->running[index];
    struct lsm_edit_add added[KEYS];
    assert_true(running->pick.input_count <= KEYS);
    bool wide = random_chance(&store->random, 1, 2);
    size_t count = running->pick.move ? move_inputs(&running->pick, added)
                                      : write_outputs(&running->pick, wide, added);
    edit(store,
         &(struct lsm_edit){ added, count, running->pick.inputs, running->pick.input_count });
    lsm_pick_done(&running->pick);
    lsm_levels_release(running->levels);
    *running = store->running[--store->running_count];
}

static bool shares_table(const struct lsm_pick *a, const struct lsm_pick *b)
{
    for (size_t i = 0; i < a->input_count; i++)
        for (size_t j = 0; j < b->input_count; j++)
            if (a->inputs[i] == b->inputs[j])
                return true;
    return false;
}

static void note_pick(struct store *store)
{
    struct running *fresh = &store->running[store->running_count];
    for (size_t i = 0; i < store->running_count; i++) {
        const struct lsm_pick *other = &store->running[i].pick;
        assert_false(shares_table(&fresh->pick, other));
        assert_false(
            fresh->pick.target == other->target &&
            lsm_intervals_meet(fresh->pick.lower, fresh->pick.upper, other->lower, other->upper));
    }
    fresh->levels = lsm_levels_reference(store->levels);
    store->running_count++;
}

static bool pick_due(struct store *store)
{
    struct random *random = &store->random;
    store->reads = (struct lsm_reads){ 0 };
    if (random_chance(random, 1, 4))
        store->reads = (struct lsm_reads){ random_below(random, 100), 1 + random_below(random, 30),
                                           random_below(random, 3) };
    if (store->running_count == RUNNING_MAX ||
        !lsm_pick_next(store->levels, &store->policy, &store->reads, &store->cursor,
                       &store->running[store->running_count].pick))
        return false;
    note_pick(store);
    return true;
}

static void pick_by_hand(struct store *store)
{
    struct random *random = &store->random;
    char lower[4], upper[4];
    int level = (int)random_below(random, 4);
    bool in_place = level > 0 && random_chance(random, 1, 3);
    unsigned begin = (unsigned)random_below(random, KEYS);
    snprintf(lower, sizeof(lower), "%02u", begin);
    snprintf(upper, sizeof(upper), "%02u",
             begin + 1 + (unsigned)random_below(random, KEYS - begin));
    if (store->running_count < RUNNING_MAX &&
        lsm_pick_range(store->levels, level, in_place ? level : level + 1, bytes_of_string(lower),
                       bytes_of_string(upper), &store->running[store->running_count].pick))
        note_pick(store);
}

/* Of each key, from the newest table of level 0 down to the lowest, sequence numbers fall; and the
 * first is the newest there is. */
static void check_order(const struct store *store)
{
    uint64_t last[KEYS] = { 0 };
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < store->levels->level[i].count; j++)
            for (unsigned key = 0; key < KEYS; key++) {
                uint64_t sequence = content_of(store->levels->level[i].tables[j])->of[key];
                if (sequence == 0)
                    continue;
                assert_true(last[key] == 0 ? sequence == store->newest.of[key]
                                           : sequence < last[key]);
                last[key] = sequence;
            }
    for (unsigned key = 0; key < KEYS; key++)
        assert_true(last[key] > 0 || store->newest.of[key] == 0);
}

static void settle(struct store *store)
{
    int steps = 0;
    while (pick_due(store) || store->running_count > 0) {
        while (pick_due(store))
            continue;
        finish(store, random_below(&store->random, store->running_count));
        check_order(store);
        assert_true(++steps < 1000);
    }
    for (int i = 0; i < ENGINE_LEVELS; i++)
        assert_true(lsm_level_score(store->levels, &store->policy, NULL, i) < 1);
    assert_int_equal(lsm_pending_size(store->levels, &store->policy), 0);
}

static void test_random_stores(void)
{
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct store store;
        store_init(&store, seed);
        for (int step = 0; step < 300; step++) {
            uint64_t what = random_below(&store.random, 10);
            if (what < 3)
                flush(&store);
            else if (what < 6)
                pick_due(&store);
            else if (what < 7)
                pick_by_hand(&store);
            else if (store.running_count > 0)
                finish(&store, random_below(&store.random, store.running_count));
            check_order(&store);
        }
        settle(&store);
        store_done(&store);
    }
}

/* --- what the policy costs ----------------------------------------------------------------- */

enum { SPACE = 100000000, UNIT = 1 << 16 }; /* numbers of keys; bytes of a table */

struct fill_row {
    const char *name;
    unsigned flushes; /* of UNIT bytes each, spread over all keys */
    bool rising;      /* or each behind the one before */
    double bound;     /* bytes written for each byte flushed, the flush included */
};

static const struct fill_row fill_rows[] = {
    { "a store of 64 memtables, random keys", 64, false, 7.5 },
    { "512 memtables", 512, false, 15 },
    { "4096 memtables", 4096, false, 22.5 },
    { "512 memtables with rising keys are written once", 512, true, 1 },
};

static struct lsm_table *make_wide(uint64_t lower, uint64_t upper, uint64_t size)
{
    char first[FAKE_TABLE_KEY_MAX], behind[FAKE_TABLE_KEY_MAX];
    snprintf(first, sizeof(first), "%08llu", (unsigned long long)lower);
    snprintf(behind, sizeof(behind), "%08llu", (unsigned long long)upper);
    return fake_table_create(first, behind, size);
}

/* The inputs' bytes, spread evenly over their interval. */
static uint64_t compact_evenly(struct store *store, struct lsm_pick *pick)
{
    static struct lsm_edit_add added[4096];
    uint64_t size = 0, begin = strtoull((const char *)pick->lower.data, NULL, 10);
    uint64_t width = strtoull((const char *)pick->upper.data, NULL, 10) - begin;
    size_t count;
    if (pick->move) {
        count = move_inputs(pick, added);
    } else {
        for (size_t i = 0; i < pick->input_count; i++)
            size += pick->inputs[i]->meta.size;
        count = (size + UNIT - 1) / UNIT;
        assert_true(count < 4096);
        for (size_t i = 0; i < count; i++)
            added[i] = (struct lsm_edit_add){
                pick->target, make_wide(begin + width * i / count, begin + width * (i + 1) / count,
                                        size * (i + 1) / count - size * i / count)
            };
    }
    struct lsm_levels *before = lsm_levels_reference(store->levels);
    edit(store, &(struct lsm_edit){ added, count, pick->inputs, pick->input_count });
    lsm_pick_done(pick);
    lsm_levels_release(before);
    return size;
}

static void check_fill(const void *context)
{
    const struct fill_row *row = context;
    struct store store;
    struct lsm_pick pick;
    uint64_t written = 0;
    store_init(&store, 1);
    store.policy = (struct lsm_policy){ 4, 4 * UNIT, 10, UNIT, 25 * UNIT };
    for (unsigned i = 0; i < row->flushes; i++) {
        uint64_t part = SPACE / row->flushes;
        struct lsm_edit_add added = { 0, row->rising ? make_wide(part * i, part * (i + 1), UNIT)
                                                     : make_wide(0, SPACE - 1, UNIT) };
        edit(&store, &(struct lsm_edit){ &added, 1, NULL, 0 });
        written += UNIT;
        while (lsm_pick_next(store.levels, &store.policy, NULL, &store.cursor, &pick))
            written += compact_evenly(&store, &pick);
    }
    double times = (double)written / ((double)row->flushes * UNIT);
    print_message("# %s: each byte is written %.1f times\n", row->name, times);
    assert_true(times >= 1 && times <= row->bound);
    store_done(&store);
}

struct read_row {
    const char *name;
    double waste; /* by reads, for each byte written and each table of level 0 */
};

static const struct read_row read_rows[] = {
    { "few reads beside writes pay for nothing", 0.05 },
    { "some save more than they cost", 0.5 },
    { "more", 2 },
    { "many", 20 },
    { "as if nothing were written", 1000 },
};

/* Reads between flushes, all the time, that pay or do not.  Returns bytes that were compacted. */
static uint64_t fill_and_read(double rate, bool pay, uint64_t *ret_waste)
{
    enum { FLUSHES = 300, STEPS = 8, TRIGGER = 10 };
    struct store store;
    struct lsm_pick pick;
    uint64_t compacted = 0;
    *ret_waste = 0;
    store_init(&store, 1);
    store.policy = (struct lsm_policy){ TRIGGER, TRIGGER * UNIT, 10, UNIT, 25 * UNIT };
    for (unsigned i = 0; i < FLUSHES; i++) {
        struct lsm_edit_add added = { 0, make_wide(0, SPACE - 1, UNIT) };
        edit(&store, &(struct lsm_edit){ &added, 1, NULL, 0 });
        store.reads.waste = 0;
        for (unsigned step = 0; step < STEPS; step++) {
            store.reads.written = UNIT / 32 + UNIT * step / STEPS;
            while (lsm_pick_next(store.levels, &store.policy, &store.reads, &store.cursor, &pick)) {
                bool top = pick.level == 0;
                store.reads.waste = top ? 0 : store.reads.waste;
                store.reads.early += top ? pick.upper_count : 0;
                store.reads.early = store.reads.early >= TRIGGER ? 0 : store.reads.early;
                compacted += compact_evenly(&store, &pick);
            }
            double waste = rate * UNIT / STEPS * (double)store.levels->level[0].count;
            store.reads.waste += pay ? (uint64_t)waste : 0;
            *ret_waste += (uint64_t)waste;
        }
    }
    store_done(&store);
    return compacted;
}

static void check_reads(const void *context)
{
    const struct read_row *row = context;
    uint64_t wasted, waste;
    uint64_t without = fill_and_read(row->waste, false, &wasted);
    uint64_t compacted = fill_and_read(row->waste, true, &waste);
    double saved = (double)wasted - (double)waste, more = (double)compacted - (double)without;
    print_message("# %s: %.2f of the waste is saved, for %.2f of it\n", row->name,
                  saved / (double)wasted, more / (double)wasted);
    assert_true(more >= 0 && more <= saved);
}

static const struct named_test tests[] = {
    { "400 random stores keep their order and come to rest", test_random_stores },
};

int main(void)
{
    int failed = RUN_TESTS("picker model", tests);
    failed += RUN_ROWS("picker costs", fill_rows, check_fill);
    return RUN_ROWS("picker costs of reads", read_rows, check_reads) + failed;
}
