/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of run.h share.
 *
 *      run.c          what a run is made of, what it plays and in which order, and what came of it
 *      run_buckets.c  the properties of the buckets, their change, and their end
 *      run_heal.c     nothing goes wrong any more, until all members are well and know it
 *      run_reads.c    every key is read, and listed
 *      run_wait.c     time passes, until something holds, or nobody has anything to do
 *
 *  Functions that return bool, and are no questions, return false when a violation was found. */
#ifndef SIM_RUN_INTERNAL_H
#define SIM_RUN_INTERNAL_H

#include "sim/acts/drops.h"
#include "sim/acts/epochs.h"
#include "sim/acts/modes.h"
#include "sim/clients/workload.h"
#include "sim/run/run.h"

enum { RUN_POLL_US = 200 * 1000 };

#define RUN_SETTLE_US (2 * SIM_SECOND)
#define RUN_RESTART_LIMIT_US (60 * SIM_SECOND)

struct simulation {
    struct world world;
    struct plan plan;
    struct cluster cluster;
    struct history history;
    struct workload workload;
    struct mode_change mode_change;
    struct epoch_changes epoch_changes;
    struct drops drops;
    uint64_t faulty_us;   /* how long clients and faults were at work */
    bool *found, *listed; /* by key, at the end */
};

/* run.c */
/** All that clients began has ended. */
bool run_finished(const struct simulation *s);

/* run_buckets.c */
/** Before anything goes wrong. */
bool run_set_properties(struct simulation *s);
/** When the plan has one.  It may be over before this returns. */
bool run_begin_mode_change(struct simulation *s);
bool run_wait_for_mode(struct simulation *s);
/** Until nothing is left of what was dropped. */
bool run_wait_for_drops(struct simulation *s);

/* run_heal.c */
bool run_heal(struct simulation *s);

/* run_reads.c */
/** How many operations run_read_everything begins at most. */
uint32_t run_reads_max(const struct plan *plan);
/** Each key at r=all, twice; what is found is remembered for the list. */
bool run_read_everything(struct simulation *s);
bool run_list_everything(struct simulation *s);

/* run_wait.c */
bool run_pass_time(struct simulation *s, uint64_t duration_us);
/** Until `condition` holds; a violation when that takes longer than `limit_us`. */
bool run_wait_for(struct simulation *s, bool (*condition)(const struct simulation *s),
                  uint64_t limit_us, const char *what);
/** The same, event by event: it ends in the very moment. */
bool run_wait_step(struct simulation *s, bool (*condition)(const struct simulation *s),
                   uint64_t limit_us, const char *what);
/** Until nobody has anything to do; after a minute it goes on all the same. */
bool run_come_to_rest(struct simulation *s);
/** The same, with time for all that may still be owed. */
bool run_come_to_rest_at_last(struct simulation *s);

#endif
