/* SPDX-License-Identifier: Apache-2.0 */
/** epochs.c: one record for each number, for ever and everywhere; on no member does the number go
 *  back, not even by a crash; and no member goes by an epoch, or leaves by one, that a power
 *  failure would take from its disk.  No commit leaves copies in fewer zones than before, unless
 *  that was allowed.
 *
 *  Lines (docs/decisions/0012): a new one goes on from an epoch that nobody it goes on with was
 *  ahead of, nor that a voter of them had accepted; and from then on nobody adopts an epoch of the
 *  line before that is behind that one. */
#ifndef SIM_CHECKERS_EPOCHS_H
#define SIM_CHECKERS_EPOCHS_H

#include "sim/seams/network.h"

struct epoch;
struct process;

enum { EPOCHS_MAX = 1 << 16, EPOCH_LINES_MAX = 8, EPOCHS_OF_A_LINE = EPOCHS_MAX / EPOCH_LINES_MAX };

/** All epochs of a run, as they were seen on any member. */
struct epoch_book {
    struct world *world;
    uint64_t *digests;                 /* by number, of the record; 0: nobody had it yet */
    uint64_t highest[SIM_MEMBERS_MAX]; /* that each member went by, in all its lives */
    uint64_t count;                    /* the highest of all */
    uint32_t gone;                     /* members that are none any more by that */
    uint32_t parted;                   /* of those who left by themselves, with the last move */
    uint32_t leaving;                  /* members that do so, by that */
    bool moving;                       /* partitions are, by that */
    uint32_t alone;                    /* members that decided alone, as the only voter of one */
    uint64_t zones_number;             /* the epoch that `zones` is of */
    uint32_t zones;         /* with copies of a partition, where fewest; 0: no commit can follow */
    bool zone_loss_allowed; /* somebody said so in this run */
    uint64_t lines;         /* that were begun behind the first */
    uint64_t base;          /* the epoch that the last of them goes on from */
    /** By member: a voter's acceptance of the epoch behind that it goes by, seen on its disk. */
    uint64_t voted[SIM_MEMBERS_MAX];
};

/** `member` is no member any more by the newest epoch of all. */
static inline bool epoch_book_gone(const struct epoch_book *book, uint16_t member)
{
    return (book->gone >> member & 1) != 0;
}

/** ... and it was not removed. */
static inline bool epoch_book_parted(const struct epoch_book *book, uint16_t member)
{
    return (book->parted >> member & 1) != 0;
}

void epoch_book_init(struct epoch_book *book, struct world *world, const struct epoch *founding);
void epoch_book_done(struct epoch_book *book);
/** A shard of `process` goes by `epoch` from now on. */
void check_epoch_adopted(struct process *process, const struct epoch *epoch);
/** `process` is no member any more by epoch `number`, it says: so does its disk, even if power
 *  fails now, and that epoch is the one of its number, whether anybody else has it yet or not. */
void check_epoch_left(struct process *process, uint64_t number);
/** The same at a start.  False: there is no such record on its disk. */
bool check_epoch_dismissed(struct process *process);
/** A life of `process` begins with `epoch`, from its disk. */
void check_epoch_started(struct process *process, const struct epoch *epoch);
/** The disk of `process` is an older one: its epoch may be too, and what it accepted is unknown. */
void check_epoch_put_back(struct process *process);

#endif
