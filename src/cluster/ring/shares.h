/* SPDX-License-Identifier: Apache-2.0 */
/** How much each member should hold: shares proportional to weight under caps, and whole numbers
 *  near them.  Integers only, since every machine must plan the same table. */
#ifndef CLUSTER_RING_SHARES_H
#define CLUSTER_RING_SHARES_H

#include "cluster/ring/ring.h"

enum { SHARE_BITS = 20 }; /* a share counts 2^-20ths of a partition replica */

/** Members' zones as small numbers, in order of first appearance. */
struct ring_zones {
    uint16_t count;
    uint16_t of[RING_MEMBERS_MAX]; /* member -> zone */
};

void ring_zones_init(struct ring_zones *zones, const struct member *members, uint16_t count);

/** Replicas of one partition that a zone may hold.  One while there are as many zones as replicas.
 *  With fewer zones, the smallest number that works, as long as it leaves shares proportional to
 *  weight; else no limit. */
uint8_t ring_zone_limit(const struct ring_zones *zones, const struct member *members,
                        uint16_t count, uint8_t replicas);

/** Share `replicas` * `partitions` replicas out in proportion to weight.  Nobody gets more than one
 *  of each partition and no zone more than `zone_limit`; what a cap takes away the others share. */
void ring_shares(const struct ring_zones *zones, const struct member *members, uint16_t count,
                 uint32_t partitions, uint8_t replicas, uint8_t zone_limit, uint64_t *ret_shares);

#endif
