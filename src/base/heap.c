/* SPDX-License-Identifier: Apache-2.0 */
/** items[0] is the root, the children of items[i] are items[2i + 1] and items[2i + 2]; no child
 *  leaves before its parent; items[i]->place == i + 1. */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

void heap_init(struct heap *heap)
{
    *heap = (struct heap){ 0 };
}

void heap_done(struct heap *heap)
{
    free(heap->items);
    heap_init(heap);
}

static bool before(const struct heap_item *a, const struct heap_item *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

static void put(struct heap *heap, size_t index, struct heap_item *item)
{
    heap->items[index] = item;
    item->place = index + 1;
}

/* Both fill the hole at `index` with `item`, moving the others by one step. */
static void sift_up(struct heap *heap, size_t index, struct heap_item *item)
{
    while (index > 0) {
        struct heap_item *parent = heap->items[(index - 1) / 2];
        if (!before(item, parent))
            break;
        put(heap, index, parent);
        index = (index - 1) / 2;
    }
    put(heap, index, item);
}

static void sift_down(struct heap *heap, size_t index, struct heap_item *item)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(heap->items[child + 1], heap->items[child]))
            child++;
        if (!before(heap->items[child], item))
            break;
        put(heap, index, heap->items[child]);
        index = child;
    }
    put(heap, index, item);
}

static bool grow(struct heap *heap)
{
    size_t capacity = heap->capacity == 0 ? 16 : heap->capacity * 2;
    struct heap_item **items = realloc(heap->items, capacity * sizeof(struct heap_item *));
    if (items == NULL)
        return false;
    heap->items = items;
    heap->capacity = capacity;
    return true;
}

bool heap_insert(struct heap *heap, struct heap_item *item, uint64_t key)
{
    assert(item->place == 0);
    if (heap->count == heap->capacity && !grow(heap))
        return false;
    item->key = key;
    item->sequence = heap->next_sequence++;
    heap->count++;
    sift_up(heap, heap->count - 1, item);
    return true;
}

void heap_remove(struct heap *heap, struct heap_item *item)
{
    if (item->place == 0)
        return;
    size_t index = item->place - 1;
    assert(index < heap->count && heap->items[index] == item);
    struct heap_item *last = heap->items[--heap->count];
    item->place = 0;
    if (last == item)
        return;
    if (index > 0 && before(last, heap->items[(index - 1) / 2]))
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}
