/* SPDX-License-Identifier: Apache-2.0 */
/** The fence of a partition at one member (docs/decisions/0010): a number that only grows.  Rounds
 *  that collect tombstones have such numbers too.  An object is read, and travels, *under* the
 *  number that whoever read it had promised.
 *
 *      promised    the newest round this member took part in.  What it holds is clean of all that
 *                  rounds up to this one collect: nothing of it is older than a tombstone they took
 *      committed   the newest round that is known to have taken anything, anywhere
 *      doubt       whether the promised one will take what it named, or has, is not known here
 *      known       all was asked for when it promised: what was committed before is `committed`
 *
 *  Who begins with nothing has promised all that was committed before, without having been asked;
 *  of those rounds he knows nothing.  So what he takes over may be unclean without his seeing it,
 *  and he has then promised no more than whoever gave it to him.
 *
 *  Whoever hears of a committed round that it never promised has lost its disk's newest state: it
 *  may hold what was collected (BEHIND), and goes on only after it has dropped all it holds.
 *
 *  Pure.  On disk before anything that follows from it leaves the member, but for fence_hear, which
 *  only repeats what somebody else has on disk. */
#ifndef CLUSTER_COLLECT_FENCE_H
#define CLUSTER_COLLECT_FENCE_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers are on disk. */
enum fence_doubt {
    FENCE_SETTLED = 0,
    FENCE_NAMED = 1, /* about the keys that the promised round named */
    FENCE_ALL = 2,   /* about every key: which were named is forgotten */
};

struct fence {
    uint64_t promised, committed;
    enum fence_doubt doubt;
    bool known;
};

enum fence_verdict {
    FENCE_FINE,
    FENCE_BEHIND, /* drop what is here, then fence_renew */
    FENCE_LATE,   /* the question is older than what was promised or is known */
};

/** The first number of rounds in epoch `epoch`: above all those of the epochs before, so that
 *  whoever came to hold a partition in it, with nothing, has promised all of them (fence_lift). */
static inline uint64_t fence_of_epoch(uint64_t epoch)
{
    return epoch << 32;
}

/** May an object that was read under `under` be merged here?  `named`: its key is one of those that
 *  the promised round named. */
bool fence_admits(const struct fence *fence, uint64_t under, bool named);
/** What was read under `under` is merged here (it was admitted).  True: that changed the fence. */
bool fence_take(struct fence *fence, uint64_t under);
/** Somebody knows that `committed` is. */
enum fence_verdict fence_hear(struct fence *fence, uint64_t committed);
/** Round `number` wants to collect; all that was committed before is at most `committed`, and no
 *  other round will be.  FINE: it is promised. */
enum fence_verdict fence_prepare(struct fence *fence, uint64_t number, uint64_t committed);
/** Round `number`, which must be the promised one, is committed.  False: it is not. */
bool fence_commit(struct fence *fence, uint64_t number);
/** All members were asked: no round but those up to `committed` was committed, or will be. */
enum fence_verdict fence_settle(struct fence *fence, uint64_t committed);
/** Nothing is held here (any more): whatever was committed is promised. */
void fence_renew(struct fence *fence, uint64_t committed);
/** Nothing was held here when round numbers began at `least`. */
void fence_lift(struct fence *fence, uint64_t least);
/** As it is found on disk: which keys were named is not. */
void fence_restart(struct fence *fence);

#endif
