/* SPDX-License-Identifier: Apache-2.0 */
/** One life of a data directory: from one start to the next.  Its number and its id, and those of
 *  the lives before it, tell whether two are of one line (lives.h says what for). */
#ifndef NODE_LIFE_H
#define NODE_LIFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LIFE_HISTORY_MAX = 32 };

struct node_life {
    uint64_t number; /* from 1; one above that of the life before */
    /** Ids, random and not 0: history[i] is that of life number - i.  At least one. */
    uint64_t history[LIFE_HISTORY_MAX];
    uint8_t history_count;
    /** Of epochs below this the directory may have forgotten what it promised as a voter; 0: of
     *  none. */
    uint64_t votes_from;
};

/** What somebody remembers of a node: its newest life. */
struct life_mark {
    uint64_t number, id; /* zeros: nothing */
};

/** A life with this id begins after all in `life`. */
void life_begin(struct node_life *life, uint64_t id);
/** `life` follows the one of `mark`, or is it; false: another directory of this name went on after
 *  a copy was made.  What is older than the history counts as followed. */
bool life_follows(const struct node_life *life, struct life_mark mark);
/** Let `life` follow that of `mark`, which went on elsewhere. */
void life_renew(struct node_life *life, struct life_mark mark);

#endif
