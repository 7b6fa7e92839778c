/* SPDX-License-Identifier: Apache-2.0 */
/** How long a suspected member has to refute (Lifeguard, arXiv 1707.00788, 3.2): long when one
 *  member alone suspects it, who may himself be the slow one, and shorter with each that confirms.
 *
 *      timeout = max - (max - min) * ln(c + 1) / ln(K + 1), at least min
 *      min = multiplier * max(1, log10 n) * probe interval,  max = min * max multiplier
 *      c = confirmations besides the first accuser;  K = multiplier - 2, or 0 if n is too small
 */
#ifndef CLUSTER_SUSPICION_H
#define CLUSTER_SUSPICION_H

#include "cluster/ring/ring.h"

enum { SUSPICION_CONFIRMATIONS_MAX = 8 };

struct suspicion {
    uint64_t start_us;
    uint64_t minimum_us, maximum_us;                          /* durations */
    uint8_t wanted;                                           /* K */
    uint8_t confirmed;                                        /* c */
    struct node_id accusers[SUSPICION_CONFIRMATIONS_MAX + 1]; /* confirmed + 1 of them */
};

/** Shortest time to refute in a cluster of `members`, microseconds. */
uint64_t suspicion_minimum_us(uint64_t probe_interval_us, uint8_t multiplier, uint16_t members);

/** `wanted` above SUSPICION_CONFIRMATIONS_MAX is cut to it. */
void suspicion_begin(struct suspicion *suspicion, const struct node_id *accuser,
                     uint64_t minimum_us, uint64_t maximum_us, unsigned wanted, uint64_t now_us);
/** Somebody says so too.  True when that shortens the time: worth telling others. */
bool suspicion_confirm(struct suspicion *suspicion, const struct node_id *accuser);
/** When the time is over; monotonic, as `now_us` of the beginning. */
uint64_t suspicion_end_us(const struct suspicion *suspicion);
/** We did not listen for so long: that is not the member's silence. */
void suspicion_forgive(struct suspicion *suspicion, uint64_t away_us);

/** log2 in 1/65536, rounded down; of 0 it is 0. */
uint32_t log2_q16(uint64_t value);

#endif
