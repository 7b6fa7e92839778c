/* SPDX-License-Identifier: Apache-2.0 */
/** Tables and blob files that come out of flushes and compactions. */
#ifndef ENGINE_LSM_OUTPUT_H
#define ENGINE_LSM_OUTPUT_H

#include "engine/lsm/internal.h"

struct lsm_outputs {
    struct lsm_table **tables; /* one reference each */
    size_t count, capacity;
    uint64_t written_size;
    struct lsm_blob_file **blobs; /* written beside them: one reference each */
    size_t blob_count;
};

struct lsm_output_plan {
    int level;
    uint64_t table_size;              /* cut here; UINT64_MAX: one table */
    const struct lsm_state *state;    /* of now, referenced: grandparents, blob files */
    struct lsm_victims victims;       /* blob files to move values out of; the caller's */
    struct bytes lower, upper;        /* of the inputs: what deleted ranges are clipped to */
    struct lsm_reduce_options reduce; /* without its callbacks */
};

/** Write what reduce makes of `source`.  Without the mutex. */
KVORUM_CHECKED kvorum_status lsm_write_outputs(struct lsm *lsm, const struct lsm_output_plan *plan,
                                               struct lsm_source *source,
                                               struct lsm_outputs *ret_outputs);
/** How tables of `level` are written. */
struct lsm_table_options lsm_table_options_of(const struct lsm *lsm, int level);
/** Append what is in `more`, which is empty then.  NO_MEMORY: both are as they were. */
KVORUM_CHECKED kvorum_status lsm_outputs_join(struct lsm_outputs *outputs,
                                              struct lsm_outputs *more);
/** Drop them, files included. */
void lsm_outputs_abandon(struct lsm_outputs *outputs);
/** Free the lists, whose references were taken over. */
void lsm_outputs_done(struct lsm_outputs *outputs);
/** The deleted ranges that a table holds, loaded: done once for every table that joins the levels.
 *  */
KVORUM_CHECKED kvorum_status lsm_table_load_ranges(struct lsm_table *table);

#endif
