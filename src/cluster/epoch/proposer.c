/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/epoch/proposer.h"

#include <assert.h>

#include "base/planted.h"

#define MOVE(state) (1u << (state))

enum { BACKOFF_DOUBLINGS_MAX = 6 };

static const uint8_t moves[] = {
    [PROPOSER_IDLE] = MOVE(PROPOSER_PREPARING),
    [PROPOSER_PREPARING] = MOVE(PROPOSER_ACCEPTING) | MOVE(PROPOSER_WAITING) | MOVE(PROPOSER_IDLE),
    [PROPOSER_ACCEPTING] = MOVE(PROPOSER_DECIDED) | MOVE(PROPOSER_WAITING) | MOVE(PROPOSER_IDLE),
    [PROPOSER_WAITING] = MOVE(PROPOSER_PREPARING) | MOVE(PROPOSER_IDLE),
    [PROPOSER_DECIDED] = MOVE(PROPOSER_IDLE),
};

static void become(struct proposer *proposer, enum proposer_state state)
{
    assert((moves[proposer->state] & MOVE(state)) != 0);
    proposer->state = state;
    proposer->answered = 0;
}

static uint32_t everybody(const struct proposer *proposer)
{
    return (1u << proposer->voter_count) - 1;
}

static bool is_majority(const struct proposer *proposer, uint32_t voters)
{
    return __builtin_popcount(voters) > proposer->voter_count / 2;
}

void proposer_init(struct proposer *proposer, uint64_t life)
{
    assert(life != 0);
    *proposer = (struct proposer){ .life = life, .next_tick_us = UINT64_MAX };
}

/* A new attempt has a ballot above all that were seen, and knows nothing of what is accepted. */
static void prepare(struct proposer *proposer, uint64_t now_us, struct proposer_effects *ret)
{
    become(proposer, PROPOSER_PREPARING);
    proposer->ballot = (struct ballot){ ++proposer->counter, proposer->life };
    proposer->carried = (struct ballot){ 0, 0 };
    proposer->value = proposer->own;
    proposer->next_tick_us = now_us + PROPOSER_RESEND_US;
    ret->prepare = everybody(proposer);
}

static void start(struct proposer *proposer, const struct proposer_event *event,
                  struct proposer_effects *ret)
{
    assert(event->voter_count >= 1 && event->voter_count <= PROPOSER_VOTERS_MAX);
    if (proposer->state != PROPOSER_IDLE)
        become(proposer, PROPOSER_IDLE);
    proposer->voter_count = event->voter_count;
    proposer->own = event->value;
    proposer->conflicts = 0;
    prepare(proposer, event->now_us, ret);
}

/* "If the proposer receives a response to its prepare requests from a majority of acceptors, then
 * it sends an accept request with a value v, where v is the value of the highest-numbered proposal
 * among the responses, or is any value if the responses reported no proposals." */
static void on_promise(struct proposer *proposer, const struct proposer_event *event,
                       struct proposer_effects *ret)
{
    uint32_t bit = 1u << event->voter;
    if (proposer->state != PROPOSER_PREPARING || (proposer->answered & bit) != 0)
        return;
    proposer->answered |= bit;
    if (ballot_less(proposer->carried, event->accepted) && !PLANTED(OWN_VALUE_PROPOSED)) {
        proposer->carried = event->accepted;
        proposer->value = event->value;
        ret->carry = true;
    }
    if (!is_majority(proposer, proposer->answered))
        return;
    become(proposer, PROPOSER_ACCEPTING);
    proposer->next_tick_us = event->now_us + PROPOSER_RESEND_US;
    ret->accept = everybody(proposer);
}

static void on_accepted(struct proposer *proposer, const struct proposer_event *event,
                        struct proposer_effects *ret)
{
    if (proposer->state != PROPOSER_ACCEPTING)
        return;
    proposer->answered |= 1u << event->voter;
    if (!is_majority(proposer, proposer->answered))
        return;
    become(proposer, PROPOSER_DECIDED);
    proposer->next_tick_us = UINT64_MAX;
    ret->decided = true;
}

static void on_refused(struct proposer *proposer, const struct proposer_event *event)
{
    if (event->accepted.counter > proposer->counter)
        proposer->counter = event->accepted.counter;
    if (proposer->state != PROPOSER_PREPARING && proposer->state != PROPOSER_ACCEPTING)
        return;
    become(proposer, PROPOSER_WAITING);
    unsigned doublings =
        proposer->conflicts < BACKOFF_DOUBLINGS_MAX ? proposer->conflicts : BACKOFF_DOUBLINGS_MAX;
    uint64_t limit_us = (uint64_t)PROPOSER_BACKOFF_US << doublings;
    proposer->conflicts++;
    proposer->next_tick_us = event->now_us + 1 + event->random % limit_us;
}

static void tick(struct proposer *proposer, uint64_t now_us, struct proposer_effects *ret)
{
    if (now_us < proposer->next_tick_us)
        return;
    proposer->next_tick_us = now_us + PROPOSER_RESEND_US;
    uint32_t silent = everybody(proposer) & ~proposer->answered;
    if (proposer->state == PROPOSER_PREPARING)
        ret->prepare = silent;
    else if (proposer->state == PROPOSER_ACCEPTING)
        ret->accept = silent;
    else if (proposer->state == PROPOSER_WAITING)
        prepare(proposer, now_us, ret);
}

/* Answers to another attempt, or from nobody we asked, say nothing about this one. */
static bool is_about_us(const struct proposer *proposer, const struct proposer_event *event)
{
    return event->voter < proposer->voter_count && ballot_equal(event->ballot, proposer->ballot);
}

void proposer_step(struct proposer *proposer, const struct proposer_event *event,
                   struct proposer_effects *ret)
{
    *ret = (struct proposer_effects){ 0 };
    bool ours = is_about_us(proposer, event);
    if (event->kind == PROPOSER_START)
        start(proposer, event, ret);
    else if (event->kind == PROPOSER_PROMISE && ours)
        on_promise(proposer, event, ret);
    else if (event->kind == PROPOSER_ACCEPTED && ours)
        on_accepted(proposer, event, ret);
    else if (event->kind == PROPOSER_REFUSED && ours)
        on_refused(proposer, event);
    else if (event->kind == PROPOSER_TICK && proposer->state != PROPOSER_IDLE)
        tick(proposer, event->now_us, ret);
    else if (event->kind == PROPOSER_STOP && proposer->state != PROPOSER_IDLE) {
        become(proposer, PROPOSER_IDLE);
        proposer->next_tick_us = UINT64_MAX;
    }
    ret->next_tick_us = proposer->next_tick_us;
    assert(proposer->ballot.counter <= proposer->counter);
}
