/* SPDX-License-Identifier: Apache-2.0 */
/** How a simulated lsm store is cut: small enough, mostly, that a few hundred writes flush and
 *  compact all the time, and that a few blocks fill the cache. */
#ifndef SIM_SIZES_H
#define SIM_SIZES_H

#include "engine/lsm/lsm.h"
#include "sim/world/world.h"

/** Draw the sizes of `options`; the rest of it stays. */
void sizes_draw(struct world *world, struct lsm_options *options);
void sizes_describe(const struct lsm_options *options, struct buffer *buffer);

#endif
