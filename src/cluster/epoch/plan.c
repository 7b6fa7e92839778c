/* SPDX-License-Identifier: Apache-2.0 */
/* What a commit would do, and whether it may be done:
 *
 *      members   as the staged changes have them
 *      table     that the planner makes for them of the one there is
 *      moves     partition by partition, where the two differ
 *      survival  before, in between (when a write needs quorums of the old owners and of the new),
 *                and after
 *      refusals  plans under which something acknowledged could be lost; and those of plan_safety.c
 */
#include <string.h>

#include "cluster/epoch/change.h"
#include "cluster/epoch/planning.h"

static kvorum_status refuse(const struct planning *planning, kvorum_status status, const char *why)
{
    *planning->why = why == NULL ? "refused" : why;
    return status;
}

/* --- members -------------------------------------------------------------------------------- */

static bool owns_something(const struct epoch *epoch, uint16_t member)
{
    size_t places = (size_t)epoch->partition_count * epoch->replica_count;
    for (size_t i = 0; i < places; i++)
        if (epoch->table[i] == member)
            return true;
    for (uint32_t i = 0; i < epoch->move_count; i++)
        for (uint8_t c = 0; planning_goes_on(&epoch->moves[i]) && c < epoch->replica_count; c++)
            if (epoch->moves[i].to[c] == member)
                return true;
    return false;
}

/* Who owns something stays until it has moved away; who is lost goes at once.  A move waits for all
 * owners of its partition, and would wait for ever for one who is dead. */
static void let_go(const struct planning *planning, uint16_t member)
{
    bool stays = !planning->lost[member] && owns_something(planning->from, member);
    planning->plan->next.members[member].state = stays ? MEMBER_LEAVING : MEMBER_GONE;
}

/* Who was removed by another of the changes is not called back. */
static void activate(struct member *member)
{
    if (member->state == MEMBER_JOINING)
        member->state = MEMBER_ACTIVE;
}

static void apply_change(const struct planning *planning, const struct change *change)
{
    struct member *members = planning->plan->next.members, *member = &members[change->member];
    switch (change->kind) {
    case CHANGE_JOIN:
        activate(member);
        break;
    case CHANGE_LEAVE:
        let_go(planning, change->member);
        break;
    case CHANGE_REPLACE:
        activate(&members[change->with]);
        members[change->with].weight = member->weight;
        planning->lost[change->member] = true;
        let_go(planning, change->member);
        break;
    case CHANGE_REMOVE:
        planning->lost[change->member] = true;
        let_go(planning, change->member);
        break;
    case CHANGE_WEIGHT:
        member->weight = change->weight;
        break;
    case CHANGE_ZONE:
        memcpy(member->zone, change->zone, sizeof(member->zone));
        break;
    }
}

static bool plan_members(const struct planning *planning)
{
    const struct epoch *from = planning->from;
    struct epoch *next = &planning->plan->next;
    next->members = arena_allocate(planning->arena, from->member_count * sizeof(*next->members));
    if (next->members == NULL)
        return false;
    memcpy(next->members, from->members, from->member_count * sizeof(*next->members));
    for (uint16_t i = 0; i < from->change_count; i++)
        apply_change(planning, &from->changes[i]);
    next->change_count = 0;
    next->voter_count = ring_choose_voters(next->members, next->member_count, from->voters,
                                           from->voter_count, next->voters);
    return true;
}

/* --- the table ------------------------------------------------------------------------------ */

static uint16_t stands_for(const struct planning *planning, uint16_t member)
{
    for (uint16_t i = 0; i < planning->from->change_count; i++) {
        const struct change *change = &planning->from->changes[i];
        if (change->kind == CHANGE_REPLACE && change->member == member &&
            planning->plan->next.members[change->with].state == MEMBER_ACTIVE)
            return change->with;
    }
    return member;
}

static void copy_rows(const uint16_t *from, uint8_t from_columns, uint32_t partitions,
                      uint8_t columns, uint16_t *ret)
{
    for (uint32_t p = 0; p < partitions; p++)
        for (uint8_t c = 0; c < columns; c++)
            ret[(size_t)p * columns + c] =
                c < from_columns ? from[(size_t)p * from_columns + c] : RING_NO_MEMBER;
}

static uint16_t *allocate_rows(const struct planning *planning, uint8_t columns)
{
    size_t places = (size_t)planning->from->partition_count * columns;
    return arena_allocate(planning->arena, places * sizeof(uint16_t));
}

static kvorum_status plan_table(struct planning *planning, uint16_t *ret_table)
{
    const struct epoch *from = planning->from;
    const struct epoch *next = &planning->plan->next;
    size_t places = (size_t)from->partition_count * planning->columns;
    uint16_t *previous = allocate_rows(planning, planning->columns);
    if (previous == NULL)
        return KVORUM_NO_MEMORY;
    copy_rows(from->table, from->replica_count, from->partition_count, planning->columns, previous);
    planning_reach_moves(from, planning->columns, previous);
    for (size_t i = 0; i < places; i++)
        previous[i] = stands_for(planning, previous[i]);
    const struct ring_plan_input input = {
        .members = next->members,
        .member_count = next->member_count,
        .partition_count = from->partition_count,
        .replica_count = planning->columns,
        .previous = previous,
    };
    kvorum_status status = ring_plan(&input, planning->arena, ret_table, planning->why);
    if (*planning->why == NULL)
        *planning->why = "";
    return status;
}

/* While it changes, the table has as many columns as the wider of the two. */
static kvorum_status plan_rows(struct planning *planning)
{
    const struct epoch *from = planning->from;
    struct change_plan *plan = planning->plan;
    uint16_t active = 0;
    for (uint16_t i = 0; i < plan->next.member_count; i++)
        active += plan->next.members[i].state == MEMBER_ACTIVE;
    if (active == 0)
        return refuse(planning, KVORUM_NOT_ALLOWED, "no node would be left");
    planning->columns = active < from->replicas_wanted ? (uint8_t)active : from->replicas_wanted;
    uint8_t wide =
        planning->columns > from->replica_count ? planning->columns : from->replica_count;
    uint16_t *table = allocate_rows(planning, planning->columns);
    plan->table = allocate_rows(planning, wide);
    plan->next.table = allocate_rows(planning, wide);
    if (table == NULL || plan->table == NULL || plan->next.table == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = plan_table(planning, table);
    if (status != KVORUM_OK)
        return status;
    copy_rows(table, planning->columns, from->partition_count, wide, plan->table);
    copy_rows(from->table, from->replica_count, from->partition_count, wide, plan->next.table);
    planning_evict_lost(planning, plan->next.table, from->partition_count, wide);
    plan->next.replica_count = wide;
    return KVORUM_OK;
}

/* --- what is survived ----------------------------------------------------------------------- */

static struct change_survival survival_of(const struct epoch *epoch, uint8_t n)
{
    struct change_survival survival;
    ring_survives(epoch, n, &survival.nodes, &survival.zones);
    return survival;
}

static uint16_t least(uint16_t a, uint16_t b)
{
    return a < b ? a : b;
}

void planning_survival(const struct planning *planning)
{
    struct change_plan *plan = planning->plan;
    uint8_t n = planning->options->n;
    struct epoch after = plan->next;
    after.table = plan->table;
    plan->before = survival_of(planning->from, n);
    plan->after = survival_of(&after, n);
    plan->during = plan->before;
    if (plan->next.move_count > 0)
        plan->during = (struct change_survival){ least(plan->before.nodes, plan->after.nodes),
                                                 least(plan->before.zones, plan->after.zones) };
}

/* --- refusals ------------------------------------------------------------------------------- */

/* What was acknowledged is found with certainty where a majority of the owners is left. */
static kvorum_status check_row(const struct planning *planning, uint32_t partition,
                               const uint16_t *row, uint8_t copies)
{
    const struct epoch *from = planning->from;
    uint16_t owners[RING_OWNERS_MAX];
    uint8_t limit = ring_owner_limit_of_row(from, row), left = 0;
    uint8_t n = copies < limit ? copies : limit;
    uint16_t count = ring_preference_of_row(from, partition, row, owners, n);
    for (uint16_t i = 0; i < count; i++)
        left += !planning->lost[owners[i]];
    if (left > n / 2)
        return KVORUM_OK;
    return refuse(planning, KVORUM_NOT_ALLOWED,
                  arena_printf(planning->arena,
                               "partition %u would be rebuilt from %u of %u copies, and a write "
                               "that was acknowledged may be on none of them; bring one of the "
                               "nodes back, or remove fewer at a time",
                               partition, left, n));
}

static uint8_t largest_n(const struct change_options *options)
{
    return options->largest_n > options->n ? options->largest_n : options->n;
}

/* Of a move that goes on either row may be the one that is read. */
static kvorum_status check_sources(const struct planning *planning)
{
    const struct epoch *from = planning->from;
    const uint8_t copies[] = { planning->options->n, largest_n(planning->options) };
    for (uint32_t p = 0; p < from->partition_count; p++) {
        const struct move *move = ring_move_of(from, p);
        for (size_t i = 0; i < sizeof(copies); i++) {
            kvorum_status status = check_row(planning, p, ring_row(from, p), copies[i]);
            if (status == KVORUM_OK && planning_goes_on(move))
                status = check_row(planning, p, move->to, copies[i]);
            if (status != KVORUM_OK)
                return status;
        }
    }
    return KVORUM_OK;
}

static kvorum_status check_copies(const struct planning *planning)
{
    const struct epoch *from = planning->from;
    uint8_t n = largest_n(planning->options);
    if (planning->columns >= from->replica_count || planning->columns >= n)
        return KVORUM_OK;
    return refuse(planning, KVORUM_NOT_ALLOWED,
                  arena_printf(planning->arena,
                               "only %u nodes would own anything, and every key has %u copies; add "
                               "nodes first",
                               planning->columns,
                               n < from->replica_count ? n : from->replica_count));
}

/* Owners beyond the columns are found by an order of members that a change shifts under them. */
static kvorum_status check_columns(const struct planning *planning)
{
    uint8_t largest = largest_n(planning->options);
    uint16_t owners = ring_owner_count(planning->from);
    uint8_t effective = largest < owners ? largest : (uint8_t)owners;
    if (effective <= planning->from->replica_count)
        return KVORUM_OK;
    return refuse(planning, KVORUM_UNSUPPORTED,
                  arena_printf(planning->arena,
                               "a bucket has n=%u, and the table of this cluster %u columns: its "
                               "owners beyond them cannot be moved",
                               largest, planning->from->replica_count));
}

static kvorum_status check_moves(const struct planning *planning)
{
    const struct change_plan *plan = planning->plan;
    if (plan->next.move_count == 0)
        return KVORUM_OK;
    kvorum_status status = check_columns(planning);
    if (status != KVORUM_OK || planning->options->can_move)
        return status;
    return refuse(planning, KVORUM_UNSUPPORTED,
                  arena_printf(planning->arena,
                               "%u partitions would have to move, and this release of kvorum "
                               "cannot move partitions yet; changes that move nothing can be "
                               "committed",
                               plan->next.move_count));
}

/* --- in order ------------------------------------------------------------------------------- */

kvorum_status planning_make(struct planning *planning)
{
    planning->lost = arena_allocate_zero(planning->arena, planning->from->member_count);
    if (planning->lost == NULL || !plan_members(planning))
        return KVORUM_NO_MEMORY;
    return plan_rows(planning);
}

static kvorum_status make(struct planning *planning, bool *ret_filled)
{
    kvorum_status status = planning_make(planning);
    if (status == KVORUM_OK && !planning_moves(planning))
        status = KVORUM_NO_MEMORY;
    if (status != KVORUM_OK)
        return status;
    planning_survival(planning);
    planning_spread(planning);
    *ret_filled = true;
    status = check_sources(planning);
    if (status == KVORUM_OK)
        status = check_copies(planning);
    if (status == KVORUM_OK)
        status = check_moves(planning);
    return status == KVORUM_OK ? planning_check_safety(planning) : status;
}

static bool somebody_is_lost(const struct epoch *epoch)
{
    for (uint16_t i = 0; i < epoch->change_count; i++)
        if (epoch->changes[i].kind == CHANGE_REMOVE || epoch->changes[i].kind == CHANGE_REPLACE)
            return true;
    return false;
}

kvorum_status change_plan(const struct epoch *epoch, const struct change_options *options,
                          struct arena *arena, struct change_plan *ret_plan, bool *ret_filled,
                          const char **ret_why)
{
    struct planning planning = { epoch, options, arena, ret_plan, NULL, 0, ret_why };
    *ret_plan = (struct change_plan){ .next = *epoch };
    ret_plan->next.number = epoch->number + 1;
    *ret_filled = false;
    *ret_why = "";
    if (epoch->change_count == 0)
        return refuse(&planning, KVORUM_INVALID, "nothing is staged");
    if (epoch->move_count > 0 && !somebody_is_lost(epoch))
        return refuse(&planning, KVORUM_NOT_ALLOWED,
                      "partitions are still moving; wait until that is over, or remove or replace "
                      "the node that holds it up");
    return make(&planning, ret_filled);
}

/* --- going on ------------------------------------------------------------------------------- */

static bool is_short(const struct epoch *epoch, const uint16_t *row, uint16_t active)
{
    uint8_t wanted = active < epoch->replicas_wanted ? (uint8_t)active : epoch->replicas_wanted;
    return ring_row_size(epoch, row) < wanted;
}

/* Rows that a removal left short, or with somebody who leaves. */
static bool is_unfinished(const struct epoch *epoch)
{
    uint16_t active = 0;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        active += epoch->members[i].state == MEMBER_ACTIVE;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        const uint16_t *row = ring_row(epoch, p);
        if (is_short(epoch, row, active))
            return true;
        for (uint8_t c = 0; c < ring_row_size(epoch, row); c++)
            if (epoch->members[row[c]].state != MEMBER_ACTIVE)
                return true;
    }
    return false;
}

kvorum_status change_go_on(const struct change_options *options, struct arena *arena,
                           struct epoch *epoch)
{
    struct change_plan plan = { .next = *epoch };
    const char *why = "";
    struct planning planning = { epoch, options, arena, &plan, NULL, 0, &why };
    if (epoch->move_count > 0 || !is_unfinished(epoch))
        return KVORUM_OK;
    struct epoch from = *epoch; /* what is staged stays so: it is not what goes on */
    from.change_count = 0;
    planning.from = &from;
    kvorum_status status = planning_make(&planning);
    if (status == KVORUM_OK && !planning_moves(&planning))
        status = KVORUM_NO_MEMORY;
    if (status != KVORUM_OK)
        return status == KVORUM_NO_MEMORY ? status : KVORUM_OK; /* no better table is to be had */
    plan.next.change_count = epoch->change_count;
    *epoch = plan.next;
    return KVORUM_OK;
}
