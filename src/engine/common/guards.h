/* SPDX-License-Identifier: Apache-2.0 */
/** Tells a writer when nobody can be looking any more at what it replaced, at the price of two
 *  counters for each reader.
 *
 *      reader   guard_enter, take a snapshot, look, guard_leave
 *      writer   publish the new, later: guards_quiet?  then the old is nobody's
 *
 *  A reader that enters after the writer saw it quiet takes a snapshot that has the new.  Threads
 *  spread over a few slots, so that readers do not fight for one cache line.  Readers that never
 *  stop overlapping keep it from being quiet; what was replaced then waits. */
#ifndef ENGINE_COMMON_GUARDS_H
#define ENGINE_COMMON_GUARDS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { GUARD_SLOTS = 8, GUARD_SIZE = 128 };

struct guard {
    _Atomic uint64_t entered, left;
    uint8_t apart[GUARD_SIZE - 16]; /* the next one is in another cache line */
};

struct guards {
    struct guard slots[GUARD_SLOTS];
};

static inline struct guard *guard_enter(struct guards *guards)
{
    uint64_t thread = (uint64_t)(uintptr_t)pthread_self() * 0x9e3779b97f4a7c15;
    struct guard *guard = &guards->slots[thread >> 61];
    /* In one order with guards_quiet and the load of the snapshot: all sequentially consistent. */
    atomic_fetch_add(&guard->entered, 1);
    return guard;
}

static inline void guard_leave(struct guard *guard)
{
    atomic_fetch_add_explicit(&guard->left, 1, memory_order_release);
}

/** True: every reader that is inside now entered after what the caller published before. */
static inline bool guards_quiet(const struct guards *guards)
{
    atomic_thread_fence(memory_order_seq_cst);
    for (int i = 0; i < GUARD_SLOTS; i++) {
        const struct guard *guard = &guards->slots[i];
        /* In this order: equal then means that nobody was inside in between. */
        uint64_t left = atomic_load_explicit(&guard->left, memory_order_acquire);
        if (atomic_load(&guard->entered) != left)
            return false;
    }
    return true;
}

/** How often anybody entered. */
static inline uint64_t guards_entered(const struct guards *guards)
{
    uint64_t sum = 0;
    for (int i = 0; i < GUARD_SLOTS; i++)
        sum += atomic_load_explicit(&guards->slots[i].entered, memory_order_relaxed);
    return sum;
}

#endif
