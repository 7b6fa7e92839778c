/* SPDX-License-Identifier: Apache-2.0 */
/** One write on top of what its coordinator holds.
 *
 *      clock     local's, and the context's, and the new dot
 *      siblings  local's that the context did not see and the mode does not give up, and the new
 *
 *  A context may know more than local (the client read from a fresher replica): those writes then
 *  count as seen and replaced although they never were here, which is what the client said.
 *
 *  The result is above local in merge's order: kept dots that left are below its clock, the new dot
 *  is above local's clock, and the new stamp is above local's stamps.  By induction every write
 *  under a clock has a stamp at most the largest in its object, so a later write always wins by
 *  stamp too.
 */
#include "base/planted.h"
#include "object/clock_vector.h"
#include "object/sibling.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* "The coordinator gives the write the next event of its own": above every event of that actor that
 * anyone involved has seen. */
static bool choose_dot(const struct object *local, const struct object_context *context,
                       uint64_t actor, struct dot *dot)
{
    uint64_t seen = larger(clock_vector_counter(&local->clock, actor),
                           clock_vector_counter(&context->clock, actor));
    *dot = (struct dot){ actor, seen + 1 };
    return seen < UINT64_MAX;
}

/* "Above every stamp it has seen", the one of the decision about the bucket's mode among them: a
 * member that only knows an older decision must not take what it keeps for given up. */
static bool choose_stamp(const struct object *local, const struct object_context *context,
                         uint64_t since, uint64_t *stamp)
{
    uint64_t seen = larger(larger(object_max_stamp(local), context->stamp), since);
    if (!PLANTED(STALE_LWW_CLOCK))
        *stamp = larger(*stamp, seen + 1);
    return seen < UINT64_MAX;
}

static kvorum_status put_clock(const struct object *local, const struct object_context *context,
                               struct dot dot, struct arena *arena, struct clock_vector *ret_clock)
{
    struct clock_vector seen, clock;
    kvorum_status status = clock_vector_merge(&local->clock, &context->clock, arena, &seen);
    if (status == KVORUM_OK)
        status = clock_vector_add(&seen, dot, arena, &clock);
    if (status != KVORUM_OK)
        return status;
    if (clock.count > OBJECT_CLOCK_MAX)
        return KVORUM_TOO_LARGE;
    *ret_clock = clock;
    return KVORUM_OK;
}

/* "Values in the write's causal past are replaced by it; all others are concurrent with it." */
static bool is_seen(const struct sibling *sibling, const struct object_context *context)
{
    return sibling->kept ? clock_vector_has(&context->clock, sibling->dot)
                         : write_mark_compare(write_mark_of(sibling), context->last) <= 0;
}

/* Where the last write wins, what it wins against: all but what somebody kept after that was
 * decided. */
static bool is_given_up(const struct sibling *sibling, struct object_mode mode)
{
    return !mode.siblings && (!sibling->kept || sibling->stamp < mode.since);
}

/* The new sibling goes to its place in the order. */
static uint32_t put_siblings(const struct object *local, const struct object_context *context,
                             const struct sibling *made, struct object_mode mode,
                             struct sibling *ret_siblings)
{
    uint32_t count = 0;
    bool placed = false;
    for (uint32_t i = 0; i < local->sibling_count; i++) {
        const struct sibling *sibling = &local->siblings[i];
        if (is_seen(sibling, context) || is_given_up(sibling, mode))
            continue;
        if (!placed && dot_compare(sibling->dot, made->dot) > 0) {
            ret_siblings[count++] = *made;
            placed = true;
        }
        ret_siblings[count++] = *sibling;
    }
    if (!placed)
        ret_siblings[count++] = *made;
    return count;
}

/* What the write leaves behind of those that are not kept, where it is not one itself. */
static struct write_mark put_last(const struct object *local, const struct object_context *context)
{
    struct write_mark own = object_last_mark(local);
    return write_mark_compare(own, context->last) < 0 ? context->last : own;
}

kvorum_status object_put(const struct object *local, const struct object_context *context,
                         const struct sibling *fresh, uint64_t actor, struct object_mode mode,
                         struct arena *arena, struct object *ret_object)
{
    static const struct object nothing = { 0 };
    static const struct object_context unaware = { 0 };
    local = local != NULL ? local : &nothing;
    context = context != NULL ? context : &unaware;
    if (fresh->metadata_count > OBJECT_METADATA_MAX)
        return KVORUM_TOO_LARGE;
    struct sibling made = *fresh;
    made.kept = mode.siblings;
    if (!choose_dot(local, context, actor, &made.dot) ||
        !choose_stamp(local, context, mode.since, &made.stamp))
        return KVORUM_INVALID;

    struct clock_vector clock;
    kvorum_status status = put_clock(local, context, made.dot, arena, &clock);
    if (status != KVORUM_OK)
        return status;
    size_t room = (size_t)local->sibling_count + 1;
    struct sibling *siblings = arena_allocate(arena, sizeof(*siblings) * room);
    if (siblings == NULL)
        return KVORUM_NO_MEMORY;
    uint32_t count = put_siblings(local, context, &made, mode, siblings);
    if (count > OBJECT_SIBLING_MAX)
        return KVORUM_TOO_MANY_SIBLINGS;
    *ret_object = (struct object){ .clock = clock,
                                   .siblings = siblings,
                                   .sibling_count = count,
                                   .last = put_last(local, context) };
    return KVORUM_OK;
}

kvorum_status object_show(const struct object *object, struct object_mode mode, struct arena *arena,
                          struct object *ret_object)
{
    if (mode.siblings || object->sibling_count <= 1) {
        *ret_object = *object;
        return KVORUM_OK;
    }
    struct object shown = *object;
    shown.sibling_count = 0;
    shown.last = object_last_mark(object);
    shown.siblings = arena_allocate(arena, sizeof(*shown.siblings) * object->sibling_count);
    if (shown.siblings == NULL)
        return KVORUM_NO_MEMORY;
    const struct sibling *winner = NULL; /* of those that the next write here would replace */
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        if (is_given_up(sibling, mode))
            winner = winner == NULL ? sibling : sibling_max(winner, sibling);
    }
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        if (sibling == winner || !is_given_up(sibling, mode))
            shown.siblings[shown.sibling_count++] = *sibling;
    }
    *ret_object = shown;
    return KVORUM_OK;
}
