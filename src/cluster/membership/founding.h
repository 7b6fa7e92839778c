/* SPDX-License-Identifier: Apache-2.0 */
/** How a cluster begins: the founder waits until as many members as were announced are here, then
 *  epoch 1 is made once, persisted, and told.
 *
 *      WAITING --- enough members ---> DECIDED --- persisted ---> FOUNDED
 *
 *  A joiner asks again until it is answered, so nothing here is remembered about who was told.
 *  Before PERSISTED nothing of the new epoch leaves the node: a founder that crashes earlier
 *  forgets it and may make another, one that crashes later finds it again.  Pure: no clock, no
 *  file. */
#ifndef CLUSTER_FOUNDING_H
#define CLUSTER_FOUNDING_H

#include "cluster/ring/ring.h"

enum founding_state { FOUNDING_WAITING, FOUNDING_DECIDED, FOUNDING_FOUNDED };

enum founding_event_kind {
    FOUNDING_JOIN,      /* `member` asks to be a founder, perhaps again */
    FOUNDING_PERSISTED, /* the epoch made after `decide` is on disk */
    FOUNDING_FAILED,    /* it could not be planned or persisted: wait on */
};

struct founding_event {
    enum founding_event_kind kind;
    const struct member *member; /* JOIN */
};

enum founding_answer {
    FOUNDING_NO_ANSWER,
    FOUNDING_WAIT,   /* "waiting for founders: 3 of 5 are here" */
    FOUNDING_TELL,   /* answer with the epoch record */
    FOUNDING_REFUSE, /* with status and why */
};

struct founding_effects {
    enum founding_answer answer; /* to the member that asked */
    kvorum_status status;        /* REFUSE */
    const char *why;             /* REFUSE: static text */
    bool decide;                 /* plan the ring over `members`, then PERSISTED or FAILED */
    bool tell_all;               /* every joiner that is connected may be told now */
};

struct founding {
    enum founding_state state;
    uint16_t wanted, count;
    struct member *members; /* the caller's array of `wanted`; sorted by id once decided */
};

/** `self` is the first member.  With wanted == 1 the state is DECIDED at once: plan and persist. */
void founding_init(struct founding *founding, struct member *members, uint16_t wanted,
                   const struct member *self);
void founding_step(struct founding *founding, const struct founding_event *event,
                   struct founding_effects *ret);

/** NULL, or what is wrong with a member someone sent us (static text). */
const char *founding_member_problem(const struct member *member);

#endif
