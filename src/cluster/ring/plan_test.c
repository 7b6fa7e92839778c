/* SPDX-License-Identifier: Apache-2.0 */
/* Every row is a kind of cluster; it is planned afresh, joined and left at every size up to 64, and
 * what the plan promises is counted each time. */
#include "cluster/ring/shares.h"

#include "base/hash.h"
#include "tests/support/rows.h"

#include <stdio.h>

#define PLAIN_HASH UINT64_C(0x245ccc18594dac4e)
#define ZONED_HASH UINT64_C(0x0668f4ffbb619d29)

enum { MEMBERS = 64, PARTITIONS = 1024, ARENA = 8 << 20 };

struct row {
    const char *name;
    uint8_t replicas;
    uint16_t zones;      /* member i is in zone i mod zones */
    uint32_t weights[3]; /* member i weighs weights[i mod 3] */
    double join, leave;  /* moves / the sum of what members gain, at most: above 1 where zones or
                            weights force detours, see plan_moves_test.c */
};

static const struct row rows[] = {
    { "one replica", 1, 1, { 100, 100, 100 }, 1, 1 },
    { "two replicas", 2, 1, { 100, 100, 100 }, 1, 1 },
    { "three replicas in one zone", 3, 1, { 100, 100, 100 }, 1, 1 },
    { "three replicas in two zones", 3, 2, { 100, 100, 100 }, 1, 1 },
    { "three replicas in three zones", 3, 3, { 100, 100, 100 }, 1, 1 },
    { "three replicas in four zones", 3, 4, { 100, 100, 100 }, 1, 1.33 },
    { "three replicas in seven zones", 3, 7, { 100, 100, 100 }, 1, 1 },
    { "three replicas, each in its own zone", 3, 64, { 100, 100, 100 }, 1, 1 },
    { "five replicas in one zone", 5, 1, { 100, 100, 100 }, 1, 1 },
    { "five replicas in six zones", 5, 6, { 100, 100, 100 }, 1, 1.4 },
    { "seven replicas in one zone", 7, 1, { 100, 100, 100 }, 1, 1 },
    { "seven replicas in seven zones", 7, 7, { 100, 100, 100 }, 1, 1 },
    { "weights one, two, four", 3, 1, { 100, 200, 400 }, 1, 1.11 },
    { "weights one, two, four across four zones", 3, 4, { 100, 200, 400 }, 1, 1.36 },
    { "one giant among dwarfs", 3, 1, { 10000, 1, 1 }, 1, 1 },
};

struct table {
    struct epoch epoch;
    struct member members[MEMBERS + 1];
    uint16_t owners[PARTITIONS * RING_REPLICAS_MAX];
};

static void make_members(struct table *table, const struct row *row, uint16_t count)
{
    memset(table, 0, sizeof(*table));
    for (uint16_t i = 0; i < count; i++) {
        struct member *member = &table->members[i];
        member->id.bytes[15] = (uint8_t)i;
        member->weight = row->weights[i % 3];
        snprintf(member->name, sizeof(member->name), "node%u", i);
        snprintf(member->zone, sizeof(member->zone), "zone%u", i % row->zones);
    }
    table->epoch = (struct epoch){
        .number = 1,
        .partition_count = PARTITIONS,
        .replica_count = row->replicas < count ? row->replicas : (uint8_t)count,
        .member_count = count,
        .members = table->members,
        .table = table->owners,
    };
}

static void plan_after(struct table *table, const struct row *row, uint16_t count,
                       const uint16_t *previous)
{
    make_members(table, row, count);
    struct arena arena;
    arena_init(&arena, ARENA);
    const char *why = NULL;
    struct ring_plan_input input = { table->members, count, PARTITIONS, row->replicas, previous };
    assert_int_equal(ring_plan(&input, &arena, table->owners, &why), KVORUM_OK);
    arena_done(&arena);
}

static void held_in(const struct table *table, uint8_t columns, uint32_t *ret_held)
{
    memset(ret_held, 0, (MEMBERS + 1) * sizeof(*ret_held));
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (uint8_t c = 0; c < columns; c++)
            ret_held[table->owners[p * table->epoch.replica_count + c]]++;
}

/* --- what every plan promises --------------------------------------------------------------- */

static uint32_t illegal_places(const struct table *table, const struct ring_zones *zones)
{
    uint8_t columns = table->epoch.replica_count;
    bool distinct_zones = zones->count >= columns;
    uint32_t illegal = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        const uint16_t *owners = &table->owners[p * columns];
        for (uint8_t c = 0; c < columns; c++) {
            illegal += owners[c] >= table->epoch.member_count;
            for (uint8_t d = 0; d < c; d++)
                illegal += owners[c] == owners[d] ||
                           (distinct_zones && zones->of[owners[c]] == zones->of[owners[d]]);
        }
    }
    return illegal;
}

/* Members whose load, in the first `columns`, is `slack` or more away from the share. */
static uint16_t far_from_share(const struct table *table, const struct ring_zones *zones,
                               uint8_t columns, uint32_t slack)
{
    uint64_t shares[RING_MEMBERS_MAX];
    uint32_t held[MEMBERS + 1];
    uint16_t far = 0, count = table->epoch.member_count;
    uint8_t all = table->epoch.replica_count;
    uint8_t limit = ring_zone_limit(zones, table->members, count, all);
    ring_shares(zones, table->members, count, PARTITIONS, all, limit, shares);
    held_in(table, columns, held);
    for (uint16_t m = 0; m < count; m++) {
        int64_t wanted = (int64_t)(shares[m] * columns / all);
        int64_t off = ((int64_t)held[m] << SHARE_BITS) - wanted;
        far += (off < 0 ? -off : off) >= (int64_t)slack << SHARE_BITS;
    }
    return far;
}

static void check_promises(const struct table *table)
{
    struct ring_zones zones;
    ring_zones_init(&zones, table->members, table->epoch.member_count);
    assert_int_equal(illegal_places(table, &zones), 0);
    uint8_t columns = table->epoch.replica_count;
    assert_int_equal(far_from_share(table, &zones, columns, 1), 0);
    for (uint8_t c = 1; c < columns; c++)
        assert_int_equal(far_from_share(table, &zones, c, 2), 0);
}

/* --- what moves ------------------------------------------------------------------------------ */

static uint32_t moves_between(const struct table *before, const struct table *after)
{
    uint8_t columns = after->epoch.replica_count;
    uint32_t moves = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        for (uint8_t c = 0; c < columns; c++) {
            bool stays = false;
            for (uint8_t d = 0; d < columns; d++)
                stays |= before->owners[p * columns + d] == after->owners[p * columns + c];
            moves += !stays;
        }
    }
    return moves;
}

/* Whoever holds more than before must have been sent the difference. */
static uint32_t gains(const struct table *before, const struct table *after)
{
    uint32_t old[MEMBERS + 1], new[MEMBERS + 1], sum = 0;
    held_in(before, before->epoch.replica_count, old);
    held_in(after, after->epoch.replica_count, new);
    for (uint16_t m = 0; m < MEMBERS + 1; m++)
        sum += new[m] > old[m] ? new[m] - old[m] : 0;
    return sum;
}

static double cost_of_joining(const struct table *before, const struct row *row)
{
    static struct table after;
    plan_after(&after, row, (uint16_t)(before->epoch.member_count + 1), before->owners);
    check_promises(&after);
    return (double)moves_between(before, &after) / gains(before, &after);
}

static double cost_of_leaving(const struct table *before, const struct row *row)
{
    static struct table after, holes;
    uint16_t last = (uint16_t)(before->epoch.member_count - 1);
    holes = *before;
    for (size_t i = 0; i < (size_t)PARTITIONS * before->epoch.replica_count; i++)
        if (holes.owners[i] == last)
            holes.owners[i] = RING_NO_MEMBER;
    plan_after(&after, row, last, holes.owners);
    check_promises(&after);
    return (double)moves_between(before, &after) / gains(before, &after);
}

static void check(const void *data)
{
    static struct table table;
    const struct row *row = data;
    double join = 1, leave = 1;
    for (uint16_t count = 1; count <= MEMBERS; count++) {
        plan_after(&table, row, count, NULL);
        check_promises(&table);
        double cost = count < row->replicas ? 1 : cost_of_joining(&table, row);
        join = cost > join ? cost : join;
        cost = count <= row->replicas ? 1 : cost_of_leaving(&table, row);
        leave = cost > leave ? cost : leave;
    }
    print_message("joining costs at most %.3f, leaving %.3f of what members gain\n", join, leave);
    assert_true(join <= row->join);
    assert_true(leave <= row->leave);
}

/* --- single questions ------------------------------------------------------------------------ */

static const struct row plain = { "", 3, 1, { 100, 100, 100 }, 0, 0 };

static void imbalance_is_small(void **state)
{
    static struct table table;
    (void)state;
    for (uint16_t count = 3; count <= MEMBERS; count++) {
        plan_after(&table, &plain, count, NULL);
        assert_true(ring_imbalance(&table.epoch) <= 1.02);
    }
    static const struct row weighted = { "", 3, 1, { 100, 200, 400 }, 0, 0 };
    for (uint16_t count = 4; count <= 30; count++) {
        plan_after(&table, &weighted, count, NULL);
        assert_true(ring_imbalance(&table.epoch) <= 1.02);
    }
}

/* A plan is decided once and checked by everybody: it must not depend on compiler or machine. */
static void tables_are_the_same_everywhere(void **state)
{
    static struct table table;
    static const struct row zoned = { "", 3, 4, { 100, 200, 400 }, 0, 0 };
    (void)state;
    plan_after(&table, &plain, 5, NULL);
    assert_int_equal(hash64(bytes_make(table.owners, sizeof(table.owners)), 0), PLAIN_HASH);
    plan_after(&table, &zoned, 23, NULL);
    assert_int_equal(hash64(bytes_make(table.owners, sizeof(table.owners)), 0), ZONED_HASH);
}

static void an_unchanged_cluster_moves_nothing(void **state)
{
    static struct table before, after;
    static const struct row zoned = { "", 3, 3, { 100, 200, 400 }, 0, 0 };
    (void)state;
    for (uint16_t count = 1; count <= MEMBERS; count++) {
        plan_after(&before, &zoned, count, NULL);
        plan_after(&after, &zoned, count, before.owners);
        assert_memory_equal(before.owners, after.owners, sizeof(before.owners));
    }
}

static void a_new_weight_moves_the_difference(void **state)
{
    static struct table before, after;
    static const struct row even = { "", 3, 1, { 100, 100, 100 }, 0, 0 };
    static const struct row heavier = { "", 3, 1, { 100, 100, 150 }, 0, 0 };
    (void)state;
    for (uint16_t count = 6; count <= MEMBERS; count++) {
        plan_after(&before, &even, count, NULL);
        plan_after(&after, &heavier, count, before.owners);
        check_promises(&after);
        assert_int_equal(moves_between(&before, &after), gains(&before, &after));
    }
}

/* Nobody rebuilds from a few neighbours: the other copies are with nearly everybody. */
static void partners_are_many(void **state)
{
    static struct table table;
    (void)state;
    plan_after(&table, &plain, 30, NULL);
    bool partner[30][30] = { 0 };
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (uint8_t c = 0; c < 3; c++)
            for (uint8_t d = 0; d < 3; d++)
                partner[table.owners[p * 3 + c]][table.owners[p * 3 + d]] = true;
    for (uint16_t m = 0; m < 30; m++) {
        uint16_t count = 0;
        for (uint16_t other = 0; other < 30; other++)
            count += partner[m][other] && other != m;
        assert_true(count >= 26);
    }
}

static void two_zones_hold_every_partition(void **state)
{
    static struct table table;
    static const struct row halves = { "", 3, 2, { 100, 100, 100 }, 0, 0 };
    (void)state;
    for (uint16_t count = 3; count <= MEMBERS; count++) {
        plan_after(&table, &halves, count, NULL);
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            const uint16_t *owners = &table.owners[p * 3];
            uint16_t odd = (owners[0] & 1) + (owners[1] & 1) + (owners[2] & 1);
            assert_true(odd >= 1 && odd <= 2);
        }
    }
}

static void bad_entries_of_the_previous_table_are_replaced(void **state)
{
    static struct table before, after;
    (void)state;
    plan_after(&before, &plain, 6, NULL);
    before.owners[0] = before.owners[1]; /* twice the same member */
    before.owners[5] = 6;                /* nobody */
    before.owners[7] = RING_NO_MEMBER;
    plan_after(&after, &plain, 6, before.owners);
    check_promises(&after);
}

/* Members in other states are as good as absent: what the others get does not depend on them. */
static void only_active_members_are_given_anything(void **state)
{
    (void)state;
    static uint16_t with[PARTITIONS * 3], without[PARTITIONS * 3];
    struct member all[7], active[4];
    uint16_t slot_of[4], count = 0;
    for (uint16_t i = 0; i < 7; i++) {
        all[i] = (struct member){ .weight = 100, .state = (enum member_state)(i % 4) };
        all[i].id.bytes[0] = (uint8_t)i;
        all[i].state = i > 3 ? MEMBER_ACTIVE : all[i].state;
        if (all[i].state != MEMBER_ACTIVE)
            continue;
        slot_of[count] = i;
        active[count++] = all[i];
    }
    struct arena arena;
    const char *why;
    arena_init(&arena, 1 << 24);
    struct ring_plan_input input = { all, 7, PARTITIONS, 3, NULL };
    assert_int_equal(ring_plan(&input, &arena, with, &why), KVORUM_OK);
    struct ring_plan_input few = { active, count, PARTITIONS, 3, NULL };
    assert_int_equal(ring_plan(&few, &arena, without, &why), KVORUM_OK);
    for (size_t i = 0; i < PARTITIONS * 3; i++)
        assert_int_equal(with[i], slot_of[without[i]]);
    /* One of them leaves: what the others hold stays where it is. */
    static uint16_t after[PARTITIONS * 3];
    all[6].state = MEMBER_LEAVING;
    input.previous = with;
    assert_int_equal(ring_plan(&input, &arena, after, &why), KVORUM_OK);
    for (size_t i = 0; i < PARTITIONS * 3; i++) {
        const uint16_t *row = &after[i / 3 * 3];
        bool kept = with[i] == row[0] || with[i] == row[1] || with[i] == row[2];
        assert_true(kept == (with[i] != 6));
    }
    for (uint16_t i = 0; i < 7; i++)
        all[i].state = MEMBER_GONE;
    assert_int_equal(ring_plan(&input, &arena, after, &why), KVORUM_INVALID);
    arena_done(&arena);
}

static void what_cannot_be_planned_is_refused(void **state)
{
    static struct table table;
    (void)state;
    make_members(&table, &plain, 3);
    const struct ring_plan_input good = { table.members, 3, PARTITIONS, 3, NULL };
    struct ring_plan_input bad[6];
    for (int i = 0; i < 6; i++)
        bad[i] = good;
    bad[0].member_count = 0;
    bad[1].member_count = RING_MEMBERS_MAX + 1;
    bad[2].partition_count = 1000;
    bad[3].partition_count = 2 * RING_PARTITIONS_MAX;
    bad[4].replica_count = RING_REPLICAS_MAX + 1;
    bad[5].replica_count = 0;
    struct arena arena;
    arena_init(&arena, ARENA);
    for (int i = 0; i < 6; i++) {
        const char *why = NULL;
        assert_int_equal(ring_plan(&bad[i], &arena, table.owners, &why), KVORUM_INVALID);
        assert_non_null(why);
    }
    const char *why = NULL;
    table.members[1].weight = 0;
    assert_int_equal(ring_plan(&good, &arena, table.owners, &why), KVORUM_INVALID);
    table.members[1].weight = 10001;
    assert_int_equal(ring_plan(&good, &arena, table.owners, &why), KVORUM_INVALID);
    arena_done(&arena);
}

static void every_shortage_of_memory_is_reported(void **state)
{
    static struct table table;
    (void)state;
    make_members(&table, &plain, 5);
    struct ring_plan_input input = { table.members, 5, PARTITIONS, 3, NULL };
    kvorum_status status = KVORUM_NO_MEMORY;
    for (size_t limit = 0; status != KVORUM_OK; limit += 512) {
        struct arena arena;
        const char *why = NULL;
        arena_init(&arena, limit);
        status = ring_plan(&input, &arena, table.owners, &why);
        assert_true(status == KVORUM_OK || status == KVORUM_NO_MEMORY);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imbalance_is_small),
        cmocka_unit_test(tables_are_the_same_everywhere),
        cmocka_unit_test(an_unchanged_cluster_moves_nothing),
        cmocka_unit_test(a_new_weight_moves_the_difference),
        cmocka_unit_test(partners_are_many),
        cmocka_unit_test(two_zones_hold_every_partition),
        cmocka_unit_test(bad_entries_of_the_previous_table_are_replaced),
        cmocka_unit_test(only_active_members_are_given_anything),
        cmocka_unit_test(what_cannot_be_planned_is_refused),
        cmocka_unit_test(every_shortage_of_memory_is_reported),
    };
    int failed = RUN_ROWS("plan", rows, check);
    return failed + cmocka_run_group_tests_name("plan, in detail", tests, NULL, NULL);
}
