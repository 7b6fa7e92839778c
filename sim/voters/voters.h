/* SPDX-License-Identifier: Apache-2.0 */
/** Recovering from a lost majority of voters alone (docs/decisions/0012).
 *
 *      all healthy -> each key is written once; the shape changes, in some runs up to the very end
 *        -> most voters crash, and some others -> two operators recover those who are left, while
 *           more are lost, some come back, others crash and restart, and frames are lost
 *        -> one new line; all who are left go by it, and nothing moves
 *        -> the lost come back, fewer than a majority of the old voters at a time: all are told
 *        -> every key that an owner who is left held is read, and every key can be written
 *
 *  One member, the anchor, is never lost, so any two lists of lost ones leave somebody in common;
 *  what happens otherwise is the operator's word (docs/decisions/0012).  The checker `epochs`
 *  watches over lines: checkers/epochs.h. */
#ifndef SIM_VOTERS_H
#define SIM_VOTERS_H

#include "sim/run/run.h"
#include "sim/world/world.h"

/** Write `keys` keys.  Violations go to the world, and to the result with what else there is. */
void voters_play(struct world *world, uint32_t keys, struct run_result *ret_result);

#endif
