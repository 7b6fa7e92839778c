/* SPDX-License-Identifier: Apache-2.0 */
/** Which moves may take their next step, and the epoch that takes it.  A pure function of what one
 *  member knows; whoever calls it proposes the result, and ballots decide (docs/decisions/0007).
 *
 *      stable --BEGIN--> write both, read old --READ_NEW--> write both, read new --END--> stable
 *                           '--ABORT--> stable with the old row
 *
 *  Every step but ABORT waits for the barrier: enough of the owners until now, and of those to
 *  come, have the epoch that this one follows on their disks.  Otherwise a coordinator that is
 *  behind finds a quorum of replicas that are behind as well, and what it writes is not where
 *  others read.  ABORT needs none: reads stay where they are, and every write had its quorum there.
 */
#ifndef CLUSTER_HANDOFF_PLAN_STEPS_H
#define CLUSTER_HANDOFF_PLAN_STEPS_H

#include "cluster/ring/ring.h"

enum handoff_step_kind { HANDOFF_BEGIN, HANDOFF_READ_NEW, HANDOFF_END, HANDOFF_ABORT };

struct handoff_step {
    enum handoff_step_kind kind;
    uint32_t partition;
};

/* Right for every read: all owners must have persisted the epoch. */
enum { HANDOFF_R_ANY = 1 };

struct handoff_input {
    const struct epoch *epoch;
    const uint64_t *persisted; /* by member: newest epoch known to be on its disk; 0: not known */
    const bool
        *streamed; /* by move: all who must receive it have said that they have; NULL: none */
    const bool *cancelled;  /* by move: to be given up if that is still possible; NULL: none */
    const uint16_t *target; /* the table to be reached, in the epoch's shape; NULL: begin nothing */
    uint8_t r;              /* the fewest replicas that a read is content with: HANDOFF_R_ANY, or
                                  more where it is known that no bucket and no request asks fewer */
    uint16_t moves_per_member; /* that a member gives or receives at a time; at least 1 */
};

/** How many of `count` owners must have persisted an epoch before the next: N-R+1, since then every
 *  read of r replicas meets one of them, and never less than a majority. */
uint8_t handoff_barrier(uint8_t count, uint8_t r);
/** As many of the owners in `row` have persisted the input's epoch. */
bool handoff_barrier_met(const struct handoff_input *input, const uint16_t *row);
/** Steps that may be taken now, by ascending partition, at most one of a partition; those that end
 *  something before those that begin something, when there are more than `limit`. */
uint32_t handoff_steps(const struct handoff_input *input, struct handoff_step *ret_steps,
                       uint32_t limit);
/** The epoch that takes these steps; what it does not change it shares with `epoch`.  With the last
 *  move those who leave are gone, and columns that nobody uses any more.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status handoff_apply(const struct epoch *epoch, const uint16_t *target,
                                           const struct handoff_step *steps, uint32_t count,
                                           struct arena *arena, struct epoch *ret_epoch);
/** Nothing moves in `epoch`, whose table may be written to: who leaves and owns nothing is gone,
 *  and so are columns that nobody uses.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status handoff_finish(struct epoch *epoch, struct arena *arena);

#endif
