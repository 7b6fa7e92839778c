/* SPDX-License-Identifier: Apache-2.0 */
/* Which deletions of ranges survive a reduction: of each fragment the newest in every stripe, until
 * the oldest stripe at the bottom, where nothing lies below that they could hide.  The versions
 * play no part in it. */
#include "engine/lsm/merge/reduce_internal.h"

static bool clip(struct fragment *fragment, struct bytes lower, struct bytes upper)
{
    if (bytes_compare(fragment->lower, lower) < 0)
        fragment->lower = lower;
    if (upper.size > 0 && !(fragment->upper.size > 0 && bytes_compare(fragment->upper, upper) <= 0))
        fragment->upper = upper;
    return lsm_below_upper(fragment->lower, fragment->upper);
}

/* Of each stripe the newest is enough: it covers whatever the others do, for the same readers. */
static kvorum_status
add_survivors(const struct lsm_reduce_options *options, const struct fragment *fragment,
              kvorum_status (*add)(void *context, const struct lsm_range *range), void *context)
{
    size_t before = SIZE_MAX;
    for (size_t i = 0; i < fragment->count; i++) {
        size_t stripe = stripe_index(options, fragment->sequences[i]);
        if (stripe == before || (stripe == 0 && options->bottom))
            continue;
        before = stripe;
        const struct lsm_range range = { fragment->lower, fragment->upper, fragment->sequences[i] };
        kvorum_status status = add(context, &range);
        if (status != KVORUM_OK)
            return status;
    }
    return KVORUM_OK;
}

kvorum_status lsm_reduce_ranges(const struct lsm_reduce *reduce, struct bytes lower,
                                struct bytes upper,
                                kvorum_status (*add)(void *context, const struct lsm_range *range),
                                void *context)
{
    for (size_t i = 0; i < reduce->fragment_count; i++) {
        struct fragment fragment;
        lsm_ranges_fragment(reduce->options.ranges, i, &fragment.lower, &fragment.upper,
                            &fragment.sequences, &fragment.count);
        if (!clip(&fragment, lower, upper))
            continue;
        kvorum_status status = add_survivors(&reduce->options, &fragment, add, context);
        if (status != KVORUM_OK)
            return status;
    }
    return KVORUM_OK;
}
