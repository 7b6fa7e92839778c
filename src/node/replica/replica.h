/* SPDX-License-Identifier: Apache-2.0 */
/** This shard as a replica: what is stored here, merged into, and acknowledged once it is as
 *  durable as was asked. */
#ifndef NODE_REPLICA_H
#define NODE_REPLICA_H

#include "engine/engine.h"
#include "node/node.h"

struct fetch;
struct key_address;
struct request;
struct target;

struct replica_read {
    struct engine_view view; /* give back with replica_release */
    bool held;
    struct bytes encoding; /* empty: no such key */
};
/** WOULD_BLOCK as from fetch_view: replica_wait, before anything was done. */
kvorum_status replica_read(struct node *node, const struct key_address *address,
                           struct replica_read *ret_read);
/** Give back what it lent, if it did; twice is fine. */
void replica_release(struct replica_read *read);
/** The partition's store takes no writes any more. */
bool replica_is_poisoned(const struct node *node, uint32_t partition);
/** Put off by an event that replica_read told WOULD_BLOCK.  `fetch` may be NULL: OVERLOADED. */
kvorum_status replica_wait(struct node *node, const struct key_address *address,
                           struct fetch *fetch);

enum commit_kind {
    COMMIT_NOTHING,
    COMMIT_ANSWER,
    COMMIT_TARGET,
    COMMIT_PROPERTIES,
    COMMIT_PROPERTIES_ANSWER,
    COMMIT_STREAM, /* of an incoming stream's record */
    COMMIT_TENURE, /* request_id: the partition */
    COMMIT_SUSPECT_ANSWER,
    COMMIT_LOSS, /* request_id: the store */
    COMMIT_GENERATION,
    COMMIT_PROMISE, /* of a generation */
    COMMIT_FENCE,   /* request_id: the partition; target: which promise */
};
/** What to do once a batch is as durable as asked. */
struct commit_plan {
    enum commit_kind kind;
    struct net_address to;   /* ANSWER, PROPERTIES_ANSWER, SUSPECT_ANSWER, PROMISE: to whom */
    uint64_t request_id;     /* these: the asker's; TARGET, PROPERTIES: ours */
    struct request *request; /* TARGET: that one, while request_is says so */
    uint8_t target, attempt; /* TARGET */
    kvorum_status verdict;   /* ANSWER: said instead of OK */
    uint64_t generation;     /* PROMISE */
};
enum engine_durability replica_durability(const struct node *node, bool must_sync);
kvorum_status replica_submit(struct node *node, struct engine *store,
                             const struct engine_batch *batch, enum engine_durability durability,
                             const struct commit_plan *plan);
/** Store an object as it is, with the hint that goes with it when `stand_in`.  `before`: the
 *  repair_digest of what it replaces. */
kvorum_status replica_store(struct node *node, const struct key_address *address, uint64_t before,
                            struct bytes encoding, const struct target *target, bool must_sync,
                            const struct commit_plan *plan);
/** Merge `encoding`, which was read under `fence`, into what is stored and acknowledge by `plan`.
 *  WOULD_BLOCK as replica_read; FENCED.
 *  `ret_digest`: object_digest of what is stored when it is OK; or NULL. */
kvorum_status replica_merge(struct node *node, const struct key_address *address,
                            struct bytes encoding, uint64_t fence, const struct target *target,
                            bool must_sync, const struct commit_plan *plan, uint64_t *ret_digest);
/** The same for nobody's sake, now or when it would not block. */
void replica_merge_quietly(struct node *node, const struct key_address *address,
                           struct bytes encoding, uint64_t fence);
void replica_on_get(struct node *node, struct net_address from, const struct message *message);
void replica_on_merge(struct node *node, struct net_address from, const struct message *message);
void replica_done(struct node *node);

/* --- expiry.c: values whose deadline has come ------------------------------------------------- */

bool expiry_open(struct node *node);
void expiry_tick(struct node *node);
/** Into the batch that stores `encoding` under `key`: when to look at it again. */
kvorum_status expiry_add(struct node *node, struct engine_batch *batch, struct bytes key,
                         struct bytes encoding);
/** Deadlines until then are over by every clock of the cluster. */
uint64_t expiry_passed_ms(const struct node *node);
struct bytes expiry_from_insert(struct node *node, struct bytes encoding); /* a planted mistake */

#endif
