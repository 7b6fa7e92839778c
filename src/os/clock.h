/* SPDX-License-Identifier: Apache-2.0 */
/** The kernel's clocks behind base/clock.h.  Thread: any.  Blocks: never. */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include "base/clock.h"

struct os_clock {
    struct clock clock;
};

/** `clock` may be copied and needs no end. */
void os_clock_init(struct os_clock *clock);

#endif
