/* SPDX-License-Identifier: Apache-2.0 */
/** Beginning a new line of epochs when those who decide in this one are lost
 *  (docs/decisions/0012): Paxos with one value for each line, whose quorum is *everybody* who is
 *  left, in both phases.  Two attempts that have one of them in common decide the same.
 *
 *      IDLE -- START --> PREPARING -- promised --> CHOOSING -- CHOOSE --> ACCEPTING --> DECIDED
 *                          ^   \______________ refused ___________________/   (each by all)
 *                          |                v
 *                          `--- later --- WAITING
 *
 *  The other side is the acceptor of acceptor.h, with a line in the place of an epoch's number.
 *
 *  What was accepted in an earlier attempt may be decided only if all those who are asked now, and
 *  whom no attempt at it can have done without, have accepted it: then it is proposed again, else
 *  the choice is free.  So a list that was wrong can be put right, as long as somebody is there who
 *  has not followed it.  `needed` travels and is kept with the record: all who were asked when it
 *  was made, without those whom later attempts at the same record left out.
 *
 *  A member whose disk was put back to an older copy may have forgotten what it promised and
 *  accepted.  So its silence about a record says nothing, and the caller lets nobody accept what
 *  rests on the promise of a life that another has followed.  What is decided stays so as long as
 *  any two lists have a member in common whose disk was not put back.
 *
 *  Pure: time and chance come with the event; the caller keeps the records. */
#ifndef CLUSTER_EPOCH_RECOVERY_H
#define CLUSTER_EPOCH_RECOVERY_H

#include "cluster/epoch/ballot.h"
#include "cluster/ring/ring.h"

enum recovery_state {
    RECOVERY_IDLE,
    RECOVERY_PREPARING,
    RECOVERY_CHOOSING, /* all have promised; the caller says CHOOSE, or STOP */
    RECOVERY_ACCEPTING,
    RECOVERY_WAITING, /* somebody else's ballot was newer: a moment's rest */
    RECOVERY_DECIDED,
};

enum recovery_event_kind {
    RECOVERY_START,    /* ask all in `members` */
    RECOVERY_PROMISE,  /* from `member`, for `ballot` */
    RECOVERY_CHOOSE,   /* what is proposed is known now */
    RECOVERY_ACCEPTED, /* from `member`, for `ballot` */
    RECOVERY_REFUSED,  /* from `member`, for `ballot`: it promised `other`, or (none) cannot */
    RECOVERY_TICK,
    RECOVERY_STOP,
};

struct recovery_event {
    enum recovery_event_kind kind;
    uint64_t now_us, random; /* always */
    uint16_t member;
    struct ballot ballot, other;
    const bool *members; /* START: by slot, RING_MEMBERS_MAX; at least one */
};

struct recovery_effects {
    bool prepare, accept; /* ask those who are asked and have not answered */
    bool promised;        /* by all: CHOOSE is next */
    bool decided;
    uint64_t next_tick_us;
};

struct recovery {
    enum recovery_state state;
    uint64_t life, counter;
    struct ballot ballot; /* of this attempt */
    bool asked[RING_MEMBERS_MAX], answered[RING_MEMBERS_MAX];
    unsigned missing;   /* asked and not answered */
    unsigned conflicts; /* in a row */
    uint64_t next_tick_us;
};

enum { RECOVERY_RESEND_US = 500 * 1000, RECOVERY_BACKOFF_US = 20 * 1000 };

/** `life`: drawn at random, not 0, for this life of this proposer. */
void recovery_init(struct recovery *recovery, uint64_t life);
void recovery_step(struct recovery *recovery, const struct recovery_event *event,
                   struct recovery_effects *ret);
/** The newest of the ballots under which those in `asked` accepted anything; or none. */
struct ballot recovery_newest(const bool *asked, const struct ballot *accepted);
/** All in `asked` have promised a newer ballot, and accepted before what has digest `values[i]` (0:
 *  nothing); those in `forgetful` may have accepted anything else since, and forgotten it.  Whether
 *  the one with digest `value`, which was accepted under the newest ballot, may be decided;
 *  `needed`: for it, as above.  All by slot, RING_MEMBERS_MAX. */
bool recovery_may_be_decided(const bool *asked, const uint64_t *values, const bool *forgetful,
                             uint64_t value, const bool *needed);
/** `member` is asked and has not answered yet. */
static inline bool recovery_waits_for(const struct recovery *recovery, uint16_t member)
{
    return recovery->asked[member] && !recovery->answered[member];
}

#endif
