/* SPDX-License-Identifier: Apache-2.0 */
/** Getting an epoch decided: the proposer of single-decree Paxos, for one number at a time.
 *
 *      IDLE -- START --> PREPARING -- majority promised --> ACCEPTING -- majority accepted --> DECIDED
 *                          ^   \_____________ refused ________/
 *                          |                    v
 *                          `---- later ---- WAITING
 *
 *  A voter that does not answer is asked again, with the same ballot and the same value: silence
 *  says nothing about what it did.  A proposer that learns of an accepted value proposes that one
 *  instead of its own; its owner finds out when the number is decided, and may try again with the
 *  next number.  Two proposers that keep refusing each other's ballots wait a random time, twice as
 *  long each time.
 *
 *  A value is known here by its 64-bit digest; the caller keeps the bytes.  Pure: time and chance
 *  come with the event. */
#ifndef CLUSTER_EPOCH_PROPOSER_H
#define CLUSTER_EPOCH_PROPOSER_H

#include "cluster/epoch/ballot.h"

enum { PROPOSER_VOTERS_MAX = 7 };

enum proposer_state {
    PROPOSER_IDLE,
    PROPOSER_PREPARING,
    PROPOSER_ACCEPTING,
    PROPOSER_WAITING, /* somebody else's ballot was newer: a moment's rest */
    PROPOSER_DECIDED,
};

enum proposer_event_kind {
    PROPOSER_START,    /* get `value` decided among `voter_count` voters, as good as it goes */
    PROPOSER_PROMISE,  /* from `voter`, for `ballot`, with what it accepted under `accepted` */
    PROPOSER_ACCEPTED, /* from `voter`, for `ballot` */
    PROPOSER_REFUSED,  /* from `voter`, for `ballot`: it promised `accepted` */
    PROPOSER_TICK,
    PROPOSER_STOP, /* somebody's epoch is decided, or nobody cares any more */
};

struct proposer_event {
    enum proposer_event_kind kind;
    uint64_t now_us, random; /* always */
    uint8_t voter;           /* 0..voter_count */
    uint8_t voter_count;     /* START */
    struct ballot ballot;
    struct ballot accepted; /* PROMISE: none, or with `value`; REFUSED: the newer ballot */
    uint64_t value;
};

struct proposer_effects {
    uint32_t prepare; /* send PREPARE(ballot) to these voters, a bit each */
    uint32_t accept;  /* send ACCEPT(ballot, value) to these */
    bool carry;       /* the value of this event is what we propose now: keep its bytes */
    bool decided;     /* `value` is */
    uint64_t next_tick_us;
};

struct proposer {
    enum proposer_state state;
    uint8_t voter_count;
    uint64_t life;         /* ballot.proposer */
    uint64_t counter;      /* highest that was used or seen */
    struct ballot ballot;  /* of this attempt */
    uint64_t own;          /* what START asked for */
    uint64_t value;        /* what this attempt proposes: ours, or the one below */
    struct ballot carried; /* the newest ballot under which a promise says something was accepted */
    uint32_t answered;     /* voters, in this phase */
    unsigned conflicts;    /* in a row */
    uint64_t next_tick_us;
};

enum {
    PROPOSER_RESEND_US = 500 * 1000,
    PROPOSER_BACKOFF_US = 20 * 1000, /* least; doubles up to 64 times that */
};

/** `life`: drawn at random, not 0, for this life of this proposer. */
void proposer_init(struct proposer *proposer, uint64_t life);
void proposer_step(struct proposer *proposer, const struct proposer_event *event,
                   struct proposer_effects *ret);

#endif
