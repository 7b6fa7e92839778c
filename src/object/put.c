/* SPDX-License-Identifier: Apache-2.0 */
/** One write on top of what its coordinator holds.
 *
 *      clock     local's, and the context's, and the new dot
 *      siblings  local's that the context does not cover (in last-write-wins mode none), the new
 *
 *  A context may know more than local (the client read from a fresher replica): those writes then
 *  count as seen and replaced although they never were here, which is what the client said.
 *
 *  The result is above local in merge's order in both modes: dots that left are below its clock,
 *  the new dot is above local's clock, and the new stamp is above local's stamps.  By induction
 *  every write under a clock has a stamp at most the largest in its object, so a later write always
 *  wins by stamp too: the two modes agree, and a bucket may change its mode.
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

static bool choose_stamp(const struct object *local, const struct object_context *context,
                         uint64_t *stamp)
{
    uint64_t seen = larger(object_max_stamp(local), context->stamp);
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

/* "Values in the write's causal past are replaced by it; all others are concurrent with it and
 * stay." The new one goes to its place in the order. */
static uint32_t put_siblings(const struct object *local, const struct object_context *context,
                             const struct sibling *made, struct sibling *ret_siblings)
{
    uint32_t count = 0, i = 0;
    for (; i < local->sibling_count && dot_compare(local->siblings[i].dot, made->dot) < 0; i++) {
        if (!clock_vector_has(&context->clock, local->siblings[i].dot))
            ret_siblings[count++] = local->siblings[i];
    }
    ret_siblings[count++] = *made;
    for (; i < local->sibling_count; i++) {
        if (!clock_vector_has(&context->clock, local->siblings[i].dot))
            ret_siblings[count++] = local->siblings[i];
    }
    return count;
}

kvorum_status object_put(const struct object *local, const struct object_context *context,
                         const struct sibling *fresh, uint64_t actor, enum object_mode mode,
                         struct arena *arena, struct object *ret_object)
{
    static const struct object nothing = { 0 };
    static const struct object_context unaware = { 0 };
    local = local != NULL ? local : &nothing;
    context = context != NULL ? context : &unaware;
    if (fresh->metadata_count > OBJECT_METADATA_MAX)
        return KVORUM_TOO_LARGE;
    struct sibling made = *fresh;
    if (!choose_dot(local, context, actor, &made.dot) || !choose_stamp(local, context, &made.stamp))
        return KVORUM_INVALID;

    struct object result;
    kvorum_status status = put_clock(local, context, made.dot, arena, &result.clock);
    if (status != KVORUM_OK)
        return status;
    const struct object *base = mode == OBJECT_LAST_WRITE_WINS ? &nothing : local;
    size_t room = (size_t)base->sibling_count + 1;
    result.siblings = arena_allocate(arena, sizeof(*result.siblings) * room);
    if (result.siblings == NULL)
        return KVORUM_NO_MEMORY;
    result.sibling_count = put_siblings(base, context, &made, result.siblings);
    if (result.sibling_count > OBJECT_SIBLING_MAX)
        return KVORUM_TOO_MANY_SIBLINGS;
    *ret_object = result;
    return KVORUM_OK;
}
