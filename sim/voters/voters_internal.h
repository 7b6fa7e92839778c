/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of voters.h share.
 *
 *      voters.c            a run: writes, changes of the shape, and the rest in its order
 *      voters_lost.c       who is lost, and comes back in the end
 *      voters_trouble.c    what goes wrong meanwhile
 *      voters_operators.c  those who recover the cluster, until all go by the new line
 *      voters_kept.c       what must be there after it */
#ifndef SIM_VOTERS_INTERNAL_H
#define SIM_VOTERS_INTERNAL_H

#include "sim/run/solo.h"
#include "sim/voters/voters.h"
#include "sim/voters/voters_yesterday.h"

enum { VOTERS_KEYS_MAX = 128, VOTERS_OPERATORS = 2 };

/* Somebody who tries to recover, again and again. */
struct voter_operator {
    struct voters *run;
    struct process *asked;
    uint32_t life; /* of the one that is asked */
    bool waiting;
    uint64_t next_us;
};

struct voters {
    struct solo solo;
    bool moves;      /* the shape changes so that partitions move; what is kept is not checked */
    uint16_t anchor; /* is never lost */
    uint32_t lost;   /* members, as bits */
    uint32_t ever_lost;
    uint32_t voters; /* of the old line */
    bool acknowledged[VOTERS_KEYS_MAX];
    uint32_t holders[VOTERS_KEYS_MAX]; /* owners who held it when most voters were lost, as bits */
    struct voter_operator operators[VOTERS_OPERATORS];
    struct voters_yesterday yesterday;
    uint32_t trouble; /* events still to come */
    uint64_t busy_us; /* until then members are likely to be at a recovery */
    bool begun;       /* something was sent to be accepted */
    bool needless;    /* enough voters are back, and nobody has accepted anything */
};

/* Functions that return bool, and are no questions, return false when a violation was found. */

/* voters.c */
/** Of a shard of it that is drawn. */
bool voters_ask(struct voters *v, struct process *process, const struct operation *operation,
                struct asked *ret_asked);
/** True: acknowledged. */
bool voters_write_key(struct voters *v, uint32_t key, uint32_t w);
/** Without waiting for the answer. */
void voters_ask_change(struct voters *v, struct process *process, enum change_ask ask);

/* voters_lost.c */
bool voters_is_lost(const struct voters *v, uint16_t member);
/** Neither lost, nor no member any more. */
bool voters_is_left(const struct voters *v, uint16_t member);
/** One who is left and runs; NULL: nobody does. */
struct process *voters_choose_left(struct voters *v);
/** Without `lost`, given as bits, the old line has no majority of voters. */
bool voters_lack_majority(const struct voters *v, uint32_t lost);
void voters_lose(struct voters *v, uint16_t member);
/** Most voters, and perhaps others; never the anchor. */
void voters_lose_majority(struct voters *v);
/** Who was lost after the others had agreed on the new line with him is a member of it. */
void voters_readmit(struct voters *v);
/** All who are lost come back, are told that they are no members, and end. */
bool voters_give_back(struct voters *v);

/* voters_trouble.c */
/** Perhaps. */
void voters_make_trouble(struct voters *v);
/** A watch of the cluster: sees when members are at it. */
void voters_on_frame(void *context, const struct message *message);
bool voters_are_busy(const struct voters *v);

/* voters_operators.c */
bool voters_line_is_known(const struct voters *v);
/** Until all who are left go by a new line, or nothing had to be recovered. */
bool voters_recover_all(struct voters *v);
/** Until nothing moves any more. */
bool voters_come_to_rest(struct voters *v);

/* voters_kept.c */
/** Which owners hold which keys now. */
void voters_find_holders(struct voters *v);
/** What each has accepted as a voter, by its disk, goes into the book of epochs. */
void voters_note_votes(struct voters *v);
bool voters_check_reads(struct voters *v);
bool voters_check_writes(struct voters *v, uint32_t key);

#endif
