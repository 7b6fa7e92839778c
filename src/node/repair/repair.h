/* SPDX-License-Identifier: Apache-2.0 */
/** Anti-entropy of one shard: a hash tree for each partition replica and n in use, kept on every
 *  write; exchanges with the other owners of each partition, in the background.
 *
 *      replica.c --repair_note--> trees <--recall-- scans of the store, a chunk at a time (jobs)
 *                                   |
 *      timer --> schedule --> exchange (cluster/repair) --> questions, merges, pushes
 *                                   ^                           |
 *      read repair, a member back --+ repair_suspect            v
 *                                                     the other member's repair_answer.c
 *
 *  A tree is of a partition and a number of replicas: buckets with other n have other owners, and
 *  keys that only one of two members owns must not make their trees differ.
 *
 *      repair.c           open, close, the timer; a look around
 *      repair_pairs.c     which pairs of replicas there are
 *      repair_pass.c      all of them in the hour
 *      repair_suspects.c  those that may differ, soon
 *      repair_demand.c    those that somebody asked for, now
 *      repair_outcome.c   what an exchange that ended tells
 *      repair_tree.c      trees: notes of writes, memory
 *      repair_tree_scan.c computing them
 *      repair_scan.c      reading a piece of a partition in a job
 *      repair_exchange.c  carrying out an exchange that we began
 *      repair_exchanges.c all of them
 *      repair_keys.c      its keys: listed on both sides
 *      repair_objects.c   its objects: fetched and merged, or pushed
 *      repair_answer.c    answering questions of others
 *      repair_keep.c      trees over a clean restart
 *      repair_wire.c      tails of frames
 */
#ifndef NODE_REPAIR_H
#define NODE_REPAIR_H

#include "cluster/repair/exchange.h"
#include "node/node.h"
#include "node/repair/repair_wire.h"

struct key_address;
struct request;

#define REPAIR_UNKNOWN UINT64_MAX /* a digest that would cost too much to know */

/* --- for the rest of the node ---------------------------------------------------------------- */

KVORUM_CHECKED kvorum_status repair_open(struct node *node);
void repair_close(struct node *node);
void repair_tick(struct node *node);

/** What repair_note wants to know of an encoding in partition `number`: its digest; 0: empty, no
 *  object; REPAIR_UNKNOWN while no tree is kept of it, and above a size where hashing would hold up
 *  the shard.  Such a write marks its leaf. */
uint64_t repair_digest(const struct node *node, uint32_t number, struct bytes encoding);
/** repair_note is about to be called for `key`.  Only fetches the leaf into the cache meanwhile (of
 *  the newest tree: nearly always there is one); says and changes nothing. */
void repair_expect(const struct node *node, uint32_t number, struct bytes key);
/** An object of partition `number` (`key` in its store) was written over `before`.  Called as soon
 *  as the store shows it. */
void repair_note(struct node *node, uint32_t number, struct bytes key, uint64_t before,
                 uint64_t after);
/** A bucket has another n: its keys belong to other trees.  All are computed anew. */
void repair_forget_trees(struct node *node);
/** Objects of earlier generations of a bucket, which are in no tree that is computed by now, have
 *  gone from the partition. */
void repair_forget_partition(struct node *node, uint32_t number);

/** The replicas of `partition` here and at `member` (RING_NO_MEMBER: at any other owner) may
 *  differ: compare them soon.  Often said of one partition it is heard once in a while. */
void repair_suspect(struct node *node, uint32_t partition, uint16_t member);

/** The epoch in force has changed since that of number `former`: exchanges about partitions, or
 *  with slots, that have changed end, and begin again where the two are still owners. */
void repair_on_adopted(struct node *node, uint64_t former);

/** A member was removed that did not part by itself: what it held for others is lost, and owners
 *  may differ by that.  Compared soon. */
void repair_on_lost(struct node *node);

/** Somebody may lack writes of partition `number` that we have now (a mark, node/hints/suspect.c):
 *  only comparisons that begin from here on settle that (hints_compared). */
void repair_on_mark(struct node *node, uint32_t number);

void repair_on_question(struct node *node, struct net_address from, const struct message *message);
void repair_on_answer(struct node *node, struct net_address from, const struct message *message);
/** What node_repair began, on this shard: no pair is begun while it is paused; bytes a second, 0:
 *  no limit; given up: the pairs that are left count as failed. */
void repair_pause(struct node *node, bool on);
void repair_limit(struct node *node, uint64_t rate);
void repair_cancel(struct node *node, uint64_t until_us);
/** The pass over all pairs in the background rests. */
void repair_pass_pause(struct node *node, bool on);
/** Of a push (REQUEST_REPAIR), also its deadline. */
void repair_on_pushed(struct node *node, struct request *request, kvorum_status status);

#endif
