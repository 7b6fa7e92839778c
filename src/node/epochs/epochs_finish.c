/* SPDX-License-Identifier: Apache-2.0 */
/* Finishing what another began.  What a voter accepted may be decided, though whoever knew so is
 * gone: its disk was lost, or it left with that very epoch.  So a voter that holds an accepted
 * record of the next epoch, and hears of nothing that came of it, gets it decided itself.
 *
 *      accepted --- quiet for a while ---> an attempt --- decided, here or elsewhere ---> over
 *                        ^                    |
 *                        `--- twice as long --'  no majority in FINISH_TRY_US
 *
 * It is a proposal like any other (epochs_propose.c): a new ballot asks a majority first what it
 * accepted, and goes on with the newest of that; the voter's own record counts only where none of
 * them has any.  So it is safe at any time, by several at once, and given up anywhere.  Each voter
 * waits longer than the one before it, so that they do not outbid each other.
 *
 * Somebody who wants a change proposes, which finishes the record too: then there is nothing to do
 * here.  Nor has who accepted the beginning of a newer line (node/recover) any part in it. */
#include "base/planted.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/recover/recover.h"

enum {
    FINISH_US = 5 * 1000 * 1000,
    FINISH_APART_US = 2 * 1000 * 1000, /* a voter and the next */
    FINISH_TRY_US = 3 * 1000 * 1000,
    FINISH_DOUBLINGS_MAX = 3,
};

bool epochs_undecided(const struct node *node)
{
    const struct acceptor *acceptor = &node->epochs->acceptor;
    const struct epoch *epoch = node->config.epoch;
    return !ballot_is_none(acceptor->accepted) && acceptor->number == epoch->number + 1 &&
           epochs_voter_of(epoch, node->config.self) >= 0;
}

/* What is proposed for nobody who waits here. */
static bool is_trying(const struct node *node)
{
    const struct epochs *epochs = node->epochs;
    return epochs->proposing != 0 && epochs->current == NULL && !wishes_decided(node);
}

static bool is_idle(const struct epochs *epochs)
{
    return epochs->proposing == 0 && !epochs->planning && epochs->current == NULL &&
           list_empty(&epochs->wishes) && !epochs->record_save->busy;
}

static bool may_try(const struct node *node)
{
    const struct epochs *epochs = node->epochs;
    return epochs_undecided(node) && is_idle(epochs) && !epochs->accepted.failed &&
           !recover_fences(node, epochs->acceptor.number) && !PLANTED(ACCEPTED_NOT_FINISHED);
}

static uint64_t patience_us(const struct node *node)
{
    unsigned in_vain = node->epochs->finish.in_vain;
    unsigned doublings = in_vain < FINISH_DOUBLINGS_MAX ? in_vain : FINISH_DOUBLINGS_MAX;
    int voter = epochs_voter_of(node->config.epoch, node->config.self);
    return ((uint64_t)FINISH_US << doublings) + (uint64_t)voter * FINISH_APART_US;
}

uint64_t finish_deadline_us(const struct node *node)
{
    const struct epoch_finish *finish = &node->epochs->finish;
    if (is_trying(node))
        return finish->end_us;
    return may_try(node) ? finish->since_us + patience_us(node) : UINT64_MAX;
}

static void try(struct node *node)
{
    struct epochs *epochs = node->epochs;
    epochs->finish.end_us = node->now_us + FINISH_TRY_US;
    epochs->finish.since_us = node->now_us;
    buffer_reset(&epochs->own);
    buffer_append_bytes(&epochs->own, buffer_bytes(&epochs->accepted));
    if (epochs->own.failed)
        return; /* no memory: later */
    PROBE("node: a voter proposed what it had accepted");
    epochs_propose(node);
}

static void give_up(struct node *node)
{
    struct epoch_finish *finish = &node->epochs->finish;
    epochs_propose_stop(node);
    finish->since_us = node->now_us;
    finish->in_vain++;
}

void finish_tick(struct node *node)
{
    if (node->now_us < finish_deadline_us(node))
        return;
    if (is_trying(node))
        give_up(node);
    else
        try(node);
}

void finish_on_accepted(struct node *node)
{
    node->epochs->finish.since_us = node->now_us;
    epochs_arm(node);
}

void finish_on_adopted(struct node *node)
{
    node->epochs->finish = (struct epoch_finish){ 0 };
}
