/* SPDX-License-Identifier: Apache-2.0 */
/** Intrusive binary min-heap ordered by (key, sequence): timers, the simulator's events.
 *  Equal keys leave in the order they entered, so a run is deterministic.
 *  Thread: one at a time. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_item {
    uint64_t key, sequence;
    size_t place; /* index + 1 in the heap; 0 when not in one */
};

struct heap {
    struct heap_item **items;
    size_t count, capacity;
    uint64_t next_sequence;
};

void heap_init(struct heap *heap);
void heap_done(struct heap *heap);
/** False when memory ran out; the item is then not in the heap.  item->place must be 0. */
bool heap_insert(struct heap *heap, struct heap_item *item, uint64_t key);
/** Take out; does nothing when it is not in a heap. */
void heap_remove(struct heap *heap, struct heap_item *item);
/** Smallest, or NULL. */
static inline struct heap_item *heap_first(const struct heap *heap)
{
    return heap->count == 0 ? NULL : heap->items[0];
}

#endif
