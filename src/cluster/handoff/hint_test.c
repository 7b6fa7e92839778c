/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/hint.h"

#include "tests/support/rows.h"

#include <stdio.h>

static const struct node_id target = { { 0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                         15 } };

/* --- golden bytes ---------------------------------------------------------------------------- */

enum { GOLDEN_MAX = 256 };

struct golden {
    const char *name, *file;
    enum hint_entry entry;
    enum hint_mark mark;
};

static const struct golden goldens[] = {
    { "a hint in its queue is these bytes", "queue", HINT_ENTRY_QUEUE, 0 },
    { "an index entry is these bytes", "index", HINT_ENTRY_INDEX, 0 },
    { "a suspicion is these bytes", "suspicion", HINT_ENTRY_MARK, HINT_MARK_SUSPICION },
    { "an order is these bytes", "order", HINT_ENTRY_MARK, HINT_MARK_ORDER },
};

static const struct hint example = {
    .target = { { 0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } },
    .order = UINT64_C(0x0102030405060708),
    .key = { (const uint8_t *)"okey", 4 },
    .epoch = 300,
    .size = 70000,
};

static void make_entry(struct arena *arena, const struct golden *row, struct bytes *ret_key,
                       struct hint_value *ret_value)
{
    switch (row->entry) {
    case HINT_ENTRY_QUEUE:
        *ret_key = hint_queue_key(arena, &example);
        hint_queue_value(&example, ret_value);
        break;
    case HINT_ENTRY_INDEX:
        *ret_key = hint_index_key(arena, &target, example.key);
        hint_index_value(&example, ret_value);
        break;
    default:
        *ret_key = hint_mark_key(arena, &target, 0x1234, row->mark);
        hint_mark_value(1700000000000, ret_value);
    }
}

/* Key, then value. */
static void check_golden(const void *at)
{
    const struct golden *row = at;
    struct arena arena;
    struct bytes key;
    struct hint_value value;
    uint8_t made[GOLDEN_MAX], kept[GOLDEN_MAX];
    char path[128];
    arena_init(&arena, 1 << 16);
    make_entry(&arena, row, &key, &value);
    memcpy(made, key.data, key.size);
    memcpy(made + key.size, value.data, value.size);
    snprintf(path, sizeof(path), "tests/golden/hints/%s.bin", row->file);
    FILE *file = fopen(path, getenv("KVORUM_WRITE_GOLDEN") != NULL ? "w" : "r");
    assert_non_null(file);
    if (getenv("KVORUM_WRITE_GOLDEN") != NULL)
        assert_int_equal(fwrite(made, 1, key.size + value.size, file), key.size + value.size);
    else {
        assert_int_equal(fread(kept, 1, sizeof(kept), file), key.size + value.size);
        assert_memory_equal(kept, made, key.size + value.size);
    }
    fclose(file);
    struct hint hint;
    uint32_t partition = 0;
    assert_int_equal(hint_parse(key, bytes_make(value.data, value.size), &hint, &partition),
                     row->entry);
    assert_memory_equal(&hint.target, &target, sizeof(target));
    if (row->entry == HINT_ENTRY_MARK) {
        assert_int_equal(partition, 0x1234);
        assert_int_equal(hint.size, row->mark);
        assert_int_equal(hint.order, 1700000000000);
    } else {
        assert_int_equal(hint.order, example.order);
        assert_int_equal(hint.size, example.size);
        assert_true(bytes_equal(hint.key, example.key));
    }
    for (size_t cut = 1; cut < value.size; cut++) /* 0: a marker of an older release */
        assert_int_equal(hint_parse(key, bytes_make(value.data, cut), &hint, &partition),
                         HINT_ENTRY_NONE);
    arena_done(&arena);
}

/* --- foreign bytes --------------------------------------------------------------------------- */

static void check_order(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct hint later = example;
    later.order += 256;
    struct bytes first = hint_queue_key(&arena, &example);
    struct bytes second = hint_queue_key(&arena, &later);
    assert_true(bytes_compare(first, second) < 0);
    assert_true(bytes_compare(hint_queue_from(&arena, &target, example.order), first) < 0);
    assert_true(bytes_compare(hint_queue_from(&arena, &target, example.order + 1), first) > 0);
    assert_true(bytes_compare(second, hint_queue_end(&arena, &target)) < 0);
    struct bytes mark = hint_mark_key(&arena, &target, 65535, HINT_MARK_ORDER);
    assert_true(bytes_compare(mark, hint_marks_end(&arena, &target)) < 0);
    arena_done(&arena);
}

static void check_foreign(void)
{
    struct hint hint;
    uint32_t partition;
    uint8_t data[40] = { 'i' };
    for (size_t size = 0; size < sizeof(data); size++)
        assert_int_equal(
            hint_parse(bytes_make(data, size), BYTES_LITERAL("\x82\1\1"), &hint, &partition),
            HINT_ENTRY_NONE);
    data[0] = 'h';
    assert_int_equal(hint_parse(bytes_make(data, 30), (struct bytes){ 0 }, &hint, &partition),
                     HINT_ENTRY_MARKER);
    data[0] = 'o';
    assert_int_equal(hint_parse(bytes_make(data, 30), (struct bytes){ 0 }, &hint, &partition),
                     HINT_ENTRY_NONE);
}

/* --- quotas ---------------------------------------------------------------------------------- */

struct fit {
    const char *name;
    struct hint_usage used, quota, replaced;
    uint64_t size;
    bool fits;
};

static const struct fit fits[] = {
    { "the first hint fits", { 0, 0 }, { 1, 100 }, { 0, 0 }, 100, true },
    { "one byte too many does not", { 0, 0 }, { 1, 100 }, { 0, 0 }, 101, false },
    { "one too many does not", { 1, 0 }, { 1, 100 }, { 0, 0 }, 1, false },
    { "one in the place of another does", { 1, 50 }, { 1, 100 }, { 1, 50 }, 100, true },
    { "a larger one in its place does not", { 2, 90 }, { 2, 100 }, { 1, 50 }, 61, false },
    { "the last byte may be used", { 3, 90 }, { 9, 100 }, { 0, 0 }, 10, true },
    { "sizes near the end of numbers do not wrap",
      { 1, 5 },
      { 9, 100 },
      { 0, 0 },
      UINT64_MAX,
      false },
};

static void check_fit(const void *at)
{
    const struct fit *row = at;
    assert_int_equal(hint_fits(&row->used, &row->quota, &row->replaced, row->size), row->fits);
}

/* --- verdicts -------------------------------------------------------------------------------- */

struct verdict {
    const char *name;
    struct hint_facts facts;
    enum hint_verdict verdict;
};

/* superseded, held, lossy, target owns, made, now, horizon, collected */
static const struct verdict verdicts[] = {
    { "a hint for an owner is delivered",
      { false, true, false, true, 50, 60, 100, 0 },
      HINT_DELIVER },
    { "a superseded one is forgotten", { true, true, false, true, 50, 60, 100, 0 }, HINT_FORGET },
    { "without its object it is forgotten",
      { false, false, false, true, 50, 60, 100, 0 },
      HINT_FORGET },
    { "without its object, where something was lost, it is destroyed",
      { false, false, true, true, 50, 60, 100, 0 },
      HINT_DESTROY },
    { "superseded, without its object, where something was lost: forgotten",
      { true, false, true, true, 50, 60, 100, 0 },
      HINT_FORGET },
    { "superseded and too old: forgotten, the later one decides",
      { true, true, false, true, 50, 999, 100, 0 },
      HINT_FORGET },
    { "for one who owns it no more it is re-routed",
      { false, true, false, false, 50, 60, 100, 0 },
      HINT_REROUTE },
    { "at the horizon it is still delivered",
      { false, true, false, true, 50, 150, 100, 0 },
      HINT_DELIVER },
    { "past the horizon it is destroyed",
      { false, true, false, true, 50, 151, 100, 0 },
      HINT_DESTROY },
    { "past the horizon it is not re-routed either",
      { false, true, false, false, 50, 151, 100, 0 },
      HINT_DESTROY },
    { "older than a collection of tombstones: destroyed",
      { false, true, false, true, 50, 60, 100, 51 },
      HINT_DESTROY },
    { "as old as the collection: delivered",
      { false, true, false, true, 50, 60, 100, 50 },
      HINT_DELIVER },
    { "a clock that stepped back does not make it old",
      { false, true, false, true, 500, 60, 100, 0 },
      HINT_DELIVER },
};

static void check_verdict(const void *at)
{
    const struct verdict *row = at;
    assert_int_equal(hint_judge(&row->facts), row->verdict);
}

/* --- owners ---------------------------------------------------------------------------------- */

static void check_owners(void)
{
    struct member members[5] = { 0 };
    uint16_t table[] = { 0, 1, 2, 1, 2, 3 };
    struct move move = { .partition = 1, .phase = MOVE_WRITE_BOTH_READ_OLD, .to = { 1, 2, 4 } };
    for (uint8_t i = 0; i < 5; i++)
        members[i].id.bytes[0] = i;
    struct epoch epoch = { .partition_count = 2,
                           .replica_count = 3,
                           .member_count = 5,
                           .members = members,
                           .table = table,
                           .move_count = 1,
                           .moves = &move };
    assert_true(hint_target_owns(&epoch, 0, 3, 2));
    assert_false(hint_target_owns(&epoch, 0, 2, 2)); /* a bucket with fewer replicas */
    assert_false(hint_target_owns(&epoch, 0, 3, 3));
    assert_true(hint_target_owns(&epoch, 1, 3, 3)); /* moves away, and still takes writes */
    assert_true(hint_target_owns(&epoch, 1, 3, 4)); /* moves in, and takes them already */
    assert_false(hint_target_owns(&epoch, 1, 3, 0));
}

int main(void)
{
    static const struct named_test tests[] = {
        { "queues are in order, and end before their ends", check_order },
        { "foreign bytes are no entries", check_foreign },
        { "owners are those of the table, and those moving in", check_owners },
    };
    int failed = RUN_ROWS("hints as bytes", goldens, check_golden);
    failed += RUN_ROWS("quotas of hints", fits, check_fit);
    failed += RUN_ROWS("verdicts on hints", verdicts, check_verdict);
    return failed + RUN_TESTS("hints", tests);
}
