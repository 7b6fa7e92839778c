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

static bool is_moving(const struct put *put)
{
    return put->other_set != 0;
}

/* Targets that have a place of their own; the rest are spares. */
static uint8_t places_of(const struct put *put)
{
    return is_moving(put) ? put->places : put->quorum.n;
}

static bool zones_met(const struct put *put, bool other, uint32_t acked, uint32_t durable)
{
    const struct level_zones *levels = other ? &put->other.zones : &put->quorum.zones;
    return zones_met_by(put->zones, levels->w, other, acked) &&
           zones_met_by(put->zones, levels->pw, other, acked) &&
           zones_met_by(put->zones, levels->dw, other, durable);
}

static bool levels_met_by(const struct put *put, bool other, uint32_t acked, uint32_t durable)
{
    const struct quorum *quorum = other ? &put->other : &put->quorum;
    uint32_t count = target_count_of(acked) + PLANTED(WRONG_QUORUM_COUNT);
    return count >= quorum->w && target_count_of(acked) >= quorum->node_confirms &&
           target_count_of(durable) >= quorum->dw &&
           target_count_of(acked & put->owners) >= quorum->pw &&
           zones_met(put, other, acked, durable);
}

static bool is_met(const struct put *put)
{
    if (!is_moving(put))
        return levels_met_by(put, false, put->acked, put->durable);
    return levels_met_by(put, false, put->acked & put->set, put->durable & put->set) &&
           (PLANTED(MOVE_NEEDS_ONE_SET) ||
            levels_met_by(put, true, put->acked & put->other_set, put->durable & put->other_set));
}

/* By the targets of `set` that may yet ack.  Spares count only while something there may still
 * fail, since only a failure calls them. */
static bool is_possible_in(const struct put *put, bool other, uint32_t set)
{
    uint32_t hoped = put->sent & ~put->failed & set;
    if (put->quorum.sloppy && (hoped & ~put->durable) != 0)
        hoped |= targets_spare(put->next_spare, put->target_count, put->unreachable);
    return levels_met_by(put, other, (put->acked & set) | hoped, (put->durable & set) | hoped);
}

static bool is_possible(const struct put *put)
{
    if (!is_moving(put))
        return is_possible_in(put, false, UINT32_MAX);
    return is_met(put) ||
           (is_possible_in(put, false, put->set) && is_possible_in(put, true, put->other_set));
}

/* The answers to both questions, while the client waits. */
struct outlook {
    bool is_met, is_possible;
};

static struct outlook look(const struct put *put)
{
    bool met = is_met(put);
    return (struct outlook){ met, met || is_possible(put) };
}

static bool all_answered(const struct put *put)
{
    return (put->sent & ~put->acked & ~put->failed) == 0;
}

/* The next spare that can be tried, in the place and the sets of `failed`. */
static uint32_t take_spare(struct put *put, uint32_t failed)
{
    uint32_t spare = targets_take_spare(&put->next_spare, put->target_count, put->unreachable);
    if ((put->set & failed) != 0)
        put->set |= spare;
    if ((put->other_set & failed) != 0)
        put->other_set |= spare;
    return spare;
}

static void choose(struct put *put)
{
    uint8_t places = places_of(put);
    put->next_spare = places;
    put->sent = targets_below(places) & ~put->unreachable;
    for (uint8_t i = 0; put->quorum.sloppy && i < places; i++) {
        if ((put->unreachable & target_bit(i)) != 0)
            put->sent |= take_spare(put, target_bit(i));
    }
}

static struct outlook start(struct put *put, uint64_t now_us, struct put_effects *ret)
{
    assert(put->quorum.n >= 1 && put->target_count <= REPLICAS_MAX);
    assert(places_of(put) <= put->target_count);
    const struct put before = *put;
    choose(put);
    struct outlook outlook = look(put);
    /* Half a write that is known to fail is worse than none: nobody could say it did not happen. */
    if (!outlook.is_possible || now_us >= put->deadline_us) {
        *put = before;
        outlook = look(put);
    }
    move(put, PUT_WAITING);
    ret->send = put->sent;
    return outlook;
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
    if (!is_news || put->gave_up || !put->quorum.sloppy || event->now_us >= put->deadline_us)
        return;
    struct put before = *put;
    uint32_t spare = take_spare(put, target);
    put->sent |= spare;
    if (is_possible(put))
        ret->send = spare;
    else
        *put = before; /* do not spread a write that must be answered as failed */
}

static void reply(struct put *put, kvorum_status status, struct put_effects *ret)
{
    move(put, PUT_REPLIED);
    put->gave_up = status != KVORUM_OK;
    ret->reply = true;
    ret->status = status;
}

static void conclude(struct put *put, const struct outlook *outlook, uint64_t now_us,
                     struct put_effects *ret)
{
    bool is_late = now_us >= put->deadline_us;
    if (put->state == PUT_WAITING && outlook->is_met)
        reply(put, KVORUM_OK, ret);
    else if (put->state == PUT_WAITING && (is_late || !outlook->is_possible))
        reply(put, put_may_be_held(put) ? KVORUM_TIMEOUT : KVORUM_UNAVAILABLE, ret);
    if (put->state == PUT_REPLIED && (is_late || all_answered(put))) {
        move(put, PUT_FINISHED);
        ret->finished = true;
    }
}

static void check(const struct put *put, const struct outlook *outlook,
                  const struct put_effects *effects)
{
    assert((put->sent & ~targets_below(put->target_count)) == 0);
    assert((put->sent & put->unreachable) == 0);
    assert((put->acked & ~put->sent) == 0 && (put->durable & ~put->acked) == 0);
    assert((put->failed & ~put->sent) == 0 && (put->refused & ~put->failed) == 0);
    assert((put->failed & put->durable) == 0 && (put->refused & put->acked) == 0);
    assert(put->quorum.sloppy || (put->sent & ~targets_below(places_of(put))) == 0);
    assert(((put->set | put->other_set) & ~targets_below(put->target_count)) == 0);
    assert((effects->send & ~put->sent) == 0);
    assert(!effects->reply || put->state >= PUT_REPLIED);
    assert(!effects->reply || (effects->status == KVORUM_OK) == outlook->is_met);
    assert(!effects->reply || effects->status != KVORUM_UNAVAILABLE || !put_may_be_held(put));
    assert(put->state != PUT_WAITING || (!outlook->is_met && outlook->is_possible));
}

void put_step(struct put *put, const struct put_event *event, struct put_effects *ret)
{
    *ret = (struct put_effects){ 0 };
    if ((event->kind == PUT_START) != (put->state == PUT_NEW) || put->state == PUT_FINISHED)
        return;
    struct outlook outlook = { 0 };
    switch (event->kind) {
    case PUT_START:
        outlook = start(put, event->now_us, ret);
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
    if (put->state == PUT_WAITING && event->kind != PUT_START)
        outlook = look(put);
    conclude(put, &outlook, event->now_us, ret);
    check(put, &outlook, ret);
}
