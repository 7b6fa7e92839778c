/* SPDX-License-Identifier: Apache-2.0 */
/** The disk of one member, put back to an older state of itself: somebody restores a backup.
 *
 *      first time   which member, and its first copy, as a power failure would leave it, or after
 *                   a clean stop (the copy then has the clean mark)
 *      later        its disk becomes the copy again, or another copy is taken
 *
 *  It is the same member all through a run. */
#ifndef SIM_YESTERDAY_H
#define SIM_YESTERDAY_H

#include "sim/cluster/cluster.h"

/** The fault, with `process` as its victim where there is none yet. */
void yesterday_happens(struct cluster *cluster, struct process *process, uint64_t duration_us);
void yesterday_done(struct cluster *cluster);

#endif
