/* SPDX-License-Identifier: Apache-2.0 */
/** A voter's part in deciding the next epoch: the acceptor of single-decree Paxos (Lamport, "Paxos
 *  Made Simple", 2001), anew for each epoch number.
 *
 *      IDLE --- PREPARE or ACCEPT that it may follow ---> SAVING --- SAVED ---> IDLE, and answer
 *                                                            `---- FAILED --> IDLE, no answer
 *
 *  What it promised or accepted is on disk before the answer leaves: an acceptor that forgets is
 *  another acceptor, and two halves of the voters could then decide two epochs with one number.
 *  While it is saving it answers nobody else; who is not answered asks again.
 *
 *  A value is known here by its 64-bit digest; the caller keeps the bytes.  Pure: no clock, file or
 *  memory of its own.  It votes as the data directory it was loaded from; one that was wiped is
 *  nobody's acceptor, which the list of voters sees to: it names directories.  One that was put
 *  back to an older copy is kept from voting by its caller: node/members/lives.h. */
#ifndef CLUSTER_EPOCH_ACCEPTOR_H
#define CLUSTER_EPOCH_ACCEPTOR_H

#include "cluster/epoch/ballot.h"

enum acceptor_event_kind {
    ACCEPTOR_PREPARE, /* `number`, `ballot` */
    ACCEPTOR_ACCEPT,  /* the same, and `value` */
    ACCEPTOR_SAVED,   /* what `save` asked for is on disk */
    ACCEPTOR_FAILED,  /* ... or perhaps not */
    ACCEPTOR_DECIDED, /* epoch `number` is in force here, and persisted */
};

struct acceptor_event {
    enum acceptor_event_kind kind;
    uint64_t number;
    struct ballot ballot;
    uint64_t value; /* digest */
};

enum acceptor_answer {
    ACCEPTOR_NO_ANSWER,
    ACCEPTOR_PROMISE,  /* for `ballot`; with what was accepted before, if anything */
    ACCEPTOR_ACCEPTED, /* for `ballot` */
    ACCEPTOR_REFUSE,   /* `ballot` is older than `promised` */
    ACCEPTOR_OLD,      /* this number is decided: the asker should fetch */
    ACCEPTOR_NEW,      /* we do not hold the epoch before this number: we should fetch */
};

struct acceptor_effects {
    bool save;                   /* write the state, then SAVED or FAILED; the answer waits */
    enum acceptor_answer answer; /* to whoever asked; after `save`, to the one who asked then */
    struct ballot ballot;        /* that the answer is about */
};

struct acceptor {
    uint64_t number;                /* of the epoch that is being decided */
    struct ballot promised;         /* nothing older is followed */
    struct ballot accepted;         /* none, or the newest that was */
    uint64_t value;                 /* accepted with it */
    bool saved;                     /* all of this is on disk, or is nothing */
    enum acceptor_answer answering; /* while saving */
    struct ballot asked;            /* while saving */
};

/** The acceptor for the epoch after `in_force`, which has promised nothing yet. */
void acceptor_init(struct acceptor *acceptor, uint64_t in_force);
/** The same, from what was saved; ignored when that was for a number which is decided since. */
void acceptor_load(struct acceptor *acceptor, uint64_t in_force, const struct acceptor *saved);
void acceptor_step(struct acceptor *acceptor, const struct acceptor_event *event,
                   struct acceptor_effects *ret);
static inline bool acceptor_is_saving(const struct acceptor *acceptor)
{
    return acceptor->answering != ACCEPTOR_NO_ANSWER;
}

#endif
