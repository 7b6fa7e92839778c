/* SPDX-License-Identifier: Apache-2.0 */
/** What is owed to members that were away (cluster/handoff/): queues in the stores of this shard.
 *
 *      hints.c          the queues: taking a hint, counting, quotas
 *      hints_owe.c      what is owed later than its write, and marks
 *      hints_load.c     counting anew at the start
 *      hints_replay.c   walking through a queue: whose turn it is
 *      hints_turn.c     one turn: delivering, rewriting, removing
 *      hints_look.c     what a turn sees
 *      hints_lost.c     hints that rotted away
 *      hints_regain.c   hints of which half did
 *      suspect*.c       marks of dropped hints: having a partition compared
 *
 *  A hint is in the same store as the object it is about, so one batch changes both; a target's
 *  queue is one in each store, walked store after store, oldest first.  Usage is counted anew when
 *  the node starts.  Quotas are of the node: each shard has its part.
 *
 *  Thread: the shard's. */
#ifndef NODE_HINTS_H
#define NODE_HINTS_H

#include "cluster/handoff/hint.h"
#include "cluster/handoff/hint_pace.h"
#include "node/internal.h"

struct hint_queue {
    struct list link;
    struct node_id target;
    struct hint_usage used;
    uint64_t oldest;    /* order of the oldest hint, as far as is known; 0: none */
    uint32_t marks;     /* at most so many are in the stores */
    uint32_t marks_put; /* in this life */
    struct hint_pace pace;
    bool was_alive;
    bool undone; /* the last walk failed at something that may be done a moment later */
    bool unsure; /* there may be more than is counted: walked until a walk meets none */

    /* the walk through the queue, one page of one store at a time */
    bool walking, scanning;
    uint16_t store;
    uint64_t cursor;        /* order at which to go on there */
    uint64_t oldest_met;    /* of this walk */
    uint64_t walked_us;     /* the last one began */
    uint64_t walked_epoch;  /* and was in this epoch */
    uint64_t walked_stored; /* and so many hints had been taken by then, for anybody */

    /* after damage, the search for hints of which one half is there */
    bool regaining, regain_reading;
    bool regain_anew; /* there was more damage since the reading began */
    uint16_t regain_store;
    uint64_t regain_us; /* when to go on */

    bool suspecting; /* its marks are being read */
    uint64_t suspect_us;
};

enum { HINT_MARK_PUTS = 1024 };

/* Who has a suspicion on disk, of those whom it is handed to. */
struct hint_handover {
    struct node_id target;
    uint32_t partition, puts; /* puts: of the suspicion, when the first was asked */
    uint64_t epoch;           /* number of the one whose owners are asked; 0: nobody was */
    uint32_t asked;           /* bit: place among `owner_count` owners */
    uint16_t owner_count;
};

struct hints {
    uint32_t mark_puts[HINT_MARK_ORDER + 1][HINT_MARK_PUTS]; /* by hash of target and partition */
    struct hint_handover handovers[HINT_MARK_PUTS]; /* by the same hash: the last of each */
    struct list queues;
    struct hint_pace_config pace;
    struct hint_usage quota; /* of this shard, for each target */
    uint64_t horizon_ms;
    uint32_t regaining;     /* queues that are */
    bool paused;            /* nothing is delivered */
    uint64_t sent_size;     /* bytes delivered, or tried to be, in this life */
    uint64_t *collected_ms; /* by partition; NULL: nothing was ever collected */
};

/** The queue of `target`, made when it is not there; NULL: no memory. */
struct hint_queue *hints_queue(struct node *node, const struct node_id *target);
/** There may be marks of `target` in the stores. */
bool hints_marked(const struct node *node, const struct node_id *target);
/** RING_NO_MEMBER: it is none any more. */
uint16_t hints_target(const struct node *node, const struct hint_queue *queue);
/** Look again at `when_us`, or earlier. */
void hints_wake(struct node *node, uint64_t when_us);
/** Is this member an owner of the object? */
bool hints_is_owner(struct node *node, const struct key_address *address);
uint8_t hints_bucket_n(struct node *node, const struct key_address *address);
/** A hint left the store. */
void hints_uncount(struct node *node, struct hint_queue *queue, uint64_t size);
/** Into the batch: the partition of `target` is to be compared.  Nothing when the mark is there
 *  already, perhaps not durable yet: an empty batch waits for that. */
kvorum_status hints_put_mark(struct node *node, struct engine_batch *batch,
                             const struct node_id *target, uint32_t partition, enum hint_mark mark);

/** Where is remembered what it says, or that of another suspicion. */
struct hint_handover *hints_handover(struct node *node, const struct node_id *target,
                                     uint32_t partition);

/** What a store held between the keys (upper empty: to the end) is lost: whoever may have had hints
 *  there is suspected of lacking writes.  `counted`: it was lost in this life, so whoever had some
 *  is known.  OVERLOADED, NO_MEMORY: nobody is, yet. */
KVORUM_CHECKED kvorum_status hints_on_lost(struct node *node, uint16_t store, struct bytes lower,
                                           struct bytes upper, bool counted);
/** What a store held between the keys was lost, deletions of hints too: those that are back there
 *  are not counted. */
void hints_on_mended(struct node *node, struct bytes lower, struct bytes upper);
/** Something is owed to the member, or was suspected of lacking, as far as is known in this
 *  life. */
bool hints_owed(const struct node *node, const struct node_id *target);

/** Go through what the stores hold of the queue's hints, and give each that has lost its place or
 *  its index the other half again: no hint has a turn before that is over. */
void hints_regain_begin(struct node *node, struct hint_queue *queue);
void hints_regain(struct node *node, struct hint_queue *queue);

void hints_replay(struct node *node, struct hint_queue *queue);
/** When hints_replay has something to do; UINT64_MAX: when something happens. */
uint64_t hints_replay_us(struct node *node, struct hint_queue *queue);

/** How often this mark was put, in this life; others of its kind are counted with it, rarely: none
 *  of the other kind, for who hands a suspicion over may put an order each time. */
uint32_t *hints_mark_puts(struct node *node, const struct node_id *target, uint32_t partition,
                          enum hint_mark mark);
/** What kvorum tasks says of n/hints: no hint leaves while it is paused; bytes a second of this
 *  shard to one member, 0: no limit. */
void hints_pause(struct node *node, bool on);
void hints_limit(struct node *node, uint64_t rate);
#define HINTS_UNLIMITED (UINT64_C(1) << 40) /* bytes a second */

void suspect_tick(struct node *node, struct hint_queue *queue);

#endif
