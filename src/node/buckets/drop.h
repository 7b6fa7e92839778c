/* SPDX-License-Identifier: Apache-2.0 */
/** Dropping a bucket: a *generation* of it ends and another begins, docs/decisions/0011.
 *
 *  A generation is named by the stamp of the drop that began it; 0 names the first.  It is a part
 *  of every key in the stores (placement.c), so what belongs to an earlier one is in another place,
 *  wherever it comes from, and however late.
 *
 *      drop.c             what happens to messages of another generation
 *      drop_begin.c       somebody asks for a drop
 *      drop_decide.c      every member is asked, until the generation is decided
 *      drop_promise.c     being asked
 *      drop_keep.c        what no crash may take back: promises, and what objects are of
 *      property_drop.c    which one is in force: a register in the replicated table of properties
 *      reclaim.c          deleting what earlier ones left in the stores
 *
 *      node_drop_bucket --> shard 0: "may it be this one?" --> every member that is not known dead
 *          --> all of them, and a majority, said yes --> to the disk --> through all own shards
 *          --> into the table, and to every member, which does the same, and answers
 *
 *  Nobody goes by a generation that is on no disk, and no value is deleted for one that is not on
 *  the disk of the same node. */
#ifndef NODE_DROP_H
#define NODE_DROP_H

#include "node/node.h"

struct commit_plan;
struct key_address;
struct request;

/* --- which one ------------------------------------------------------------------------------- */

/** The generation in force here. */
uint64_t drop_generation(const struct node *node, struct bytes type, struct bytes bucket);
/** `address` is of an earlier one. */
bool drop_is_old(const struct node *node, const struct key_address *address);
/** A message about `address` came from `from`.  True: it is of an earlier generation, and refused
 *  with DROPPED; its sender is told which one is in force.  A later one is in force here from now
 *  on. */
bool drop_refuses(struct node *node, struct net_address from, const struct key_address *address);
/** For a write that this member is to coordinate, begun by somebody who knew `pinned`: put it into
 *  `address`.  DROPPED: we know a later one. */
KVORUM_CHECKED kvorum_status drop_pin(struct node *node, struct key_address *address,
                                      uint64_t pinned);

/** For clients of a request that met a later generation under way. */
extern const char drop_retry_reason[];

/* --- deciding -------------------------------------------------------------------------------- */

KVORUM_CHECKED kvorum_status drop_open(struct node *node);
void drop_close(struct node *node);
void drop_on_question(struct node *node, struct net_address from, const struct message *message);
void drop_on_answer(struct node *node, struct net_address from, const struct message *message);
void drop_on_deadline(struct node *node, struct request *request);
/** What request `id` of shard 0 is about to decide is on disk here. */
void drop_on_stored(struct node *node, uint64_t id, kvorum_status status);
/** What was promised is on disk, or is not. */
void drop_on_promised(struct node *node, const struct commit_plan *plan, kvorum_status status);
/** A generation that is being decided here, and goes to the disk before anybody goes by it; 0. */
uint64_t drop_staged(const struct node *node, struct bytes type, struct bytes bucket);
/** Every shard of this node knows what request `id` of shard 0 is about to decide. */
void drop_on_everywhere(struct node *node, uint64_t id);
/** A member died, or there are others. */
void drop_on_members(struct node *node);

/* --- drop_keep.c ------------------------------------------------------------------------------ */

/** An object of `address` goes into `node->batch`: its generation goes along, unless that is on
 *  this node's disk. */
KVORUM_CHECKED kvorum_status drop_prove(struct node *node, const struct key_address *address);
/** On shard 0: `plan` is carried out when the promise is on disk. */
KVORUM_CHECKED kvorum_status drop_keep_promise(struct node *node, uint64_t generation,
                                               const struct commit_plan *plan);
/** Append it to node->batch once more, if there is one: the disk may have lost it. */
KVORUM_CHECKED kvorum_status drop_put_promise(struct node *node);
/** What the stores of this shard keep is known from now on.  *ret_promised stays where nothing was
 *  promised. */
KVORUM_CHECKED kvorum_status drop_keep_load(struct node *node, uint64_t *ret_promised);

/* --- property_drop.c, property_table.c -------------------------------------------------------- */

/** On shard 0: write the bucket's record as drop_staged has it; then drop_on_stored. */
KVORUM_CHECKED kvorum_status property_store_generation(struct node *node, uint64_t request_id,
                                                       struct bytes type, struct bytes bucket);
/** On shard 0: put the generation into force everywhere; then `on_answer`. */
void property_decide_generation(struct node *node, struct bytes type, struct bytes bucket,
                                uint64_t generation, node_answer_fn on_answer, void *context);
/** On shard 0, of several: tell the others; drop_on_everywhere when they all know.  False: no
 *  memory. */
bool property_pass_round(struct node *node, uint64_t request_id, struct bytes type,
                         struct bytes bucket, uint64_t generation);
/** Somebody goes by a later generation of this bucket than we do. */
void property_hear(struct node *node, const struct key_address *address);
/** A store of this shard holds objects of this generation, which is later than the one that the
 *  table came with: it is in force from the start. */
KVORUM_CHECKED kvorum_status property_find_proven(struct node *node,
                                                  const struct key_address *address);
/** Send `from`'s member the bucket's record. */
void property_tell(struct node *node, struct net_address from, struct bytes type,
                   struct bytes bucket);

/** A bucket whose earlier generations are still in the stores of this shard, as far as is known. */
struct drop_due {
    struct bytes type, bucket; /* valid until the table changes */
    uint64_t generation;       /* the first that stays */
};
bool property_first_due(const struct node *node, struct drop_due *ret);
uint32_t property_count_due(const struct node *node);
/** Every bucket that was ever dropped is due once more.  False: there is none. */
bool property_all_due(struct node *node);
/** They are gone. */
void property_reclaimed(struct node *node, const struct drop_due *done);

/* --- reclaim.c ------------------------------------------------------------------------------- */

KVORUM_CHECKED kvorum_status reclaim_open(struct node *node);
void reclaim_close(struct node *node);
void reclaim_tick(struct node *node);
struct heap_item *reclaim_timer(struct node *node);
/** There may be something to reclaim. */
void reclaim_wake(struct node *node);
/** Tables of `store` were written anew without what was damaged. */
void reclaim_again(struct node *node, uint16_t store);
void reclaim_pause(struct node *node, bool on);
void reclaim_limit(struct node *node, uint64_t rate); /* bytes a second; 0: none */

#endif
