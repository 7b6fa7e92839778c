/* SPDX-License-Identifier: Apache-2.0 */
/** Disks decay while the cluster works, no more than its replication must survive.
 *
 *  The atlas: of n replicas at most (n - 1) / 2 members have damage that was not made good, so that
 *  of the same key a majority is sound.  A member is whole again when all its files were read
 *  since, nothing of it is in doubt, and every sector can be read; then another may be struck.
 *
 *  In one run of five there is one replica only, and everybody may be struck: then what is lost
 *  must be an error, and never "not found".
 *
 *  Damage that a start meets cannot be made good by a scrub: an operator would fill a new directory
 *  from the others, and here the disk is as it was before (probe). */
#ifndef SIM_DECAY_H
#define SIM_DECAY_H

#include "sim/cluster/cluster.h"

/** The fault: somebody's disk is damaged, `process`'s where it may be. */
void decay_happens(struct cluster *cluster, struct process *process);
/** Every sector can be read again. */
void decay_relieve(struct cluster *cluster);
/** Once the cluster is healed: all that was damaged is made good.  False: it was not (a violation),
 *  or another one was found meanwhile. */
bool decay_ends(struct cluster *cluster);

#endif
