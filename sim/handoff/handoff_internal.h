/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of handoff.h share: handoff.c, a run, and handoff_checks.c, what must be true. */
#ifndef SIM_HANDOFF_INTERNAL_H
#define SIM_HANDOFF_INTERNAL_H

#include "sim/handoff/handoff.h"
#include "sim/run/solo.h"

enum { HANDOFF_KEYS_MAX = 256 };

struct written {
    int32_t number;       /* of the last acknowledged write; -1: none */
    int32_t tried;        /* of the last one that was tried: it may have happened */
    bool away;            /* the last acknowledged one was made while some were away */
    uint64_t deadline_ms; /* of that one, wall clock; 0: none */
    bool unsure;          /* one with a deadline may have happened, and taken the place of others */
};

struct handoff {
    struct solo solo;
    struct bucket_properties properties;
    bool away[SIM_MEMBERS_MAX];
    bool moves; /* those who are away lose what they own */
    bool destroys;
    struct written written[HANDOFF_KEYS_MAX];
    uint64_t last_deadline_ms;
};

/* handoff.c */
/** One that runs. */
struct process *handoff_choose_process(void *context);

/* handoff_checks.c */
uint64_t handoff_wall_ms(struct process *process);
/** Every owner of now holds it, and who is no owner holds nothing made while he was away. */
void handoff_check_key(struct handoff *h, uint32_t key);
/** Every key is there before its deadline, and not after. */
void handoff_check_deadlines(struct handoff *h);
/** The same when all deadlines have passed; and the values are dropped. */
void handoff_outlive_all(struct handoff *h);

#endif
