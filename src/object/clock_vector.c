/* SPDX-License-Identifier: Apache-2.0 */
#include "object/clock_vector.h"

#include <assert.h>

uint64_t clock_vector_counter(const struct clock_vector *clock, uint64_t actor)
{
    uint32_t low = 0, high = clock->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (clock->entries[middle].actor < actor)
            low = middle + 1;
        else
            high = middle;
    }
    return low < clock->count && clock->entries[low].actor == actor ? clock->entries[low].counter
                                                                    : 0;
}

bool clock_vector_covers(const struct clock_vector *a, const struct clock_vector *b)
{
    if (b->count > a->count)
        return false;
    for (uint32_t i = 0, j = 0; j < b->count; j++) {
        while (i < a->count && a->entries[i].actor < b->entries[j].actor)
            i++;
        if (i == a->count || a->entries[i].actor != b->entries[j].actor ||
            a->entries[i].counter < b->entries[j].counter)
            return false;
    }
    return true;
}

/* Both walks are sorted by actor; an actor of both keeps its larger counter. */
static uint32_t merge_entries(const struct clock_vector *a, const struct clock_vector *b,
                              struct dot *ret_entries)
{
    uint32_t i = 0, j = 0, count = 0;
    while (i < a->count && j < b->count) {
        struct dot x = a->entries[i], y = b->entries[j];
        i += x.actor <= y.actor;
        j += y.actor <= x.actor;
        ret_entries[count++] = x.actor < y.actor                            ? x
                               : y.actor < x.actor || x.counter < y.counter ? y
                                                                            : x;
    }
    while (i < a->count)
        ret_entries[count++] = a->entries[i++];
    while (j < b->count)
        ret_entries[count++] = b->entries[j++];
    return count;
}

kvorum_status clock_vector_merge(const struct clock_vector *a, const struct clock_vector *b,
                                 struct arena *arena, struct clock_vector *ret_clock)
{
    if (clock_vector_covers(a, b)) {
        *ret_clock = *a;
        return KVORUM_OK;
    }
    if (clock_vector_covers(b, a)) {
        *ret_clock = *b;
        return KVORUM_OK;
    }
    struct dot *entries = arena_allocate(arena, sizeof(*entries) * ((size_t)a->count + b->count));
    if (entries == NULL)
        return KVORUM_NO_MEMORY;
    *ret_clock = (struct clock_vector){ entries, merge_entries(a, b, entries) };
    return KVORUM_OK;
}

kvorum_status clock_vector_add(const struct clock_vector *clock, struct dot dot,
                               struct arena *arena, struct clock_vector *ret_clock)
{
    assert(dot.counter > clock_vector_counter(clock, dot.actor));
    const struct clock_vector own = { &dot, 1 };
    struct dot *entries = arena_allocate(arena, sizeof(*entries) * ((size_t)clock->count + 1));
    if (entries == NULL)
        return KVORUM_NO_MEMORY;
    *ret_clock = (struct clock_vector){ entries, merge_entries(clock, &own, entries) };
    return KVORUM_OK;
}
