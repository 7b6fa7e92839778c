/* SPDX-License-Identifier: Apache-2.0 */
/* Probing: one member an interval, in a shuffled round, so that each is reached within two rounds
 * for certain (SWIM 4.3).
 *
 *      RESTING --(interval over)--> DIRECT --(timeout)--> INDIRECT --(interval over)--> suspect
 *          ^____________ACK____________|___________ACK_______|
 */
#include "cluster/membership/swim_internal.h"

enum { DEAD_ASKED_MAX = 4 /* a turn */ };

/* --- the round ------------------------------------------------------------------------------- */

static void swap(uint16_t *a, uint16_t *b)
{
    uint16_t kept = *a;
    *a = *b;
    *b = kept;
}

void probe_shuffle(struct swim *swim)
{
    for (uint16_t i = swim->count; i > 1; i--)
        swap(&swim->order[i - 1], &swim->order[random_below(&swim->random, i)]);
    swim->turn = 0;
}

void probe_insert(struct swim *swim, uint16_t slot, uint16_t count)
{
    uint16_t place = (uint16_t)random_below(&swim->random, (uint64_t)count + 1);
    memmove(&swim->order[place + 1], &swim->order[place],
            (size_t)(count - place) * sizeof(swim->order[0]));
    swim->order[place] = slot;
    if (place < swim->turn)
        swim->turn++;
}

static bool is_other(const struct swim *swim, uint16_t slot)
{
    return slot != swim->self && swim->members[slot].listed;
}

/* The dead are only asked whether they are: a network that was cut may be whole again. */
static void ask_dead(struct swim *swim, uint16_t slot)
{
    spread_send(swim, &(struct swim_task){ .to = slot,
                                           .kind = GOSSIP_PING,
                                           .number = swim->next_number++,
                                           .subject = swim->members[slot].id });
}

static uint16_t next_target(struct swim *swim)
{
    if (swim->urgent != SWIM_NOBODY) {
        uint16_t slot = swim->urgent;
        swim->urgent = SWIM_NOBODY;
        return slot;
    }
    unsigned dead = 0;
    for (uint16_t i = 0; i < swim->count && dead < DEAD_ASKED_MAX; i++) {
        if (swim->turn >= swim->count)
            probe_shuffle(swim);
        uint16_t slot = swim->order[swim->turn++];
        if (!is_other(swim, slot))
            continue;
        if (swim->members[slot].state != LIVENESS_DEAD)
            return slot;
        ask_dead(swim, slot);
        dead++;
    }
    return SWIM_NOBODY;
}

/* --- our probe ------------------------------------------------------------------------------- */

static void start(struct swim_step *step)
{
    struct swim *swim = step->swim;
    const struct swim_config *config = &swim->config;
    struct swim_probe *probe = &swim->probe;
    /* Lifeguard 3.1: who is not well himself asks less often, and waits longer. */
    uint64_t end_us = step->now_us + config->probe_interval_us * (swim->health + 1u);
    uint16_t target = next_target(swim);
    *probe = (struct swim_probe){ .target = target, .end_us = end_us, .timeout_us = end_us };
    if (target == SWIM_NOBODY)
        return;
    probe->stage = SWIM_DIRECT;
    probe->number = swim->next_number++;
    probe->timeout_us = step->now_us + config->probe_timeout_us;
    swim->counters.probes++;
    spread_send(swim, &(struct swim_task){ .to = target,
                                           .kind = GOSSIP_PING,
                                           .number = probe->number,
                                           .subject = swim->members[target].id });
}

static bool may_help(const struct swim_step *step, uint16_t slot)
{
    const struct swim *swim = step->swim;
    return is_other(swim, slot) && slot != swim->probe.target &&
           swim->members[slot].shown == LIVENESS_ALIVE;
}

static void ask_others(struct swim_step *step)
{
    struct swim *swim = step->swim;
    struct swim_probe *probe = &swim->probe;
    uint16_t helpers[UINT8_MAX];
    uint16_t count = spread_draw(swim, may_help, step, swim->config.indirect_probes, helpers);
    struct swim_task task = { .number = probe->number,
                              .subject = swim->members[probe->target].id,
                              .kind = GOSSIP_PING_FOR };
    for (uint16_t i = 0; i < count; i++) {
        task.to = helpers[i];
        spread_send(swim, &task);
    }
    task.kind = GOSSIP_PING;
    task.to = probe->target;
    task.over_link = true;
    spread_send(swim, &task);
    probe->nacks_wanted = (uint8_t)count;
    probe->stage = SWIM_INDIRECT;
    swim->counters.indirect_probes++;
}

/* Lifeguard 3.1: helpers that did not even say NACK make us doubt ourselves. */
static void fail(struct swim_step *step)
{
    struct swim *swim = step->swim;
    const struct swim_probe *probe = &swim->probe;
    int missing = probe->nacks_wanted - probe->nacks;
    view_health(swim, probe->nacks_wanted == 0 ? 1 : missing);
    swim->counters.probes_failed++;
    view_accuse(step, probe->target);
}

static void on_ack(struct swim_step *step)
{
    struct swim_probe *probe = &step->swim->probe;
    uint16_t target = probe->target;
    probe->stage = SWIM_RESTING;
    view_health(step->swim, -1);
    /* By detour or not: it answered a question of ours, which cannot be old. */
    if (step->swim->members[target].state == LIVENESS_UNKNOWN)
        view_heard(step, target);
}

void probe_urgently(struct swim_step *step, uint16_t slot)
{
    struct swim *swim = step->swim;
    struct swim_probe *probe = &swim->probe;
    if (probe->stage != SWIM_RESTING && probe->target == slot)
        return;
    swim->urgent = slot;
    if (probe->stage == SWIM_RESTING)
        start(step);
}

/* --- probes for others ----------------------------------------------------------------------- */

static struct swim_relay *free_relay(struct swim *swim)
{
    for (unsigned i = 0; i < SWIM_RELAYS_MAX; i++)
        if (swim->relays[i].number == 0)
            return &swim->relays[i];
    return NULL;
}

static void end_relay(struct swim *swim, struct swim_relay *relay)
{
    relay->number = 0;
    swim->relay_count--;
}

static void relay_start(struct swim_step *step, uint16_t asker, const struct gossip_packet *packet)
{
    struct swim *swim = step->swim;
    uint16_t target = swim_slot_of(swim, &packet->subject);
    struct swim_relay *relay = free_relay(swim);
    if (target == SWIM_NOBODY || target == swim->self || relay == NULL)
        return;
    uint64_t wait_us = swim->config.probe_timeout_us;
    *relay = (struct swim_relay){ .number = swim->next_number++,
                                  .asked_number = packet->number,
                                  .asker = asker,
                                  .subject = packet->subject,
                                  .nack_at_us = step->now_us + wait_us * 4 / 5,
                                  .end_us = step->now_us + 2 * wait_us };
    swim->relay_count++;
    spread_send(swim, &(struct swim_task){ .to = target,
                                           .kind = GOSSIP_PING,
                                           .number = relay->number,
                                           .subject = packet->subject });
}

static void relay_answer(struct swim *swim, const struct swim_relay *relay, enum gossip_kind kind)
{
    spread_send(swim, &(struct swim_task){ .to = relay->asker,
                                           .kind = kind,
                                           .number = relay->asked_number,
                                           .subject = relay->subject });
}

static void relay_on_ack(struct swim *swim, const struct gossip_packet *packet)
{
    for (unsigned i = 0; swim->relay_count > 0 && i < SWIM_RELAYS_MAX; i++) {
        struct swim_relay *relay = &swim->relays[i];
        if (relay->number == 0 || relay->number != packet->number ||
            !node_id_equal(&relay->subject, &packet->subject))
            continue;
        relay_answer(swim, relay, GOSSIP_ACK);
        end_relay(swim, relay);
        return;
    }
}

/* Lifeguard 3.1: a NACK says that it is not the helper who is slow, at 80 % of its own wait. */
static void relays_tick(struct swim_step *step)
{
    struct swim *swim = step->swim;
    for (unsigned i = 0; swim->relay_count > 0 && i < SWIM_RELAYS_MAX; i++) {
        struct swim_relay *relay = &swim->relays[i];
        if (relay->number == 0)
            continue;
        if (!relay->nacked && step->now_us >= relay->nack_at_us) {
            relay->nacked = true;
            relay_answer(swim, relay, GOSSIP_NACK);
        }
        if (step->now_us >= relay->end_us)
            end_relay(swim, relay);
    }
}

/* --- events ---------------------------------------------------------------------------------- */

static void answer_ping(struct swim_step *step, uint16_t from, const struct swim_event *event)
{
    struct swim *swim = step->swim;
    const struct node_id *own = &swim->members[swim->self].id;
    if (!node_id_equal(own, &event->packet->subject))
        return; /* meant for whoever had our address before */
    spread_send(swim, &(struct swim_task){ .to = from,
                                           .kind = GOSSIP_ACK,
                                           .over_link = event->over_link,
                                           .number = event->packet->number,
                                           .subject = *own });
}

static bool answers_probe(const struct swim *swim, const struct gossip_packet *packet)
{
    const struct swim_probe *probe = &swim->probe;
    return probe->stage != SWIM_RESTING && probe->number == packet->number &&
           node_id_equal(&swim->members[probe->target].id, &packet->subject);
}

void probe_on_packet(struct swim_step *step, uint16_t from, const struct swim_event *event)
{
    struct swim *swim = step->swim;
    const struct gossip_packet *packet = event->packet;
    if (packet->kind == GOSSIP_PING)
        answer_ping(step, from, event);
    else if (packet->kind == GOSSIP_PING_FOR)
        relay_start(step, from, packet);
    else if (packet->kind == GOSSIP_ACK && answers_probe(swim, packet))
        on_ack(step);
    else if (packet->kind == GOSSIP_ACK)
        relay_on_ack(swim, packet);
    else if (packet->kind == GOSSIP_NACK && answers_probe(swim, packet) &&
             swim->probe.nacks < swim->probe.nacks_wanted)
        swim->probe.nacks++;
}

void probe_tick(struct swim_step *step)
{
    struct swim_probe *probe = &step->swim->probe;
    relays_tick(step);
    if (probe->stage == SWIM_DIRECT && step->now_us >= probe->timeout_us)
        ask_others(step);
    if (step->now_us < probe->end_us)
        return;
    if (probe->stage == SWIM_INDIRECT)
        fail(step);
    start(step);
}

void probe_forget(struct swim *swim, uint64_t now_us)
{
    swim->probe = (struct swim_probe){ .target = SWIM_NOBODY, .end_us = now_us };
    memset(swim->relays, 0, sizeof(swim->relays));
    swim->relay_count = 0;
}

uint64_t probe_next_us(const struct swim *swim)
{
    const struct swim_probe *probe = &swim->probe;
    uint64_t next_us =
        probe->stage == SWIM_DIRECT ? earlier(probe->timeout_us, probe->end_us) : probe->end_us;
    for (unsigned i = 0; swim->relay_count > 0 && i < SWIM_RELAYS_MAX; i++) {
        const struct swim_relay *relay = &swim->relays[i];
        if (relay->number != 0)
            next_us = earlier(next_us, relay->nacked ? relay->end_us : relay->nack_at_us);
    }
    return next_us;
}
