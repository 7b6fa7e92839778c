/* SPDX-License-Identifier: Apache-2.0 */
/* How few moves are possible at all?  A slow model answers exactly: a flow of replicas
 *
 *      source -> partition -> (partition, zone) -> member -> sink
 *                R           zone limit            1, costs 1 if new   what the plan gives it
 *
 * of least cost, path by path.  The planner never sees it, and must cost no more.  For sizes that
 * it is too slow for, another is asked (tests/support/fewest_moves.h), which must agree with it,
 * also where it begins with a table that is far from the cheapest. */
#include "tests/support/fewest_moves.h"

#include <stdio.h>

enum {
    PARTITIONS = 128,
    MEMBERS = 14,
    ZONES = 8,
    EDGES = 2 * PARTITIONS * (1 + ZONES + MEMBERS + 1)
};
enum { SOURCE, SINK, FIRST_PARTITION, FIRST_ZONE = FIRST_PARTITION + PARTITIONS };
enum { FIRST_MEMBER = FIRST_ZONE + PARTITIONS * ZONES, VERTICES = FIRST_MEMBER + MEMBERS };

struct row {
    const char *name;
    uint8_t replicas;
    uint16_t zones;
    uint32_t weights[3];
};

static const struct row rows[] = {
    { "three replicas in one zone", 3, 1, { 100, 100, 100 } },
    { "three replicas in two zones", 3, 2, { 100, 100, 100 } },
    { "three replicas in three zones", 3, 3, { 100, 100, 100 } },
    { "three replicas in four zones", 3, 4, { 100, 100, 100 } },
    { "five replicas in six zones", 5, 6, { 100, 100, 100 } },
    { "weights one, two, four", 3, 1, { 100, 200, 400 } },
    { "weights one, two, four across four zones", 3, 4, { 100, 200, 400 } },
    { "weights one, two, four across five zones", 3, 5, { 100, 200, 400 } },
};

/* --- the model ------------------------------------------------------------------------------- */

struct edge {
    uint16_t from, to;
    int32_t room, cost;
};

struct flow {
    struct edge edges[EDGES]; /* edge i ^ 1 is edge i backwards */
    uint32_t count;
    int32_t distance[VERTICES];
    uint32_t through[VERTICES];
};

static void add_edge(struct flow *flow, uint32_t from, uint32_t to, int32_t room, int32_t cost)
{
    assert_true(flow->count + 2 <= EDGES);
    flow->edges[flow->count++] = (struct edge){ (uint16_t)from, (uint16_t)to, room, cost };
    flow->edges[flow->count++] = (struct edge){ (uint16_t)to, (uint16_t)from, 0, -cost };
}

/* Bellman and Ford: costs may be negative on the way back. */
static bool find_cheapest_path(struct flow *flow)
{
    const int32_t far = INT32_MAX / 2;
    for (uint32_t v = 0; v < VERTICES; v++)
        flow->distance[v] = far;
    flow->distance[SOURCE] = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < flow->count; i++) {
            const struct edge *edge = &flow->edges[i];
            int32_t distance = flow->distance[edge->from] + edge->cost;
            if (edge->room == 0 || flow->distance[edge->from] == far ||
                distance >= flow->distance[edge->to])
                continue;
            flow->distance[edge->to] = distance;
            flow->through[edge->to] = i;
            changed = true;
        }
    }
    return flow->distance[SINK] < far;
}

static uint32_t cheapest(struct flow *flow, uint32_t *ret_cost)
{
    uint32_t units = 0;
    *ret_cost = 0;
    while (find_cheapest_path(flow)) {
        for (uint32_t v = SINK; v != SOURCE; v = flow->edges[flow->through[v]].from) {
            flow->edges[flow->through[v]].room--;
            flow->edges[flow->through[v] ^ 1].room++;
        }
        *ret_cost += (uint32_t)flow->distance[SINK];
        units++;
    }
    return units;
}

/* --- the plans ------------------------------------------------------------------------------- */

struct table {
    struct member members[MEMBERS];
    uint16_t count;
    uint8_t columns;
    uint16_t owners[PARTITIONS * RING_REPLICAS_MAX];
};

static bool owns(const struct table *table, uint32_t partition, uint16_t member)
{
    for (uint8_t c = 0; c < table->columns; c++)
        if (table->owners[partition * table->columns + c] == member)
            return true;
    return false;
}

static void plan(struct table *table, const struct row *row, uint16_t count,
                 const uint16_t *previous)
{
    memset(table, 0, sizeof(*table));
    table->count = count;
    table->columns = row->replicas;
    for (uint16_t i = 0; i < count; i++) {
        table->members[i].id.bytes[0] = (uint8_t)i;
        table->members[i].weight = row->weights[i % 3];
        snprintf(table->members[i].zone, sizeof(table->members[i].zone), "z%u", i % row->zones);
    }
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const char *why;
    struct ring_plan_input input = { table->members, count, PARTITIONS, row->replicas, previous };
    assert_int_equal(ring_plan(&input, &arena, table->owners, &why), KVORUM_OK);
    arena_done(&arena);
}

static uint32_t fewest_moves_by_paths(const struct table *before, const struct table *after)
{
    static struct flow flow;
    struct ring_zones zones;
    uint16_t count = after->count;
    ring_zones_init(&zones, after->members, count);
    uint8_t limit = ring_zone_limit(&zones, after->members, count, after->columns);
    int32_t held[MEMBERS] = { 0 };
    flow.count = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        add_edge(&flow, SOURCE, FIRST_PARTITION + p, after->columns, 0);
        for (uint16_t z = 0; z < zones.count; z++)
            add_edge(&flow, FIRST_PARTITION + p, FIRST_ZONE + p * ZONES + z, limit, 0);
        for (uint16_t m = 0; m < count; m++) {
            held[m] += owns(after, p, m);
            add_edge(&flow, FIRST_ZONE + p * ZONES + zones.of[m], FIRST_MEMBER + m, 1,
                     !owns(before, p, m));
        }
    }
    for (uint16_t m = 0; m < count; m++)
        add_edge(&flow, FIRST_MEMBER + m, SINK, held[m], 0);
    uint32_t cost;
    assert_int_equal(cheapest(&flow, &cost), PARTITIONS * after->columns);
    return cost;
}

static struct fewest_table seen_by_model(const struct table *table)
{
    return (struct fewest_table){ table->members, table->count, PARTITIONS, table->columns,
                                  table->owners };
}

static void compare(const struct table *before, const struct table *after, bool cheapest_asked)
{
    uint32_t moves, fewest = fewest_moves_by_paths(before, after);
    struct fewest_table from = seen_by_model(before), to = seen_by_model(after);
    assert_int_equal(fewest_moves(&from, &to, true, &moves), fewest);
    if (cheapest_asked)
        assert_int_equal(moves, fewest_moves(&from, &to, false, &moves));
}

static void check(const void *data)
{
    static struct table before, after, afresh;
    const struct row *row = data;
    for (uint16_t count = row->replicas; count < MEMBERS; count++) {
        plan(&before, row, count, NULL);
        plan(&after, row, (uint16_t)(count + 1), before.owners);
        compare(&before, &after, true);
        plan(&afresh, row, (uint16_t)(count + 1), NULL);
        compare(&before, &afresh, false);
        before = afresh;
        for (size_t i = 0; i < PARTITIONS * row->replicas; i++)
            if (before.owners[i] == count)
                before.owners[i] = RING_NO_MEMBER;
        plan(&after, row, count, before.owners);
        compare(&before, &after, true);
    }
}

int main(void)
{
    return RUN_ROWS("plan moves", rows, check);
}
