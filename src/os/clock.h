/* SPDX-License-Identifier: Apache-2.0 */
/** The kernel's clocks behind base/clock.h.  Thread: any.  Blocks: never; a reading costs 25 ns. */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include "base/clock.h"

struct os_clock {
    struct clock clock;
};

/** `clock` may be copied and needs no end. */
void os_clock_init(struct os_clock *clock);

/** The same, read once and then held: all that happens until it is let go happens at one moment.
 *  For a thread that handles many small things in a row and is asked the time for each of them.
 *  Thread: one. */
struct held_clock {
    struct clock clock;
    uint64_t monotonic_us, wall_ms; /* 0: not read since it was let go */
};

void held_clock_init(struct held_clock *clock);

static inline void held_clock_let_go(struct held_clock *clock)
{
    clock->monotonic_us = clock->wall_ms = 0;
}

#endif
