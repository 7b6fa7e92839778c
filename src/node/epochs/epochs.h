/* SPDX-License-Identifier: Apache-2.0 */
/** The epoch in force on this shard, and how it becomes another.
 *
 *      somebody asks --> a wish (epochs_ask.c), made into the next epoch (epochs_change.c)
 *                                             |
 *                           proposer (epochs_propose.c) --> voters (epochs_vote.c) --> decided
 *                                       ^                    |                       |
 *                                       `- (epochs_finish.c) |                       |
 *                                          nothing came of it                        |
 *      a message tells of a newer one --> fetched from its sender (epochs_gate.c) ---+
 *                                                                                    v
 *      shard 0: written and synced, then adopted (epochs.c), then told to the other shards
 *
 *  An epoch is adopted on no shard before it is on this node's disk, so nobody acts here on what a
 *  crash could take back.  Members keep their slots from epoch to epoch, so requests in flight go
 *  on with the targets they have.
 *
 *  Messages that name a partition carry the sender's epoch.  One from somebody who knows more
 *  waits, in a bounded list, until we do too; one from somebody who knows less is refused with
 *  WRONG_EPOCH if the partition has changed since, and its sender sees our number and fetches. */
#ifndef NODE_EPOCHS_H
#define NODE_EPOCHS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/heap.h"
#include "base/list.h"
#include "cluster/epoch/acceptor.h"
#include "cluster/epoch/change.h"
#include "cluster/epoch/proposer.h"
#include "node/node.h"

struct epochs;
struct request;

KVORUM_CHECKED kvorum_status epochs_open(struct node *node);
void epochs_close(struct node *node);
void epochs_tick(struct node *node);
struct heap_item *epochs_timer(struct node *node);

/** Somebody goes by a newer epoch than we do. */
bool epochs_is_behind(const struct node *node);
/** Look at the epoch of a message before it is handled.  False: it waits, or was refused. */
bool epochs_admit(struct node *node, struct net_address from, const struct message *message);
/** The owners of `partition`, or its move, changed in an epoch after `number`. */
bool epochs_changed_since(const struct node *node, uint32_t partition, uint64_t number);
/** Another member took `slot` in an epoch after `number`. */
bool epochs_slot_changed_since(const struct node *node, uint16_t slot, uint64_t number);

void epochs_on_request(struct node *node, struct net_address from, const struct message *message);
void epochs_on_record(struct node *node, struct net_address from, const struct message *message);
void epochs_on_ballot(struct node *node, struct net_address from, const struct message *message);
void epochs_on_vote(struct node *node, struct net_address from, const struct message *message);
void epochs_on_change(struct node *node, struct net_address from, const struct message *message);
void epochs_on_change_answer(struct node *node, struct net_address from,
                             const struct message *message);
void epochs_on_deadline(struct node *node, struct request *request); /* of such a change */

/* --- among the files of it ------------------------------------------------------------------ */

enum {
    EPOCH_RECORD_MAX = 16 << 20,
    LATE_MESSAGES_MAX = 1024,
    LATE_SIZE_MAX = 16 << 20,
    CHANGES_WAITING_MAX = 64,
    EPOCH_RETRY_US = 300 * 1000,
    CHANGE_TIMEOUT_US = 10 * 1000 * 1000,
    VOTES_MAGIC_SIZE = 4,
};

/** A file being written by a job; one at a time of each file. */
struct epoch_save {
    struct job job;
    struct node *node; /* NULL: it went away */
    struct disk *disk;
    struct buffer bytes;
    bool busy;
    kvorum_status status;
    kvorum_status (*write)(struct disk *disk, struct bytes bytes);
    void (*done)(struct node *node, kvorum_status status);
};

/** A change that somebody waits for. */
struct epoch_wish {
    struct list link;
    struct change_request request;
    node_answer_fn on_answer;
    void *context;
    uint64_t deadline_us;
    uint64_t number; /* that it was proposed for last; 0: not yet */
};

/** Of the next epoch; anew with each. */
struct epoch_finish {
    uint64_t since_us; /* when this voter accepted, or tried, last, or this life began */
    uint64_t end_us;   /* of the attempt that is under way */
    unsigned in_vain;  /* attempts */
};

struct epochs {
    struct heap_item timer;
    /* In force: two places, so that what was handed out lives on until the next change. */
    struct arena arenas[2];
    struct epoch copies[2];
    unsigned place;
    uint64_t *row_since;  /* by partition: the epoch in which its owners or its move changed last */
    uint64_t *slot_since; /* by slot, RING_MEMBERS_MAX: the epoch in which another took it */

    /* Behind. */
    uint64_t heard;            /* the highest number that anybody spoke of */
    struct net_address teller; /* who did */
    uint64_t asked_us;         /* when we asked last; 0: not since */
    struct list late;          /* messages, in order */
    size_t late_count, late_size;

    /* Shard 0 from here on. */
    struct epoch_save *record_save, *votes_save; /* freed by their job, if one is under way */
    struct acceptor acceptor;
    struct buffer accepted; /* the record that it accepted */
    struct epoch_finish finish;
    struct net_address asker;
    struct proposer proposer;
    struct buffer own, carried; /* records: ours, and what a promise made us propose instead */
    uint64_t proposing;         /* the number; 0: nothing */
    struct epoch_wish *current; /* being worked on */
    bool planning;              /* in a job, what it wishes for */
    struct list wishes;         /* behind it, by deadline */
    size_t wish_count;
};

/* epochs.c */
/** Save and adopt a record that is decided; takes a copy.  Nothing when it is not newer. */
void epochs_learn(struct node *node, struct bytes record);
void epochs_arm(struct node *node);
/** Own: ended by epochs_save_leave, also while it is busy.  NULL: no memory. */
struct epoch_save *epochs_save_open(kvorum_status (*write)(struct disk *disk, struct bytes bytes),
                                    void (*done)(struct node *node, kvorum_status status));
void epochs_save_leave(struct epoch_save *save);
/** Write `bytes` by `save`, in a job where there are jobs; then `done`. */
void epochs_save(struct node *node, struct epoch_save *save);

/* epochs_left.c */
/** This node is none by epoch `number`, whose `record` is on its disk; on shard 0. */
void epochs_on_left(struct node *node, uint64_t number, struct bytes record);

/* epochs_gate.c */
void epochs_fetch(struct node *node);
void epochs_hear(struct node *node, uint64_t number, struct net_address teller);
/** Our epoch, to whoever is behind. */
void epochs_send_record(struct node *node, struct net_address to);
void epochs_deliver_late(struct node *node);
void epochs_drop_late(struct node *node);

/* epochs_vote.c */
kvorum_status votes_load(struct node *node);
kvorum_status votes_write(struct disk *disk, struct bytes bytes);
/** The format of the file `votes`, under any magic of which the last byte is the version. */
void votes_encode(const uint8_t magic[VOTES_MAGIC_SIZE], const struct acceptor *acceptor,
                  struct bytes record, struct buffer *buffer);
/** `ret_record` points into `bytes`.  CORRUPT, NEWER_FORMAT. */
KVORUM_CHECKED kvorum_status votes_decode(const uint8_t magic[VOTES_MAGIC_SIZE], struct bytes bytes,
                                          struct acceptor *ret, struct bytes *ret_record);
void votes_on_saved(struct node *node, kvorum_status status);
void votes_on_adopted(struct node *node);

/* epochs_propose.c */
/** Get `own` decided, as the epoch after the one in force. */
void epochs_propose(struct node *node);
void epochs_propose_stop(struct node *node);
void epochs_propose_tick(struct node *node);
uint64_t epochs_propose_deadline_us(const struct node *node);
/** An epoch is decided here, and about to be adopted. */
bool wishes_decided(const struct node *node);
/** The record of the epoch in force to every other member, where it is small. */
void epochs_push(struct node *node, struct bytes record);
/** Its place among those who vote for the epoch after this one; -1: it does not. */
int epochs_voter_of(const struct epoch *epoch, uint16_t member);

/* epochs_finish.c */
/** This voter accepted a record of the next epoch, and does not know what came of it. */
bool epochs_undecided(const struct node *node);
void finish_on_accepted(struct node *node);
void finish_on_adopted(struct node *node);
void finish_tick(struct node *node);
uint64_t finish_deadline_us(const struct node *node);

/* epochs_change.c */
extern const char wishes_lost_track[]; /* of a change: why its outcome is unknown */
void wishes_begin(struct node *node);
/** What epochs_plan_beside came to, for the wish that is worked on: `record` on OK. */
void wishes_planned(struct node *node, kvorum_status status, struct bytes record, const char *why);
void wishes_on_adopted(struct node *node, struct bytes record);
void wishes_tick(struct node *node);
uint64_t wishes_deadline_us(const struct node *node);

/* epochs_ask.c */
void wishes_drop(struct node *node);

/* epochs_plan.c */
/** It would hold up the shard. */
bool epochs_plans_beside(const struct node *node);
/** The next epoch is made in a job; then wishes_planned, unless another one is in force by then.
 *  False: no memory. */
bool epochs_plan_beside(struct node *node, const struct change_request *request);

#endif
