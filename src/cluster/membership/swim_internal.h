/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the machine share.
 *
 *      swim.c          life, time, events       swim_view.c     what is believed of whom
 *      swim_probe.c    probing, for others too  swim_spread.c   what is told to whom
 */
#ifndef CLUSTER_SWIM_INTERNAL_H
#define CLUSTER_SWIM_INTERNAL_H

#include <assert.h>

#include "base/planted.h"
#include "cluster/membership/swim.h"

/** One step under way. */
struct swim_step {
    struct swim *swim;
    uint64_t now_us;
    struct swim_effects *effects;
};

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* swim_view.c */
/** Believe `statement`, where it says something new. */
void view_hear(struct swim_step *step, const struct gossip_statement *statement);
/** The member itself said so, in a packet. */
void view_alive(struct swim_step *step, uint16_t slot, uint64_t incarnation);
/** We found it silent. */
void view_accuse(struct swim_step *step, uint16_t slot);
/** A sign of life that came straight to us. */
void view_heard(struct swim_step *step, uint16_t slot);
void view_doubt(struct swim_step *step, uint16_t slot, enum liveness_state doubt);
/** Suspicions whose time is over. */
void view_tick(struct swim_step *step);
void view_forgive(struct swim *swim, uint64_t away_us);
/** What is said under our incarnation may be taken for what a life before said. */
void view_rise(struct swim_step *step);
void view_reserved(struct swim_step *step, uint64_t incarnation_limit);
/** It is accused, and to be told so in person: of suspicions that is Lifeguard's. */
static inline bool view_is_told(const struct swim *swim, uint16_t slot)
{
    enum liveness_state state = swim->members[slot].state;
    return state == LIVENESS_DEAD || (state == LIVENESS_SUSPECT && !swim->config.plain);
}
/** What we would tell of `slot`; false when nothing is known of it. */
bool view_statement(const struct swim *swim, uint16_t slot, struct gossip_statement *ret);
/** Local health: down is better. */
void view_health(struct swim *swim, int delta);

/* swim_probe.c */
void probe_shuffle(struct swim *swim);
/** `slot` is new: it gets a random place in the round (which bounds when it is probed). */
void probe_insert(struct swim *swim, uint16_t slot, uint16_t count);
void probe_tick(struct swim_step *step);
/** Probe it as soon as may be. */
void probe_urgently(struct swim_step *step, uint16_t slot);
void probe_on_packet(struct swim_step *step, uint16_t from, const struct swim_event *event);
uint64_t probe_next_us(const struct swim *swim);
/** What was under way is void. */
void probe_forget(struct swim *swim, uint64_t now_us);

/* swim_spread.c */
void spread_send(struct swim *swim, const struct swim_task *task);
/** Something new is known of `slot`: pass it on. */
void spread_news(struct swim *swim, uint16_t slot);
void spread_quiet(struct swim *swim, uint16_t slot);
void spread_tick(struct swim_step *step);
uint64_t spread_next_us(const struct swim *swim);
void spread_on_packet(struct swim_step *step, uint16_t from, const struct gossip_packet *packet);
/** Up to `limit` different members, drawn evenly from those for which `wanted` holds. */
uint16_t spread_draw(struct swim *swim, bool (*wanted)(const struct swim_step *, uint16_t),
                     const struct swim_step *step, uint16_t limit, uint16_t *ret_slots);

#endif
