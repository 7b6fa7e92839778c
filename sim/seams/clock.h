/* SPDX-License-Identifier: Apache-2.0 */
/** The clocks of one simulated machine.  Monotonic time starts anywhere and drifts; wall time is
 *  off by an offset that may step either way, as when an operator or NTP sets it. */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include "base/clock.h"
#include "sim/world/world.h"

struct sim_clock {
    struct clock base;
    const struct world *world;
    uint64_t origin_us; /* monotonic time at world time 0 */
    int64_t drift_ppm;  /* how much faster it runs */
    int64_t wall_offset_ms;
};

void sim_clock_init(struct sim_clock *clock, const struct world *world, uint64_t origin_us,
                    int64_t drift_ppm, int64_t wall_offset_ms);
/** The earliest world time at which monotonic_us is at least `monotonic_us`. */
uint64_t sim_clock_world_time(const struct sim_clock *clock, uint64_t monotonic_us);

#endif
