/* SPDX-License-Identifier: Apache-2.0 */
/** A run of gossip alone: a cluster from a seed under faults, with strangers and replays, then
 *  healing.  What must be true:
 *
 *      members    what is heard adds, removes and renames nobody
 *      refuted    whoever was accused is believed alive only at a higher incarnation, and at none
 *                 that it never had
 *      imported   another's whole view makes nobody dead at once
 *      liveness   when all is well again each sees the others as they are, within a bounded time
 */
#ifndef SIM_GOSSIP_RUN_H
#define SIM_GOSSIP_RUN_H

#include "sim/run/run.h"

/** `steps` has no meaning. */
void gossip_play(struct world *world, uint32_t steps, struct run_result *ret_result);

#endif
