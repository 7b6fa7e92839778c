/* SPDX-License-Identifier: Apache-2.0 */
/** A compaction in parts: for compact.c, which cuts and installs, and parts.c, which shares them
 *  out. */
#ifndef ENGINE_LSM_COMPACT_H
#define ENGINE_LSM_COMPACT_H

#include "engine/lsm/background/output.h"
#include "engine/lsm/internal.h"

/* A stretch of keys, done by one worker from begin to end. */
struct lsm_part {
    struct bytes lower, upper;
    struct lsm_outputs outputs;
    kvorum_status status;
};

struct lsm_compaction {
    struct lsm *lsm;
    const struct lsm_pick *pick;
    struct lsm_output_plan plan; /* but for lower and upper */
    uint64_t *snapshots;
    struct lsm_ranges *ranges;         /* deleted, of all inputs; or NULL */
    struct buffer cuts[LSM_PARTS_MAX]; /* keys between parts */

    /* with the mutex */
    struct lsm_compaction *next; /* whose parts are shared out */
    struct lsm_part parts[LSM_PARTS_MAX];
    size_t part_count, taken_count, done_count;
};

/** Do one part.  Without the mutex. */
KVORUM_CHECKED kvorum_status lsm_compact_part(struct lsm_compaction *compaction,
                                              struct lsm_part *part);
/** Do all parts, with the help of other workers where there are several.  With the mutex, which is
 *  let go meanwhile.  Each part's status says how it went. */
void lsm_compact_parts(struct lsm_compaction *compaction);

/** `source` between two keys.  Own: closes it, also when this fails (NO_MEMORY).  Forward only. */
KVORUM_CHECKED kvorum_status lsm_slice_create(struct lsm_source *source, struct bytes lower,
                                              struct bytes upper, struct lsm_source **ret_source);

#endif
