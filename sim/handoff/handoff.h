/* SPDX-License-Identifier: Apache-2.0 */
/** Handoff alone: owners go away, writes are taken for them, then they come back, or are owners no
 *  more; nothing is read meanwhile, so nothing but hints (and the marks of dropped ones) brings the
 *  writes home.
 *
 *      all healthy -> some go away -> writes, each known by its number -> [a new epoch] -> back
 *        -> queues and marks run dry -> every owner of now holds every acknowledged write,
 *           and who is no owner holds none that was made while he was away
 *
 *  A third of the writes have deadlines, from half a second to two minutes: to the millisecond
 *  on the clock of the node that is asked, they are read before and not read after, and in the end
 *  every value that has passed its deadline is dropped.
 *
 *  Stand-ins and targets crash and restart meanwhile; frames are lost.  Quotas are small in some
 *  runs, the horizon short in others. */
#ifndef SIM_HANDOFF_H
#define SIM_HANDOFF_H

#include "sim/run/run.h"
#include "sim/world/world.h"

/** Write `keys` keys.  Violations go to the world, and to the result with what else there is. */
void handoff_play(struct world *world, uint32_t keys, struct run_result *ret_result);

#endif
