/* SPDX-License-Identifier: Apache-2.0 */
/* A source between two keys, for one part of a compaction. */
#include "engine/lsm/background/compact.h"

#include <stdlib.h>

struct slice {
    struct lsm_source source; /* first */
    struct lsm_source *whole;
    struct bytes lower, upper; /* the caller's */
};

static void show(struct slice *slice)
{
    const struct lsm_source *whole = slice->whole;
    slice->source.status = whole->status;
    slice->source.valid = whole->valid && lsm_below_upper(whole->entry.key, slice->upper);
    slice->source.entry = whole->entry;
}

static void slice_first(struct lsm_source *source)
{
    struct slice *slice = (struct slice *)source;
    if (slice->lower.size == 0)
        slice->whole->ops->first(slice->whole);
    else
        slice->whole->ops->seek(slice->whole, slice->lower, LSM_SEQUENCE_MAX);
    show(slice);
}

static void slice_next(struct lsm_source *source)
{
    struct slice *slice = (struct slice *)source;
    slice->whole->ops->next(slice->whole);
    show(slice);
}

static void slice_close(struct lsm_source *source)
{
    struct slice *slice = (struct slice *)source;
    slice->whole->ops->close(slice->whole);
    free(slice);
}

static const struct lsm_source_ops slice_ops = {
    .first = slice_first,
    .next = slice_next,
    .close = slice_close,
};

kvorum_status lsm_slice_create(struct lsm_source *source, struct bytes lower, struct bytes upper,
                               struct lsm_source **ret_source)
{
    struct slice *slice = calloc(1, sizeof(*slice));
    if (slice == NULL) {
        source->ops->close(source);
        return KVORUM_NO_MEMORY;
    }
    slice->source.ops = &slice_ops;
    slice->whole = source;
    slice->lower = lower;
    slice->upper = upper;
    *ret_source = &slice->source;
    return KVORUM_OK;
}
