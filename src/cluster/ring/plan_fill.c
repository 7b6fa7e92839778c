/* SPDX-License-Identifier: Apache-2.0 */
/* Column by column, every hole gets the legal member that lacks most there.  Members stand in a
 * queue sorted by what they lack, with the ends of its steps known, so that a choice costs a few
 * looks:
 *
 *      members   7 7 7 | 6 6 6 6 | 5 | ... | 1 1
 *      ends              ^7        ^6  ^5        ^1        ends[d]: members that lack d or more
 *
 * Where in the first step the search begins is a hash of the place: partners of a member are then
 * all the others, and its work is shared by many when it fails.
 */
#include <assert.h>

#include "base/hash.h"
#include "cluster/ring/plan.h"

struct queue {
    uint16_t *members;
    uint32_t *ends;
    uint32_t largest; /* ends[largest + 1] is 0 */
};

static uint32_t lack_of(const struct plan *plan, uint8_t column, uint16_t member)
{
    uint32_t target = *plan_column_target(plan, column, member);
    uint32_t load = *plan_column_load(plan, column, member);
    return target > load ? target - load : 0;
}

/* Neighbours in the list of members are often in one zone: begin with a shuffled list. */
static void shuffle(struct queue *queue, uint16_t count, uint8_t column)
{
    for (uint16_t i = 0; i < count; i++) {
        uint16_t j = (uint16_t)(hash_mix64((uint64_t)column << 16 | i) % (i + 1u));
        queue->members[i] = queue->members[j];
        queue->members[j] = i;
    }
}

static kvorum_status queue_init(struct queue *queue, const struct plan *plan, uint8_t column,
                                struct arena *arena)
{
    uint16_t count = plan->member_count;
    queue->largest = 0;
    for (uint16_t m = 0; m < count; m++) {
        uint32_t lack = lack_of(plan, column, m);
        queue->largest = lack > queue->largest ? lack : queue->largest;
    }
    queue->members = arena_allocate(arena, count * sizeof(*queue->members));
    queue->ends = arena_allocate_zero(arena, (queue->largest + 2ull) * sizeof(*queue->ends));
    uint16_t *sorted = arena_allocate(arena, count * sizeof(*sorted));
    uint32_t *next = arena_allocate(arena, (queue->largest + 1ull) * sizeof(*next));
    if (queue->members == NULL || queue->ends == NULL || sorted == NULL || next == NULL)
        return KVORUM_NO_MEMORY;
    shuffle(queue, count, column);
    for (uint16_t m = 0; m < count; m++)
        queue->ends[lack_of(plan, column, m)]++;
    for (uint32_t lack = queue->largest; lack > 0; lack--)
        queue->ends[lack - 1] += queue->ends[lack];
    for (uint32_t lack = 0; lack <= queue->largest; lack++)
        next[lack] = queue->ends[lack + 1];
    for (uint16_t i = 0; i < count; i++)
        sorted[next[lack_of(plan, column, queue->members[i])]++] = queue->members[i];
    queue->members = sorted;
    return KVORUM_OK;
}

/* The member at `place` lacks one less: it changes places with the last of its step. */
static void queue_serve(struct queue *queue, uint32_t place, uint32_t lack)
{
    uint32_t last = --queue->ends[lack];
    uint16_t member = queue->members[place];
    queue->members[place] = queue->members[last];
    queue->members[last] = member;
    while (queue->largest > 0 && queue->ends[queue->largest] == 0)
        queue->largest--;
}

/* Place in the queue of the first member that may have the hole; the queue's size when none may. */
static uint32_t search(const struct plan *plan, const struct queue *queue, uint32_t partition,
                       uint8_t column)
{
    uint32_t first_step = queue->largest > 0 ? queue->ends[queue->largest] : 0;
    uint32_t size = queue->largest > 0 ? queue->ends[1] : 0;
    uint32_t start = first_step == 0
                         ? 0
                         : (uint32_t)(hash_mix64((uint64_t)partition << 8 | column) % first_step);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t place = i < first_step ? (start + i) % first_step : i;
        uint16_t member = queue->members[place];
        if (plan->loads[member] < plan->targets[member] &&
            plan_is_legal(plan, partition, column, member))
            return place;
    }
    return size;
}

/* Nobody who lacks something may have it: take whoever is least above target, and balance later. */
static uint16_t any_legal(const struct plan *plan, uint32_t partition, uint8_t column)
{
    uint16_t best = RING_NO_MEMBER;
    int64_t best_excess = 0;
    for (uint16_t m = 0; m < plan->member_count; m++) {
        int64_t excess = (int64_t)plan->loads[m] - plan->targets[m];
        if ((best == RING_NO_MEMBER || excess < best_excess) &&
            plan_is_legal(plan, partition, column, m)) {
            best = m;
            best_excess = excess;
        }
    }
    assert(best != RING_NO_MEMBER); /* the zone limit was chosen so that there always is one */
    return best;
}

static void fill_column(struct plan *plan, struct queue *queue, uint8_t column)
{
    for (uint32_t i = 0; i < plan->partition_count; i++) {
        uint32_t p = plan_visit(plan, i, column);
        if (plan_row(plan, p)[column] != RING_NO_MEMBER)
            continue;
        uint32_t place = search(plan, queue, p, column);
        if (queue->largest == 0 || place == queue->ends[1]) {
            plan_place(plan, p, column, any_legal(plan, p, column));
            continue;
        }
        uint16_t member = queue->members[place];
        queue_serve(queue, place, lack_of(plan, column, member));
        plan_place(plan, p, column, member);
    }
}

kvorum_status plan_fill(struct plan *plan, struct arena *arena)
{
    for (uint8_t c = 0; c < plan->column_count; c++) {
        struct queue queue;
        kvorum_status status = queue_init(&queue, plan, c, arena);
        if (status != KVORUM_OK)
            return status;
        fill_column(plan, &queue, c);
    }
    return KVORUM_OK;
}
