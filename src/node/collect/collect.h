/* SPDX-License-Identifier: Apache-2.0 */
/** Collecting tombstones, over the machines of cluster/collect/ (docs/decisions/0010).
 *
 *      collect.c         fences, asked by whoever reads, sends or stores an object
 *      collect_keep.c    fences on disk
 *      collect_behind.c  who is behind what was collected, or lost deletions, starts anew
 *      collect_clear.c   what goes for that, and what stays
 *      collect_member.c  answers to questions of a round: what is held here, promises, deleting
 *      collect_round.c   rounds that this shard proposes, of partitions whose first owner it is
 *      collect_scan.c    looking for old tombstones, and when
 *
 *  A shard keeps beside the objects of a partition, in the same store (docs/formats/fences.md):
 *
 *      'm' 'f' partition u16       the fence of the partition, and what was left behind by rounds
 *      'm' 'b'                     the epoch in which the store was first opened, empty; its id
 *
 *  Thread: the shard's. */
#ifndef NODE_COLLECT_H
#define NODE_COLLECT_H

#include "base/bytes.h"
#include "codec/frame.h"
#include "node/node.h"

struct commit_plan;
struct key_address;

KVORUM_CHECKED kvorum_status collect_open(struct node *node); /* behind handoff_open */
void collect_close(struct node *node);
void collect_tick(struct node *node);
struct heap_item *collect_timer(struct node *node);

/** What an object that is read now is read under; 0 where another shard has the partition. */
uint64_t collect_promised(const struct node *node, uint32_t partition);
/** The newest round that took anything, as far as is known here. */
uint64_t collect_committed(const struct node *node, uint32_t partition);
/** Somebody knows that round `committed` took something.  May drop all of the partition that other
 *  owners have. */
void collect_hear(struct node *node, uint32_t partition, uint64_t committed);
/** A store was salvaged, or is a copy that was put back: something may be missing in it. */
bool collect_is_rebuilt(const struct node *node);
/** It is behind, and keeps what it has until every other owner is there: no answers about it. */
bool collect_waits(const struct node *node, uint32_t partition);
/** An operator takes what waits as it is. */
void collect_on_accept(struct node *node);
/** How often all of the partition was dropped in this life. */
uint32_t collect_drops(const struct node *node, uint32_t partition);
/** May an object that was read under `under` be stored here?  If so it will be. */
bool collect_admits(struct node *node, const struct key_address *address, uint64_t under);
/** Only look: a write whose object was made under `under`. */
bool collect_is_current(struct node *node, const struct key_address *address, uint64_t under);
/** The object of `key` (its store key) has changed here. */
void collect_note(struct node *node, uint32_t partition, struct bytes key);

/** New dots of our actors have larger counters, new stamps are larger. */
uint64_t collect_counter_floor(const struct node *node, uint32_t partition);
uint64_t collect_stamp_floor(const struct node *node, uint32_t partition);
/** Goes into every actor that we write under there; 0: nothing was dropped. */
uint64_t collect_salt(const struct node *node, uint32_t partition);
/** The partition came to us, with nothing, by the move of `session`. */
void collect_on_tenure(struct node *node, uint32_t partition, uint64_t session);
/** A page of a stream comes from one whose stamps were collected up to there. */
void collect_see_stamp(struct node *node, uint32_t partition, uint64_t stamp);

/** What was damaged in a store between the two keys (upper empty: to the end) is gone.  What is
 *  there of it now may be older than what was collected, since deletions were lost too: what others
 *  have as well goes, where anything was. */
void collect_on_mended(struct node *node, uint16_t store, struct bytes lower, struct bytes upper);

void collect_on_question(struct node *node, struct net_address from, const struct message *message);
void collect_on_answer(struct node *node, struct net_address from, const struct message *message);
void collect_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status);

/** With `nowait`: WOULD_BLOCK. */
kvorum_status collect_is_empty(struct engine *store, bool nowait, struct bytes lower,
                               struct bytes upper, bool *ret_empty);

#endif
