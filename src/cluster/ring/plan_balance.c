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
 * All of it is tried first among places just filled: to change one of those again moves nothing
 * more.
 */
#include <string.h>

#include "cluster/ring/plan.h"

struct chain {
    bool *seen;
    uint16_t *toward; /* who takes over from this member, */
    uint32_t *where;  /* in this place: partition * column_count + column */
    uint16_t *queue;
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

static bool row_holds(const struct plan *plan, uint32_t partition, uint16_t member)
{
    const uint16_t *row = plan_row(plan, partition);
    for (uint8_t c = 0; c < plan->column_count; c++)
        if (row[c] == member)
            return true;
    return false;
}

/* Whose places may change hands, and in which order they are looked at. */
struct scope {
    uint32_t *partitions;
    uint32_t count;
    bool fresh_only;
};

struct scopes {
    struct scope fresh, all;
};

static bool in_scope(const struct plan *plan, const struct scope *scope, uint32_t partition,
                     uint8_t column)
{
    size_t place = (size_t)partition * plan->column_count + column;
    return !scope->fresh_only || plan->previous == NULL ||
           plan->previous[place] != plan->table[place];
}

static void scope_init(struct scope *scope, const struct plan *plan, bool fresh_only)
{
    scope->fresh_only = fresh_only;
    scope->count = 0;
    for (uint32_t i = 0; i < plan->partition_count; i++) {
        uint32_t p = plan_visit(plan, i, 0);
        for (uint8_t c = 0; c < plan->column_count; c++) {
            if (in_scope(plan, scope, p, c)) {
                scope->partitions[scope->count++] = p;
                break;
            }
        }
    }
}

static uint32_t scope_partition(const struct scope *scope, uint32_t i, uint16_t member)
{
    return scope->partitions[(i + member * 40503u) % scope->count];
}

static void take(struct plan *plan, const struct scope *scope, uint32_t partition, uint16_t member,
                 bool suit_column)
{
    const uint16_t *row = plan_row(plan, partition);
    if (row_holds(plan, partition, member))
        return;
    for (uint8_t c = 0; c < plan->column_count; c++) {
        if (is_over(plan, row[c]) && (!suit_column || suits_column(plan, c, row[c], member)) &&
            in_scope(plan, scope, partition, c) && plan_is_legal(plan, partition, c, member)) {
            plan_place(plan, partition, c, member);
            return;
        }
    }
}

static void take_all(struct plan *plan, const struct scope *scope, bool suit_column)
{
    for (uint16_t m = 0; m < plan->member_count; m++)
        for (uint32_t i = 0; i < scope->count && is_under(plan, m); i++)
            take(plan, scope, scope_partition(scope, i, m), m, suit_column);
}

/* Everyone who could give a replica to `taker`; true when one of them is above target. */
static bool find_givers(const struct plan *plan, const struct scope *scope, struct chain *chain,
                        uint16_t taker, uint16_t *count)
{
    for (uint32_t i = 0; i < scope->count && *count < plan->member_count; i++) {
        uint32_t p = scope_partition(scope, i, taker);
        const uint16_t *row = plan_row(plan, p);
        if (row_holds(plan, p, taker))
            continue;
        for (uint8_t c = 0; c < plan->column_count; c++) {
            uint16_t giver = row[c];
            if (chain->seen[giver] || !in_scope(plan, scope, p, c) ||
                !plan_is_legal(plan, p, c, taker))
                continue;
            chain->seen[giver] = true;
            chain->toward[giver] = taker;
            chain->where[giver] = p * plan->column_count + c;
            chain->queue[(*count)++] = giver;
            if (is_over(plan, giver))
                return true;
        }
    }
    return false;
}

/* A member above target from which a chain leads to `under`, by as few real moves as can be, and
 * with `free_only` by none; RING_NO_MEMBER when there is none.  Members stand in the queue by the
 * number of moves: those reached through fresh places alone, then those that take one more, and so
 * on. */
static uint16_t find_chain(const struct plan *plan, const struct scopes *scopes,
                           struct chain *chain, uint16_t under, bool free_only)
{
    uint16_t count = 1, begin = 0;
    memset(chain->seen, 0, plan->member_count * sizeof(*chain->seen));
    chain->seen[under] = true;
    chain->queue[0] = under;
    while (begin < count) {
        for (uint16_t i = begin; i < count; i++)
            if (find_givers(plan, &scopes->fresh, chain, chain->queue[i], &count))
                return chain->queue[count - 1];
        for (uint16_t end = free_only ? 0 : count; begin < end; begin++)
            if (find_givers(plan, &scopes->all, chain, chain->queue[begin], &count))
                return chain->queue[count - 1];
        if (free_only)
            break;
    }
    return RING_NO_MEMBER;
}

/* From the end that lacks one: should a link no longer be legal, the lack has merely moved. */
static void apply_chain(struct plan *plan, struct chain *chain, uint16_t over, uint16_t under)
{
    uint16_t count = 0;
    for (uint16_t m = over; m != under; m = chain->toward[m])
        chain->queue[count++] = m;
    while (count > 0) {
        uint16_t giver = chain->queue[--count];
        uint32_t p = chain->where[giver] / plan->column_count;
        uint8_t c = (uint8_t)(chain->where[giver] % plan->column_count);
        if (plan_row(plan, p)[c] != giver || !plan_is_legal(plan, p, c, chain->toward[giver]))
            return;
        plan_place(plan, p, c, chain->toward[giver]);
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

static void follow_chains(struct plan *plan, struct scopes *scopes, struct chain *chain,
                          bool free_only)
{
    uint64_t tries = 2 * lacking(plan);
    for (bool found = true; found && tries > 0;) {
        found = false;
        for (uint16_t m = 0; m < plan->member_count && tries > 0; m++) {
            if (!is_under(plan, m))
                continue;
            scope_init(&scopes->fresh, plan, true);
            uint16_t over = find_chain(plan, scopes, chain, m, free_only);
            tries--;
            if (over == RING_NO_MEMBER)
                continue;
            apply_chain(plan, chain, over, m);
            found = true;
        }
    }
}

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
    struct chain chain;
    struct scopes scopes;
    size_t size = plan->partition_count * sizeof(*scopes.all.partitions);
    scopes.fresh.partitions = arena_allocate(arena, size);
    scopes.all.partitions = arena_allocate(arena, size);
    if (scopes.fresh.partitions == NULL || scopes.all.partitions == NULL ||
        !chain_init(&chain, plan->member_count, arena))
        return KVORUM_NO_MEMORY;
    scope_init(&scopes.fresh, plan, true);
    take_all(plan, &scopes.fresh, true);
    take_all(plan, &scopes.fresh, false);
    follow_chains(plan, &scopes, &chain, true);
    scope_init(&scopes.all, plan, false);
    take_all(plan, &scopes.all, true);
    take_all(plan, &scopes.all, false);
    follow_chains(plan, &scopes, &chain, false);
    return KVORUM_OK;
}
