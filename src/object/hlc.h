/* SPDX-License-Identifier: Apache-2.0 */
/** Hybrid logical clock (Kulkarni et al. 2014): 48 bits of wall milliseconds, 16 bits of counter.
 *  Stamps of one node only grow, follow every stamp it has seen, and stay near the wall clock: a
 *  seen stamp more than HLC_AHEAD_MAX_MS ahead of the wall is not adopted (false is returned; the
 *  caller reports it), so one node with a wild clock cannot drag the others along. */
#ifndef OBJECT_HLC_H
#define OBJECT_HLC_H

#include <stdbool.h>
#include <stdint.h>

enum { HLC_AHEAD_MAX_MS = 60 * 1000, HLC_COUNTER_BITS = 16 };

struct hlc {
    uint64_t last;
};

/** A stamp above all given or seen before. */
uint64_t hlc_now(struct hlc *hlc, uint64_t wall_ms);
/** Take note of a stamp made elsewhere; false when it is too far ahead to be adopted. */
bool hlc_see(struct hlc *hlc, uint64_t stamp, uint64_t wall_ms);

static inline uint64_t hlc_wall_ms(uint64_t stamp)
{
    return stamp >> HLC_COUNTER_BITS;
}

#endif
