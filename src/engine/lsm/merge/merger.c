/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap of the children that stand on an entry, the one to give out at its root.
 *
 *      heap[0] the current child          `runner` is the better one of heap[1] and heap[2]: as
 *       /  \                              long as the current child stays before it, moving on is
 *     [1]  [2]  <-- one is the runner     that one comparison and the heap stays as it is
 *     /..    \..
 *
 *  Each place keeps the first eight bytes of its key as a number, so most comparisons touch the
 *  heap only.  Backward is the same with the order turned round.
 *
 *  Turning: while the merge goes forward, every other child stands on its first entry behind the
 *  current one (or is at its end).  So one step back brings each of them to its last entry before
 *  the current one, without a seek and without the key; and the other way round. */
#include "engine/lsm/merge/merger.h"

#include "engine/lsm/merge/key_prefix.h"

#include <assert.h>
#include <stdlib.h>

struct place {
    uint64_t prefix;
    struct lsm_source *child;
    size_t index; /* among the children */
};

struct merger {
    struct lsm_source base;
    bool backward;
    size_t held;   /* places of the heap in use */
    size_t runner; /* 1 or 2; 0: the current child is alone */
    size_t count;
    struct lsm_source **children;
    struct place heap[];
};

/* --- order --------------------------------------------------------------------------------- */

static bool less_slowly(const struct place *a, const struct place *b)
{
    const struct lsm_entry *left = &a->child->entry, *right = &b->child->entry;
    int order = key_compare_rest(left->key, right->key);
    if (order != 0)
        return order < 0;
    if (left->sequence != right->sequence)
        return left->sequence > right->sequence;
    return a->index < b->index;
}

static inline bool less(const struct place *a, const struct place *b)
{
    return a->prefix != b->prefix ? a->prefix < b->prefix : less_slowly(a, b);
}

/* The order is strict, so backward is its mirror image. */
static inline bool before(const struct place *a, const struct place *b, bool backward)
{
    return backward ? less(b, a) : less(a, b);
}

/* --- heap ---------------------------------------------------------------------------------- */

/* Let `place` fall from `at` to where it belongs. */
static inline void sink(struct merger *merger, struct place place, size_t at, bool backward)
{
    struct place *heap = merger->heap;
    for (;;) {
        size_t below = 2 * at + 1;
        if (below >= merger->held)
            break;
        if (below + 1 < merger->held && before(&heap[below + 1], &heap[below], backward))
            below++;
        if (!before(&heap[below], &place, backward))
            break;
        heap[at] = heap[below];
        at = below;
    }
    heap[at] = place;
}

static inline void find_runner(struct merger *merger, bool backward)
{
    if (merger->held > 2)
        merger->runner = before(&merger->heap[2], &merger->heap[1], backward) ? 2 : 1;
    else
        merger->runner = merger->held == 2 ? 1 : 0;
}

static void fail(struct merger *merger, kvorum_status status)
{
    merger->base.valid = false;
    merger->base.status = status;
}

static inline void show(struct merger *merger)
{
    merger->base.valid = merger->held > 0;
    merger->base.status = KVORUM_OK;
    if (merger->held > 0)
        merger->base.entry = merger->heap[0].child->entry;
}

/* All children were moved. */
static void build(struct merger *merger, bool backward)
{
    merger->backward = backward;
    merger->held = 0;
    for (size_t i = 0; i < merger->count; i++) {
        struct lsm_source *child = merger->children[i];
        if (child->status != KVORUM_OK) {
            fail(merger, child->status);
            return;
        }
        if (child->valid)
            merger->heap[merger->held++] = (struct place){ key_prefix(child->entry.key), child, i };
    }
    for (size_t i = merger->held / 2; i-- > 0;)
        sink(merger, merger->heap[i], i, backward);
    find_runner(merger, backward);
    show(merger);
}

/* The current child was at its end: the last place takes its own. */
static void drop_current(struct merger *merger, bool backward)
{
    kvorum_status status = merger->heap[0].child->status;
    if (status != KVORUM_OK) {
        fail(merger, status);
        return;
    }
    merger->held--;
    if (merger->held > 0)
        sink(merger, merger->heap[merger->held], 0, backward);
    find_runner(merger, backward);
    show(merger);
}

/* The current child was moved. */
static inline void settle(struct merger *merger, bool backward)
{
    struct place *current = &merger->heap[0];
    if (!current->child->valid) {
        drop_current(merger, backward);
        return;
    }
    current->prefix = key_prefix(current->child->entry.key);
    size_t runner = merger->runner;
    if (runner != 0 && before(&merger->heap[runner], current, backward)) {
        struct place falling = *current;
        *current = merger->heap[runner];
        sink(merger, falling, runner, backward);
        find_runner(merger, backward);
    }
    show(merger);
}

/* --- the source ---------------------------------------------------------------------------- */

static void merger_first(struct lsm_source *base)
{
    struct merger *merger = (struct merger *)base;
    for (size_t i = 0; i < merger->count; i++)
        merger->children[i]->ops->first(merger->children[i]);
    build(merger, false);
}

static void merger_last(struct lsm_source *base)
{
    struct merger *merger = (struct merger *)base;
    for (size_t i = 0; i < merger->count; i++)
        merger->children[i]->ops->last(merger->children[i]);
    build(merger, true);
}

/* So that all children wait for memory at the same time, not one after another. */
static void ask_all(struct merger *merger, struct bytes key)
{
    for (unsigned step = 0; step < LSM_ASK_STEPS; step++)
        for (size_t i = 0; i < merger->count; i++) {
            struct lsm_source *child = merger->children[i];
            if (child->ops->ask != NULL)
                child->ops->ask(child, key, step);
        }
}

static void merger_seek(struct lsm_source *base, struct bytes key, uint64_t sequence)
{
    struct merger *merger = (struct merger *)base;
    ask_all(merger, key);
    for (size_t i = 0; i < merger->count; i++)
        merger->children[i]->ops->seek(merger->children[i], key, sequence);
    build(merger, false);
}

static void merger_seek_before(struct lsm_source *base, struct bytes key)
{
    struct merger *merger = (struct merger *)base;
    for (size_t i = 0; i < merger->count; i++)
        merger->children[i]->ops->seek_before(merger->children[i], key);
    build(merger, true);
}

static void turn_forward(struct merger *merger)
{
    for (size_t i = 0; i < merger->count; i++) {
        struct lsm_source *child = merger->children[i];
        if (child->valid)
            child->ops->next(child);
        else
            child->ops->first(child);
    }
    build(merger, false);
}

static void turn_backward(struct merger *merger)
{
    for (size_t i = 0; i < merger->count; i++) {
        struct lsm_source *child = merger->children[i];
        if (child->valid)
            child->ops->previous(child);
        else
            child->ops->last(child);
    }
    build(merger, true);
}

static void merger_next(struct lsm_source *base)
{
    struct merger *merger = (struct merger *)base;
    assert(base->valid);
    if (merger->backward) {
        turn_forward(merger);
        return;
    }
    merger->heap[0].child->ops->next(merger->heap[0].child);
    settle(merger, false);
}

static void merger_previous(struct lsm_source *base)
{
    struct merger *merger = (struct merger *)base;
    assert(base->valid);
    if (!merger->backward) {
        turn_backward(merger);
        return;
    }
    merger->heap[0].child->ops->previous(merger->heap[0].child);
    settle(merger, true);
}

static void close_all(struct lsm_source **children, size_t count)
{
    for (size_t i = 0; i < count; i++)
        children[i]->ops->close(children[i]);
}

static void merger_close(struct lsm_source *base)
{
    struct merger *merger = (struct merger *)base;
    close_all(merger->children, merger->count);
    free(merger->children);
    free(merger);
}

static const struct lsm_source_ops both_ways = {
    .first = merger_first,
    .last = merger_last,
    .seek = merger_seek,
    .seek_before = merger_seek_before,
    .next = merger_next,
    .previous = merger_previous,
    .close = merger_close,
};

/* A child that only goes forward makes the whole so. */
static const struct lsm_source_ops forward_only = {
    .first = merger_first,
    .last = merger_last,
    .seek = merger_seek,
    .seek_before = merger_seek_before,
    .next = merger_next,
    .close = merger_close,
};

static const struct lsm_source_ops *ops_for(struct lsm_source *const *children, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (children[i]->ops->previous == NULL)
            return &forward_only;
    return &both_ways;
}

kvorum_status lsm_merger_create(struct lsm_source **children, size_t count,
                                struct lsm_source **ret_source)
{
    if (count == 1) {
        *ret_source = children[0];
        return KVORUM_OK;
    }
    struct merger *merger = calloc(1, sizeof(*merger) + count * sizeof(merger->heap[0]));
    struct lsm_source **list = calloc(count + 1, sizeof(struct lsm_source *));
    if (merger == NULL || list == NULL) {
        close_all(children, count);
        free(merger);
        free(list);
        return KVORUM_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++)
        list[i] = children[i];
    merger->base.ops = ops_for(children, count);
    merger->children = list;
    merger->count = count;
    *ret_source = &merger->base;
    return KVORUM_OK;
}
