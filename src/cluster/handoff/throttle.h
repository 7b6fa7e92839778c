/* SPDX-License-Identifier: Apache-2.0 */
/** Bytes a second, as a token bucket: what is spent is earned again with time.  Whoever spends may
 *  overdraw once (a page is taken whole) and then waits until the debt is paid.  Shared by all that
 *  share a limit.  Integers only; time comes from the caller and may stand still, not go back. */
#ifndef CLUSTER_HANDOFF_THROTTLE_H
#define CLUSTER_HANDOFF_THROTTLE_H

#include <stdint.h>

#define THROTTLE_NONE 0 /* rate: no limit */

struct throttle {
    uint64_t rate;    /* bytes a second; THROTTLE_NONE */
    uint64_t free_us; /* from when on something may be spent */
};

/** From now on `rate` bytes a second; debts of before are forgotten. */
void throttle_set(struct throttle *throttle, uint64_t rate, uint64_t now_us);
/** `size` bytes were taken. */
void throttle_spend(struct throttle *throttle, uint64_t size, uint64_t now_us);
/** When something may be spent again; not after `now_us`: now. */
uint64_t throttle_free_us(const struct throttle *throttle);

#endif
