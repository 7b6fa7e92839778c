/* SPDX-License-Identifier: Apache-2.0 */
/** One store of the lsm engine alone, on a disk that fails at every operation: after each crash or
 *  kill it must hold exactly the first k batches, with k at least the last one acknowledged as that
 *  safe.
 *
 *      batch 0 | 1 | 2 | 3 | 4 | 5          each batch also writes its number
 *              acknowledged ^   ^ taken     after the crash: some k in [acknowledged, taken]
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "sim/run/run.h"
#include "sim/world/world.h"

/** Play `steps` steps.  Violations go to the world, and to the result with what else there is. */
void store_play(struct world *world, uint32_t steps, struct run_result *ret_result);

#endif
