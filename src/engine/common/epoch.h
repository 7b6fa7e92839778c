/* SPDX-License-Identifier: Apache-2.0 */
/** Frees what was unlinked once no reader can be looking at it any more, at the price of two
 *  counter changes for each reader, and also when readers never stop overlapping.
 *
 *      reader   epoch_enter, load a pointer (atomic_load), look, epoch_leave
 *      writer   replace the pointer, epoch_retire the old thing
 *
 *      turn         T-1        T         T+1        T+2
 *      readers   odd ....   even ....  odd ....              counted by the parity of the turn
 *      retired              x------------------> freed       in which they entered
 *
 *  The turn goes on when the parity of the turn before has run empty.  A thing retired in turn T is
 *  nobody's in turn T+2: each parity was seen empty once since (two-phase read-copy-update;
 *  McKenney and Slingwine 1998; Desnoyers et al. 2012).  Who stays inside for long holds up all
 *  freeing, so nobody waits inside: what is kept longer takes a reference of its own.
 *
 *  Pointers that readers load are loaded with atomic_load: sequentially consistent, in one order
 *  with the counters.  Thread: any. */
#ifndef ENGINE_COMMON_EPOCH_H
#define ENGINE_COMMON_EPOCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EPOCH_SLOTS = 8, EPOCH_BAGS = 3 };

/** Embedded in what is retired. */
struct epoch_item {
    struct epoch_item *next;
    void (*free)(struct epoch_item *item);
    bool heavy; /* takes long (removes a file, returns much memory): only epoch_poll frees it */
};

struct epoch_slot {
    _Atomic uint64_t inside[2]; /* by parity */
    uint8_t apart[112];         /* the next one is in another cache line */
};

struct epoch {
    struct epoch_slot slots[EPOCH_SLOTS];
    _Atomic uint64_t turn;
    pthread_mutex_t mutex;               /* guards the bags, and moving on */
    struct epoch_item *bags[EPOCH_BAGS]; /* by turn */
    struct epoch_item *heavy;            /* nobody's, and to be freed by who has the time */
    _Atomic size_t retired_count;        /* not yet freed */
};

typedef _Atomic uint64_t *epoch_guard;

void epoch_init(struct epoch *epoch);
/** Free all that was retired.  Nobody is inside. */
void epoch_drain(struct epoch *epoch);
void epoch_done(struct epoch *epoch); /* drained */
/** `item` was unlinked before.  Frees what is due meanwhile, from here. */
void epoch_retire(struct epoch *epoch, struct epoch_item *item);
/** For an item's own `free`: it is kept by other means than a stay inside, so try again later. */
void epoch_put_back(struct epoch *epoch, struct epoch_item *item);
/** Free what is due, heavy things too: for background work that holds no lock. */
void epoch_poll(struct epoch *epoch);
/** Let the turn go on by one if it can, and free what is due then. */
void epoch_advance(struct epoch *epoch);

static inline epoch_guard epoch_enter(struct epoch *epoch)
{
    uint64_t thread = (uint64_t)(uintptr_t)pthread_self() * 0x9e3779b97f4a7c15;
    uint64_t turn = atomic_load_explicit(&epoch->turn, memory_order_relaxed);
    epoch_guard guard = &epoch->slots[thread >> 61].inside[turn & 1];
    atomic_fetch_add(guard, 1);
    return guard;
}

static inline void epoch_leave(epoch_guard guard)
{
    atomic_fetch_sub_explicit(guard, 1, memory_order_release);
}

#endif
