/* SPDX-License-Identifier: Apache-2.0 */
/** Least upper bound of two objects.
 *
 *  Siblings mode is one small lattice for each dot, and merge takes the greater state of each:
 *
 *      never seen      <   present, by sibling_compare     <   superseded
 *      (above clock)       (at most one content in truth)      (at or below clock, no sibling)
 *
 *  A maximum over a chain is associative, commutative and idempotent, and so is any number of them
 *  side by side; that the superseded dots of an actor fit in one counter needs dots without gaps.
 *
 *  Last-write-wins mode is the product of the clock's lattice and the chain of sibling_compare.
 *  Whether the other clock covers the winner is not asked: "covered" and "smaller stamp" agree in
 *  every object made by object_put, and asking would cost associativity in every other.
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

/* `ret_siblings` has room for all of both. */
static uint32_t merge_siblings(const struct object *a, const struct object *b,
                               struct sibling *ret_siblings)
{
    uint32_t i = 0, j = 0, count = 0;
    while (i < a->sibling_count || j < b->sibling_count) {
        int order = i == a->sibling_count   ? 1
                    : j == b->sibling_count ? -1
                                            : dot_compare(a->siblings[i].dot, b->siblings[j].dot);
        const struct sibling *kept = NULL;
        if (order < 0)
            kept = unless_seen(&a->siblings[i++], &b->clock);
        else if (order > 0)
            kept = unless_seen(&b->siblings[j++], &a->clock);
        else
            kept = sibling_max(&a->siblings[i++], &b->siblings[j++]);
        if (kept != NULL)
            ret_siblings[count++] = *kept;
    }
    return count;
}

static uint32_t merge_winner(const struct object *a, const struct object *b,
                             struct sibling *ret_siblings)
{
    const struct sibling *x = object_winner(a), *y = object_winner(b);
    if (x == NULL && y == NULL)
        return 0;
    *ret_siblings = x == NULL ? *y : y == NULL ? *x : *sibling_max(x, y);
    return 1;
}

kvorum_status object_merge(const struct object *a, const struct object *b, enum object_mode mode,
                           struct arena *arena, struct object *ret_object)
{
    bool leave_out = PLANTED(TOMBSTONE_IGNORED) && b->sibling_count > 0 && object_is_deleted(b);
    if (leave_out || object_contains(a, b, mode)) {
        *ret_object = *a;
        return KVORUM_OK;
    }
    if (object_contains(b, a, mode)) {
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
    merged.sibling_count = mode == OBJECT_LAST_WRITE_WINS ? merge_winner(a, b, merged.siblings)
                                                          : merge_siblings(a, b, merged.siblings);
    if (PLANTED(MERGE_DROPS_SIBLING) && merged.sibling_count > 1)
        merged.sibling_count = 1;
    if (merged.clock.count > OBJECT_CLOCK_MAX)
        return KVORUM_TOO_LARGE;
    if (merged.sibling_count > OBJECT_SIBLING_MAX)
        return KVORUM_TOO_MANY_SIBLINGS;
    *ret_object = merged;
    return KVORUM_OK;
}

/* The same walk as merge_siblings: nothing of `a` may go, nothing of `b` may come. */
static bool contains_siblings(const struct object *a, const struct object *b)
{
    uint32_t i = 0, j = 0;
    while (i < a->sibling_count || j < b->sibling_count) {
        int order = i == a->sibling_count   ? 1
                    : j == b->sibling_count ? -1
                                            : dot_compare(a->siblings[i].dot, b->siblings[j].dot);
        if (order < 0 && unless_seen(&a->siblings[i], &b->clock) == NULL)
            return false;
        if (order == 0 && sibling_compare(&a->siblings[i], &b->siblings[j]) < 0)
            return false;
        i += order <= 0; /* order > 0: a's clock covers b's, so it saw this one and replaced it */
        j += order >= 0;
    }
    return true;
}

/* An object with several siblings is from a time in the other mode: merging reduces it to one. */
static bool contains_winner(const struct object *a, const struct object *b)
{
    if (a->sibling_count > 1)
        return false;
    const struct sibling *x = object_winner(a), *y = object_winner(b);
    return y == NULL || (x != NULL && sibling_compare(x, y) >= 0);
}

bool object_contains(const struct object *a, const struct object *b, enum object_mode mode)
{
    if (!clock_vector_covers(&a->clock, &b->clock))
        return false;
    return mode == OBJECT_LAST_WRITE_WINS ? contains_winner(a, b) : contains_siblings(a, b);
}
