/* SPDX-License-Identifier: Apache-2.0 */
/* Silence is measured on our own clock and only while we were running: after a pause of our own,
 * the silence of the others says nothing about them, so it is forgiven. */
#include "cluster/membership/liveness.h"

#include <assert.h>

#define MOVE(state) (1u << (state))

enum {
    DEFAULT_HEARTBEAT_US = 500 * 1000,
    DEFAULT_SUSPECT_US = 1500 * 1000,
    DEFAULT_DEAD_US = 3000 * 1000,
};

/* Nobody is UNKNOWN again, and only a sign of life raises the dead. */
static const uint8_t moves[] = {
    [LIVENESS_UNKNOWN] = MOVE(LIVENESS_ALIVE) | MOVE(LIVENESS_SUSPECT) | MOVE(LIVENESS_DEAD),
    [LIVENESS_ALIVE] = MOVE(LIVENESS_SUSPECT) | MOVE(LIVENESS_DEAD),
    [LIVENESS_SUSPECT] = MOVE(LIVENESS_ALIVE) | MOVE(LIVENESS_DEAD),
    [LIVENESS_DEAD] = MOVE(LIVENESS_ALIVE),
};

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

static uint64_t since(uint64_t then_us, uint64_t now_us)
{
    return now_us > then_us ? now_us - then_us : 0;
}

void liveness_init(struct liveness *liveness, const struct liveness_config *config,
                   struct liveness_peer *peers, uint16_t count, uint16_t self, uint64_t now_us)
{
    assert(self < count);
    *liveness = (struct liveness){
        .config = { or_default(config->heartbeat_us, DEFAULT_HEARTBEAT_US),
                    or_default(config->suspect_us, DEFAULT_SUSPECT_US),
                    or_default(config->dead_us, DEFAULT_DEAD_US) },
        .peers = peers,
        .count = count,
        .self = self,
        .last_tick_us = now_us,
        .next_heartbeat_us = now_us,
        .next_change_us = now_us,
    };
    if (liveness->config.dead_us < liveness->config.suspect_us)
        liveness->config.dead_us = liveness->config.suspect_us;
    for (uint16_t i = 0; i < count; i++)
        peers[i] = (struct liveness_peer){ now_us, now_us, LIVENESS_UNKNOWN };
    peers[self].state = LIVENESS_ALIVE;
}

void liveness_follow(struct liveness *liveness, struct liveness_peer *peers, uint16_t count,
                     uint64_t now_us)
{
    assert(count >= liveness->count);
    for (uint16_t i = liveness->count; i < count; i++)
        peers[i] = (struct liveness_peer){ now_us, now_us, LIVENESS_UNKNOWN };
    liveness->peers = peers;
    liveness->count = count;
    liveness->next_change_us = now_us;
}

void liveness_forget(struct liveness *liveness, uint16_t member, bool another, uint64_t now_us)
{
    struct liveness_peer *peer = &liveness->peers[member];
    if (!another && peer->state == LIVENESS_DEAD)
        return;
    *peer = (struct liveness_peer){ now_us, now_us, another ? LIVENESS_UNKNOWN : LIVENESS_DEAD };
    liveness->next_change_us = now_us;
}

static void become(struct liveness *liveness, uint16_t member, enum liveness_state state,
                   uint64_t now_us, struct liveness_effects *ret)
{
    struct liveness_peer *peer = &liveness->peers[member];
    if (peer->state == state)
        return;
    assert((moves[peer->state] & MOVE(state)) != 0);
    peer->state = state;
    peer->since_us = now_us;
    ret->changed = true;
}

static void forgive_own_pause(struct liveness *liveness, uint64_t now_us)
{
    uint64_t away_us = since(liveness->last_tick_us, now_us);
    if (away_us <= 2 * liveness->config.heartbeat_us)
        return;
    for (uint16_t i = 0; i < liveness->count; i++) {
        struct liveness_peer *peer = &liveness->peers[i];
        peer->heard_us =
            since(peer->heard_us, now_us) > away_us ? peer->heard_us + away_us : now_us;
    }
}

/* The silence after which `peer` becomes something worse; UINT64_MAX when it is dead. */
static uint64_t patience_us(const struct liveness *liveness, const struct liveness_peer *peer)
{
    if (peer->state == LIVENESS_DEAD)
        return UINT64_MAX;
    return peer->state == LIVENESS_ALIVE ? liveness->config.suspect_us : liveness->config.dead_us;
}

static void judge(struct liveness *liveness, uint16_t member, uint64_t now_us,
                  struct liveness_effects *ret)
{
    struct liveness_peer *peer = &liveness->peers[member];
    uint64_t silent_us = since(peer->heard_us, now_us);
    if (silent_us >= patience_us(liveness, peer))
        become(liveness, member,
               silent_us >= liveness->config.dead_us ? LIVENESS_DEAD : LIVENESS_SUSPECT, now_us,
               ret);
    uint64_t patience = patience_us(liveness, peer);
    uint64_t change_us = patience == UINT64_MAX ? UINT64_MAX : peer->heard_us + patience;
    if (change_us < liveness->next_change_us)
        liveness->next_change_us = change_us;
}

static void tick(struct liveness *liveness, uint64_t now_us, struct liveness_effects *ret)
{
    forgive_own_pause(liveness, now_us);
    if (now_us > liveness->last_tick_us)
        liveness->last_tick_us = now_us;
    liveness->next_change_us = UINT64_MAX;
    for (uint16_t i = 0; i < liveness->count; i++)
        if (i != liveness->self)
            judge(liveness, i, now_us, ret);
    if (now_us < liveness->next_heartbeat_us)
        return;
    ret->send_heartbeats = true;
    liveness->next_heartbeat_us = now_us + liveness->config.heartbeat_us;
}

static void heard(struct liveness *liveness, const struct liveness_event *event,
                  struct liveness_effects *ret)
{
    struct liveness_peer *peer = &liveness->peers[event->member];
    if (event->now_us > peer->heard_us)
        peer->heard_us = event->now_us;
    become(liveness, event->member, LIVENESS_ALIVE, event->now_us, ret);
    /* The dead and the suspect wait for nothing or for long, the living for less. */
    uint64_t change_us = peer->heard_us + liveness->config.suspect_us;
    if (change_us < liveness->next_change_us)
        liveness->next_change_us = change_us;
}

static void lost(struct liveness *liveness, const struct liveness_event *event,
                 struct liveness_effects *ret)
{
    enum liveness_state state = liveness->peers[event->member].state;
    if (event->kind == LIVENESS_LINK_REFUSED)
        become(liveness, event->member, LIVENESS_DEAD, event->now_us, ret);
    else if (state != LIVENESS_DEAD)
        become(liveness, event->member, LIVENESS_SUSPECT, event->now_us, ret);
}

void liveness_step(struct liveness *liveness, const struct liveness_event *event,
                   struct liveness_effects *ret)
{
    *ret = (struct liveness_effects){ 0 };
    bool about_other = event->member < liveness->count && event->member != liveness->self;
    if (event->kind == LIVENESS_TICK)
        tick(liveness, event->now_us, ret);
    else if (about_other && event->kind == LIVENESS_HEARD)
        heard(liveness, event, ret);
    else if (about_other)
        lost(liveness, event, ret);
    assert(liveness->peers[liveness->self].state == LIVENESS_ALIVE);
    ret->next_tick_us = liveness->next_change_us < liveness->next_heartbeat_us
                            ? liveness->next_change_us
                            : liveness->next_heartbeat_us;
}

enum liveness_state liveness_of(const struct liveness *liveness, uint16_t member)
{
    if (member >= liveness->count)
        return LIVENESS_DEAD;
    return member == liveness->self ? LIVENESS_ALIVE : liveness->peers[member].state;
}
