/* SPDX-License-Identifier: Apache-2.0 */
/** Which hints of a process were settled in an earlier life.  It removes a hint once that is
 *  delivered (or destroyed, or owed to others instead), but no disk has to keep that one is gone: a
 *  power failure, or a disk that is put back, brings it again, and nobody lacks anything by that.
 *
 *      a life ends     held: what its stores show; dry: it knew of none
 *      the next begins of what is there now, settled is
 *                        - what was settled already,
 *                        - all, where the last life ended dry (also what it was about to remove),
 *                        - what the last life's stores did not show any more
 *
 *  A hint is named by its key in the store: target, stamp of when it was taken, partition and key
 *  of the object.  That is kept as its hash. */
#ifndef SIM_CHECKERS_DEBTS_H
#define SIM_CHECKERS_DEBTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct epoch;
struct process;

struct debt_names {
    uint64_t *list;
    size_t count;
    bool whole; /* no store failed while it was made */
};

struct debts {
    struct debt_names held, settled;
    bool dry;
};

/** Hints for whomever, as its shards know of them. */
uint64_t debts_of(const struct process *process);
/** `known`: debts_of it.  Its stores are still open. */
void debts_life_ends(struct process *process, uint64_t known);
/** Before it opens its stores. */
void debts_life_begins(struct process *process);
/** The same of stores that somebody opened. */
void debts_found(struct debts *debts, struct engine *const *stores, uint16_t count);
void debts_done(struct debts *debts);
/** debts.c, the checker: who left by itself holds no hints for members of `epoch`, the newest, but
 *  those that were settled in an earlier life. */
void check_debts(struct process *process, const struct epoch *epoch);

#endif
