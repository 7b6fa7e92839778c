/* SPDX-License-Identifier: Apache-2.0 */
/* As in put.c two questions are asked after every event: do the answers meet the levels, and can they
 * still?  A third comes before the reply: is every digest that was answered in hand as an object? */
#include "cluster/replication/get.h"

#include <assert.h>

#include "cluster/replication/targets.h"

#define MOVE(state) (1u << (state))

static const uint8_t moves[] = {
    [GET_NEW] = MOVE(GET_WAITING),
    [GET_WAITING] = MOVE(GET_FETCHING) | MOVE(GET_REPLIED),
    [GET_FETCHING] = MOVE(GET_WAITING) | MOVE(GET_REPLIED),
    [GET_REPLIED] = MOVE(GET_FINISHED),
    [GET_FINISHED] = 0,
};

static void move(struct get *get, enum get_state to)
{
    assert((moves[get->state] & MOVE(to)) != 0);
    get->state = to;
}

/* An answer counts toward r when it is an object, or when "not found" is as good an answer. */
static uint32_t counted(const struct get *get, uint32_t answered)
{
    return get->quorum.notfound_ok ? answered : answered & ~get->not_found;
}

static bool levels_met_by(const struct get *get, uint32_t answered)
{
    uint32_t good = counted(get, answered);
    return target_count_of(good) >= get->quorum.r &&
           target_count_of(good & get->owners) >= get->quorum.pr;
}

static bool is_met(const struct get *get)
{
    return levels_met_by(get, get->answered);
}

static bool is_possible(const struct get *get)
{
    uint32_t hoped = get->asked & ~get->answered & ~get->failed;
    if (get->quorum.sloppy && hoped != 0)
        hoped |= targets_spare(get->next_spare, get->target_count, get->unreachable);
    return levels_met_by(get, get->answered | hoped);
}

/* "Stop early when a quorum says there is nothing": asking the rest could only confirm it. */
static bool is_surely_absent(const struct get *get)
{
    uint8_t majority = (uint8_t)(get->quorum.n / 2 + 1);
    return get->quorum.basic_quorum && get->answered == get->not_found &&
           target_count_of(get->not_found) >= majority;
}

static bool all_answered(const struct get *get)
{
    return (get->asked & ~get->answered & ~get->failed) == 0;
}

static bool in_hand(const struct get *get, uint64_t digest)
{
    for (uint8_t i = 0; i < get->target_count; i++)
        if ((get->full & target_bit(i)) != 0 && get->digests[i] == digest)
            return true;
    return digest == 0;
}

/* One holder of each digest that nobody sent in full; ret_awaited tells those asked already. */
static uint32_t missing(const struct get *get, bool *ret_awaited)
{
    uint32_t holders = 0;
    *ret_awaited = false;
    for (uint8_t i = 0; i < get->target_count; i++) {
        uint32_t bit = target_bit(i);
        if ((get->answered & bit) == 0 || in_hand(get, get->digests[i]))
            continue;
        bool chosen = false, awaited = false;
        for (uint8_t j = 0; j < get->target_count; j++) {
            bool same = (get->answered & target_bit(j)) && get->digests[j] == get->digests[i];
            chosen |= same && (holders & target_bit(j)) != 0;
            awaited |= same && (get->asked_full & target_bit(j)) != 0;
        }
        *ret_awaited |= awaited;
        if (!chosen && !awaited)
            holders |= bit;
    }
    return holders;
}

static void reply(struct get *get, kvorum_status status, struct get_effects *ret)
{
    move(get, GET_REPLIED);
    ret->reply = true;
    ret->status = status;
}

static void reply_or_fetch(struct get *get, struct get_effects *ret)
{
    bool awaited;
    uint32_t holders = missing(get, &awaited);
    if (holders == 0 && !awaited) {
        reply(get, get->answered == get->not_found ? KVORUM_NOT_FOUND : KVORUM_OK, ret);
        return;
    }
    if (get->state == GET_WAITING)
        move(get, GET_FETCHING);
    get->asked_full |= holders;
    ret->ask_full |= holders;
}

static void conclude(struct get *get, uint64_t now_us, struct get_effects *ret)
{
    bool is_late = now_us >= get->deadline_us;
    bool is_waiting = get->state == GET_WAITING || get->state == GET_FETCHING;
    if (is_waiting && is_late)
        reply(get, KVORUM_TIMEOUT, ret);
    else if (is_waiting && (is_met(get) || is_surely_absent(get)))
        reply_or_fetch(get, ret);
    else if (is_waiting && !is_possible(get))
        reply(get, KVORUM_UNAVAILABLE, ret);
    if (get->state == GET_REPLIED && (is_late || all_answered(get))) {
        move(get, GET_FINISHED);
        ret->finished = true;
    }
}

static void start(struct get *get, struct get_effects *ret)
{
    assert(get->quorum.n >= 1 && get->target_count <= REPLICAS_MAX);
    move(get, GET_WAITING);
    get->asked =
        targets_choose(&get->quorum, get->target_count, get->unreachable, &get->next_spare);
    if (!is_possible(get))
        get->asked = 0;
    get->asked_full = get->asked & -get->asked; /* the first of them */
    ret->ask_full = get->asked_full;
    ret->ask_digest = get->asked & ~get->asked_full;
}

static void answer(struct get *get, const struct get_event *event)
{
    uint32_t target = target_bit(event->target) & get->asked;
    if (target == 0 || (get->full & target) != 0)
        return; /* never asked, or nothing can be added */
    get->failed &= ~target;
    get->answered |= target;
    get->digests[event->target] = event->digest;
    get->not_found = event->digest == 0 ? get->not_found | target : get->not_found & ~target;
    if (event->full)
        get->full |= target;
}

/* A holder that fails while we wait for its object no longer vouches for its digest. */
static void fail(struct get *get, const struct get_event *event, struct get_effects *ret)
{
    uint32_t target = target_bit(event->target) & get->asked & ~get->full;
    bool had_answered = (get->answered & target) != 0;
    if (target == 0 || (had_answered && (get->asked_full & target) == 0) ||
        (get->failed & target) != 0)
        return;
    get->answered &= ~target;
    get->not_found &= ~target;
    get->failed |= target;
    if (get->state == GET_FETCHING)
        move(get, GET_WAITING);
    if (!get->quorum.sloppy || get->state >= GET_REPLIED || event->now_us >= get->deadline_us)
        return;
    uint32_t spare = targets_take_spare(&get->next_spare, get->target_count, get->unreachable);
    get->asked |= spare;
    get->asked_full |= spare;
    ret->ask_full |= spare;
}

static void check(const struct get *get, const struct get_effects *effects)
{
    assert((get->asked & ~targets_below(get->target_count)) == 0);
    assert((get->asked & get->unreachable) == 0);
    assert((get->answered & ~get->asked) == 0 && (get->full & ~get->answered) == 0);
    assert((get->not_found & ~get->answered) == 0 && (get->failed & get->answered) == 0);
    assert((effects->ask_full & ~get->asked) == 0 && (effects->ask_digest & ~get->asked) == 0);
    assert(!effects->reply || get->state >= GET_REPLIED);
    bool good = effects->status == KVORUM_OK || effects->status == KVORUM_NOT_FOUND;
    assert(!effects->reply || !good || is_met(get) || is_surely_absent(get));
}

void get_step(struct get *get, const struct get_event *event, struct get_effects *ret)
{
    *ret = (struct get_effects){ 0 };
    if ((event->kind == GET_START) != (get->state == GET_NEW) || get->state == GET_FINISHED)
        return;
    switch (event->kind) {
    case GET_START:
        start(get, ret);
        break;
    case GET_ANSWER:
        answer(get, event);
        break;
    case GET_FAILED:
        fail(get, event, ret);
        break;
    case GET_TICK:
        break;
    }
    conclude(get, event->now_us, ret);
    check(get, ret);
}
