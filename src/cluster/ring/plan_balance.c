/* SPDX-License-Identifier: Apache-2.0 */
/* Single replicas move from members above target to members below: where both columns gain too, if
 * possible.  Where nobody above may give directly to somebody below, a chain helps: each link is a
 * legal replacement in another partition,
 *
 *      over -> x in partition 17,  x -> y in 4,  y -> under in 950
 *
 * and only the ends change their loads.  The shares respect the limits of members and zones, so the
 * wanted loads can be had, and then such chains lead there (an augmenting path of a flow).
 *
 * All of it is tried first among fresh places: to change one of those again moves nothing more.
 * Which places somebody may hand on, plan_places.h knows: members are looked at, and not
 * partitions, of which there may be a hundred times as many.
 */
#include <string.h>

#include "cluster/ring/plan_places.h"

struct chain {
    bool *seen;
    uint16_t *toward; /* who takes over from this member, */
    uint32_t *where;  /* in this place */
    uint16_t *queue;
};

struct balance {
    struct plan *plan;
    struct plan_places places;
    struct chain chain;
    bool fresh_only;
};

static bool is_over(const struct plan *plan, uint16_t member)
{
    return plan->loads[member] > plan->targets[member];
}

static bool is_under(const struct plan *plan, uint16_t member)
{
    return plan->loads[member] < plan->targets[member];
}

static bool suits_column(const struct plan *plan, uint8_t column, uint16_t giver, uint16_t taker)
{
    return *plan_column_load(plan, column, giver) > *plan_column_target(plan, column, giver) &&
           *plan_column_load(plan, column, taker) < *plan_column_target(plan, column, taker);
}

/* Members in an order of each taker's own, so that not all ask the same ones first. */
static uint16_t visit(const struct plan *plan, uint16_t i, uint16_t taker)
{
    return (uint16_t)((i + taker * 40503u) % plan->member_count);
}

static uint32_t find_place(const struct balance *balance, uint16_t giver, uint16_t taker,
                           bool suit_column, bool fresh)
{
    const struct plan *plan = balance->plan;
    uint32_t place = NO_PLACE;
    for (uint8_t c = 0; c < plan->column_count && place == NO_PLACE; c++)
        if (!suit_column || suits_column(plan, c, giver, taker))
            place = plan_places_find(&balance->places, giver, taker, c, fresh);
    return place;
}

/* One that may change hands in this part of the work. */
static uint32_t find_any(const struct balance *balance, uint16_t giver, uint16_t taker,
                         bool suit_column, bool fresh_only)
{
    uint32_t place = find_place(balance, giver, taker, suit_column, true);
    return place != NO_PLACE || fresh_only ? place
                                           : find_place(balance, giver, taker, suit_column, false);
}

/* --- directly -------------------------------------------------------------------------------- */

static void take_from(struct balance *balance, uint16_t giver, uint16_t taker, bool suit_column)
{
    const struct plan *plan = balance->plan;
    while (is_over(plan, giver) && is_under(plan, taker)) {
        uint32_t place = find_any(balance, giver, taker, suit_column, balance->fresh_only);
        if (place == NO_PLACE)
            return;
        plan_places_give(&balance->places, place, taker);
    }
}

static void take_all(struct balance *balance, bool suit_column)
{
    const struct plan *plan = balance->plan;
    for (uint16_t m = 0; m < plan->member_count; m++)
        for (uint16_t i = 0; i < plan->member_count && is_under(plan, m); i++)
            take_from(balance, visit(plan, i, m), m, suit_column);
}

/* --- by chains ------------------------------------------------------------------------------- */

static bool note_giver(struct balance *balance, uint16_t giver, uint16_t taker, bool fresh_only,
                       uint16_t *count)
{
    struct chain *chain = &balance->chain;
    if (chain->seen[giver])
        return false;
    uint32_t place = find_any(balance, giver, taker, false, fresh_only);
    if (place == NO_PLACE)
        return false;
    chain->seen[giver] = true;
    chain->toward[giver] = taker;
    chain->where[giver] = place;
    chain->queue[(*count)++] = giver;
    return true;
}

/* Everyone who could give a replica to `taker`; true when one of them is above target: the last. */
static bool find_givers(struct balance *balance, uint16_t taker, bool fresh_only, uint16_t *count)
{
    const struct plan *plan = balance->plan;
    for (uint16_t i = 0; i < plan->member_count; i++) {
        uint16_t giver = visit(plan, i, taker);
        if (is_over(plan, giver) && note_giver(balance, giver, taker, fresh_only, count))
            return true;
    }
    for (uint16_t i = 0; i < plan->member_count; i++)
        (void)note_giver(balance, visit(plan, i, taker), taker, fresh_only, count);
    return false;
}

/* A member above target from which a chain leads to `under`, by as few real moves as can be, and
 * with `fresh_only` by none; RING_NO_MEMBER when there is none.  Members stand in the queue by the
 * number of moves: those reached through fresh places alone, then those that take one more, and so
 * on. */
static uint16_t find_chain(struct balance *balance, uint16_t under)
{
    struct chain *chain = &balance->chain;
    uint16_t count = 1, begin = 0;
    memset(chain->seen, 0, balance->plan->member_count * sizeof(*chain->seen));
    chain->seen[under] = true;
    chain->queue[0] = under;
    while (begin < count) {
        for (uint16_t i = begin; i < count; i++)
            if (find_givers(balance, chain->queue[i], true, &count))
                return chain->queue[count - 1];
        for (uint16_t end = balance->fresh_only ? 0 : count; begin < end; begin++)
            if (find_givers(balance, chain->queue[begin], false, &count))
                return chain->queue[count - 1];
        if (balance->fresh_only)
            break;
    }
    return RING_NO_MEMBER;
}

/* From the end that lacks one: should a link no longer be legal, the lack has merely moved. */
static void apply_chain(struct balance *balance, uint16_t over, uint16_t under)
{
    const struct plan *plan = balance->plan;
    struct chain *chain = &balance->chain;
    uint16_t count = 0;
    for (uint16_t m = over; m != under; m = chain->toward[m])
        chain->queue[count++] = m;
    while (count > 0) {
        uint16_t giver = chain->queue[--count];
        uint32_t p = chain->where[giver] / plan->column_count;
        uint8_t c = (uint8_t)(chain->where[giver] % plan->column_count);
        if (plan_row(plan, p)[c] != giver || !plan_is_legal(plan, p, c, chain->toward[giver]))
            return;
        plan_places_give(&balance->places, chain->where[giver], chain->toward[giver]);
    }
}

static uint64_t lacking(const struct plan *plan)
{
    uint64_t sum = 0;
    for (uint16_t m = 0; m < plan->member_count; m++)
        if (is_under(plan, m))
            sum += plan->targets[m] - plan->loads[m];
    return sum;
}

static void follow_chains(struct balance *balance)
{
    const struct plan *plan = balance->plan;
    uint64_t tries = 2 * lacking(plan);
    for (bool found = true; found && tries > 0;) {
        found = false;
        for (uint16_t m = 0; m < plan->member_count && tries > 0; m++) {
            if (!is_under(plan, m))
                continue;
            uint16_t over = find_chain(balance, m);
            tries--;
            if (over == RING_NO_MEMBER)
                continue;
            apply_chain(balance, over, m);
            found = true;
        }
    }
}

/* --- both ------------------------------------------------------------------------------------ */

static bool chain_init(struct chain *chain, uint16_t count, struct arena *arena)
{
    chain->seen = arena_allocate(arena, count * sizeof(*chain->seen));
    chain->toward = arena_allocate(arena, count * sizeof(*chain->toward));
    chain->where = arena_allocate(arena, count * sizeof(*chain->where));
    chain->queue = arena_allocate(arena, count * sizeof(*chain->queue));
    return chain->seen != NULL && chain->toward != NULL && chain->where != NULL &&
           chain->queue != NULL;
}

kvorum_status plan_balance(struct plan *plan, struct arena *arena)
{
    struct balance balance = { .plan = plan };
    if (!plan_places_init(&balance.places, plan, arena) ||
        !chain_init(&balance.chain, plan->member_count, arena))
        return KVORUM_NO_MEMORY;
    for (int i = 0; i < 2; i++) {
        balance.fresh_only = i == 0;
        take_all(&balance, true);
        take_all(&balance, false);
        follow_chains(&balance);
    }
    return KVORUM_OK;
}
