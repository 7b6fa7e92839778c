/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/throttle.h"

enum { SECOND_US = 1000 * 1000 };

/* What was not spent for longer than this is gone: a pause must not end in a burst. */
enum { EARNED_MAX_US = 50 * 1000 };

void throttle_set(struct throttle *throttle, uint64_t rate, uint64_t now_us)
{
    throttle->rate = rate;
    throttle->free_us = now_us;
}

void throttle_spend(struct throttle *throttle, uint64_t size, uint64_t now_us)
{
    if (throttle->rate == THROTTLE_NONE)
        return;
    uint64_t earned_from = now_us > EARNED_MAX_US ? now_us - EARNED_MAX_US : 0;
    if (throttle->free_us < earned_from)
        throttle->free_us = earned_from;
    uint64_t seconds = size / throttle->rate, rest = size % throttle->rate;
    throttle->free_us += seconds * SECOND_US + rest * SECOND_US / throttle->rate;
}

uint64_t throttle_free_us(const struct throttle *throttle)
{
    return throttle->rate == THROTTLE_NONE ? 0 : throttle->free_us;
}
