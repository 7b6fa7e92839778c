/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/gossip/gossip.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/planted.h"

enum { INCARNATIONS_A_LIFE = 8 /* few, so that more are reserved now and then */ };

struct parcel {
    struct event event;
    struct gossip_world *gossip;
    uint16_t to;
    uint32_t life;
    bool over_link;
    size_t size;
    uint8_t data[];
};

static void step(struct gossip_process *process, struct swim_event event);

bool gossip_is_slow(const struct gossip_world *gossip, uint16_t member)
{
    return member >= gossip->plan->member_count - gossip->plan->slow_count;
}

/* --- parcels ---------------------------------------------------------------------------------- */

static void parcel_drop(struct event *event)
{
    free(LIST_ENTRY(event, struct parcel, event));
}

static void hear(struct gossip_process *process, const struct gossip_packet *packet, bool over_link)
{
    struct gossip_world *gossip = process->gossip;
    if (gossip->hear != NULL)
        gossip->hear(gossip->context, process, packet);
    step(process, (struct swim_event){ .kind = SWIM_PACKET,
                                       .member = process->number,
                                       .over_link = over_link,
                                       .packet = packet });
    if (gossip->heard != NULL)
        gossip->heard(gossip->context, process, packet);
}

static void parcel_arrive(struct event *event)
{
    struct parcel *parcel = LIST_ENTRY(event, struct parcel, event);
    struct gossip_process *process = &parcel->gossip->processes[parcel->to];
    struct gossip_packet packet;
    if (process->running && process->life == parcel->life) {
        kvorum_status status = gossip_decode(bytes_make(parcel->data, parcel->size), &packet);
        assert(status == KVORUM_OK);
        hear(process, &packet, parcel->over_link);
    }
    parcel_drop(event);
}

/* When a member that is asleep at `at_us` is awake again. */
static uint64_t when_awake(const struct gossip_process *process, uint64_t at_us)
{
    const struct gossip_plan *plan = process->gossip->plan;
    if (!gossip_is_slow(process->gossip, process->number) || plan->asleep_us == 0)
        return at_us;
    uint64_t period_us = plan->asleep_us + plan->awake_us;
    uint64_t in_period_us = (at_us + process->phase_us) % period_us;
    return in_period_us < plan->asleep_us ? at_us + plan->asleep_us - in_period_us : at_us;
}

static void post(struct gossip_world *gossip, uint16_t to, uint64_t leaves_us, bool over_link,
                 struct bytes data)
{
    struct gossip_process *receiver = &gossip->processes[to];
    struct parcel *parcel = malloc(sizeof(*parcel) + data.size);
    if (parcel == NULL)
        abort();
    *parcel = (struct parcel){ .gossip = gossip,
                               .to = to,
                               .life = receiver->life,
                               .over_link = over_link,
                               .size = data.size };
    memcpy(parcel->data, data.data, data.size);
    event_init(&parcel->event, &receiver->gate, parcel_arrive);
    parcel->event.drop = parcel_drop;
    uint64_t delay_us = choose_delay(gossip->world, gossip->plan->delay_us);
    uint64_t arrives_us = leaves_us + 1 + (over_link ? 3 * delay_us : delay_us);
    world_at(gossip->world, &parcel->event, when_awake(receiver, arrives_us));
}

static bool is_cut(const struct gossip_world *gossip, uint16_t from, uint16_t to)
{
    return gossip->cut[from][to];
}

/* A link does not lose anything, but needs both ways. */
static void send_letter(struct gossip_process *process, const struct swim_letter *letter)
{
    struct gossip_world *gossip = process->gossip;
    const struct gossip_plan *plan = gossip->plan;
    uint16_t from = process->number, to = letter->to;
    uint8_t bytes[GOSSIP_PACKET_MAX];
    struct buffer buffer = { .data = bytes, .capacity = sizeof(bytes), .limit = sizeof(bytes) };
    gossip_encode(&letter->packet, &buffer);
    struct bytes data = buffer_bytes(&buffer);
    gossip->datagrams++;
    gossip->bytes += data.size + GOSSIP_SIGNATURE_SIZE;
    world_mix(gossip->world, hash64(data, 0), (uint64_t)from << 32 | to);
    world_trace(gossip->world, "n%u -> n%u %s, %u statements%s", from, to,
                gossip_kind_name(letter->packet.kind), letter->packet.statement_count,
                letter->over_link ? ", over the link" : "");
    uint64_t leaves_us = when_awake(process, gossip->world->now_us);
    if (is_cut(gossip, from, to) || (letter->over_link && is_cut(gossip, to, from)))
        return;
    if (letter->over_link || !choose_chance(gossip->world, plan->loss))
        post(gossip, to, leaves_us, letter->over_link, data);
    if (!letter->over_link && choose_chance(gossip->world, plan->duplication))
        post(gossip, to, leaves_us, false, data);
}

void gossip_throw(struct gossip_world *gossip, uint16_t to, const struct gossip_packet *packet)
{
    if (gossip->processes[to].running && !gossip->processes[to].gate.closed)
        hear(&gossip->processes[to], packet, false);
}

/* --- processes -------------------------------------------------------------------------------- */

static void tell_changes(struct gossip_process *process)
{
    struct gossip_world *gossip = process->gossip;
    for (uint16_t i = 0; i < gossip->plan->member_count; i++) {
        enum liveness_state state = swim_state_of(&process->swim, i);
        if (state == process->seen[i])
            continue;
        process->seen[i] = state;
        world_trace(gossip->world, "n%u: n%u is %s", process->number, i,
                    state == LIVENESS_DEAD      ? "dead"
                    : state == LIVENESS_SUSPECT ? "suspect"
                                                : "alive");
        if (gossip->changed != NULL)
            gossip->changed(gossip->context, process, i, state);
    }
}

static void step(struct gossip_process *process, struct swim_event event)
{
    struct swim_effects effects;
    struct swim_letter letter;
    event.now_us = process->gossip->world->now_us;
    swim_step(&process->swim, &event, &effects);
    if (effects.changed)
        tell_changes(process);
    if (effects.reserve != 0) {
        PROBE("gossip: more incarnations were reserved");
        process->reserved = effects.reserve;
        event = (struct swim_event){ .now_us = event.now_us,
                                     .kind = SWIM_RESERVED,
                                     .member = process->number,
                                     .incarnation_limit = effects.reserve };
        swim_step(&process->swim, &event, &effects);
    }
    if (process->swim.incarnation > process->highest)
        process->highest = process->swim.incarnation;
    while (swim_next_letter(&process->swim, &letter))
        send_letter(process, &letter);
    world_cancel(process->gossip->world, &process->tick);
    uint64_t at_us = effects.next_tick_us > event.now_us ? effects.next_tick_us : event.now_us;
    world_at(process->gossip->world, &process->tick, at_us);
}

static void tick_run(struct event *event)
{
    struct gossip_process *process = LIST_ENTRY(event, struct gossip_process, tick);
    step(process, (struct swim_event){ .kind = SWIM_TICK, .member = process->number });
}

static void tell_links(struct gossip_world *gossip, uint16_t member)
{
    for (uint16_t i = 0; i < gossip->plan->member_count; i++) {
        struct gossip_process *other = &gossip->processes[i];
        if (i == member || !other->running || other->gate.closed || is_cut(gossip, i, member))
            continue;
        step(other, (struct swim_event){ .kind = SWIM_LINK_LOST, .member = member });
        step(other, (struct swim_event){ .kind = SWIM_LINK_REFUSED, .member = member });
    }
}

void gossip_crash(struct gossip_world *gossip, uint16_t member, bool silent)
{
    struct gossip_process *process = &gossip->processes[member];
    if (!process->running)
        return;
    world_trace(gossip->world, "n%u: crashed%s", member, silent ? ", silently" : "");
    process->running = false;
    world_cancel(gossip->world, &process->tick);
    gate_open(gossip->world, &process->gate);
    if (!silent)
        tell_links(gossip, member);
}

/* As identity.c gives them out; an old disk has forgotten some. */
static uint64_t first_incarnation(struct gossip_process *process)
{
    uint64_t first = process->reserved > 0 ? process->reserved : 1;
    if (process->gossip->plan->old_disks && first > 1 && choose(process->gossip->world, 3) == 0) {
        PROBE("gossip: an old disk was put back");
        first = 1 + choose(process->gossip->world, first);
    }
    process->reserved = first + INCARNATIONS_A_LIFE;
    return first;
}

void gossip_start(struct gossip_world *gossip, uint16_t member)
{
    struct gossip_process *process = &gossip->processes[member];
    if (process->running)
        return;
    uint64_t first = first_incarnation(process);
    const struct swim_start start = { .members = gossip->members,
                                      .count = gossip->plan->member_count,
                                      .self = member,
                                      .incarnation_first = first,
                                      .incarnation_limit = process->reserved,
                                      .random_seed = choose(gossip->world, UINT64_MAX),
                                      .now_us = gossip->world->now_us };
    process->running = true;
    process->life++;
    world_trace(gossip->world, "n%u: started, life %u, incarnation %llu", member, process->life,
                (unsigned long long)first);
    for (uint16_t i = 0; i < start.count; i++)
        process->seen[i] = i == member ? LIVENESS_ALIVE : LIVENESS_UNKNOWN;
    swim_init(&process->swim, &gossip->plan->config, process->storage, &start);
    step(process, (struct swim_event){ .kind = SWIM_TICK, .member = member });
}

void gossip_pause(struct gossip_world *gossip, uint16_t member)
{
    world_trace(gossip->world, "n%u: paused", member);
    gossip->processes[member].gate.closed = true;
}

void gossip_resume(struct gossip_world *gossip, uint16_t member)
{
    world_trace(gossip->world, "n%u: resumed", member);
    gate_open(gossip->world, &gossip->processes[member].gate);
}

/* --- life ------------------------------------------------------------------------------------- */

void gossip_world_init(struct gossip_world *gossip, struct world *world,
                       const struct gossip_plan *plan)
{
    assert(plan->member_count <= GOSSIP_MEMBERS_MAX && plan->slow_count <= plan->member_count);
    memset(gossip, 0, sizeof(*gossip));
    gossip->world = world;
    gossip->plan = plan;
    gossip->members = calloc(plan->member_count, sizeof(*gossip->members));
    gossip->processes = calloc(plan->member_count, sizeof(*gossip->processes));
    if (gossip->members == NULL || gossip->processes == NULL)
        abort();
    for (uint16_t i = 0; i < plan->member_count; i++) {
        struct gossip_process *process = &gossip->processes[i];
        snprintf((char *)gossip->members[i].id.bytes, NODE_ID_SIZE, "n%u", i);
        process->gossip = gossip;
        process->number = i;
        process->phase_us = choose(world, plan->asleep_us + plan->awake_us + 1);
        gate_init(&process->gate);
        event_init(&process->tick, &process->gate, tick_run);
    }
    for (uint16_t i = 0; i < plan->member_count; i++)
        gossip_start(gossip, i);
}

void gossip_world_done(struct gossip_world *gossip)
{
    for (uint16_t i = 0; i < gossip->plan->member_count; i++) {
        struct gossip_process *process = &gossip->processes[i];
        world_cancel(gossip->world, &process->tick);
        gate_open(gossip->world, &process->gate);
    }
    free(gossip->processes);
    free(gossip->members);
}
