/* SPDX-License-Identifier: Apache-2.0 */
#include "object/hlc.h"

#include <assert.h>

/* Half of what 48 bits hold (the year 6429), so stamps never run out whatever a wall clock says. */
enum { WALL_BITS = 47 };

static uint64_t sane_wall_ms(uint64_t wall_ms)
{
    uint64_t limit = ((uint64_t)1 << WALL_BITS) - 1;
    return wall_ms < limit ? wall_ms : limit;
}

/* "l' = max(l, pt); if l' = l then c' = c + 1, else c' = 0."  In one number the counter carries
 * into the milliseconds when it is full, which only moves the stamp a little ahead of the wall. */
uint64_t hlc_now(struct hlc *hlc, uint64_t wall_ms)
{
    uint64_t wall = sane_wall_ms(wall_ms) << HLC_COUNTER_BITS;
    assert(hlc->last < UINT64_MAX);
    hlc->last = hlc->last < wall ? wall : hlc->last + 1;
    return hlc->last;
}

bool hlc_see(struct hlc *hlc, uint64_t stamp, uint64_t wall_ms)
{
    if (stamp <= hlc->last)
        return true;
    if (hlc_wall_ms(stamp) > sane_wall_ms(wall_ms) + HLC_AHEAD_MAX_MS)
        return false;
    hlc->last = stamp;
    return true;
}
