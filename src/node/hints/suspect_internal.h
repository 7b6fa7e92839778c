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
/** It asks nothing that can be done: its target is no owner any more, or it is an order and this
 *  member is none, or the target. */
bool suspect_is_astray(const struct node *node, uint32_t partition, uint16_t target,
                       enum hint_mark mark);
/** The mark is astray, or what it asked of the target is done: if it is in the store it goes, and
 *  those it goes on to are suspected, perhaps when the disk was read or has room. */
void suspect_settle(struct node *node, const struct node_id *target, uint32_t partition,
                    enum hint_mark mark);

/* suspect.c */

/** A suspicion becomes an order at every owner but the target. */
void suspect_hand_over(struct node *node, uint16_t target, uint32_t partition);

#endif
