/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/hint_pace.h"

#include <assert.h>

enum { SECOND_US = 1000 * 1000, DOUBLINGS_MAX = 20 };

/* What one second earns is all that can be saved up. */
static void count(struct hint_pace *pace, const struct hint_pace_config *config, uint64_t now_us)
{
    uint64_t passed_us = now_us > pace->counted_us ? now_us - pace->counted_us : 0;
    int64_t most = (int64_t)config->rate;
    bool first = pace->counted_us == 0;
    pace->counted_us = now_us;
    if (first || passed_us >= SECOND_US)
        pace->credit += most;
    else
        pace->credit += (int64_t)(config->rate * passed_us / SECOND_US);
    if (pace->credit > most)
        pace->credit = most;
}

bool hint_pace_admits(struct hint_pace *pace, const struct hint_pace_config *config,
                      uint64_t now_us)
{
    count(pace, config, now_us);
    return now_us >= pace->resume_us && pace->in_flight < config->window && pace->credit > 0;
}

uint64_t hint_pace_next_us(struct hint_pace *pace, const struct hint_pace_config *config,
                           uint64_t now_us)
{
    assert(config->rate > 0);
    count(pace, config, now_us);
    uint64_t paid_us = now_us;
    if (pace->credit <= 0)
        paid_us += (uint64_t)(1 - pace->credit) * SECOND_US / config->rate + 1;
    return paid_us > pace->resume_us ? paid_us : pace->resume_us;
}

void hint_pace_begin(struct hint_pace *pace)
{
    pace->in_flight++;
}

void hint_pace_spend(struct hint_pace *pace, uint64_t size)
{
    pace->credit -= (int64_t)size;
}

/* Half of it is certain, half is chance: "exponential back-off and jitter". */
static uint64_t pause_us(const struct hint_pace_config *config, uint32_t failures,
                         struct random *random)
{
    uint32_t doublings = failures < DOUBLINGS_MAX ? failures : DOUBLINGS_MAX;
    uint64_t whole_us = config->pause_min_us << (doublings - 1);
    if (whole_us > config->pause_max_us)
        whole_us = config->pause_max_us;
    return whole_us / 2 + random_below(random, whole_us / 2 + 1);
}

void hint_pace_end(struct hint_pace *pace, const struct hint_pace_config *config,
                   enum hint_outcome outcome, uint64_t now_us, struct random *random)
{
    assert(pace->in_flight > 0);
    pace->in_flight--;
    if (outcome == HINT_OUTCOME_DONE) {
        pace->failures = 0;
        pace->resume_us = 0;
    } else if (outcome == HINT_OUTCOME_FAILED && now_us >= pace->resume_us) {
        pace->failures++;
        pace->resume_us = now_us + pause_us(config, pace->failures, random);
    }
}

void hint_pace_revive(struct hint_pace *pace, const struct hint_pace_config *config,
                      uint64_t now_us, struct random *random)
{
    pace->failures = 0;
    pace->resume_us = now_us + random_below(random, config->pause_min_us + 1);
}
