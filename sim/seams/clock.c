/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seams/clock.h"

enum { MILLION = 1000000 };
static const uint64_t wall_start_ms = UINT64_C(1767225600000); /* 2026-01-01 */

static uint64_t sim_monotonic_us(struct clock *base)
{
    const struct sim_clock *clock = (const struct sim_clock *)base;
    uint64_t now = clock->world->now_us;
    return clock->origin_us + (uint64_t)((int64_t)now + (int64_t)now * clock->drift_ppm / MILLION);
}

static uint64_t sim_wall_ms(struct clock *base)
{
    const struct sim_clock *clock = (const struct sim_clock *)base;
    uint64_t elapsed = sim_monotonic_us(base) - clock->origin_us;
    return (uint64_t)((int64_t)(wall_start_ms + elapsed / 1000) + clock->wall_offset_ms);
}

static const struct clock_ops sim_clock_ops = {
    .monotonic_us = sim_monotonic_us,
    .wall_ms = sim_wall_ms,
};

void sim_clock_init(struct sim_clock *clock, const struct world *world, uint64_t origin_us,
                    int64_t drift_ppm, int64_t wall_offset_ms)
{
    *clock = (struct sim_clock){ { &sim_clock_ops }, world, origin_us, drift_ppm, wall_offset_ms };
}

uint64_t sim_clock_world_time(const struct sim_clock *clock, uint64_t monotonic_us)
{
    if (monotonic_us <= clock->origin_us)
        return 0;
    uint64_t elapsed = monotonic_us - clock->origin_us;
    if (elapsed > UINT64_MAX / (2 * MILLION))
        return UINT64_MAX; /* "no deadline" */
    uint64_t rate = (uint64_t)(MILLION + clock->drift_ppm);
    return (elapsed * MILLION + rate - 1) / rate +
           1; /* one more for the division in monotonic_us */
}
