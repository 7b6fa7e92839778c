/* SPDX-License-Identifier: Apache-2.0 */
/* Random histories against a slow model of reading.  A history is cut in two: what lies below, and
 * what is reduced.  Then for every snapshot and for now, and every key:
 *
 *      read(reduced + below) = read(input + below)
 *
 *  but for what the filter drops, which is worked out anew here.  And nothing is kept in vain. */
#include "engine/lsm/merge/reduce.h"

#include "base/random.h"
#include "tests/support/fake_source.h"
#include "tests/support/reduce_text.h"
#include "tests/support/rows.h"
#include <stdio.h>

enum { CASES = 60000, SEQUENCES = 16, LIST_MAX = 64, RANGES_MAX = 512, TEXT_MAX = 256 };

static const char *const keys[] = { "a", "b", "bb", "c" };
static const char *const bounds[] = { "", "a", "aa", "b", "bb", "bc", "c", "d" };

enum { KEYS = sizeof(keys) / sizeof(keys[0]), BOUNDS = sizeof(bounds) / sizeof(bounds[0]) };

/* Versions and deleted ranges, in any order. */
struct history {
    struct lsm_entry entries[LIST_MAX];
    size_t count;
    struct lsm_range ranges[RANGES_MAX];
    size_t range_count;
};

struct world {
    struct random random;
    struct lsm_reduce_options options;
    uint64_t snapshots[SEQUENCES];
    struct history input, output, below;
    char values[LIST_MAX * 2][8], output_values[LIST_MAX][TEXT_MAX];
    size_t value_count;
    struct engine_merge_operator merge;
    struct engine_compaction_filter filter;
    unsigned asked[KEYS];
};

static size_t key_index(struct bytes key)
{
    size_t index = 0;
    while (!bytes_equal(bytes_of_string(keys[index]), key))
        index++;
    return index;
}

/* --- the model of reading ------------------------------------------------------------------ */

struct outcome {
    bool present;
    char text[TEXT_MAX];
};

static uint64_t covered_by(const struct history *history, struct bytes key, uint64_t lowest,
                           uint64_t highest)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < history->range_count; i++) {
        const struct lsm_range *range = &history->ranges[i];
        if (range->sequence >= lowest && range->sequence <= highest && range->sequence > newest &&
            lsm_inside(key, range->lower, range->upper))
            newest = range->sequence;
    }
    return newest;
}

/* Versions of `key` in [lowest, highest] that are not below `cover`, newest first. */
static size_t versions_of(const struct history *history, struct bytes key, uint64_t lowest,
                          uint64_t highest, uint64_t cover, const struct lsm_entry **ret)
{
    size_t count = 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct lsm_entry *entry = &history->entries[i];
        if (!bytes_equal(entry->key, key) || entry->sequence < lowest ||
            entry->sequence > highest || entry->sequence < cover)
            continue;
        size_t place = count++;
        for (; place > 0 && ret[place - 1]->sequence < entry->sequence; place--)
            ret[place] = ret[place - 1];
        ret[place] = entry;
    }
    return count;
}

static bool is_refused(const struct lsm_entry *operand)
{
    return bytes_equal(operand->value, BYTES_LITERAL("!"));
}

/* What `operands` (newest first) over `base` (NULL: nothing) read as. */
static struct outcome merged(const struct lsm_entry *const *operands, size_t count,
                             const struct lsm_entry *base)
{
    struct outcome outcome = { .present = count > 0 || base != NULL };
    if (base != NULL)
        snprintf(outcome.text, TEXT_MAX, "%s%.*s", base->kind == LSM_BLOB ? "blob." : "",
                 (int)base->value.size, (const char *)base->value.data);
    else if (count > 0)
        snprintf(outcome.text, TEXT_MAX, "-");
    for (size_t i = count; i-- > 0;) {
        size_t size = strlen(outcome.text);
        if (is_refused(operands[i])) {
            snprintf(outcome.text, TEXT_MAX, "refused");
            return outcome;
        }
        snprintf(outcome.text + size, TEXT_MAX - size, "%.*s", (int)operands[i]->value.size,
                 (const char *)operands[i]->value.data);
    }
    return outcome;
}

static struct history *join(const struct history *a, const struct history *b)
{
    static struct history both;
    both = *a;
    for (size_t i = 0; i < b->count; i++)
        both.entries[both.count++] = b->entries[i];
    for (size_t i = 0; i < b->range_count; i++)
        both.ranges[both.range_count++] = b->ranges[i];
    return &both;
}

static struct outcome read_at(const struct history *history, struct bytes key, uint64_t snapshot)
{
    const struct lsm_entry *versions[LIST_MAX];
    uint64_t cover = covered_by(history, key, 0, snapshot);
    size_t count = versions_of(history, key, 0, snapshot, cover, versions), operands = 0;
    while (operands < count && versions[operands]->kind == LSM_MERGE)
        operands++;
    bool based = operands < count && versions[operands]->kind != LSM_DELETE;
    return merged(versions, operands, based ? versions[operands] : NULL);
}

/* --- the model of the filter --------------------------------------------------------------- */

static bool filter_drops(const struct outcome *outcome)
{
    return strcmp(outcome->text, "refused") != 0 &&
           !reduce_text_keep(NULL, (struct bytes){ 0 }, bytes_of_string(outcome->text));
}

/* Whether what the input holds of `key` above all snapshots is a value, as far as the input tells;
 * and which. */
static bool newest_value(const struct world *world, struct bytes key, struct outcome *ret)
{
    const struct lsm_entry *versions[LIST_MAX], *older[LIST_MAX];
    size_t snapshots = world->options.snapshot_count, operands = 0;
    uint64_t lowest = snapshots == 0 ? 0 : world->snapshots[snapshots - 1] + 1;
    uint64_t cover = covered_by(&world->input, key, lowest, UINT64_MAX);
    size_t count = versions_of(&world->input, key, lowest, UINT64_MAX, cover, versions);
    while (operands < count && versions[operands]->kind == LSM_MERGE)
        operands++;
    if (operands > 0 && world->options.merge == NULL)
        return false;
    if (operands < count) {
        bool based = versions[operands]->kind != LSM_DELETE;
        *ret = merged(versions, operands, based ? versions[operands] : NULL);
        return ret->present;
    }
    bool ends = lowest == 0 || versions_of(&world->input, key, 0, lowest - 1, 0, older) == 0;
    if (cover == 0 && !(world->options.bottom && ends))
        return false;
    *ret = merged(versions, operands, NULL);
    return ret->present;
}

/* --- making a case ------------------------------------------------------------------------- */

static struct bytes value_of(struct world *world, enum lsm_kind kind, uint64_t sequence)
{
    char *value = world->values[world->value_count++];
    bool marked = random_chance(&world->random, 1, 4);
    if (kind == LSM_DELETE)
        return (struct bytes){ 0 };
    if (kind == LSM_MERGE && random_chance(&world->random, 1, 8))
        return BYTES_LITERAL("!");
    snprintf(value, 8, "%c%x%s", "dpmb"[kind], (unsigned)sequence, marked ? "x" : "");
    return bytes_of_string(value);
}

static void add_version(struct world *world, struct history *history, size_t key, uint64_t sequence)
{
    static const enum lsm_kind kinds[] = { LSM_DELETE, LSM_PUT,   LSM_PUT, LSM_MERGE,
                                           LSM_MERGE,  LSM_MERGE, LSM_BLOB };
    enum lsm_kind kind = kinds[random_below(&world->random, 7)];
    history->entries[history->count++] =
        (struct lsm_entry){ bytes_of_string(keys[key]), value_of(world, kind, sequence), sequence,
                            kind };
}

static void add_range(struct world *world, struct history *history, uint64_t sequence)
{
    const char *lower = bounds[random_below(&world->random, BOUNDS)];
    const char *upper = bounds[random_below(&world->random, BOUNDS)];
    history->ranges[history->range_count++] =
        (struct lsm_range){ bytes_of_string(lower), bytes_of_string(upper), sequence };
}

static void add_history(struct world *world, uint64_t below)
{
    struct random *random = &world->random;
    uint32_t ranges = (uint32_t)random_below(random, 4);
    size_t many = 1 + random_below(random, KEYS); /* few keys make many versions of each */
    for (uint64_t sequence = 1; sequence <= SEQUENCES; sequence++) {
        struct history *history = sequence <= below ? &world->below : &world->input;
        size_t first = random_below(random, many);
        add_version(world, history, first, sequence);
        if (many > 1 && random_chance(random, 1, 4))
            add_version(world, history, (first + 1) % many, sequence);
        if (random_chance(random, ranges, 10))
            add_range(world, history, sequence);
    }
}

static int entry_order(const void *a, const void *b)
{
    const struct lsm_entry *left = a;
    return lsm_order(left->key, left->sequence, b);
}

static bool count_asked(void *context, struct bytes key, struct bytes value)
{
    struct world *world = context;
    world->asked[key_index(key)]++;
    return reduce_text_keep(NULL, key, value);
}

static void choose_options(struct world *world)
{
    struct random *random = &world->random;
    size_t count = 0;
    uint32_t held = (uint32_t)random_below(random, 3);
    for (uint64_t sequence = 1; sequence <= SEQUENCES + 1; sequence++)
        if (count < SEQUENCES && random_chance(random, held, 8))
            world->snapshots[count++] = sequence;
    world->merge = (struct engine_merge_operator){ "text", reduce_text_merge, NULL };
    world->filter = (struct engine_compaction_filter){ count_asked, world };
    world->options = (struct lsm_reduce_options){
        .snapshots = world->snapshots,
        .snapshot_count = count,
        .bottom = random_chance(random, 1, 2),
        .merge = random_chance(random, 3, 4) ? &world->merge : NULL,
        .filter = random_chance(random, 1, 2) ? &world->filter : NULL,
        .blob_read = reduce_text_blob,
        .context = world,
    };
}

/* --- running it ---------------------------------------------------------------------------- */

static kvorum_status keep_range(void *context, const struct lsm_range *range)
{
    struct history *output = context;
    assert_true(output->range_count < RANGES_MAX);
    output->ranges[output->range_count++] = *range;
    return KVORUM_OK;
}

static void keep_entry(struct world *world, const struct lsm_entry *entry)
{
    struct history *output = &world->output;
    char *value = world->output_values[output->count];
    assert_true(output->count < LIST_MAX && entry->value.size < TEXT_MAX);
    if (entry->value.size > 0)
        memcpy(value, entry->value.data, entry->value.size);
    output->entries[output->count++] =
        (struct lsm_entry){ bytes_of_string(keys[key_index(entry->key)]),
                            bytes_make(value, entry->value.size), entry->sequence, entry->kind };
}

/* As two tables, cut at a random key. */
static void keep_ranges(struct world *world, const struct lsm_reduce *reduce)
{
    struct bytes none = { 0 };
    struct bytes middle = bytes_of_string(bounds[1 + random_below(&world->random, BOUNDS - 1)]);
    assert_int_equal(lsm_reduce_ranges(reduce, none, middle, keep_range, &world->output),
                     KVORUM_OK);
    assert_int_equal(lsm_reduce_ranges(reduce, middle, none, keep_range, &world->output),
                     KVORUM_OK);
}

static struct lsm_ranges *run(struct world *world)
{
    struct lsm_ranges *ranges = NULL;
    struct lsm_reduce *reduce;
    struct lsm_entry entry;
    kvorum_status status;
    qsort(world->input.entries, world->input.count, sizeof(entry), entry_order);
    if (world->input.range_count > 0)
        assert_int_equal(lsm_ranges_create(world->input.ranges, world->input.range_count, &ranges),
                         KVORUM_OK);
    world->options.ranges = ranges;
    struct fake_source *source = fake_source_create(world->input.entries, world->input.count);
    assert_int_equal(lsm_reduce_create(&world->options, &source->base, &reduce), KVORUM_OK);
    while ((status = lsm_reduce_next(reduce, &entry)) == KVORUM_OK)
        keep_entry(world, &entry);
    assert_int_equal(status, KVORUM_NOT_FOUND);
    keep_ranges(world, reduce);
    lsm_reduce_destroy(reduce);
    source->base.ops->close(&source->base);
    return ranges;
}

/* --- what must hold ------------------------------------------------------------------------ */

static void check_read(struct world *world, struct bytes key, uint64_t snapshot)
{
    struct outcome wanted = read_at(join(&world->input, &world->below), key, snapshot), newest;
    struct outcome got = read_at(join(&world->output, &world->below), key, snapshot);
    if (world->options.filter != NULL && snapshot == UINT64_MAX &&
        newest_value(world, key, &newest) && filter_drops(&newest))
        wanted = (struct outcome){ 0 };
    assert_int_equal(got.present, wanted.present);
    assert_string_equal(got.text, wanted.text);
}

static void check_reads(struct world *world)
{
    for (size_t i = 0; i < KEYS; i++) {
        struct bytes key = bytes_of_string(keys[i]);
        for (size_t j = 0; j < world->options.snapshot_count; j++)
            check_read(world, key, world->snapshots[j]);
        check_read(world, key, UINT64_MAX);
        assert_true(world->asked[i] <= 1);
    }
}

static size_t stripe_of(const struct world *world, uint64_t sequence)
{
    size_t stripe = 0;
    while (stripe < world->options.snapshot_count && world->snapshots[stripe] < sequence)
        stripe++;
    return stripe;
}

/* Nothing that a reader cannot see: behind a value or deletion nothing of its stripe, and nothing
 * that a range of its stripe covers. */
static void check_entry(const struct world *world, size_t index)
{
    const struct lsm_entry *entry = &world->output.entries[index];
    size_t stripe = stripe_of(world, entry->sequence);
    uint64_t cover =
        covered_by(&world->input, entry->key, 0,
                   stripe < world->options.snapshot_count ? world->snapshots[stripe] : UINT64_MAX);
    if (entry->sequence > 0)
        assert_true(cover <= entry->sequence || stripe_of(world, cover) < stripe);
    if (world->options.bottom && stripe == 0) {
        assert_int_not_equal(entry->kind, LSM_DELETE);
        assert_true(entry->sequence == 0 || entry->kind == LSM_MERGE);
    } else {
        assert_int_not_equal(entry->sequence, 0);
    }
    if (index == 0)
        return;
    const struct lsm_entry *before = entry - 1;
    assert_true(entry_order(before, entry) < 0);
    if (bytes_equal(before->key, entry->key) && before->kind != LSM_MERGE)
        assert_true(stripe_of(world, before->sequence) > stripe);
}

static void check_range(const struct world *world, const struct lsm_range *range)
{
    assert_true(lsm_below_upper(range->lower, range->upper));
    if (world->options.bottom)
        assert_true(stripe_of(world, range->sequence) > 0);
}

static size_t count_blobs(const struct history *history, size_t key)
{
    size_t count = 0;
    for (size_t i = 0; i < history->count; i++)
        count += history->entries[i].kind == LSM_BLOB && key_index(history->entries[i].key) == key;
    return count;
}

/* An address is handed on once at most: blobs.h counts on it. */
static void check_blobs(const struct world *world)
{
    for (size_t key = 0; key < KEYS; key++)
        assert_true(count_blobs(&world->output, key) <= count_blobs(&world->input, key));
}

/* Operands are combined wherever that can be done. */
static void check_operands(const struct world *world)
{
    bool refused = false;
    for (size_t i = 0; i < world->input.count; i++)
        refused |=
            world->input.entries[i].kind == LSM_MERGE && is_refused(&world->input.entries[i]);
    if (refused || world->options.merge == NULL)
        return;
    for (size_t i = 0; i < world->output.count; i++) {
        const struct lsm_entry *entry = &world->output.entries[i], *next = entry + 1;
        if (entry->kind != LSM_MERGE)
            continue;
        bool last = i + 1 == world->output.count || !bytes_equal(next->key, entry->key);
        assert_false(world->options.bottom && stripe_of(world, entry->sequence) == 0);
        if (!last)
            assert_true(next->kind == LSM_MERGE ||
                        stripe_of(world, next->sequence) < stripe_of(world, entry->sequence));
    }
}

static void run_case(uint64_t seed)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    random_init(&world->random, seed);
    choose_options(world);
    add_history(world, world->options.bottom ? 0 : random_below(&world->random, SEQUENCES));
    struct lsm_ranges *ranges = run(world);
    check_reads(world);
    for (size_t i = 0; i < world->output.count; i++)
        check_entry(world, i);
    for (size_t i = 0; i < world->output.range_count; i++)
        check_range(world, &world->output.ranges[i]);
    check_blobs(world);
    check_operands(world);
    lsm_ranges_destroy(ranges);
    free(world);
}

static void test_model(void)
{
    for (uint64_t seed = 0; seed < CASES; seed++)
        run_case(seed);
}

static const struct named_test tests[] = {
    { "60,000 random histories read the same before and after", test_model },
};

int main(void)
{
    return RUN_TESTS("reduce model", tests);
}
