/* SPDX-License-Identifier: Apache-2.0 */
/** What is owed to members that were away: what the rest of the node says to hints and marks.  The
 *  queues themselves, and the map: hints.h. */
#ifndef NODE_OWED_H
#define NODE_OWED_H

#include "engine/engine.h"
#include "node/node.h"

struct commit_plan;
struct key_address;
struct request;

struct hint_queue;
/** What hints_add put into a batch; counted by hints_added before the store is given it, since the
 *  next event may come from inside. */
struct hint_change {
    struct hint_queue *queue; /* NULL: nothing */
    bool replaces;
    uint64_t replaced_size, size, order;
};
kvorum_status hints_open(struct node *node);
void hints_close(struct node *node);
/** Into the batch that stores the object under `key` (its store key): it is owed to `owner`.
 *  STORE_FULL: as much is owed to it as may be (hints_refuse); the batch is unchanged. */
kvorum_status hints_add(struct node *node, struct engine_batch *batch, uint16_t owner,
                        uint32_t partition, struct bytes key, uint64_t size,
                        struct hint_change *ret_change);
void hints_added(struct node *node, const struct hint_change *change);
void hints_not_added(struct node *node, const struct hint_change *change); /* refused after all */
/** Instead of the write: a durable mark, then the refusal goes where `plan` says.  STORE_FULL where
 *  that is left to the caller, who coordinates the write. */
kvorum_status hints_refuse(struct node *node, const struct key_address *address, uint16_t owner,
                           const struct commit_plan *plan);
/** What this shard stores under `address`, of `size` bytes, is owed to `owner`: a hint, or a
 *  mark. */
void hints_owe(struct node *node, const struct key_address *address, uint16_t owner, uint64_t size);
/** The same where this shard does not store it (any more): a mark. */
void hints_suspect(struct node *node, uint32_t partition, uint16_t owner);
/** Returns when to be called again. */
uint64_t hints_tick(struct node *node);
void hints_on_acknowledged(struct node *node, struct request *request, kvorum_status status,
                           bool durable);
/** Tombstones of the partition made before `until_ms` (wall clock) are gone: hints from before then
 *  will be destroyed, not delivered.  In memory: whoever collects says it again after a restart. */
void hints_on_collected(struct node *node, uint32_t partition, uint64_t until_ms);
/** Every object of the partition was compared with `member` and brought over, for buckets with any
 *  number of replicas, since it was last suspected: marks of it are settled. */
void hints_compared(struct node *node, uint32_t partition, uint16_t member);
/** Something may be owed that nothing says, until damaged hints are whole again: sweep nothing. */
bool hints_unclear(const struct node *node);
void suspect_on_request(struct node *node, struct net_address from, const struct message *message);
void suspect_on_answer(struct node *node, struct net_address from, const struct message *message);
void suspect_on_deadline(struct node *node, struct request *request);
void suspect_answer(struct node *node, struct net_address to, uint64_t request_id,
                    kvorum_status status);

#endif
