/* SPDX-License-Identifier: Apache-2.0 */
/** What a flush or compaction keeps: reads merged sources key by key, and passes on only versions
 *  that some reader can still see.
 *
 *      sources (merged) --> reduce --> entries for the table writer
 *      ranges of the inputs ----^----> fragments for the table writer
 *
 *  Snapshots cut the sequence numbers into stripes (s1, s2, ..., everything newer): a reader at a
 *  snapshot sees what is at or below it.  Of a key, the newest version of each stripe survives,
 *  unless
 *      - a deletion of a range in the same stripe covers it,
 *      - it is a deletion, `bottom` holds and it lies in the oldest stripe (nothing below to hide),
 *      - it lies in the newest stripe, which no snapshot sees, and the filter drops it: then it
 *        becomes a deletion.  The filter is asked about values (PUT, BLOB, results of merges) that
 *        are the newest of their key here; not about those below operands that stay.
 *  Merges: operands of a stripe are combined with the value below them in the same stripe, or with
 *  nothing when a deletion (of the key or a range) stands there or `bottom` holds and the key has
 *  no more versions; else they stay operands, and what is below them in the stripe stays too.  They
 *  also stay where the operator refuses them (any status but OK, IO and NO_MEMORY) or the base lies
 *  in a blob that is damaged (CORRUPT, NOT_FOUND): that is told to who reads the key, and stops no
 *  compaction.  The filter is not asked about a damaged blob, which stays.  More than 64 MiB of
 *  operands are combined in parts.  A merge result is a PUT with the newest operand's sequence
 *  number.
 *  With `bottom`, values in the oldest stripe, which every reader sees, get sequence 0 (operands
 *  never).  Deletions of ranges survive until `bottom` and the oldest stripe; what survives is
 *  newer than all that got sequence 0, so it covers what it covered.
 *
 *  Thread: one at a time. */
#ifndef ENGINE_LSM_REDUCE_H
#define ENGINE_LSM_REDUCE_H

#include "engine/engine.h"
#include "engine/lsm/merge/ranges.h"
#include "engine/lsm/merge/source.h"

struct lsm_reduce_options {
    const uint64_t *snapshots; /* held, ascending, without repeats */
    size_t snapshot_count;
    const struct lsm_ranges *ranges; /* of all inputs together; NULL: none */
    bool bottom;                     /* nothing older of these keys lies below the output */
    const struct engine_merge_operator *merge; /* NULL: operands stay operands */
    const struct engine_compaction_filter *filter;
    /** Read the real value of a BLOB entry, for the filter and for merges: a view into `memory`.
     *  NULL: the filter is not asked about them, and operands above them stay. */
    kvorum_status (*blob_read)(void *context, const struct lsm_entry *entry, struct buffer *memory,
                               struct bytes *ret_value);
    void *context;
};

struct lsm_reduce;

/** `source` is borrowed and moved to its first entry; `options` is copied with its snapshots, what
 *  else it points to is borrowed.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_reduce_create(const struct lsm_reduce_options *options,
                                               struct lsm_source *source,
                                               struct lsm_reduce **ret_reduce);
void lsm_reduce_destroy(struct lsm_reduce *reduce); /* NULL is fine */

/** The next entry to keep, a view until the next call.  NOT_FOUND: the end.  IO, CORRUPT,
 *  NO_MEMORY: of the source, the operator or a blob; the compaction is then to be given up. */
KVORUM_CHECKED kvorum_status lsm_reduce_next(struct lsm_reduce *reduce,
                                             struct lsm_entry *ret_entry);

/** The deletions of ranges that survive, clipped to [lower, upper), for the output table of that
 *  interval.  Calls `add` for each, in key order, newest first. */
KVORUM_CHECKED kvorum_status lsm_reduce_ranges(
    const struct lsm_reduce *reduce, struct bytes lower, struct bytes upper,
    kvorum_status (*add)(void *context, const struct lsm_range *range), void *context);

#endif
