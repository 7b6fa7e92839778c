/* SPDX-License-Identifier: Apache-2.0 */
/** Is this data directory the newest of its name?  A copy of yesterday that was put back cannot see
 *  that it is one, so it asks: each member remembers, on disk, the newest life (life.h) of every
 *  other that asked it, and tells when the one that asks now does not follow it.
 *
 *      start --> LIFE to all members, until each has answered
 *                 |-- it follows, and is remembered from now on
 *                 `-- it does not: the directory was put back; its life is renewed above the one
 *                     that is remembered there, and asks again
 *
 *  What depends on it:
 *
 *      the actor     A life writes under an actor of its own from the start.  It goes back to the
 *                    one that it inherited from a clean stop once *all* others have remembered it:
 *                    who asks later from an older copy is then told by each of them.
 *      the votes     No vote for the next epoch before a majority of the voters (with itself) has
 *                    answered, and everybody else who is not dead or has had LIVES_PATIENCE_US.
 *                    A directory that was put back may have forgotten promises about the next
 *                    epoch, and votes again for the one after it.
 *
 *  File `lives` (docs/formats/lives.md).  On shard 0 of a node that has a disk and a life; the
 *  other shards are only told the actor. */
#ifndef NODE_LIVES_H
#define NODE_LIVES_H

#include "node/members/life.h"
#include "node/node.h"

enum {
    LIVES_SOON_US = 20 * 1000,
    LIVES_RETRY_US = 500 * 1000,
    LIVES_PATIENCE_US = 30 * 1000 * 1000
};

struct lives;

KVORUM_CHECKED kvorum_status lives_open(struct node *node);
void lives_close(struct node *node);
struct heap_item *lives_timer(struct node *node); /* NULL: none */
void lives_tick(struct node *node);
/** The list of members is another one. */
void lives_on_members(struct node *node);
/** This directory knows what it promised about epoch `number`. */
bool lives_may_vote(const struct node *node, uint64_t number);

/** This directory was put back, and may have forgotten what it promised of the next epoch. */
bool lives_has_forgotten(const struct node *node);
/** ... or of the next line of epochs: it was put back in this line, or told by one ahead. */
bool lives_has_forgotten_line(const struct node *node);
/** The member in `slot` remembers this life, on its disk; so it would tell an older copy. */
bool lives_is_remembered_by(const struct node *node, uint16_t slot);
/** The number of this life, or of the newest one of `id` that this member remembers; 0: of none. */
uint64_t lives_number(const struct node *node);
uint64_t lives_number_of(const struct node *node, const struct node_id *id);

void lives_on_question(struct node *node, struct net_address from, const struct message *message);
void lives_on_answer(struct node *node, struct net_address from, const struct message *message);

#endif
