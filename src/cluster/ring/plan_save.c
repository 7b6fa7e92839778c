/* SPDX-License-Identifier: Apache-2.0 */
/* Everybody holds what it should; now whatever moved without need goes back.  A replacement (x
 * gives its place in a partition to y) costs one move when y was not there before and x was, saves
 * one the other way round, and is free between two that are both new there.  A ring of
 * replacements changes no load:
 *
 *      a -> b in partition 17 (saves one),  b -> c in 4 (free),  c -> a in 950 (free)
 *
 * and one that opens at a member that may hold one less, and ends at one that may hold one more,
 * changes only how the shares were rounded.  Tables are circulations and what they cost is what
 * moves, so one from which no ring saves anything is as cheap as can be (Klein, "A primal method
 * for minimal cost flows", 1967).  Rings are found by Bellman and Ford, with members as vertices:
 * what two replacements within one partition could save together is not seen.
 *
 * Looked at are the partitions where something moved, since a ring that saves must pass one; then
 * all, where that is little work. */
#include <string.h>

#include "cluster/ring/plan.h"

enum {
    LOOKS_MAX = 1 << 25,     /* at members of partitions, in all: a few tenths of a second */
    LOOKS_ALL_MAX = 1 << 22, /* in one pass over all partitions */
};

/* The cheapest way to a member found so far ends with `giver` handing it `place`. */
struct way {
    int32_t cost;
    uint16_t giver;
    uint32_t place; /* partition * column_count + column */
};

struct saving {
    struct plan *plan;
    struct way *ways; /* by member; the last is the sink, where loads may change */
    uint16_t *ring, *mark;
    uint8_t *barred; /* partitions that cannot take two replacements of one ring */
    uint32_t *partitions;
    uint32_t count;
    uint64_t looks;
    bool changed;
};

#define NO_PLACE UINT32_MAX

static bool had(const struct plan *plan, uint32_t partition, uint16_t member)
{
    const uint16_t *row = plan->previous + (size_t)partition * plan->column_count;
    for (uint8_t c = 0; c < plan->column_count; c++)
        if (row[c] == member)
            return true;
    return false;
}

static bool has(const struct plan *plan, uint32_t partition, uint16_t member)
{
    const uint16_t *row = plan_row(plan, partition);
    for (uint8_t c = 0; c < plan->column_count; c++)
        if (row[c] == member)
            return true;
    return false;
}

static void relax(struct saving *saving, uint16_t taker, struct way way)
{
    if (way.cost >= saving->ways[taker].cost)
        return;
    saving->ways[taker] = way;
    saving->changed = true;
}

/* Who gives most cheaply in a row: of all, and of one zone. */
static struct way cheapest_giver(const struct saving *saving, uint32_t partition,
                                 const bool *is_fresh, uint16_t zone)
{
    const struct plan *plan = saving->plan;
    const uint16_t *row = plan_row(plan, partition);
    struct way best = { INT32_MAX / 2, RING_NO_MEMBER, NO_PLACE };
    for (uint8_t c = 0; c < plan->column_count; c++) {
        int32_t cost = saving->ways[row[c]].cost - is_fresh[c];
        if ((zone != RING_NO_MEMBER && plan->zones.of[row[c]] != zone) || cost >= best.cost)
            continue;
        best = (struct way){ cost, row[c], partition * plan->column_count + c };
    }
    return best;
}

static bool is_full(const struct plan *plan, uint32_t partition, uint16_t zone)
{
    const uint16_t *row = plan_row(plan, partition);
    uint8_t in_zone = 0;
    for (uint8_t c = 0; c < plan->column_count; c++)
        in_zone = (uint8_t)(in_zone + (plan->zones.of[row[c]] == zone));
    return in_zone >= plan->zone_limit;
}

static void relax_partition(struct saving *saving, uint32_t partition)
{
    const struct plan *plan = saving->plan;
    const uint16_t *row = plan_row(plan, partition);
    bool is_fresh[RING_REPLICAS_MAX];
    for (uint8_t c = 0; c < plan->column_count; c++)
        is_fresh[c] = !had(plan, partition, row[c]);
    struct way any = cheapest_giver(saving, partition, is_fresh, RING_NO_MEMBER);
    for (uint16_t m = 0; m < plan->member_count; m++) {
        if (any.cost >= saving->ways[m].cost || has(plan, partition, m))
            continue;
        uint16_t zone = plan->zones.of[m];
        struct way way = is_full(plan, partition, zone)
                             ? cheapest_giver(saving, partition, is_fresh, zone)
                             : any;
        way.cost += !had(plan, partition, m);
        relax(saving, m, way);
    }
}

static void relax_loads(struct saving *saving)
{
    const struct plan *plan = saving->plan;
    uint16_t sink = plan->member_count;
    for (uint16_t m = 0; m < sink; m++) {
        if (plan->loads[m] < plan->most[m])
            relax(saving, sink, (struct way){ saving->ways[m].cost, m, NO_PLACE });
        if (plan->loads[m] > plan->least[m])
            relax(saving, m, (struct way){ saving->ways[sink].cost, sink, NO_PLACE });
    }
}

static bool pass(struct saving *saving)
{
    saving->changed = false;
    relax_loads(saving);
    for (uint32_t i = 0; i < saving->count; i++)
        if (!saving->barred[saving->partitions[i]])
            relax_partition(saving, saving->partitions[i]);
    return saving->changed;
}

/* A member (or the sink) on a ring of the ways, or RING_NO_MEMBER. */
static uint16_t find_ring(struct saving *saving)
{
    uint16_t vertices = (uint16_t)(saving->plan->member_count + 1);
    for (uint16_t v = 0; v < vertices; v++)
        saving->mark[v] = RING_NO_MEMBER;
    for (uint16_t start = 0; start < vertices; start++) {
        uint16_t v = start;
        while (v != RING_NO_MEMBER && saving->mark[v] == RING_NO_MEMBER) {
            saving->mark[v] = start;
            v = saving->ways[v].giver;
        }
        if (v != RING_NO_MEMBER && saving->mark[v] == start)
            return v;
    }
    return RING_NO_MEMBER;
}

/* Make the replacements of the ring, or none of them. */
static void turn(struct saving *saving, uint16_t start)
{
    struct plan *plan = saving->plan;
    uint16_t count = 0, v = start;
    do {
        saving->ring[count++] = v;
        v = saving->ways[v].giver;
    } while (v != start);
    for (uint16_t i = 0; i < count; i++) {
        const struct way *way = &saving->ways[saving->ring[i]];
        if (way->place == NO_PLACE)
            continue;
        uint32_t p = way->place / plan->column_count;
        uint8_t c = (uint8_t)(way->place % plan->column_count);
        if (plan_row(plan, p)[c] == way->giver && plan_is_legal(plan, p, c, saving->ring[i])) {
            plan_place(plan, p, c, saving->ring[i]);
            continue;
        }
        saving->barred[p] = 1;
        while (i-- > 0) {
            way = &saving->ways[saving->ring[i]];
            if (way->place != NO_PLACE)
                plan_place(plan, way->place / plan->column_count,
                           (uint8_t)(way->place % plan->column_count), way->giver);
        }
        return;
    }
}

static void forget_ways(struct saving *saving)
{
    for (uint16_t v = 0; v <= saving->plan->member_count; v++)
        saving->ways[v] = (struct way){ 0, RING_NO_MEMBER, NO_PLACE };
}

static void turn_all(struct saving *saving)
{
    uint64_t looks = (uint64_t)saving->count * saving->plan->member_count; /* in one pass */
    forget_ways(saving);
    while (saving->looks + looks <= LOOKS_MAX && pass(saving)) {
        uint16_t start = find_ring(saving);
        saving->looks += looks;
        if (start == RING_NO_MEMBER)
            continue;
        turn(saving, start);
        forget_ways(saving);
    }
}

/* Partitions where somebody new owns something, or all. */
static void look_at(struct saving *saving, bool all)
{
    const struct plan *plan = saving->plan;
    saving->count = 0;
    for (uint32_t p = 0; p < plan->partition_count; p++) {
        bool fresh = all;
        for (uint8_t c = 0; c < plan->column_count && !fresh; c++)
            fresh = !had(plan, p, plan_row(plan, p)[c]);
        if (fresh)
            saving->partitions[saving->count++] = p;
    }
}

static kvorum_status follow_loads(struct plan *plan, struct arena *arena)
{
    size_t size = plan->member_count * sizeof(*plan->loads);
    if (memcmp(plan->targets, plan->loads, size) == 0)
        return KVORUM_OK;
    memcpy(plan->targets, plan->loads, size);
    return plan_column_targets(plan, arena);
}

kvorum_status plan_save_moves(struct plan *plan, struct arena *arena)
{
    if (plan->previous == NULL)
        return KVORUM_OK;
    size_t vertices = plan->member_count + 1u;
    struct saving saving = { .plan = plan };
    saving.ways = arena_allocate(arena, vertices * sizeof(*saving.ways));
    saving.ring = arena_allocate(arena, vertices * sizeof(*saving.ring));
    saving.mark = arena_allocate(arena, vertices * sizeof(*saving.mark));
    saving.barred = arena_allocate_zero(arena, plan->partition_count);
    saving.partitions = arena_allocate(arena, plan->partition_count * sizeof(*saving.partitions));
    if (saving.ways == NULL || saving.ring == NULL || saving.mark == NULL ||
        saving.barred == NULL || saving.partitions == NULL)
        return KVORUM_NO_MEMORY;
    look_at(&saving, false);
    turn_all(&saving);
    look_at(&saving, true);
    if ((uint64_t)plan->partition_count * plan->member_count <= LOOKS_ALL_MAX)
        turn_all(&saving);
    return follow_loads(plan, arena);
}
