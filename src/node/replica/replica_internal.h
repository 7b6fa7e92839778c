/* SPDX-License-Identifier: Apache-2.0 */
/** This shard as a replica: what its files share.  What others call: replica.h.
 *
 *      replica.c          questions of coordinators: get and merge
 *      replica_read.c     what is stored here under a key
 *      replica_merge.c    an object into what is stored
 *      replica_commit.c   acknowledgements: behind the batch that made them true
 *      replica_late.c     questions that wait for the disk, or for room
 *
 *  An acknowledgement is tied to the commit of the batch that made it true: it leaves from there,
 *  never earlier.  A merge that changes nothing is acknowledged behind a barrier, because what is
 *  already here may not be durable yet. */
#ifndef NODE_REPLICA_INTERNAL_H
#define NODE_REPLICA_INTERNAL_H

#include "node/internal.h"

/* --- replica_late.c -------------------------------------------------------------------------- */

typedef void replica_handler(struct node *node, struct net_address from,
                             const struct message *message);

/** OK: `handle` will be called with `message` again, once `address` has been read. */
kvorum_status replica_put_off(struct node *node, const struct key_address *address,
                              replica_handler *handle, struct net_address from,
                              const struct message *message);
/** The same for a merge that its store has no room for now. */
kvorum_status replica_wait_for_room(struct node *node, const struct key_address *address,
                                    struct net_address from, const struct message *message);

/* --- replica_commit.c ------------------------------------------------------------------------ */

void replica_send_merge_answer(struct node *node, struct net_address to, uint64_t request_id,
                               kvorum_status status, bool durable);
/** What `plan` says, at once: for a planted mistake alone outside of that file. */
void replica_carry_out(struct node *node, const struct commit_plan *plan, kvorum_status status,
                       bool durable);

#endif
