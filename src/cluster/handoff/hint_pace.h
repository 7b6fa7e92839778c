/* SPDX-License-Identifier: Apache-2.0 */
/** How fast hints go to one target: a window in flight, a rate, and after failures a pause that
 *  doubles.  Chance spreads the pauses, so that all who owe something to a member that came back do
 *  not pay in the same moment.  Pure; times are microseconds of the monotonic clock. */
#ifndef CLUSTER_HANDOFF_HINT_PACE_H
#define CLUSTER_HANDOFF_HINT_PACE_H

#include "base/random.h"

struct hint_pace_config {
    uint32_t window; /* hints in flight */
    uint64_t rate;   /* bytes a second */
    uint64_t pause_min_us, pause_max_us;
};

/** Zeros to begin with. */
struct hint_pace {
    uint32_t in_flight;
    uint32_t failures;   /* in a row; those of one window count once */
    uint64_t resume_us;  /* nothing before that */
    int64_t credit;      /* bytes that may be sent now; below 0: a debt */
    uint64_t counted_us; /* until when `credit` is counted */
};

enum hint_outcome {
    HINT_OUTCOME_DONE,
    HINT_OUTCOME_FAILED,
    HINT_OUTCOME_NEUTRAL, /* nothing was learnt about the target */
};

/** May one more be sent?  A large one may be whatever the credit: the debt is paid afterwards. */
bool hint_pace_admits(struct hint_pace *pace, const struct hint_pace_config *config,
                      uint64_t now_us);
/** The time from which hint_pace_admits may be true, were the window open. */
uint64_t hint_pace_next_us(struct hint_pace *pace, const struct hint_pace_config *config,
                           uint64_t now_us);
void hint_pace_begin(struct hint_pace *pace);
/** So many bytes left. */
void hint_pace_spend(struct hint_pace *pace, uint64_t size);
void hint_pace_end(struct hint_pace *pace, const struct hint_pace_config *config,
                   enum hint_outcome outcome, uint64_t now_us, struct random *random);
/** The target is back: what failed before says nothing any more. */
void hint_pace_revive(struct hint_pace *pace, const struct hint_pace_config *config,
                      uint64_t now_us, struct random *random);

#endif
