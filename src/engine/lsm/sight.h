/* SPDX-License-Identifier: Apache-2.0 */
/** What an iterator looks at: a state, as one source, and a sequence number.
 *
 *  The state is referenced, so nothing it shows goes away; the active memtable's `readers` keep it
 *  from using values again.  Thread: one at a time; all calls inside the epoch. */
#ifndef ENGINE_LSM_SIGHT_H
#define ENGINE_LSM_SIGHT_H

#include "engine/lsm/internal.h"

struct lsm_sight {
    struct lsm *lsm;
    uint64_t sequence;
    struct bytes lower, upper; /* views, the caller's */
    bool nowait;

    struct lsm_state *state;
    struct guard *guard;
    struct lsm_source *source;
    size_t level0_count;                                  /* tables among its sources */
    struct lsm_range_set *range_sets[1 + LSM_FROZEN_MAX]; /* of the memtables */
    const struct lsm_ranges **ranges;
    size_t range_count;
};

/** Look at the newest state, for entries in [lower, upper), which were set.  lsm_sight_close is
 *  owed in any case.  NO_MEMORY, and what opening tables gives. */
KVORUM_CHECKED kvorum_status lsm_sight_open(struct lsm *lsm, const struct engine_read *read,
                                            struct lsm_sight *sight);
/** Go over to a newer state that shows the same, if there is one: nothing was written since, but
 *  tables were compacted.  The source stands nowhere then. */
void lsm_sight_renew(struct lsm_sight *sight);
void lsm_sight_close(struct lsm_sight *sight); /* one that is all zero is fine */

#endif
