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
