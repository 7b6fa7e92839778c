/* SPDX-License-Identifier: Apache-2.0 */
/* From shares to whole numbers.  Everybody gets the whole part; what is left over goes out one by
 * one, by rank.  In all: where one more raises load / share least, which is the heavier members,
 * and where that is no fuller than the fullest must be anyhow, to those that hold it already.
 * In a column: to those that hold more there already, then to the largest fractions. */
#include "cluster/ring/plan.h"

#define RANK_ENTITLED (UINT64_C(1) << 62) /* the share has a fraction */
#define RANK_AS_EVEN (UINT64_C(1) << 60) /* and one more would make nobody fuller than he must be */

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

/* How full one more makes a member, in 2^-40 of its share: below 2^57, and the lower the better. */
static uint64_t ratio_of(uint64_t share)
{
    return (((share >> SHARE_BITS) + 1) << 40) / (share > 0 ? share : 1);
}

static void rank_totals(const struct plan *plan, const uint64_t *shares, uint64_t fullest,
                        struct rounding *rounding)
{
    for (uint16_t z = 0; z < plan->zones.count; z++)
        rounding->zone_room[z] = (uint64_t)plan->partition_count * plan->zone_limit;
    for (uint16_t m = 0; m < plan->member_count; m++) {
        uint64_t whole = shares[m] >> SHARE_BITS, ratio = ratio_of(shares[m]);
        bool entitled = whole << SHARE_BITS != shares[m], holds_more = plan->loads[m] > whole;
        rounding->amounts[m] = (uint32_t)whole;
        rounding->ranks[m] = (entitled ? RANK_ENTITLED : 0) |
                             (holds_more && ratio <= fullest ? RANK_AS_EVEN : 0) |
                             ((UINT64_C(1) << 58) - ratio) << 1 | holds_more;
        if (whole >= plan->partition_count)
            rounding->ranks[m] = 0;
        rounding->zone_room[plan->zones.of[m]] -= whole;
    }
}

/* Of those that were given one more. */
static uint64_t fullest_of(const struct plan *plan, const uint64_t *shares)
{
    uint64_t fullest = 0;
    for (uint16_t m = 0; m < plan->member_count; m++) {
        bool more = plan->targets[m] > shares[m] >> SHARE_BITS;
        if (more && ratio_of(shares[m]) > fullest)
            fullest = ratio_of(shares[m]);
    }
    return fullest;
}

/* Once to see how full the fullest must be; then whoever holds one more already keeps it, if that
 * makes nobody fuller: one replica less to move. */
static void round_totals(struct plan *plan, const uint64_t *shares, struct rounding *rounding)
{
    uint64_t left = (uint64_t)plan->partition_count * plan->column_count;
    for (uint16_t m = 0; m < plan->member_count; m++)
        left -= shares[m] >> SHARE_BITS;
    rank_totals(plan, shares, 0, rounding);
    hand_out(plan, rounding, left);
    uint64_t fullest = fullest_of(plan, shares);
    rank_totals(plan, shares, fullest, rounding);
    hand_out(plan, rounding, left);
    for (uint16_t m = 0; m < plan->member_count; m++) {
        uint64_t exact = shares[m] + 2; /* they are cut off: a whole share may lack that much */
        bool more = (exact & ((UINT64_C(1) << SHARE_BITS) - 1)) > 4;
        plan->least[m] = (uint32_t)(exact >> SHARE_BITS);
        plan->most[m] = plan->least[m] + (more && ratio_of(shares[m]) <= fullest);
        plan->least[m] = plan->least[m] < plan->targets[m] ? plan->least[m] : plan->targets[m];
        plan->most[m] = plan->most[m] > plan->targets[m] ? plan->most[m] : plan->targets[m];
    }
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

kvorum_status plan_column_targets(struct plan *plan, struct arena *arena)
{
    uint16_t count = plan->member_count;
    uint64_t *ranks = arena_allocate(arena, count * sizeof(*ranks));
    uint32_t *prefix = arena_allocate_zero(arena, count * sizeof(*prefix));
    if (ranks == NULL || prefix == NULL)
        return KVORUM_NO_MEMORY;
    for (uint8_t c = 0; c < plan->column_count; c++)
        round_column(plan, c, prefix, ranks);
    return KVORUM_OK;
}

kvorum_status plan_targets(struct plan *plan, const struct member *members, struct arena *arena)
{
    uint16_t count = plan->member_count;
    uint64_t *shares = arena_allocate(arena, count * sizeof(*shares));
    uint64_t *ranks = arena_allocate(arena, count * sizeof(*ranks));
    uint64_t *zone_room = arena_allocate(arena, count * sizeof(*zone_room));
    if (shares == NULL || ranks == NULL || zone_room == NULL)
        return KVORUM_NO_MEMORY;
    ring_shares(&plan->zones, members, count, plan->partition_count, plan->column_count,
                plan->zone_limit, shares);
    round_totals(plan, shares, &(struct rounding){ plan->targets, ranks, zone_room });
    return plan_column_targets(plan, arena);
}
