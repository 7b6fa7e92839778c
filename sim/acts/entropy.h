/* SPDX-License-Identifier: Apache-2.0 */
/** Replicas come to hold the same without anybody reading: the end of a run, before everything is
 *  read.
 *
 *      healed, hints drained --> owners equal within a few passes of anti-entropy?
 *        --> do their trees agree too, then?
 *        --> one replica loses an object behind its node's back --> equal again? */
#ifndef SIM_ENTROPY_H
#define SIM_ENTROPY_H

#include "sim/clients/history.h"
#include "sim/cluster/cluster.h"

/** Wait until the owners of every key hold the same bytes; false after a violation. */
bool entropy_converges(struct cluster *cluster, struct history *history);
/** While nobody writes and owners are equal, no exchange finds a leaf that differs: trees say what
 *  their stores hold.  False after a violation. */
bool entropy_trees_hold(struct cluster *cluster);
/** Delete an object from a store of an owner, so that only the disk knows.  False: there is none to
 *  lose. */
bool entropy_lose_object(struct cluster *cluster, struct history *history);
/** Bits flip in the table files of one node, which scrubs itself: what was in them comes back, and
 *  every replica is whole again.  False after a violation. */
bool entropy_rots(struct cluster *cluster, struct history *history);

#endif
