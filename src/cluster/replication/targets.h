/* SPDX-License-Identifier: Apache-2.0 */
/** Sets of targets as bits, and the order in which spare targets are used. */
#ifndef CLUSTER_TARGETS_H
#define CLUSTER_TARGETS_H

#include "cluster/replication/quorum.h"

static inline uint32_t target_bit(uint8_t target)
{
    return target < REPLICAS_MAX ? UINT32_C(1) << target : 0;
}

static inline uint8_t target_count_of(uint32_t targets)
{
    return (uint8_t)__builtin_popcount(targets);
}

/** Targets 0..count-1; count <= REPLICAS_MAX. */
static inline uint32_t targets_below(uint8_t count)
{
    return (UINT32_C(1) << count) - 1;
}

/** Bit of the next spare that can be tried, 0 when none is left; *next_spare moves behind it. */
static inline uint32_t targets_take_spare(uint8_t *next_spare, uint8_t count, uint32_t unreachable)
{
    while (*next_spare < count) {
        uint32_t spare = target_bit((*next_spare)++);
        if ((spare & unreachable) == 0)
            return spare;
    }
    return 0;
}

/** Spares from `next_spare` on that can be tried. */
static inline uint32_t targets_spare(uint8_t next_spare, uint8_t count, uint32_t unreachable)
{
    return targets_below(count) & ~targets_below(next_spare) & ~unreachable;
}

/** The first n, each unreachable one replaced by a spare while `sloppy` and there are spares. */
static inline uint32_t targets_choose(const struct quorum *quorum, uint8_t count,
                                      uint32_t unreachable, uint8_t *ret_next_spare)
{
    uint8_t n = quorum->n < count ? quorum->n : count;
    uint32_t chosen = targets_below(n) & ~unreachable;
    *ret_next_spare = n;
    while (quorum->sloppy && target_count_of(chosen) < n) {
        uint32_t spare = targets_take_spare(ret_next_spare, count, unreachable);
        if (spare == 0)
            break;
        chosen |= spare;
    }
    return chosen;
}

#endif
