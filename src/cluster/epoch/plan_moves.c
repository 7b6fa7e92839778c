/* SPDX-License-Identifier: Apache-2.0 */
/* From two tables to the moves between them, beside those that are under way. */
#include <string.h>

#include "cluster/epoch/planning.h"

void planning_reach_moves(const struct epoch *from, uint8_t columns, uint16_t *table)
{
    for (uint32_t i = 0; i < from->move_count; i++) {
        const struct move *move = &from->moves[i];
        uint16_t *row = table + (size_t)move->partition * columns;
        for (uint8_t c = 0; planning_goes_on(move) && c < columns; c++)
            row[c] = c < from->replica_count ? move->to[c] : RING_NO_MEMBER;
    }
}

void planning_evict_lost(const struct planning *planning, uint16_t *rows, uint32_t count,
                         uint8_t columns)
{
    for (uint32_t i = 0; i < count; i++) {
        uint16_t *row = rows + (size_t)i * columns;
        uint8_t left = 0;
        for (uint8_t c = 0; c < columns; c++)
            if (row[c] != RING_NO_MEMBER && !planning->lost[row[c]])
                row[left++] = row[c];
        while (left < columns)
            row[left++] = RING_NO_MEMBER;
    }
}

/* --- the moves ------------------------------------------------------------------------------ */

static void count_row(struct change_plan *plan, const uint16_t *old, const uint16_t *new,
                      uint8_t columns)
{
    for (uint8_t c = 0; c < columns; c++) {
        if (new[c] != RING_NO_MEMBER && !ring_row_holds(old, columns, new[c])) {
            plan->gains[new[c]]++;
            plan->gain_count++;
        }
        if (old[c] != RING_NO_MEMBER && !ring_row_holds(new, columns, old[c]))
            plan->losses[old[c]]++;
    }
}

/* Towards what is left of the row that reads ask already, whatever the planner would like. */
static void go_on(const struct planning *planning, const struct move *before, uint16_t *new,
                  struct move *ret)
{
    uint8_t columns = planning->plan->next.replica_count, former = planning->from->replica_count;
    *ret = *before;
    for (uint8_t c = former; c < columns; c++)
        ret->to[c] = RING_NO_MEMBER;
    planning_evict_lost(planning, ret->to, 1, columns);
    memcpy(new, ret->to, columns * sizeof(*new));
}

bool planning_moves(const struct planning *planning)
{
    struct change_plan *plan = planning->plan;
    struct epoch *next = &plan->next;
    uint8_t columns = next->replica_count;
    size_t row_size = columns * sizeof(uint16_t);
    plan->gains = arena_allocate_zero(planning->arena, next->member_count * sizeof(*plan->gains));
    plan->losses = arena_allocate_zero(planning->arena, next->member_count * sizeof(*plan->losses));
    next->moves =
        arena_allocate_zero(planning->arena, next->partition_count * sizeof(*next->moves));
    if (plan->gains == NULL || plan->losses == NULL || next->moves == NULL)
        return false;
    next->move_count = 0;
    for (uint32_t p = 0; p < next->partition_count; p++) {
        const uint16_t *old = next->table + (size_t)p * columns;
        uint16_t *new = plan->table + (size_t)p *columns;
        const struct move *before = ring_move_of(planning->from, p);
        struct move move = { p, MOVE_WRITE_BOTH_READ_OLD, next->number, { 0 } };
        if (planning_goes_on(before))
            go_on(planning, before, new, &move);
        if (memcmp(old, new, row_size) == 0)
            continue;
        memcpy(move.to, new, row_size);
        next->moves[next->move_count++] = move;
        count_row(plan, old, new, columns);
    }
    return true;
}
