/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/transfer.h"

#include <assert.h>

#include "base/hash.h"

#define MOVE(state) (1u << (state))

static const uint8_t moves[] = {
    [TRANSFER_NEW] = MOVE(TRANSFER_ASKING) | MOVE(TRANSFER_RESTING) | MOVE(TRANSFER_OVER),
    [TRANSFER_ASKING] = MOVE(TRANSFER_TAKING) | MOVE(TRANSFER_RESTING) | MOVE(TRANSFER_OVER),
    [TRANSFER_TAKING] = MOVE(TRANSFER_SAVING) | MOVE(TRANSFER_RESTING) | MOVE(TRANSFER_OVER),
    [TRANSFER_SAVING] = MOVE(TRANSFER_RESTING) | MOVE(TRANSFER_COMPLETE) | MOVE(TRANSFER_OVER),
    [TRANSFER_RESTING] = MOVE(TRANSFER_ASKING) | MOVE(TRANSFER_OVER),
    [TRANSFER_COMPLETE] = 0,
    [TRANSFER_OVER] = 0,
};

static void move(struct transfer *transfer, enum transfer_state to)
{
    assert((moves[transfer->state] & MOVE(to)) != 0);
    transfer->state = to;
}

bool transfer_is_over(const struct transfer *transfer)
{
    return transfer->state == TRANSFER_COMPLETE || transfer->state == TRANSFER_OVER;
}

uint64_t transfer_hash(struct bytes key, struct bytes encoding)
{
    return hash_mix64(hash64(key, 3) ^ hash_mix64(hash64(encoding, 5)));
}

void transfer_count(struct transfer_totals *totals, struct bytes key, struct bytes encoding)
{
    totals->keys++;
    totals->size += key.size + encoding.size;
    totals->sum += transfer_hash(key, encoding);
}

static struct transfer_totals add(const struct transfer_totals *a, const struct transfer_totals *b)
{
    return (struct transfer_totals){ a->keys + b->keys, a->size + b->size, a->sum + b->sum };
}

static bool is_equal(const struct transfer_totals *a, const struct transfer_totals *b)
{
    return a->keys == b->keys && a->size == b->size && a->sum == b->sum;
}

/* --- steps ------------------------------------------------------------------------------------ */

static void rest(struct transfer *transfer, uint64_t until_us)
{
    move(transfer, TRANSFER_RESTING);
    transfer->due_us = until_us;
}

static void retry(struct transfer *transfer, uint64_t now_us)
{
    transfer->retries++;
    rest(transfer, now_us + transfer->rest_us);
}

static void ask(struct transfer *transfer, uint64_t now_us, struct transfer_effects *ret)
{
    move(transfer, TRANSFER_ASKING);
    transfer->page++;
    transfer->due_us = now_us + transfer->patience_us;
    ret->ask = true;
}

/* Asks when it may: not paused, and with nothing owed to the throttle. */
static void go_on(struct transfer *transfer, uint64_t now_us, struct transfer_effects *ret)
{
    uint64_t free_us = throttle_free_us(transfer->throttle);
    uint64_t at_us = free_us > transfer->due_us ? free_us : transfer->due_us;
    if (transfer->paused)
        return;
    if (at_us > now_us)
        transfer->due_us = at_us;
    else
        ask(transfer, now_us, ret);
}

static void take_page(struct transfer *transfer, const struct transfer_event *event,
                      struct transfer_effects *ret)
{
    if (transfer->state != TRANSFER_ASKING || event->page != transfer->page)
        return;
    throttle_spend(transfer->throttle, event->found.size, event->now_us);
    transfer->next = add(&transfer->totals, &event->found);
    if (!is_equal(&transfer->next, &event->claimed)) {
        retry(transfer, event->now_us); /* damaged, or an answer to who we were before */
        return;
    }
    move(transfer, TRANSFER_TAKING);
    transfer->last = event->last;
    ret->merge = true;
}

static void keep_page(struct transfer *transfer, uint64_t now_us, struct transfer_effects *ret)
{
    transfer->totals = transfer->next;
    transfer->retries = 0;
    transfer->progress_us = now_us;
    if (transfer->last) {
        move(transfer, TRANSFER_COMPLETE);
        ret->ended = true;
        return;
    }
    rest(transfer, now_us);
    go_on(transfer, now_us, ret);
}

static void tick(struct transfer *transfer, uint64_t now_us, struct transfer_effects *ret)
{
    if (transfer->state == TRANSFER_RESTING)
        go_on(transfer, now_us, ret);
    else if (transfer->state == TRANSFER_ASKING && now_us >= transfer->due_us)
        retry(transfer, now_us);
}

/* Also when the throttle has become another: what was owed to the old one is forgotten. */
static void resume(struct transfer *transfer, uint64_t now_us, struct transfer_effects *ret)
{
    transfer->paused = false;
    if (transfer->state == TRANSFER_RESTING && transfer->retries == 0 && transfer->due_us > now_us)
        transfer->due_us = now_us;
    tick(transfer, now_us, ret);
}

static void start(struct transfer *transfer, uint64_t now_us, struct transfer_effects *ret)
{
    assert(transfer->throttle != NULL && transfer->patience_us > 0);
    transfer->progress_us = now_us;
    rest(transfer, now_us);
    go_on(transfer, now_us, ret);
}

static void fail(struct transfer *transfer, uint64_t now_us)
{
    if (transfer->state == TRANSFER_TAKING || transfer->state == TRANSFER_SAVING)
        retry(transfer, now_us);
}

void transfer_step(struct transfer *transfer, const struct transfer_event *event,
                   struct transfer_effects *ret)
{
    uint64_t now_us = event->now_us;
    *ret = (struct transfer_effects){ 0 };
    if ((event->kind == TRANSFER_START) != (transfer->state == TRANSFER_NEW) ||
        transfer_is_over(transfer))
        return;
    switch (event->kind) {
    case TRANSFER_START:
        start(transfer, now_us, ret);
        break;
    case TRANSFER_PAGE:
        take_page(transfer, event, ret);
        break;
    case TRANSFER_LATER:
        if (transfer->state == TRANSFER_ASKING && event->page == transfer->page)
            retry(transfer, now_us);
        break;
    case TRANSFER_MERGED:
        if (transfer->state != TRANSFER_TAKING)
            break;
        move(transfer, TRANSFER_SAVING);
        ret->save = true;
        break;
    case TRANSFER_SAVED:
        if (transfer->state == TRANSFER_SAVING)
            keep_page(transfer, now_us, ret);
        break;
    case TRANSFER_FAILED:
        fail(transfer, now_us);
        break;
    case TRANSFER_TICK:
        tick(transfer, now_us, ret);
        break;
    case TRANSFER_PAUSE:
        transfer->paused = true;
        break;
    case TRANSFER_RESUME:
        resume(transfer, now_us, ret);
        break;
    case TRANSFER_CLOSE:
        move(transfer, TRANSFER_OVER);
        ret->ended = true;
        break;
    }
    assert(!(ret->ask && ret->merge) && !(ret->save && ret->ended));
}

uint64_t transfer_due_us(const struct transfer *transfer)
{
    bool asks = transfer->state == TRANSFER_RESTING && !transfer->paused;
    return asks || transfer->state == TRANSFER_ASKING ? transfer->due_us : UINT64_MAX;
}
