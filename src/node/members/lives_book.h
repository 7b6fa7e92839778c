/* SPDX-License-Identifier: Apache-2.0 */
/** The side of lives.h that is asked: the newest life of each other member, remembered on disk
 *  before it is answered.  The file `lives`:
 *
 *      offset size
 *       0     4    magic "KVL1" (the format version is its last byte)
 *       4     4    number of entries, at most LIVES_BOOK_MAX
 *       8    32    for each: node id, number of its newest life, id of that life
 *      end-8  8    XXH3-64 of all before */
#ifndef NODE_LIVES_BOOK_H
#define NODE_LIVES_BOOK_H

#include "cluster/ring/ring.h"
#include "node/members/life.h"
#include "node/node.h"

enum { LIVES_BOOK_MAX = RING_MEMBERS_MAX };

struct epoch_save;

struct lives_entry {
    struct node_id node;
    struct life_mark mark;
};

struct lives_book {
    struct lives_entry *entries; /* LIVES_BOOK_MAX */
    uint16_t count;
    struct epoch_save *save;
    /* while it is busy: */
    struct lives_entry next;
    uint16_t place;
    struct net_address asker;
};

/** Read the file, if there is one.  CORRUPT, NEWER_FORMAT, IO, NO_MEMORY; it has been logged. */
KVORUM_CHECKED kvorum_status lives_book_open(struct node *node, struct lives_book *book);
void lives_book_close(struct lives_book *book);
/** `life` of `id` asks: remember it if it follows, then answer.  One at a time: who comes meanwhile
 *  asks again. */
void lives_book_ask(struct node *node, struct lives_book *book, struct net_address from,
                    const struct node_id *id, const struct node_life *life);

/** Of the newest life of `id`; 0: none is remembered. */
uint64_t lives_book_number(const struct lives_book *book, const struct node_id *id);

/** The file's bytes. */
void lives_book_encode(const struct lives_entry *entries, uint16_t count, struct buffer *buffer);
KVORUM_CHECKED kvorum_status lives_book_decode(struct bytes bytes,
                                               struct lives_entry ret_entries[LIVES_BOOK_MAX],
                                               uint16_t *ret_count);

/** lives.c */
struct lives_book *lives_book_of(struct node *node);

#endif
