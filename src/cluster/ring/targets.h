/* SPDX-License-Identifier: Apache-2.0 */
/** How many partition replicas each member should hold. */
#ifndef CLUSTER_RING_TARGETS_H
#define CLUSTER_RING_TARGETS_H

#include "cluster/ring/ring.h"

/** Zones as small numbers: ret_zones[member], in order of first appearance; returns how many. */
uint16_t ring_zones(const struct member *members, uint16_t count, uint16_t *ret_zones);

/** Share out `total` replicas of `partitions` partitions in proportion to weight.  Nobody gets more
 *  than one of each partition, and with `spread` no zone does either; what a cap takes away is shared
 *  by the others.  Integer arithmetic, remainders to the largest fractions, ties to the first.
 *  NO_MEMORY. */
KVORUM_CHECKED kvorum_status ring_targets(const struct member *members, const uint16_t *zones,
                                          uint16_t count, uint32_t partitions, uint64_t total,
                                          bool spread, struct arena *arena, uint32_t *ret_targets);

#endif
