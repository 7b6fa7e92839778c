/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/ring/plan_places.h"

static bool is_fresh(const struct plan *plan, uint32_t place)
{
    return plan->previous == NULL || plan->previous[place] != plan->table[place];
}

static uint32_t *head_of(const struct plan_places *places, bool fresh, uint8_t column,
                         uint16_t member)
{
    const struct plan *plan = places->plan;
    return &places->heads[((size_t)fresh * plan->column_count + column) * plan->member_count +
                          member];
}

static void add(struct plan_places *places, uint32_t place)
{
    const struct plan *plan = places->plan;
    uint8_t column = (uint8_t)(place % plan->column_count);
    uint32_t *head = head_of(places, is_fresh(plan, place), column, plan->table[place]);
    places->next[place] = *head;
    places->before[place] = NO_PLACE;
    if (*head != NO_PLACE)
        places->before[*head] = place;
    *head = place;
}

static void take_out(struct plan_places *places, uint32_t place)
{
    const struct plan *plan = places->plan;
    uint8_t column = (uint8_t)(place % plan->column_count);
    uint32_t next = places->next[place], before = places->before[place];
    if (next != NO_PLACE)
        places->before[next] = before;
    if (before != NO_PLACE)
        places->next[before] = next;
    else
        *head_of(places, is_fresh(plan, place), column, plan->table[place]) = next;
}

/* --- rows in which a zone is full ------------------------------------------------------------ */

static uint8_t count_zone(const struct plan *plan, const uint16_t *row, uint16_t zone)
{
    uint8_t count = 0;
    for (uint8_t c = 0; c < plan->column_count; c++)
        count = (uint8_t)(count + (plan->zones.of[row[c]] == zone));
    return count;
}

static bool was_met(const struct plan *plan, const uint16_t *row, uint8_t column)
{
    for (uint8_t c = 0; c < column; c++)
        if (plan->zones.of[row[c]] == plan->zones.of[row[column]])
            return true;
    return false;
}

/* A row is counted for all its owners, or (by -1) not any more. */
static void count_row(struct plan_places *places, uint32_t partition, uint32_t by)
{
    const struct plan *plan = places->plan;
    const uint16_t *row = plan_row(plan, partition);
    for (uint8_t c = 0; c < plan->column_count; c++) {
        uint16_t zone = plan->zones.of[row[c]];
        if (was_met(plan, row, c) || count_zone(plan, row, zone) < plan->zone_limit)
            continue;
        for (uint8_t d = 0; d < plan->column_count; d++)
            places->full[(size_t)row[d] * plan->zones.count + zone] += by;
    }
}

/* --- use ------------------------------------------------------------------------------------- */

bool plan_places_init(struct plan_places *places, struct plan *plan, struct arena *arena)
{
    size_t count = (size_t)plan->partition_count * plan->column_count;
    size_t heads = (size_t)2 * plan->column_count * plan->member_count;
    size_t cells = (size_t)plan->member_count * plan->zones.count;
    *places = (struct plan_places){ .plan = plan };
    places->heads = arena_allocate(arena, heads * sizeof(*places->heads));
    places->next = arena_allocate(arena, count * sizeof(*places->next));
    places->before = arena_allocate(arena, count * sizeof(*places->before));
    places->full = arena_allocate_zero(arena, cells * sizeof(*places->full));
    if (places->heads == NULL || places->next == NULL || places->before == NULL ||
        places->full == NULL)
        return false;
    for (size_t i = 0; i < heads; i++)
        places->heads[i] = NO_PLACE;
    for (uint32_t i = 0; i < plan->partition_count; i++) {
        uint32_t p = plan_visit(plan, i, 0);
        count_row(places, p, 1);
        for (uint8_t c = 0; c < plan->column_count; c++)
            add(places, p * plan->column_count + c);
    }
    return true;
}

void plan_places_give(struct plan_places *places, uint32_t place, uint16_t taker)
{
    struct plan *plan = places->plan;
    uint32_t partition = place / plan->column_count;
    take_out(places, place);
    count_row(places, partition, (uint32_t)-1);
    plan_place(plan, partition, (uint8_t)(place % plan->column_count), taker);
    count_row(places, partition, 1);
    add(places, place);
}

uint32_t plan_places_find(const struct plan_places *places, uint16_t giver, uint16_t taker,
                          uint8_t column, bool fresh)
{
    const struct plan *plan = places->plan;
    uint16_t zone = plan->zones.of[taker];
    if (zone != plan->zones.of[giver] &&
        places->full[(size_t)giver * plan->zones.count + zone] >= plan->loads[giver])
        return NO_PLACE;
    uint32_t place = *head_of(places, fresh, column, giver);
    while (place != NO_PLACE && !plan_is_legal(plan, place / plan->column_count, column, taker))
        place = places->next[place];
    return place;
}
