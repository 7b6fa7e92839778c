/* SPDX-License-Identifier: Apache-2.0 */
/** Seam: time.  Real in os/clock.c, simulated in sim/seams/clock.c. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    const struct clock_ops *ops;
};

struct clock_ops {
    uint64_t (*monotonic_us)(struct clock *clock); /* never goes back; starts anywhere */
    uint64_t (*wall_ms)(struct clock *clock);      /* since 1970; may step either way */
};

static inline uint64_t clock_monotonic_us(struct clock *clock)
{
    return clock->ops->monotonic_us(clock);
}

static inline uint64_t clock_wall_ms(struct clock *clock)
{
    return clock->ops->wall_ms(clock);
}

#endif
