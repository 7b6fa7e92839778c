/* SPDX-License-Identifier: Apache-2.0 */
/** Recovering from a lost majority of voters (docs/decisions/0012): all who are left decide the
 *  first epoch of a new line, in which the lost ones are no members.
 *
 *      an operator --> plan: LOOK, to everybody                                  (recover_look.c)
 *                  --> do:   LOOK, PREPARE, ACCEPT --> decided, adopted, told     (recover_ask.c)
 *                  <-- what they say                                             (recover_told.c)
 *      everybody   <-- promises and accepts, on disk, and from then on has no part in the old line
 *                                                                                 (recover_vote.c)
 *      what it means, and whether it may be                                     (recover_judge.c)
 *      in words and numbers                                                    (recover_report.c)
 *      what will not work afterwards                               (recover_warn.c, outlook.c)
 *      asked on another shard than 0                                                 (recover.c)
 *
 *  File `recovery` (docs/formats/votes.md).  On shard 0 of a node that keeps epochs. */
#ifndef NODE_RECOVER_H
#define NODE_RECOVER_H

#include "base/buffer.h"
#include "base/heap.h"
#include "base/list.h"
#include "cluster/epoch/acceptor.h"
#include "cluster/epoch/change.h"
#include "cluster/epoch/recovery.h"
#include "codec/peer.pb-c.h"
#include "node/node.h"

struct recover;
struct request;

struct recover_order {
    bool does;               /* else it is a plan only */
    const char *const *lost; /* names; copied */
    uint16_t lost_count;     /* at most RING_MEMBERS_MAX */
    uint64_t expected;       /* the epoch that the plan was made for; 0: any */
    bool switched_off;       /* the operator vouches that the lost ones are */
};

/** The report lives for the call. */
typedef void (*recover_report_fn)(void *context, const Peer__RecoverReport *report);

/** Plan a recovery, or carry it out.  `on_report` is told once, at the latest after some seconds
 *  (RECOVER_TIMEOUT_US), with a status:
 *  OK           a plan: it may be done.  Done: the new line is decided and in force on this node
 *  NOT_FOUND    a name is no member's           NOT_ALLOWED, INVALID  `reason` says why
 *  CONFLICT     the plan was made for another epoch, or somebody else's recovery came first
 *  UNAVAILABLE  nothing was changed             TIMEOUT  it may still come to be: do it again
 *  UNSUPPORTED, OVERLOADED, GONE, NO_MEMORY.
 *  On any shard.  A second one on the same node meanwhile is OVERLOADED. */
void node_recover(struct node *node, const struct recover_order *order, recover_report_fn on_report,
                  void *context);

KVORUM_CHECKED kvorum_status recover_open(struct node *node);
void recover_close(struct node *node);
struct heap_item *recover_timer(struct node *node); /* NULL: none */
void recover_tick(struct node *node);
/** This node accepted the beginning of a newer line than that of epoch `number`, and has no part in
 *  what is decided there. */
bool recover_fences(const struct node *node, uint64_t number);
/** `record` is in force. */
void recover_on_adopted(struct node *node, struct bytes record);
void recover_on_message(struct node *node, struct net_address from, const struct message *message);
void recover_on_answer(struct node *node, struct net_address from, const struct message *message);
void recover_on_deadline(struct node *node, struct request *request);

/* --- among the files of it ------------------------------------------------------------------ */

enum {
    RECOVER_LOOK_LEAST_US = 1000 * 1000, /* for those who are named as lost, and are not */
    RECOVER_LOOK_MOST_US = 4 * 1000 * 1000,
    RECOVER_TIMEOUT_US = 12 * 1000 * 1000,
    RECOVER_SLACK_US = 1000 * 1000,
};

enum recover_ask {
    RECOVER_ASK_LOOK = 1,
    RECOVER_ASK_PREPARE,
    RECOVER_ASK_ACCEPT,
    RECOVER_ASK_PLAN,
    RECOVER_ASK_DO
};

/** Of a request that another shard hands to shard 0; in its arena. */
struct recover_wish {
    recover_report_fn on_report;
    void *context;
};

/** What is accepted: a record, and whom no attempt at it can have done without.  As bytes: how many
 *  u16, their slots u16 each, the record. */
struct recover_proposal {
    bool needed[RING_MEMBERS_MAX];
    struct bytes record; /* a view */
};

/** What a member said last. */
struct recover_told {
    bool answered;
    bool put_back;
    bool forgetful; /* it may have accepted a recovery, and have forgotten it */
    bool waits;     /* until others have told it whether it was put back */
    uint64_t epoch, heard;
    uint64_t life;
};

/** One order, from its beginning to its report. */
struct recover_errand {
    bool active, looking;
    bool proposed; /* ACCEPT was sent: it may come to be */
    struct arena arena;
    struct recover_order order;
    recover_report_fn on_report;
    void *context;
    uint64_t begun_us, resend_us, look_us;
    uint64_t line;                                       /* that is to begin */
    uint64_t round;                                      /* names answers to LOOK */
    bool lost[RING_MEMBERS_MAX], left[RING_MEMBERS_MAX]; /* by slot of the epoch in force */
    struct recover_told told[RING_MEMBERS_MAX];
    struct ballot accepted[RING_MEMBERS_MAX]; /* of this line, by each who answered */
    uint64_t values[RING_MEMBERS_MAX];        /* digests of these records; 0: nothing */
    struct buffer begun;                      /* the proposal accepted under the newest of these */
    uint64_t voted;                           /* newest epoch that a voter who is left accepted */
    struct ballot voted_ballot;
    struct buffer vote;     /* its record, under the newest ballot */
    struct buffer record;   /* what is proposed, without and */
    struct buffer proposal; /* with whom it needs */
};

struct recover {
    /* who is asked */
    struct acceptor acceptor; /* its number is a line's */
    struct buffer accepted;
    struct epoch_save *save;
    struct net_address asker;
    enum recover_ask asked;
    uint64_t told_number; /* what it said with its last promise that it had accepted as a voter */
    struct ballot told;
    /* who asks */
    struct heap_item timer;
    struct recovery machine;
    struct recover_errand errand;
    struct list shards; /* other shards of this node that asked, and wait */
};

/** What is to be proposed, and whether it may be. */
struct recover_plan {
    kvorum_status status;
    const char *why;
    struct recover_proposal begun; /* before, under the newest ballot, where anything was */
    bool ended;                    /* it may be decided, and nothing else may be */
    struct epoch base;             /* that it goes on from */
    bool from_vote;                /* which is in force nowhere */
    struct epoch now;              /* in force here */
    struct change_plan change;
    bool filled; /* `change` is there */
    unsigned voters_answer;
    uint64_t heard; /* above base: spoken of, and held by nobody who is left; 0: none */
};

/* recover_vote.c */
void recover_proposal_write(const bool *needed, struct bytes record, struct buffer *buffer);
/** False: it is malformed. */
bool recover_proposal_read(struct bytes bytes, struct recover_proposal *ret);
kvorum_status recover_vote_load(struct node *node);
kvorum_status recover_vote_write(struct disk *disk, struct bytes bytes);
void recover_vote_saved(struct node *node, kvorum_status status);
void recover_vote_on_look(struct node *node, struct net_address from,
                          const struct message *message);
void recover_vote_on_prepare(struct node *node, struct net_address from,
                             const struct message *message, const Peer__Recover *body);
void recover_vote_on_accept(struct node *node, struct net_address from,
                            const struct message *message, const Peer__Recover *body);

/* recover_look.c */
/** In the epoch in force. */
bool recover_is_member(const struct node *node, uint16_t slot);
/** Begin the errand's look at everybody, perhaps anew; it may be the end of it. */
void recover_look(struct node *node);
/** Ask again, and judge when enough was told; nothing when nobody looks. */
void recover_look_tick(struct node *node);
void recover_look_on_answer(struct node *node, uint16_t slot, const struct message *message,
                            const Peer__RecoverAnswer *body);

/* recover_told.c */
/** Of all, or of those who are left. */
void recover_told_forget(struct recover_errand *errand, bool all);
/** False: the answer is malformed. */
bool recover_told_take(struct node *node, uint16_t slot, const Peer__RecoverAnswer *body,
                       struct bytes tail);

/* recover_ask.c */
void recover_begin(struct node *node, const struct recover_order *order,
                   recover_report_fn on_report, void *context);
void recover_ask_tick(struct node *node);
void recover_ask_on_answer(struct node *node, struct net_address from,
                           const struct message *message, const Peer__RecoverAnswer *body);
void recover_ask_on_adopted(struct node *node, struct bytes record);
/** A step of the errand's machine, and what follows from it. */
void recover_step(struct node *node, struct recovery_event event);
void recover_send(struct node *node, uint16_t slot, enum recover_ask ask, struct bytes record);
/** The errand is over, and reported. */
void recover_end(struct node *node, kvorum_status status, const char *reason);
void recover_end_judged(struct node *node, const struct recover_plan *plan);

/* recover_judge.c */
/** By what was told so far; memory is `arena`'s. */
void recover_judge(struct node *node, struct arena *arena, struct recover_plan *ret);
/** "n3, n4"; in the scratch arena. */
const char *recover_names(struct node *node,
                          bool (*is_named)(const struct node *node, uint16_t slot));

/* recover_report.c */
void recover_report(struct node *node, const struct recover_plan *plan, kvorum_status status,
                    const char *reason);
/** What will not work afterwards, by recover_warn.c; in the scratch arena.  False: no memory. */
bool recover_warn(struct node *node, const struct recover_plan *plan, Peer__RecoverReport *ret);
/** Nothing but a status. */
void recover_refuse(recover_report_fn on_report, void *context, kvorum_status status,
                    const char *reason);

#endif
