/* SPDX-License-Identifier: Apache-2.0 */
/** Least upper bound of two objects: of their clocks, of their kept siblings, and of the newest of
 *  the others.
 *
 *  Kept siblings are one small lattice for each dot, and merge takes the greater state of each:
 *
 *      never seen      <   present, by sibling_compare     <   replaced
 *      (above clock)       (at most one content in truth)      (at or below clock, no sibling)
 *
 *  A maximum over a chain is associative, commutative and idempotent, and so is any number of them
 *  side by side; that the replaced dots of an actor fit in one counter needs dots without gaps.
 *
 *  The others are one chain together: first by (stamp, actor, counter), then "present" below
 *  "replaced by a kept write".  Whether the other clock covers the winner is not asked.
 */
#include "base/planted.h"
#include "object/clock_vector.h"
#include "object/sibling.h"

/* "A version stays when both replicas have it, or when one has it and the other has not seen it":
 * what the other has seen and no longer holds was replaced there. */
static const struct sibling *unless_seen(const struct sibling *sibling,
                                         const struct clock_vector *other)
{
    return clock_vector_has(other, sibling->dot) ? NULL : sibling;
}

static uint32_t next_kept(const struct object *object, uint32_t i)
{
    while (i < object->sibling_count && !object->siblings[i].kept)
        i++;
    return i;
}

/* <0: `a` has the next kept dot, >0: `b`, 0: both have it. */
static int compare_heads(const struct object *a, uint32_t i, const struct object *b, uint32_t j)
{
    return i == a->sibling_count   ? 1
           : j == b->sibling_count ? -1
                                   : dot_compare(a->siblings[i].dot, b->siblings[j].dot);
}

/* `ret_siblings` has room for all of both. */
static uint32_t merge_kept(const struct object *a, const struct object *b,
                           struct sibling *ret_siblings)
{
    uint32_t i = next_kept(a, 0), j = next_kept(b, 0), count = 0;
    while (i < a->sibling_count || j < b->sibling_count) {
        int order = compare_heads(a, i, b, j);
        const struct sibling *kept = NULL;
        if (order < 0)
            kept = unless_seen(&a->siblings[i], &b->clock);
        else if (order > 0)
            kept = unless_seen(&b->siblings[j], &a->clock);
        else
            kept = sibling_max(&a->siblings[i], &b->siblings[j]);
        if (kept != NULL)
            ret_siblings[count++] = *kept;
        i = order <= 0 ? next_kept(a, i + 1) : i;
        j = order >= 0 ? next_kept(b, j + 1) : j;
    }
    return count;
}

/* The chain of writes that are not kept: which object stands higher in it. */
static int compare_last(const struct object *a, const struct object *b)
{
    int by_mark = write_mark_compare(object_last_mark(a), object_last_mark(b));
    const struct sibling *x = object_last(a), *y = object_last(b);
    if (by_mark != 0 || (x == NULL && y == NULL))
        return by_mark;
    return x == NULL ? 1 : y == NULL ? -1 : sibling_compare(x, y);
}

/* Put the higher of the two, if it is there, in its place among the kept. */
static void merge_last(const struct object *a, const struct object *b, struct object *merged)
{
    const struct object *higher = compare_last(a, b) < 0 ? b : a;
    const struct sibling *last = object_last(higher);
    merged->last = higher->last;
    if (last == NULL)
        return;
    uint32_t at = merged->sibling_count++;
    for (; at > 0 && dot_compare(merged->siblings[at - 1].dot, last->dot) > 0; at--)
        merged->siblings[at] = merged->siblings[at - 1];
    merged->siblings[at] = *last;
}

kvorum_status object_merge(const struct object *a, const struct object *b, struct arena *arena,
                           struct object *ret_object)
{
    bool leave_out = PLANTED(TOMBSTONE_IGNORED) && b->sibling_count > 0 && object_is_deleted(b);
    if (leave_out || object_contains(a, b)) {
        *ret_object = *a;
        return KVORUM_OK;
    }
    if (object_contains(b, a)) {
        *ret_object = *b;
        return KVORUM_OK;
    }
    struct object merged = { 0 };
    kvorum_status status = clock_vector_merge(&a->clock, &b->clock, arena, &merged.clock);
    if (status != KVORUM_OK)
        return status;
    size_t room = (size_t)a->sibling_count + b->sibling_count;
    merged.siblings = arena_allocate(arena, sizeof(*merged.siblings) * room);
    if (merged.siblings == NULL)
        return KVORUM_NO_MEMORY;
    merged.sibling_count = merge_kept(a, b, merged.siblings);
    merge_last(a, b, &merged);
    if (PLANTED(MERGE_DROPS_SIBLING) && merged.sibling_count > 1)
        merged.sibling_count = 1;
    if (merged.clock.count > OBJECT_CLOCK_MAX)
        return KVORUM_TOO_LARGE;
    if (merged.sibling_count > OBJECT_SIBLING_MAX)
        return KVORUM_TOO_MANY_SIBLINGS;
    *ret_object = merged;
    return KVORUM_OK;
}

/* The same walk as merge_kept: nothing of `a` may go, nothing of `b` may come. */
static bool contains_kept(const struct object *a, const struct object *b)
{
    uint32_t i = next_kept(a, 0), j = next_kept(b, 0);
    while (i < a->sibling_count || j < b->sibling_count) {
        int order = compare_heads(a, i, b, j);
        if (order < 0 && unless_seen(&a->siblings[i], &b->clock) == NULL)
            return false;
        if (order == 0 && sibling_compare(&a->siblings[i], &b->siblings[j]) < 0)
            return false;
        /* order > 0: a's clock covers b's, so it saw this one and replaced it */
        i = order <= 0 ? next_kept(a, i + 1) : i;
        j = order >= 0 ? next_kept(b, j + 1) : j;
    }
    return true;
}

bool object_contains(const struct object *a, const struct object *b)
{
    return clock_vector_covers(&a->clock, &b->clock) && compare_last(a, b) >= 0 &&
           contains_kept(a, b);
}
