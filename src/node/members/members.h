/* SPDX-License-Identifier: Apache-2.0 */
/** Who is alive, and the end of our own membership. */
#ifndef NODE_MEMBERS_H
#define NODE_MEMBERS_H

#include "cluster/membership/swim.h"
#include "node/node.h"

/* --- gossip.c --------------------------------------------------------------------------------- */

kvorum_status gossip_open(struct node *node);
void gossip_close(struct node *node);
/** Shard 0: anything but a packet. */
void gossip_step(struct node *node, enum swim_event_kind kind, uint16_t member);
void gossip_on_message(struct node *node, struct net_address from, const struct message *message);
/** Put `epoch` into force for the gossip and node->peers: config.epoch is then `epoch`, in which we
 *  have our old slot.  NO_MEMORY: nothing changed. */
KVORUM_CHECKED kvorum_status gossip_members_changed(struct node *node, const struct epoch *epoch);
/** How long it usually takes at most until a member that fell silent is known to be dead. */
uint64_t gossip_patience_us(const struct node *node);

/* --- left.c ----------------------------------------------------------------------------------- */

/** By `epoch`, a newer one, this member is none. */
bool left_by(const struct node *node, const struct epoch *epoch);
void left_begin(struct node *node, uint64_t number);
/** A message of a stranger who goes by `number`: if he was a member, he may not know better. */
void left_tell(struct node *node, struct net_address from, uint64_t number);
/** For clients, with GONE. */
const char *left_reason(struct node *node);

#endif
