/* SPDX-License-Identifier: Apache-2.0 */
/* Two questions are asked after every event: are the levels met by those who acked, and can they
 * still be met by those who may yet ack?  Everything else follows from the answers. */
#include "cluster/replication/put.h"

#include <assert.h>

#include "base/planted.h"
#include "cluster/replication/targets.h"

#define MOVE(state) (1u << (state))

static const uint8_t moves[] = {
    [PUT_NEW] = MOVE(PUT_WAITING),
    [PUT_WAITING] = MOVE(PUT_REPLIED),
    [PUT_REPLIED] = MOVE(PUT_FINISHED),
    [PUT_FINISHED] = 0,
};

static void move(struct put *put, enum put_state to)
{
    assert((moves[put->state] & MOVE(to)) != 0);
    put->state = to;
}

static bool levels_met_by(const struct put *put, uint32_t acked, uint32_t durable)
{
    const struct quorum *quorum = &put->quorum;
    uint32_t count = target_count_of(acked) + PLANTED(WRONG_QUORUM_COUNT);
    return count >= quorum->w && target_count_of(acked) >= quorum->node_confirms &&
           target_count_of(durable) >= quorum->dw &&
           target_count_of(acked & put->owners) >= quorum->pw;
}

static bool is_met(const struct put *put)
{
    return levels_met_by(put, put->acked, put->durable);
}

/* Spares count only while something may still fail, since only a failure calls them. */
static bool is_possible(const struct put *put)
{
    uint32_t hoped = put->sent & ~put->failed;
    if (put->quorum.sloppy && (hoped & ~put->durable) != 0)
        hoped |= targets_spare(put->next_spare, put->target_count, put->unreachable);
    return levels_met_by(put, put->acked | hoped, put->durable | hoped);
}

static bool may_be_held(const struct put *put)
{
    return (put->acked | (put->sent & ~put->refused)) != 0;
}

static bool all_answered(const struct put *put)
{
    return (put->sent & ~put->acked & ~put->failed) == 0;
}

static void start(struct put *put, uint64_t now_us, struct put_effects *ret)
{
    assert(put->quorum.n >= 1 && put->target_count <= REPLICAS_MAX);
    move(put, PUT_WAITING);
    put->sent = targets_choose(&put->quorum, put->target_count, put->unreachable, &put->next_spare);
    /* Half a write that is known to fail is worse than none: nobody could say it did not happen. */
    if (!is_possible(put) || now_us >= put->deadline_us)
        put->sent = 0;
    ret->send = put->sent;
}

static void acknowledge(struct put *put, const struct put_event *event)
{
    uint32_t target = target_bit(event->target) & put->sent;
    bool is_first = (target & ~put->acked) != 0;
    if (PLANTED(REPLICA_COUNTED_TWICE) && !is_first)
        target = put->sent & ~put->acked;
    put->acked |= target;
    put->refused &= ~target;
    if (is_first || event->durable)
        put->failed &= ~target;
    if (event->durable)
        put->durable |= target;
}

static void fail(struct put *put, const struct put_event *event, struct put_effects *ret)
{
    uint32_t target = target_bit(event->target) & put->sent & ~put->durable;
    bool is_news = (target & ~put->failed) != 0;
    put->failed |= target;
    if (event->refused)
        put->refused |= target & ~put->acked;
    bool is_settled = put->state == PUT_REPLIED && !is_met(put); /* as unknown: leave it at that */
    if (!is_news || is_settled || !put->quorum.sloppy || event->now_us >= put->deadline_us)
        return;
    struct put before = *put;
    uint32_t spare = targets_take_spare(&put->next_spare, put->target_count, put->unreachable);
    put->sent |= spare;
    if (is_possible(put))
        ret->send = spare;
    else
        *put = before; /* do not spread a write that must be answered as failed */
}

static void reply(struct put *put, kvorum_status status, struct put_effects *ret)
{
    move(put, PUT_REPLIED);
    ret->reply = true;
    ret->status = status;
}

static void conclude(struct put *put, uint64_t now_us, struct put_effects *ret)
{
    bool is_late = now_us >= put->deadline_us;
    if (put->state == PUT_WAITING && is_met(put))
        reply(put, KVORUM_OK, ret);
    else if (put->state == PUT_WAITING && (is_late || !is_possible(put)))
        reply(put, may_be_held(put) ? KVORUM_TIMEOUT : KVORUM_UNAVAILABLE, ret);
    if (put->state == PUT_REPLIED && (is_late || all_answered(put))) {
        move(put, PUT_FINISHED);
        ret->finished = true;
    }
}

static void check(const struct put *put, const struct put_effects *effects)
{
    assert((put->sent & ~targets_below(put->target_count)) == 0);
    assert((put->sent & put->unreachable) == 0);
    assert((put->acked & ~put->sent) == 0 && (put->durable & ~put->acked) == 0);
    assert((put->failed & ~put->sent) == 0 && (put->refused & ~put->failed) == 0);
    assert((put->failed & put->durable) == 0 && (put->refused & put->acked) == 0);
    assert(put->quorum.sloppy || (put->sent & ~targets_below(put->quorum.n)) == 0);
    assert((effects->send & ~put->sent) == 0);
    assert(!effects->reply || put->state >= PUT_REPLIED);
    assert(!effects->reply || (effects->status == KVORUM_OK) == is_met(put));
    assert(!effects->reply || effects->status != KVORUM_UNAVAILABLE || !may_be_held(put));
    assert(put->state != PUT_WAITING || (!is_met(put) && is_possible(put)));
}

void put_step(struct put *put, const struct put_event *event, struct put_effects *ret)
{
    *ret = (struct put_effects){ 0 };
    if ((event->kind == PUT_START) != (put->state == PUT_NEW) || put->state == PUT_FINISHED)
        return;
    switch (event->kind) {
    case PUT_START:
        start(put, event->now_us, ret);
        break;
    case PUT_ACK:
        acknowledge(put, event);
        break;
    case PUT_FAILED:
        fail(put, event, ret);
        break;
    case PUT_TICK:
        break;
    }
    conclude(put, event->now_us, ret);
    check(put, ret);
}
