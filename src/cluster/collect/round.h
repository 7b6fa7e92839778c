/* SPDX-License-Identifier: Apache-2.0 */
/** One round that collects tombstones of a partition (docs/decisions/0010), as its proposer sees
 *  it, the first owner of the row:
 *
 *      ASKING      every member of the epoch: what do you hold of these keys, what did you promise?
 *                  Whoever answers takes no COMMIT of an earlier round any more.
 *      PREPARING   every member: promise this number, and say again what you hold; from then on you
 *                  refuse what was read under an older one, of these keys
 *      FINISHED    COMMIT of the keys of which every member held that very tombstone, or nothing;
 *                  or SETTLE: nothing of this round or an earlier one will be committed
 *
 *  A member that says nothing, or no, ends the round: nothing is collected.  A lost COMMIT leaves a
 *  tombstone for the next one.  Rules and algorithm are of this project. */
#ifndef CLUSTER_COLLECT_ROUND_H
#define CLUSTER_COLLECT_ROUND_H

#include "cluster/ring/ring.h"
#include "kvorum/status.h"

enum { ROUND_KEYS_MAX = 128, ROUND_MEMBER_WORDS = (RING_MEMBERS_MAX + 63) / 64 };

/* What a member holds of a key; numbers go on the wire. */
enum round_key {
    ROUND_KEY_OTHER = 0, /* a value, another tombstone, or it cannot tell */
    ROUND_KEY_ABSENT = 1,
    ROUND_KEY_HELD = 2, /* the tombstone that was named, durably */
};

enum round_phase { ROUND_NEW, ROUND_ASKING, ROUND_PREPARING, ROUND_FINISHED };

enum round_end {
    ROUND_COLLECTED,
    ROUND_NOTHING, /* every key is kept back by somebody */
    ROUND_REFUSED, /* by `teller` */
    ROUND_SILENT,  /* `teller` is one who did not answer in time */
    ROUND_BEHIND,  /* somebody has not promised what was committed */
    ROUND_GIVEN_UP,
};

struct round {
    /* to be set before START, the rest zero */
    uint32_t key_count;                   /* 0: only to settle what is in doubt */
    uint64_t least;                       /* numbers of rounds begin here: fence_of_epoch */
    uint64_t patience_us;                 /* for each of the two questions */
    uint64_t members[ROUND_MEMBER_WORDS]; /* round_add */

    enum round_phase phase;
    enum round_end end;
    uint16_t teller;
    uint64_t waiting[ROUND_MEMBER_WORDS]; /* for answers of these */
    uint64_t number;                      /* PREPARING and later */
    uint64_t committed;                   /* the newest that anybody knows of */
    uint64_t promised_most, promised_least;
    uint64_t deadline_us;
    bool kept_back[ROUND_KEYS_MAX];
};

enum round_event_kind { ROUND_START, ROUND_ANSWER, ROUND_TICK, ROUND_GIVE_UP };

struct round_event {
    enum round_event_kind kind;
    uint64_t now_us;
    /* ANSWER */
    uint16_t member;
    enum round_phase phase; /* of the question */
    kvorum_status status;
    uint64_t promised, committed;
    const uint8_t *keys; /* enum round_key, key_count of them when the status is OK */
    uint32_t key_count;
};

enum round_send {
    ROUND_SEND_NOTHING,
    ROUND_SEND_ASK,
    ROUND_SEND_PREPARE,
    ROUND_SEND_COMMIT,
    ROUND_SEND_SETTLE
};

struct round_effects {
    enum round_send send; /* to every member of the round */
    bool finished;
};

void round_add(struct round *round, uint16_t member);
void round_step(struct round *round, const struct round_event *event,
                struct round_effects *ret_effects);
/** Keys that are not kept back. */
uint32_t round_agreed(const struct round *round);

#endif
