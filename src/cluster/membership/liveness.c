/* SPDX-License-Identifier: Apache-2.0 */
/* Silence is measured on our own clock and only while we were running: after a pause of our own, the
 * silence of the others says nothing about them, so it is forgiven. */
#include "cluster/membership/liveness.h"

#include <assert.h>

enum {
    DEFAULT_HEARTBEAT_US = 500 * 1000,
    DEFAULT_SUSPECT_US = 1500 * 1000,
    DEFAULT_DEAD_US = 3000 * 1000,
};

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
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
    };
    for (uint16_t i = 0; i < count; i++)
        peers[i] = (struct liveness_peer){ now_us, now_us, LIVENESS_UNKNOWN };
    peers[self].state = LIVENESS_ALIVE;
}

static bool become(struct liveness *liveness, uint16_t member, enum liveness_state state,
                   uint64_t now_us)
{
    struct liveness_peer *peer = &liveness->peers[member];
    if (peer->state == state)
        return false;
    peer->state = state;
    peer->since_us = now_us;
    return true;
}

/* Two of our own ticks further apart than the time that makes a member suspect: we were away. */
static void forgive_own_pause(struct liveness *liveness, uint64_t now_us)
{
    uint64_t away_us = now_us - liveness->last_tick_us;
    if (away_us < liveness->config.suspect_us)
        return;
    for (uint16_t i = 0; i < liveness->count; i++)
        liveness->peers[i].heard_us += away_us;
}

static bool judge(struct liveness *liveness, uint16_t member, uint64_t now_us)
{
    const struct liveness_peer *peer = &liveness->peers[member];
    uint64_t silent_us = now_us > peer->heard_us ? now_us - peer->heard_us : 0;
    if (silent_us >= liveness->config.dead_us)
        return become(liveness, member, LIVENESS_DEAD, now_us);
    if (peer->state == LIVENESS_ALIVE && silent_us >= liveness->config.suspect_us)
        return become(liveness, member, LIVENESS_SUSPECT, now_us);
    return false;
}

static void tick(struct liveness *liveness, uint64_t now_us, struct liveness_effects *ret)
{
    forgive_own_pause(liveness, now_us);
    liveness->last_tick_us = now_us;
    for (uint16_t i = 0; i < liveness->count; i++)
        if (i != liveness->self)
            ret->changed |= judge(liveness, i, now_us);
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
    ret->changed = become(liveness, event->member, LIVENESS_ALIVE, event->now_us);
}

static void lost(struct liveness *liveness, const struct liveness_event *event,
                 struct liveness_effects *ret)
{
    enum liveness_state state = liveness->peers[event->member].state;
    if (event->kind == LIVENESS_LINK_REFUSED)
        ret->changed = become(liveness, event->member, LIVENESS_DEAD, event->now_us);
    else if (state == LIVENESS_ALIVE)
        ret->changed = become(liveness, event->member, LIVENESS_SUSPECT, event->now_us);
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
    ret->next_tick_us = liveness->next_heartbeat_us;
}

enum liveness_state liveness_of(const struct liveness *liveness, uint16_t member)
{
    return member == liveness->self ? LIVENESS_ALIVE : liveness->peers[member].state;
}
