/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of the planner: every size up to 64 members in 1 to 64 zones, a fresh table, a member
 * more, a member fewer.
 *
 *      imbalance   the most that a member holds / its share (what it can hold, in these zones)
 *      moves       replicas that moved / the fewest that could have: what members gain in numbers
 *      zones       partitions with two replicas in one zone, though there are zones enough
 *      time        of the processor, for 1,000 members and 65,536 partitions */
#include "tests/support/rows.h"
#include "tests/support/slow.h"

#include <stdio.h>
#include <time.h>

#include "cluster/ring/ring.h"

enum { SIZES = 64, REPLICAS = 3, PARTITIONS = RING_PARTITIONS_DEFAULT, LARGE = 1000 };

#define IMBALANCE_MAX 1.02
#define MOVES_MAX 1.02
#define SECONDS_MAX 1.0

static const uint16_t zone_counts[] = { 1, 3, 4, 5, 8, 16, 64 };

struct table {
    struct member members[RING_MEMBERS_MAX];
    uint16_t count, zones;
    uint16_t *owners;
    uint32_t held[RING_MEMBERS_MAX];
};

struct worst {
    double imbalance, moves;
    uint32_t violations, plans;
};

static void plan(struct table *table, uint16_t count, uint16_t zones, uint32_t partitions,
                 const uint16_t *previous)
{
    struct arena arena;
    const char *why = "";
    memset(table->members, 0, sizeof(table->members));
    table->count = count;
    table->zones = zones;
    for (uint16_t i = 0; i < count; i++) {
        struct member *member = &table->members[i];
        member->id.bytes[0] = (uint8_t)i;
        member->id.bytes[1] = (uint8_t)(i >> 8);
        member->weight = RING_WEIGHT_DEFAULT;
        snprintf(member->zone, sizeof(member->zone), "z%u", i % zones);
    }
    arena_init(&arena, 1 << 26);
    struct ring_plan_input input = { table->members, count, partitions, REPLICAS, previous };
    assert_int_equal(ring_plan(&input, &arena, table->owners, &why), KVORUM_OK);
    arena_done(&arena);
    memset(table->held, 0, sizeof(table->held));
    for (size_t i = 0; i < (size_t)partitions * REPLICAS; i++)
        table->held[table->owners[i]]++;
}

static bool owns(const uint16_t *row, uint16_t member)
{
    return row[0] == member || row[1] == member || row[2] == member;
}

static void look(const struct table *table, struct worst *worst)
{
    struct epoch epoch = { .partition_count = PARTITIONS,
                           .replica_count = REPLICAS,
                           .replicas_wanted = REPLICAS,
                           .member_count = table->count,
                           .members = (struct member *)table->members,
                           .table = table->owners };
    double imbalance = ring_imbalance(&epoch);
    worst->imbalance = imbalance > worst->imbalance ? imbalance : worst->imbalance;
    worst->plans++;
    uint16_t zones = table->zones < table->count ? table->zones : table->count;
    for (uint32_t p = 0; zones >= REPLICAS && p < PARTITIONS; p++) {
        const uint16_t *row = table->owners + (size_t)p * REPLICAS;
        uint16_t a = row[0] % table->zones, b = row[1] % table->zones, c = row[2] % table->zones;
        worst->violations += a == b || a == c || b == c;
    }
}

static void compare(const struct table *before, const struct table *after, struct worst *worst)
{
    uint32_t moved = 0, fewest = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (uint8_t c = 0; c < REPLICAS; c++)
            moved += !owns(before->owners + (size_t)p * REPLICAS,
                           after->owners[(size_t)p * REPLICAS + c]);
    for (uint16_t i = 0; i < after->count; i++) {
        uint32_t had = i < before->count ? before->held[i] : 0;
        fewest += after->held[i] > had ? after->held[i] - had : 0;
    }
    double moves = fewest == 0 ? (moved == 0 ? 1 : 1e9) : (double)moved / fewest;
    worst->moves = moves > worst->moves ? moves : worst->moves;
}

static void leave(const struct table *before, struct table *after, uint16_t *holes)
{
    for (size_t i = 0; i < (size_t)PARTITIONS * REPLICAS; i++)
        holes[i] = before->owners[i] == before->count - 1 ? RING_NO_MEMBER : before->owners[i];
    plan(after, before->count - 1, before->zones, PARTITIONS, holes);
}

static struct table *make_table(uint32_t partitions)
{
    struct table *table = calloc(1, sizeof(*table));
    assert_non_null(table);
    table->owners = calloc((size_t)partitions * REPLICAS, sizeof(*table->owners));
    assert_non_null(table->owners);
    return table;
}

static void free_table(struct table *table)
{
    free(table->owners);
    free(table);
}

static void every_size_is_even_and_moves_little(void **state)
{
    (void)state;
    struct table *before = make_table(PARTITIONS), *after = make_table(PARTITIONS);
    uint16_t *holes = calloc((size_t)PARTITIONS * REPLICAS, sizeof(*holes));
    assert_non_null(holes);
    struct worst worst = { 0 }, free_zones = { 0 };
    for (size_t z = 0; z < sizeof(zone_counts) / sizeof(*zone_counts); z++)
        for (uint16_t n = REPLICAS; n <= SIZES; n++) {
            uint16_t zones = zone_counts[z];
            struct worst *into = zones == 1 || zones >= SIZES ? &free_zones : &worst;
            plan(before, n, zones, PARTITIONS, NULL);
            look(before, into);
            plan(after, n + 1, zones, PARTITIONS, before->owners);
            look(after, into);
            compare(before, after, into);
            if (n == REPLICAS)
                continue;
            leave(before, after, holes);
            look(after, into);
            compare(before, after, into);
        }
    uint32_t plans = worst.plans + free_zones.plans;
    double imbalance =
        worst.imbalance > free_zones.imbalance ? worst.imbalance : free_zones.imbalance;
    printf("# figure imbalance %.4f; %u plans of 3 to 65 members in 1 to 64 zones\n", imbalance,
           plans);
    printf("# figure moves %.4f; where zones leave the choice, %u plans\n", free_zones.moves,
           free_zones.plans);
    printf("# figure moves-in-zones %.4f; against a bound that knows no zones, %u plans\n",
           worst.moves, worst.plans);
    printf("# figure zone-violations %u; %u plans\n", worst.violations + free_zones.violations,
           plans);
    assert_true(imbalance <= IMBALANCE_MAX);
    assert_true(free_zones.moves <= MOVES_MAX);
    assert_int_equal(worst.violations + free_zones.violations, 0);
    free_table(before);
    free_table(after);
    free(holes);
}

static double processor_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void a_thousand_members_are_planned_in_a_second(void **state)
{
    (void)state;
    double slow = slowness() > 1 ? 4 * slowness() : 1, worst = 0;
    struct table *before = make_table(RING_PARTITIONS_MAX),
                 *after = make_table(RING_PARTITIONS_MAX);
    for (uint16_t zones = 1; zones <= 50; zones = zones == 1 ? 3 : (uint16_t)(zones * 4)) {
        double start_s = processor_s();
        plan(before, LARGE - 1, zones, RING_PARTITIONS_MAX, NULL);
        double fresh_s = processor_s() - start_s;
        start_s = processor_s();
        plan(after, LARGE, zones, RING_PARTITIONS_MAX, before->owners);
        double join_s = processor_s() - start_s;
        worst = fresh_s > worst ? fresh_s : worst;
        worst = join_s > worst ? join_s : worst;
    }
    printf("# figure planner-s %.3f; %d members, %d partitions, fresh and a join\n", worst, LARGE,
           RING_PARTITIONS_MAX);
    assert_true(worst < SECONDS_MAX * slow);
    free_table(before);
    free_table(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_even_and_moves_little),
        cmocka_unit_test(a_thousand_members_are_planned_in_a_second),
    };
    return cmocka_run_group_tests_name("ring figures", tests, NULL, NULL);
}
