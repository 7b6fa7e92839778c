/* SPDX-License-Identifier: Apache-2.0 */
/* From shares to whole numbers.  Everybody gets the whole part; what is left over goes out one by
 * one, by rank.  In all: where one more raises load / share least, which is the heavier members.
 * In a column: to those that hold more there already, then to the largest fractions. */
#include "cluster/ring/plan.h"

#define RANK_ENTITLED (UINT64_C(1) << 62) /* the share has a fraction */

struct rounding {
    uint32_t *amounts;
    uint64_t *ranks;     /* 0: gets no more */
    uint64_t *zone_room; /* NULL: zones do not matter */
};

static void hand_out(const struct plan *plan, struct rounding *rounding, uint64_t left)
{
    for (; left > 0; left--) {
        uint16_t best = RING_NO_MEMBER;
        for (uint16_t m = 0; m < plan->member_count; m++) {
            bool fits = rounding->zone_room == NULL || rounding->zone_room[plan->zones.of[m]] > 0;
            if (fits && rounding->ranks[m] > (best == RING_NO_MEMBER ? 0 : rounding->ranks[best]))
                best = m;
        }
        if (best == RING_NO_MEMBER)
            return;
        rounding->amounts[best]++;
        rounding->ranks[best] = 0;
        if (rounding->zone_room != NULL)
            rounding->zone_room[plan->zones.of[best]]--;
    }
}

static void round_totals(struct plan *plan, const uint64_t *shares, struct rounding *rounding)
{
    uint64_t left = (uint64_t)plan->partition_count * plan->column_count;
    for (uint16_t z = 0; z < plan->zones.count; z++)
        rounding->zone_room[z] = (uint64_t)plan->partition_count * plan->zone_limit;
    for (uint16_t m = 0; m < plan->member_count; m++) {
        uint64_t whole = shares[m] >> SHARE_BITS;
        uint64_t share = shares[m] > 0 ? shares[m] : 1;
        uint64_t ratio = ((whole + 1) << 40) / share; /* below 2^57, and the lower the better */
        bool entitled = whole << SHARE_BITS != shares[m];
        rounding->amounts[m] = (uint32_t)whole;
        rounding->ranks[m] = (entitled ? RANK_ENTITLED : 0) | ((UINT64_C(1) << 58) - ratio) << 1 |
                             (plan->loads[m] > whole);
        if (whole >= plan->partition_count)
            rounding->ranks[m] = 0;
        rounding->zone_room[plan->zones.of[m]] -= whole;
        left -= whole;
    }
    hand_out(plan, rounding, left);
}

/* Rounding a tiny target may leave too many in one column for the next to need any. */
static void take_back(struct plan *plan, uint8_t column, uint64_t excess)
{
    for (uint16_t m = 0; m < plan->member_count && excess > 0; m++) {
        uint32_t *target = plan_column_target(plan, column, m);
        uint32_t taken = *target < excess ? *target : (uint32_t)excess;
        *target -= taken;
        excess -= taken;
    }
}

/* The prefix that ends with `column` gets its part of every target: after one column 1/R, after two
 * 2/R, ...  `prefix` is what the columns before were given. */
static void round_column(struct plan *plan, uint8_t column, uint32_t *prefix, uint64_t *ranks)
{
    uint32_t *targets = plan_column_target(plan, column, 0);
    uint64_t wanted = (uint64_t)plan->partition_count * (column + 1u), given = 0;
    for (uint16_t m = 0; m < plan->member_count; m++) {
        uint64_t scaled = (uint64_t)plan->targets[m] * (column + 1u);
        uint64_t whole = scaled / plan->column_count, part = scaled % plan->column_count;
        uint64_t upto = whole > prefix[m] ? whole : prefix[m];
        targets[m] = (uint32_t)(upto - prefix[m]);
        bool entitled = part > 0 && upto == whole;
        bool holds_more = *plan_column_load(plan, column, m) > targets[m];
        ranks[m] = (entitled ? RANK_ENTITLED : 0) | (holds_more ? 64 : 0) | (part << 1) | 1;
        if (upto >= plan->targets[m])
            ranks[m] = 0;
        given += upto;
    }
    if (given > wanted)
        take_back(plan, column, given - wanted);
    else
        hand_out(plan, &(struct rounding){ targets, ranks, NULL }, wanted - given);
    for (uint16_t m = 0; m < plan->member_count; m++)
        prefix[m] += targets[m];
}

kvorum_status plan_targets(struct plan *plan, const struct member *members, struct arena *arena)
{
    uint16_t count = plan->member_count;
    uint64_t *shares = arena_allocate(arena, count * sizeof(*shares));
    uint64_t *ranks = arena_allocate(arena, count * sizeof(*ranks));
    uint64_t *zone_room = arena_allocate(arena, count * sizeof(*zone_room));
    uint32_t *prefix = arena_allocate_zero(arena, count * sizeof(*prefix));
    if (shares == NULL || ranks == NULL || zone_room == NULL || prefix == NULL)
        return KVORUM_NO_MEMORY;
    ring_shares(&plan->zones, members, count, plan->partition_count, plan->column_count,
                plan->zone_limit, shares);
    round_totals(plan, shares, &(struct rounding){ plan->targets, ranks, zone_room });
    for (uint8_t c = 0; c < plan->column_count; c++)
        round_column(plan, c, prefix, ranks);
    return KVORUM_OK;
}
