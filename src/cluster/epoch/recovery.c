/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/epoch/recovery.h"

#include <assert.h>
#include <string.h>

enum { BACKOFF_DOUBLINGS_MAX = 6 };

static void ask_all(struct recovery *recovery, enum recovery_state state, uint64_t now_us)
{
    recovery->state = state;
    recovery->missing = 0;
    memset(recovery->answered, 0, sizeof(recovery->answered));
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        recovery->missing += recovery->asked[i];
    recovery->next_tick_us = now_us + RECOVERY_RESEND_US;
}

static void rest(struct recovery *recovery, enum recovery_state state)
{
    recovery->state = state;
    recovery->next_tick_us = UINT64_MAX;
}

void recovery_init(struct recovery *recovery, uint64_t life)
{
    assert(life != 0);
    *recovery = (struct recovery){ .life = life, .next_tick_us = UINT64_MAX };
}

/* A new attempt has a ballot above all that were seen, and knows nothing of what is accepted. */
static void prepare(struct recovery *recovery, uint64_t now_us, struct recovery_effects *ret)
{
    recovery->ballot = (struct ballot){ ++recovery->counter, recovery->life };
    ask_all(recovery, RECOVERY_PREPARING, now_us);
    ret->prepare = true;
}

static void start(struct recovery *recovery, const struct recovery_event *event,
                  struct recovery_effects *ret)
{
    memcpy(recovery->asked, event->members, sizeof(recovery->asked));
    recovery->conflicts = 0;
    prepare(recovery, event->now_us, ret);
    assert(recovery->missing > 0);
}

static bool is_last(struct recovery *recovery, uint16_t member)
{
    if (!recovery_waits_for(recovery, member))
        return false;
    recovery->answered[member] = true;
    return --recovery->missing == 0;
}

static void on_promise(struct recovery *recovery, const struct recovery_event *event,
                       struct recovery_effects *ret)
{
    if (recovery->state != RECOVERY_PREPARING || !is_last(recovery, event->member))
        return;
    rest(recovery, RECOVERY_CHOOSING);
    ret->promised = true;
}

static void on_accepted(struct recovery *recovery, const struct recovery_event *event,
                        struct recovery_effects *ret)
{
    if (recovery->state != RECOVERY_ACCEPTING || !is_last(recovery, event->member))
        return;
    rest(recovery, RECOVERY_DECIDED);
    ret->decided = true;
}

static void on_refused(struct recovery *recovery, const struct recovery_event *event)
{
    if (event->other.counter > recovery->counter)
        recovery->counter = event->other.counter;
    if (recovery->state != RECOVERY_PREPARING && recovery->state != RECOVERY_ACCEPTING)
        return;
    unsigned doublings =
        recovery->conflicts < BACKOFF_DOUBLINGS_MAX ? recovery->conflicts : BACKOFF_DOUBLINGS_MAX;
    recovery->conflicts++;
    recovery->state = RECOVERY_WAITING;
    recovery->next_tick_us =
        event->now_us + 1 + event->random % ((uint64_t)RECOVERY_BACKOFF_US << doublings);
}

static void tick(struct recovery *recovery, uint64_t now_us, struct recovery_effects *ret)
{
    if (now_us < recovery->next_tick_us)
        return;
    recovery->next_tick_us = now_us + RECOVERY_RESEND_US;
    ret->accept = recovery->state == RECOVERY_ACCEPTING;
    if (recovery->state == RECOVERY_PREPARING)
        ret->prepare = true;
    else if (recovery->state == RECOVERY_WAITING)
        prepare(recovery, now_us, ret);
}

/* Answers to another attempt, or from nobody we asked, say nothing about this one. */
static bool is_about_us(const struct recovery *recovery, const struct recovery_event *event)
{
    return event->member < RING_MEMBERS_MAX && recovery->asked[event->member] &&
           ballot_equal(event->ballot, recovery->ballot);
}

void recovery_step(struct recovery *recovery, const struct recovery_event *event,
                   struct recovery_effects *ret)
{
    *ret = (struct recovery_effects){ 0 };
    bool ours = is_about_us(recovery, event);
    if (event->kind == RECOVERY_START)
        start(recovery, event, ret);
    else if (event->kind == RECOVERY_PROMISE && ours)
        on_promise(recovery, event, ret);
    else if (event->kind == RECOVERY_ACCEPTED && ours)
        on_accepted(recovery, event, ret);
    else if (event->kind == RECOVERY_REFUSED && ours)
        on_refused(recovery, event);
    else if (event->kind == RECOVERY_CHOOSE && recovery->state == RECOVERY_CHOOSING) {
        ask_all(recovery, RECOVERY_ACCEPTING, event->now_us);
        ret->accept = true;
    } else if (event->kind == RECOVERY_TICK)
        tick(recovery, event->now_us, ret);
    else if (event->kind == RECOVERY_STOP)
        rest(recovery, RECOVERY_IDLE);
    ret->next_tick_us = recovery->next_tick_us;
}

struct ballot recovery_newest(const bool *asked, const struct ballot *accepted)
{
    struct ballot newest = { 0, 0 };
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        if (asked[i] && ballot_less(newest, accepted[i]))
            newest = accepted[i];
    return newest;
}

/* Whoever is needed, and has not accepted it, never will under any ballot so far. */
bool recovery_may_be_decided(const bool *asked, const uint64_t *values, const bool *forgetful,
                             uint64_t value, const bool *needed)
{
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        if (asked[i] && needed[i] && !forgetful[i] && values[i] != value)
            return false;
    return true;
}
