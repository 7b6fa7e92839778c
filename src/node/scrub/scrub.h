/* SPDX-License-Identifier: Apache-2.0 */
/** Rot in this shard's stores: found by reading all of them now and then, and by reads that meet
 *  it; what is lost with it is fetched from the other owners.
 *
 *      scrub step (now and then, on demand, or since a compaction met damage), or a read that met
 *      CORRUPT
 *        --> a *loss*: keys [lower, upper) of a store, in doubt from now on
 *        --> a new salt for our actors, and the loss, on disk       COMMIT_LOSS
 *        --> engine_mend: the damaged table without what is damaged (a job)
 *        --> hash trees of its partitions forgotten, compared with every other owner
 *        --> all of them compared: the loss is over
 *
 *  While a key is in doubt this member gives no answer to reads of it: what it has may be older
 *  than what it acknowledged.  Merges it takes, and they count.
 *
 *  Keys that no other member owns (n=1, or a cluster of one) nobody can refill: their loss stays,
 *  reads of them answer CORRUPT and say so, and it is over when an operator gives up what was there
 *  (node_scrub_accept).  Partitions with such a loss are not handed over before.
 *
 *  A version's counter is found again from what the store holds, and some of that is lost: so from
 *  a loss on, for ever, the store's shard writes under other actors (the salt).
 *
 *      scrub.c          steps, passes, on demand
 *      scrub_losses.c   which keys are in doubt
 *      scrub_records.c  that, on disk
 *      scrub_mend.c     damaged tables written anew
 *      scrub_refill.c   comparisons with the other owners
 *      scrub_start.c    opening on a store that is damaged
 *
 *  Beside the objects of a store stand (integers little-endian, but for the number in a key)
 *
 *      'w' 'a'               the salt u64
 *      'w' 'l' number u64    a loss: size of lower u32 | lower | upper (empty: to the end)
 *      'w' 'p'               when the last pass over the store ended: wall clock, ms, u64
 */
#ifndef NODE_SCRUB_H
#define NODE_SCRUB_H

#include "node/node.h"

struct commit_plan;
struct key_address;
struct repair_exchange;

/** Reads what the stores hold of it.  Before the other parts: where records of the node itself are
 *  damaged, the store is mended here and now. */
KVORUM_CHECKED kvorum_status scrub_open(struct node *node);
void scrub_close(struct node *node);
void scrub_tick(struct node *node);
struct heap_item *scrub_timer(struct node *node);

enum scrub_doubt {
    SCRUB_SOUND,
    SCRUB_DOUBT, /* what is here may be less than what this member acknowledged: give no answer */
    SCRUB_LOST,  /* the same, and nobody else can have it */
};
enum scrub_doubt scrub_judge(struct node *node, const struct key_address *address);
bool scrub_doubts_partition(struct node *node, uint32_t partition);
/** The store answered CORRUPT for `key`. */
void scrub_on_corrupt(struct node *node, uint32_t partition, struct bytes key);
/** The same somewhere in the partition. */
void scrub_on_corrupt_partition(struct node *node, uint32_t partition);
/** Goes into every actor that this shard writes under for the store of `partition`; 0: nothing was
 *  ever lost. */
uint64_t scrub_salt(const struct node *node, uint32_t partition);

void scrub_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status);
/** `exchange` is over; `whole`: the two replicas held the same then, of all its keys. */
void scrub_on_compared(struct node *node, const struct repair_exchange *exchange, bool whole);
/** What kvorum tasks asks of this shard: no step while paused; bytes a second, 0: no limit. */
void scrub_pause(struct node *node, bool on);
void scrub_limit(struct node *node, uint64_t rate);
/** Another shard of this member was asked to (node_scrub, node_scrub_accept). */
void scrub_on_begin(struct node *node);
void scrub_on_accept(struct node *node);

#endif
