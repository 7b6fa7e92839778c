/* SPDX-License-Identifier: Apache-2.0 */
/* The first epoch of a new line: the members that are lost are gone from the one before, whatever
 * it costs.  A commit is refused where something acknowledged could be lost; here it is lost
 * already, and what matters is that nothing else goes with it: every replica that is left stays
 * where it is until others have what it has.
 *
 * Partitions that were moving (docs/decisions/0007), by what is left of them:
 *
 *      read old    given up and planned anew, from the owners until now; from those to come where
 *                  nobody else is left
 *      read new    goes on where a majority of those to come is left; else all who are left of both
 *                  rows are its owners, those to come first, as far as there are columns
 *
 * A partition of which nobody is left gets owners who begin with nothing. */
#include <string.h>

#include "base/planted.h"
#include "cluster/epoch/change.h"
#include "cluster/epoch/planning.h"

struct recovering {
    struct epoch from; /* as the planner is to see it */
    const bool *lost;
    struct arena *arena;
};

static uint8_t count_left(const struct recovering *r, const uint16_t *row, uint8_t *ret_size)
{
    uint8_t size = ring_row_size(&r->from, row), left = 0;
    for (uint8_t c = 0; c < size; c++)
        left = (uint8_t)(left + !r->lost[row[c]]);
    *ret_size = size;
    return left;
}

static uint8_t append_left(const struct recovering *r, const uint16_t *from, uint16_t *row,
                           uint8_t count)
{
    uint8_t size = ring_row_size(&r->from, from);
    for (uint8_t c = 0; c < size && count < r->from.replica_count; c++)
        if (!r->lost[from[c]] && !ring_row_holds(row, count, from[c]))
            row[count++] = from[c];
    return count;
}

static void join_rows(const struct recovering *r, const struct move *move)
{
    uint16_t *row = r->from.table + (size_t)move->partition * r->from.replica_count;
    uint16_t joined[RING_REPLICAS_MAX];
    uint8_t count = append_left(r, move->to, joined, 0);
    count = append_left(r, row, joined, count);
    for (uint8_t c = 0; c < r->from.replica_count && count > 0; c++)
        row[c] = c < count ? joined[c] : RING_NO_MEMBER;
}

/* True: it stays a move, for the planner to go by. */
static bool settle_move(const struct recovering *r, const struct move *move)
{
    uint8_t row_size, to_size;
    uint8_t row_left = count_left(r, ring_row(&r->from, move->partition), &row_size);
    uint8_t to_left = count_left(r, move->to, &to_size);
    bool reads_old = move->phase == MOVE_WRITE_BOTH_READ_OLD;
    if (reads_old ? row_left > 0 : 2 * to_left > to_size && row_left > 0) {
        PROBE("recovery plan: a move is planned anew, or goes on");
        return true;
    }
    PROBE("recovery plan: a move is over, and who is left of both rows owns the partition");
    join_rows(r, move);
    return false;
}

static bool settle_moves(struct recovering *r)
{
    struct epoch *from = &r->from;
    size_t places = (size_t)from->partition_count * from->replica_count;
    const uint16_t *table = from->table;
    const struct move *moves = from->moves;
    uint32_t count = from->move_count;
    from->table = arena_allocate(r->arena, places * sizeof(*from->table));
    from->moves = arena_allocate_zero(r->arena, (count + 1) * sizeof(*from->moves));
    if (from->table == NULL || from->moves == NULL)
        return false;
    memcpy(from->table, table, places * sizeof(*table));
    from->move_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (settle_move(r, &moves[i]))
            from->moves[from->move_count++] = moves[i];
    return true;
}

/* Nothing that is staged is carried out: it was planned for another cluster. */
static bool remove_lost(struct recovering *r)
{
    struct epoch *from = &r->from;
    from->changes = arena_allocate_zero(r->arena, from->member_count * sizeof(*from->changes));
    if (from->changes == NULL)
        return false;
    from->change_count = 0;
    for (uint16_t i = 0; i < from->member_count; i++)
        if (r->lost[i] && from->members[i].state != MEMBER_GONE)
            from->changes[from->change_count++] =
                (struct change){ .kind = CHANGE_REMOVE, .member = i };
    return true;
}

/* A record has no partition without an owner, and nobody has anything to give. */
static void fill_empty_rows(struct change_plan *plan)
{
    struct epoch *next = &plan->next;
    for (uint32_t p = 0; p < next->partition_count; p++) {
        size_t at = (size_t)p * next->replica_count;
        if (ring_row_size(next, next->table + at) > 0)
            continue;
        PROBE("recovery plan: a partition begins empty");
        memcpy(next->table + at, plan->table + at, next->replica_count * sizeof(*next->table));
    }
}

static kvorum_status plan_without(struct recovering *r, struct planning *planning)
{
    struct change_plan *plan = planning->plan;
    if (!settle_moves(r) || !remove_lost(r))
        return KVORUM_NO_MEMORY;
    kvorum_status status = planning_make(planning);
    if (status != KVORUM_OK)
        return status;
    fill_empty_rows(plan);
    if (!planning_moves(planning))
        return KVORUM_NO_MEMORY;
    planning_survival(planning);
    planning_spread(planning);
    if (plan->next.move_count > 0)
        return KVORUM_OK;
    plan->table = plan->next.table; /* it is reached */
    return handoff_finish(&plan->next, r->arena);
}

/* Nobody is lost, and too many have forgotten what they promised: the same epoch in a new line. */
static kvorum_status plan_same(const struct planning *planning)
{
    struct change_plan *plan = planning->plan;
    uint16_t count = planning->from->member_count;
    plan->table = plan->next.table;
    plan->gains = arena_allocate_zero(planning->arena, count * sizeof(*plan->gains));
    plan->losses = arena_allocate_zero(planning->arena, count * sizeof(*plan->losses));
    if (plan->gains == NULL || plan->losses == NULL)
        return KVORUM_NO_MEMORY;
    planning_survival(planning);
    return KVORUM_OK;
}

kvorum_status change_recover(const struct epoch *base, const bool *lost,
                             const struct change_options *options, struct arena *arena,
                             struct change_plan *ret_plan, const char **ret_why)
{
    struct recovering r = { *base, lost, arena };
    struct planning planning = { &r.from, options, arena, ret_plan, NULL, 0, ret_why };
    bool somebody = false;
    for (uint16_t i = 0; i < base->member_count; i++)
        somebody |= lost[i] && base->members[i].state != MEMBER_GONE;
    *ret_why = "";
    r.from.number = (ring_line(base->number) + 1) * RING_LINE + base->number % RING_LINE;
    *ret_plan = (struct change_plan){ .next = r.from };
    ret_plan->next.number++;
    return somebody ? plan_without(&r, &planning) : plan_same(&planning);
}

void change_count_copies(const struct epoch *epoch, const bool *lost, uint8_t n,
                         struct change_copies *ret)
{
    *ret = (struct change_copies){ 0 };
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        uint16_t owners[RING_OWNERS_MAX];
        const uint16_t *row = ring_read_row(epoch, p);
        uint8_t limit = ring_owner_limit_of_row(epoch, row), left = 0;
        uint16_t count = ring_preference_of_row(epoch, p, row, owners, n < limit ? n : limit);
        for (uint16_t i = 0; i < count; i++)
            left = (uint8_t)(left + !lost[owners[i]]);
        if (left == 0)
            ret->none++;
        else if (left == count)
            ret->whole++;
        else if (2 * left > count)
            ret->majority++;
        else
            ret->minority++;
    }
}
