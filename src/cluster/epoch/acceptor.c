/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/epoch/acceptor.h"

#include <assert.h>

void acceptor_init(struct acceptor *acceptor, uint64_t in_force)
{
    *acceptor = (struct acceptor){ .number = in_force + 1, .saved = true };
}

void acceptor_load(struct acceptor *acceptor, uint64_t in_force, const struct acceptor *saved)
{
    acceptor_init(acceptor, in_force);
    if (saved->number < acceptor->number)
        return;
    acceptor->number = saved->number;
    acceptor->promised = saved->promised;
    acceptor->accepted = saved->accepted;
    acceptor->value = saved->value;
}

static enum acceptor_answer judge_number(const struct acceptor *acceptor, uint64_t number)
{
    if (number == acceptor->number)
        return ACCEPTOR_NO_ANSWER;
    return number < acceptor->number ? ACCEPTOR_OLD : ACCEPTOR_NEW;
}

/* "If an acceptor receives a prepare request with number n greater than that of any prepare request
 * to which it has already responded, then it responds with a promise not to accept any more
 * proposals numbered less than n and with the highest-numbered proposal (if any) that it has
 * accepted."  The same request again is the same promise again. */
static enum acceptor_answer prepare(struct acceptor *acceptor, struct ballot ballot)
{
    if (ballot_less(ballot, acceptor->promised))
        return ACCEPTOR_REFUSE;
    if (!ballot_equal(ballot, acceptor->promised))
        acceptor->saved = false;
    acceptor->promised = ballot;
    return ACCEPTOR_PROMISE;
}

/* "If an acceptor receives an accept request for a proposal numbered n, it accepts the proposal
 * unless it has already responded to a prepare request having a number greater than n." */
static enum acceptor_answer accept(struct acceptor *acceptor, struct ballot ballot, uint64_t value)
{
    if (ballot_less(ballot, acceptor->promised))
        return ACCEPTOR_REFUSE;
    if (!ballot_equal(ballot, acceptor->accepted))
        acceptor->saved = false;
    else if (value != acceptor->value)
        return ACCEPTOR_REFUSE; /* two values under one ballot: somebody is broken */
    acceptor->promised = acceptor->accepted = ballot;
    acceptor->value = value;
    return ACCEPTOR_ACCEPTED;
}

static void ask(struct acceptor *acceptor, const struct acceptor_event *event,
                struct acceptor_effects *ret)
{
    if (acceptor_is_saving(acceptor))
        return;
    ret->ballot = event->ballot;
    ret->answer = judge_number(acceptor, event->number);
    if (ret->answer != ACCEPTOR_NO_ANSWER)
        return;
    enum acceptor_answer answer = event->kind == ACCEPTOR_PREPARE
                                      ? prepare(acceptor, event->ballot)
                                      : accept(acceptor, event->ballot, event->value);
    if (acceptor->saved || answer == ACCEPTOR_REFUSE) {
        ret->answer = answer;
        return;
    }
    acceptor->answering = answer;
    acceptor->asked = event->ballot;
    ret->save = true;
}

static void end_saving(struct acceptor *acceptor, bool saved, struct acceptor_effects *ret)
{
    if (!acceptor_is_saving(acceptor))
        return; /* it was for a number that has been decided meanwhile */
    if (saved) {
        ret->answer = acceptor->answering;
        ret->ballot = acceptor->asked;
        acceptor->saved = true;
    }
    acceptor->answering = ACCEPTOR_NO_ANSWER;
}

void acceptor_step(struct acceptor *acceptor, const struct acceptor_event *event,
                   struct acceptor_effects *ret)
{
    *ret = (struct acceptor_effects){ .answer = ACCEPTOR_NO_ANSWER };
    switch (event->kind) {
    case ACCEPTOR_PREPARE:
    case ACCEPTOR_ACCEPT:
        ask(acceptor, event, ret);
        break;
    case ACCEPTOR_SAVED:
    case ACCEPTOR_FAILED:
        end_saving(acceptor, event->kind == ACCEPTOR_SAVED, ret);
        break;
    case ACCEPTOR_DECIDED:
        if (event->number >= acceptor->number)
            acceptor_init(acceptor, event->number);
        break;
    }
    assert(!ballot_less(acceptor->promised, acceptor->accepted));
}
