/* SPDX-License-Identifier: Apache-2.0 */
#include "node/tasks/task_meter.h"

enum { SECOND_US = 1000 * 1000, MILLI = 1000 };

void task_figures_add(struct task_figures *sum, const struct task_figures *more)
{
    bool unknown = (sum->active && sum->size_total == 0) || (more->active && more->size_total == 0);
    sum->size_total = unknown ? 0 : sum->size_total + more->size_total;
    sum->active |= more->active;
    sum->paused |= more->paused;
    sum->throttled |= more->throttled;
    sum->runs += more->runs;
    sum->asked_us = more->asked_us > sum->asked_us ? more->asked_us : sum->asked_us;
    sum->done += more->done;
    sum->total += more->total;
    sum->failed += more->failed;
    sum->size += more->size;
    sum->advances += more->advances;
    sum->limit += more->limit;
    sum->left_us = more->left_us > sum->left_us ? more->left_us : sum->left_us;
    if (more->note > sum->note) {
        sum->note = more->note;
        sum->member = more->member;
    }
}

/* --- rates ------------------------------------------------------------------------------------ */

/* The older the last sample, the less of it is left. */
static uint64_t smooth(uint64_t rate, uint64_t measured, uint64_t passed_us)
{
    uint64_t of_us = passed_us + TASK_SMOOTH_US;
    return measured >= rate ? rate + (measured - rate) * passed_us / of_us
                            : rate - (rate - measured) * passed_us / of_us;
}

static uint64_t growth(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

static void sample(struct task_meter *meter, uint64_t now_us)
{
    uint64_t passed_us = now_us - meter->sampled_us;
    if (passed_us < TASK_SAMPLE_US)
        return;
    bool first = meter->sampled_us == meter->begun_us;
    uint64_t size_rate = growth(meter->sampled_size, meter->now.size) * SECOND_US / passed_us;
    uint64_t done_rate =
        growth(meter->sampled_done, meter->now.done) * MILLI * SECOND_US / passed_us;
    meter->size_rate = first ? size_rate : smooth(meter->size_rate, size_rate, passed_us);
    meter->done_rate = first ? done_rate : smooth(meter->done_rate, done_rate, passed_us);
    meter->sampled_us = now_us;
    meter->sampled_size = meter->now.size;
    meter->sampled_done = meter->now.done;
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool is_under_way(const struct task_meter *meter)
{
    return meter->state == TASK_RUNNING || meter->state == TASK_PAUSED;
}

static void begin(struct task_meter *meter, uint64_t now_us)
{
    meter->begun_us = meter->advanced_us = meter->sampled_us = now_us;
    meter->sampled_size = meter->now.size;
    meter->sampled_done = meter->now.done;
    meter->size_rate = meter->done_rate = 0;
}

/* Each shard tells of its run in its own time, so a run may seem to begin after it was cancelled:
 * what tells one run from the next is when it was asked for. */
static bool was_cancelled(const struct task_meter *meter)
{
    return meter->cancelled_us > 0 && meter->now.asked_us <= meter->cancelled_us;
}

void task_meter_step(struct task_meter *meter, const struct task_figures *figures, uint64_t now_us)
{
    struct task_figures before = meter->now;
    bool is_new = figures->runs != before.runs;
    meter->now = *figures;
    if (is_new && (figures->active || !is_under_way(meter)))
        begin(meter, now_us);
    if (figures->active) {
        meter->state = figures->paused ? TASK_PAUSED : TASK_RUNNING;
        if (figures->advances != before.advances || figures->throttled || figures->paused)
            meter->advanced_us = now_us;
        sample(meter, now_us);
    } else if (is_new || is_under_way(meter)) {
        meter->state = was_cancelled(meter) ? TASK_CANCELLED : TASK_DONE;
        meter->ended_us = now_us;
        meter->size_rate = meter->done_rate = 0;
    }
}

void task_meter_cancelled(struct task_meter *meter, uint64_t now_us)
{
    meter->cancelled_us = now_us;
}

/* --- telling ---------------------------------------------------------------------------------- */

/* By bytes where they are known, since units differ in size. */
static uint64_t left_ms(const struct task_meter *meter)
{
    const struct task_figures *now = &meter->now;
    if (now->total > 0 && now->done >= now->total)
        return 0;
    if (now->left_us > 0)
        return now->left_us / MILLI;
    if (now->size_total > 0 && meter->size_rate > 0)
        return growth(now->size, now->size_total) * MILLI / meter->size_rate;
    if (meter->done_rate > 0)
        return growth(now->done, now->total) * MILLI * MILLI / meter->done_rate;
    return TASK_NEVER;
}

void task_meter_tell(const struct task_meter *meter, uint64_t now_us, struct task *ret)
{
    const struct task_figures *now = &meter->now;
    bool ended = meter->state == TASK_DONE || meter->state == TASK_CANCELLED;
    *ret = (struct task){ .state = meter->state,
                          .done = now->done,
                          .total = now->total,
                          .failed = now->failed,
                          .size = now->size,
                          .size_total = now->size_total,
                          .rate = meter->size_rate,
                          .limit = now->limit,
                          .left_ms = TASK_NEVER,
                          .kind = "",
                          .unit = "",
                          .note = "" };
    if (meter->state == TASK_IDLE)
        return;
    ret->age_ms = (now_us - (ended ? meter->ended_us : meter->begun_us)) / MILLI;
    ret->idle_ms = ended ? 0 : (now_us - meter->advanced_us) / MILLI;
    ret->stalled = meter->state == TASK_RUNNING && now_us - meter->advanced_us >= TASK_STALL_US;
    if (meter->state == TASK_RUNNING && !ret->stalled)
        ret->left_ms = left_ms(meter);
}
