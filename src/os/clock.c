/* SPDX-License-Identifier: Apache-2.0 */
#include "os/clock.h"

#include <assert.h>
#include <time.h>

static struct timespec now(clockid_t id)
{
    struct timespec time;
    int failed = clock_gettime(id, &time);
    assert(failed == 0);
    (void)failed;
    return time;
}

static uint64_t monotonic_us(struct clock *clock)
{
    (void)clock;
    struct timespec time = now(CLOCK_MONOTONIC);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static uint64_t wall_ms(struct clock *clock)
{
    (void)clock;
    struct timespec time = now(CLOCK_REALTIME);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static const struct clock_ops os_clock_ops = { .monotonic_us = monotonic_us, .wall_ms = wall_ms };

void os_clock_init(struct os_clock *clock)
{
    clock->clock.ops = &os_clock_ops;
}

static uint64_t held_monotonic_us(struct clock *clock)
{
    struct held_clock *held = (struct held_clock *)clock;
    if (held->monotonic_us == 0)
        held->monotonic_us = monotonic_us(clock);
    return held->monotonic_us;
}

static uint64_t held_wall_ms(struct clock *clock)
{
    struct held_clock *held = (struct held_clock *)clock;
    if (held->wall_ms == 0)
        held->wall_ms = wall_ms(clock);
    return held->wall_ms;
}

static const struct clock_ops held_clock_ops = { .monotonic_us = held_monotonic_us,
                                                 .wall_ms = held_wall_ms };

void held_clock_init(struct held_clock *clock)
{
    *clock = (struct held_clock){ .clock.ops = &held_clock_ops };
}
