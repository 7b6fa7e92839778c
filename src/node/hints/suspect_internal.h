/* SPDX-License-Identifier: Apache-2.0 */
/** What suspect*.c share.  Map: hints.h. */
#ifndef NODE_SUSPECT_INTERNAL_H
#define NODE_SUSPECT_INTERNAL_H

#include "node/hints/hints.h"
#include "node/repair/repair.h"

/* suspect_settle.c */

/** Owners of the partition, for whatever bucket. */
uint16_t suspect_owners(const struct node *node, uint32_t partition,
                        uint16_t ret_owners[PLACEMENT_OWNERS_MAX]);
/** `member` (RING_NO_MEMBER: false) is one of them. */
bool suspect_owns(const struct node *node, uint32_t partition, uint16_t member);
/** Removes the mark, and suspects the owners for buckets with n replicas instead (0: nobody). */
KVORUM_CHECKED kvorum_status suspect_replace(struct node *node, const struct node_id *target,
                                             uint32_t partition, enum hint_mark mark, uint8_t n);
/** What the mark asked of the target is done. */
void suspect_settle(struct node *node, const struct node_id *target, uint32_t partition,
                    enum hint_mark mark);

/* suspect.c */

/** A suspicion becomes an order at every owner but the target. */
void suspect_hand_over(struct node *node, uint16_t target, uint32_t partition);

#endif
