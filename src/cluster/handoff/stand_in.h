/* SPDX-License-Identifier: Apache-2.0 */
/** Who stands in for an owner that is away: the handoff strategy of a bucket.
 *
 *      consistent   the next of the preference list, the same for everybody: a sloppy read finds
 *                   what a sloppy write left with a stand-in
 *      any          a live member by chance: the load of a member that is away is spread over all
 *      proximity    a live member of the absent owner's zone first: copies stay as far apart as
 *                   they were, and the hint goes home over a short way
 *
 *  With `any` a read does not know whom a write chose, so what only stand-ins hold is read again
 *  when it has been handed over. */
#ifndef CLUSTER_HANDOFF_STAND_IN_H
#define CLUSTER_HANDOFF_STAND_IN_H

#include "base/random.h"
#include "cluster/ring/ring.h"

enum handoff_strategy { /* the numbers are on disk and on the wire */
                        HANDOFF_CONSISTENT = 0,
                        HANDOFF_ANY = 1,
                        HANDOFF_PROXIMITY = 2,
                        HANDOFF_STRATEGIES,
};

/** "consistent"; "?" for a number that is none. */
const char *handoff_strategy_name(enum handoff_strategy strategy);
bool handoff_strategy_parse(struct bytes text, enum handoff_strategy *ret);

/** The stand-in for `owner` among the members that are not `barred` (by member index: owners of the
 *  partition, those that cannot be reached, those chosen already), by ANY or PROXIMITY.
 *  RING_NO_MEMBER: there is none.  One pass over the members. */
uint16_t handoff_stand_in(const struct epoch *epoch, enum handoff_strategy strategy,
                          uint32_t partition, uint16_t owner, const bool *barred,
                          struct random *random);

#endif
