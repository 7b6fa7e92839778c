/* SPDX-License-Identifier: Apache-2.0 */
/** What reduce*.c share: a reduction while it runs, where a version stands in it, and what the
 *  filter and the operator are shown.  reduce.c walks the versions; reduce_merge.c is its way with
 *  merge operands, reduce_ranges.c with deletions of ranges. */
#ifndef ENGINE_LSM_REDUCE_INTERNAL_H
#define ENGINE_LSM_REDUCE_INTERNAL_H

#include "engine/lsm/merge/reduce.h"

#include <string.h>

static const kvorum_status NONE_KEPT = KVORUM_NOT_FOUND; /* nothing to hand out, go on */

/* Where a version stands among the snapshots. */
struct stripe {
    size_t index;    /* 0: the oldest */
    uint64_t lowest; /* smallest sequence number in it */
    uint64_t cover;  /* newest deletion of a range over the key in it; 0: none */
};

struct operand {
    size_t offset, size; /* of its value in `values` */
    uint64_t sequence;
};

/* Operands of one key in one stripe, newest first. */
struct operands {
    struct operand *list;
    struct bytes *views; /* for the operator, oldest first */
    size_t count, capacity, handed_out;
    struct buffer values;
};

struct fragment {
    struct bytes lower, upper;
    const uint64_t *sequences;
    size_t count;
};

struct lsm_reduce {
    struct lsm_reduce_options options;
    struct lsm_source *source;
    bool lent;            /* the source stands on what was handed out last */
    bool open;            /* operands of the key stayed: what lies below them is not its newest */
    uint64_t hidden_from; /* versions of the key with this sequence number and above are hidden */
    struct buffer key;    /* whose versions are being read; empty: none yet */
    size_t fragment_index, fragment_count;
    struct fragment fragment; /* of the ranges: the first that does not end before the key */
    struct operands operands;
    struct buffer result, blob; /* of the operator; a base that lies in a blob file */
};

/* --- where a version stands ---------------------------------------------------------------- */

static inline size_t stripe_index(const struct lsm_reduce_options *options, uint64_t sequence)
{
    size_t first = 0, count = options->snapshot_count;
    while (count > 0) {
        size_t half = count / 2;
        if (options->snapshots[first + half] >= sequence) {
            count = half;
        } else {
            first += half + 1;
            count -= half + 1;
        }
    }
    return first;
}

/* Nothing lies below the output that a version of this stripe could hide, and every reader sees
 * it. */
static inline bool at_bottom(const struct lsm_reduce *reduce, const struct stripe *stripe)
{
    return reduce->options.bottom && stripe->index == 0;
}

/* Keys that follow each other mostly have one size and differ at their ends. */
static inline bool is_key(const struct lsm_reduce *reduce, struct bytes key)
{
    struct bytes last = buffer_bytes(&reduce->key);
    if (key.size != last.size)
        return false;
    if (key.size >= sizeof(uint64_t)) {
        uint64_t a, b;
        memcpy(&a, key.data + key.size - sizeof(a), sizeof(a));
        memcpy(&b, last.data + key.size - sizeof(b), sizeof(b));
        if (a != b)
            return false;
    }
    return memcmp(key.data, last.data, key.size) == 0;
}

static inline void move_on(struct lsm_reduce *reduce)
{
    reduce->source->ops->next(reduce->source);
}

/* --- what the filter and the operator are shown -------------------------------------------- */

/* The filter is asked about the newest value of a key, if no snapshot sees it. */
static inline bool filter_wanted(const struct lsm_reduce *reduce, const struct stripe *stripe)
{
    return reduce->options.filter != NULL && !reduce->open &&
           stripe->index == reduce->options.snapshot_count;
}

static inline bool filter_keeps(const struct lsm_reduce *reduce, struct bytes value)
{
    const struct engine_compaction_filter *filter = reduce->options.filter;
    return filter->keep(filter->context, buffer_bytes(&reduce->key), value);
}

static inline kvorum_status read_blob(struct lsm_reduce *reduce, struct bytes *ret_value)
{
    buffer_reset(&reduce->blob);
    return reduce->options.blob_read(reduce->options.context, &reduce->source->entry, &reduce->blob,
                                     ret_value);
}

/* A damaged value out of line is a matter for whoever reads the key, and stops no compaction. */
static inline bool is_damage(kvorum_status status)
{
    return status == KVORUM_CORRUPT || status == KVORUM_NOT_FOUND;
}

/* --- reduce_merge.c ------------------------------------------------------------------------ */

/** The source stands on an operand, the newest version that is not hidden: combine it with what
 *  lies below it in `stripe`, or hand it out as it is.  NONE_KEPT: the filter dropped the result.
 *  Else as lsm_reduce_next. */
KVORUM_CHECKED kvorum_status lsm_reduce_merge(struct lsm_reduce *reduce,
                                              const struct stripe *stripe,
                                              struct lsm_entry *ret_entry);
/** Hand out the next of the operands that stay: there is one. */
struct lsm_entry lsm_reduce_operand(struct lsm_reduce *reduce);

#endif
