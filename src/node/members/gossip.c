/* SPDX-License-Identifier: Apache-2.0 */
/* Who is alive, for the whole process, on shard 0: cluster/membership/swim.h judges, this file
 * carries its packets and passes on what changed.  Packets also carry the hybrid clock, the number
 * of the epoch and digests, so that all of them drift together. */
#include "codec/protobuf.h"
#include "node/epochs/epochs.h"
#include "node/handoff/handoff.h"
#include "node/internal.h"

#define MANY_INCARNATIONS (UINT64_C(1) << 32)

/** Shard 0's. */
struct gossip {
    struct swim swim;
    struct swim_member *storage;
    uint64_t *compared_us; /* by member: when digests were last found different */
};

/* --- letters out ------------------------------------------------------------------------------ */

static bool send_over_link(struct node *node, uint16_t to, struct bytes packet)
{
    return node_send(node, (struct net_address){ to, 0 }, MESSAGE_GOSSIP, 0, packet,
                     (struct bytes){ 0 });
}

static bool send_datagram(struct node *node, uint16_t to, struct bytes packet)
{
    bool sent = net_send_datagram(node->config.net, to, packet);
    node->counters.datagrams_out += sent;
    return sent;
}

/* Where there is no link a datagram may arrive, and the other way round. */
static void send_letter(struct node *node, struct swim_letter *letter)
{
    uint8_t data[GOSSIP_PACKET_MAX];
    struct buffer buffer = { .data = data, .capacity = sizeof(data), .limit = sizeof(data) };
    letter->packet.application =
        (struct gossip_application){ .epoch = node->config.epoch->number,
                                     .stamp = node->hlc.last,
                                     .properties_digest = property_table_digest(node),
                                     .settled = handoff_settled(node) };
    gossip_encode(&letter->packet, &buffer);
    assert(!buffer.failed);
    struct bytes packet = buffer_bytes(&buffer);
    if (letter->over_link) {
        if (!send_over_link(node, letter->to, packet))
            (void)send_datagram(node, letter->to, packet);
    } else if (!send_datagram(node, letter->to, packet))
        (void)send_over_link(node, letter->to, packet);
}

static void send_letters(struct node *node)
{
    struct swim_letter letter;
    while (swim_next_letter(&node->gossip->swim, &letter))
        send_letter(node, &letter);
}

/* --- what changed ----------------------------------------------------------------------------- */

static void tell_change(struct node *node, uint16_t member, enum liveness_state state)
{
    static const char *const names[] = { "unknown", "alive", "suspect", "dead" };
    log_info(node->config.log, "member changed",
             LOG_TEXT("member", node->config.epoch->members[member].name),
             LOG_TEXT("state", names[state]));
    if (node->config.liveness_changed != NULL)
        node->config.liveness_changed(node->config.liveness_context, member, state);
    if (state == LIVENESS_DEAD)
        property_on_death(node, member);
}

static void tell_changes(struct node *node)
{
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++) {
        enum liveness_state state = swim_state_of(&node->gossip->swim, i);
        if (state == node->peers[i].state || i == node->config.self)
            continue;
        node->peers[i].state = state;
        node->peers[i].since_us = node->now_us;
        tell_change(node, i, state);
    }
}

static void arm_timer(struct node *node, uint64_t next_tick_us)
{
    if (next_tick_us == node->gossip_timer.key && node->gossip_timer.place != 0)
        return;
    heap_remove(&node->timers, &node->gossip_timer);
    if (node->config.epoch->member_count > 1)
        (void)heap_insert(&node->timers, &node->gossip_timer, next_tick_us);
}

static void count(struct node *node)
{
    const struct swim *swim = &node->gossip->swim;
    struct node_counters *counters = &node->counters;
    counters->gossip_health = swim->health;
    counters->gossip_incarnation = swim->incarnation;
    counters->gossip_suspicions = swim->counters.suspicions;
    counters->gossip_deaths = swim->counters.deaths;
    counters->gossip_refutations = swim->counters.refutations;
    counters->gossip_own_pauses = swim->counters.own_pauses;
    counters->gossip_unlisted = swim->counters.unlisted;
    counters->gossip_dropped = swim->counters.dropped;
}

static uint16_t run(struct node *node, struct swim_event event)
{
    struct swim_effects effects;
    event.now_us = node->now_us;
    swim_step(&node->gossip->swim, &event, &effects);
    if (effects.changed)
        tell_changes(node);
    send_letters(node);
    count(node);
    arm_timer(node, effects.next_tick_us);
    /* Last: its answer is another event, and may come from inside. */
    if (effects.reserve != 0 && node->config.reserve_incarnations != NULL)
        node->config.reserve_incarnations(node->config.liveness_context, effects.reserve);
    return effects.heard_from;
}

void gossip_step(struct node *node, enum swim_event_kind kind, uint16_t member)
{
    (void)run(node, (struct swim_event){ .kind = kind, .member = member });
}

/* --- packets in ------------------------------------------------------------------------------- */

/* Digests that differ are acted on once a while: packets come more often than tables are sent. */
static void compare_properties(struct node *node, uint16_t from, uint64_t digest)
{
    uint64_t *compared_us = &node->gossip->compared_us[from];
    bool same = digest == property_table_digest(node);
    if (!same && *compared_us != 0 &&
        node->now_us < *compared_us + node->gossip->swim.config.probe_interval_us)
        return;
    *compared_us = same ? 0 : node->now_us;
    property_on_digest(node, from, digest);
}

static void take_application(struct node *node, uint16_t from,
                             const struct gossip_application *application)
{
    if (!hlc_see(&node->hlc, application->stamp, clock_wall_ms(node->config.clock)))
        log_warn(node->config.log, "a member's clock is more than a minute ahead of ours",
                 LOG_TEXT("member", node->config.epoch->members[from].name));
    handoff_on_settled(node, from, application->settled);
    compare_properties(node, from, application->properties_digest);
    epochs_hear(node, application->epoch, (struct net_address){ from, 0 });
}

static void hear(struct node *node, const struct gossip_packet *packet, bool over_link)
{
    struct swim_event event = {
        .kind = SWIM_PACKET, .member = node->config.self, .over_link = over_link, .packet = packet
    };
    uint16_t from = run(node, event);
    if (from != SWIM_NOBODY)
        take_application(node, from, &packet->application);
}

void gossip_on_message(struct node *node, struct net_address from, const struct message *message)
{
    struct gossip_packet packet;
    if (node->gossip == NULL || gossip_decode(message->body, &packet) != KVORUM_OK ||
        swim_slot_of(&node->gossip->swim, &packet.sender) != from.member)
        node->counters.messages_bad++;
    else
        hear(node, &packet, true);
}

void node_receive_datagram(struct node *node, struct bytes datagram)
{
    struct gossip_packet packet;
    node_enter(node);
    node->counters.datagrams_in++;
    if (node->gossip == NULL || gossip_decode(datagram, &packet) != KVORUM_OK)
        node->counters.messages_bad++;
    else
        hear(node, &packet, false);
    node_leave(node);
}

/* --- life ------------------------------------------------------------------------------------- */

static void apply_defaults(struct node_config *config)
{
    if (config->gossip.probe_interval_us == 0)
        config->gossip = *swim_preset(SWIM_LAN);
    if (config->incarnation_first == 0)
        config->incarnation_first = 1;
    if (config->incarnation_limit <= config->incarnation_first)
        config->incarnation_limit = config->incarnation_first + MANY_INCARNATIONS;
}

kvorum_status gossip_open(struct node *node)
{
    struct node_config *config = &node->config;
    uint16_t count = config->epoch->member_count;
    apply_defaults(config);
    for (uint16_t i = 0; i < count; i++)
        node->peers[i].since_us = node->now_us;
    node->peers[config->self].state = LIVENESS_ALIVE;
    if (config->shard != 0)
        return KVORUM_OK;
    node->gossip = calloc(1, sizeof(*node->gossip));
    if (node->gossip == NULL)
        return KVORUM_NO_MEMORY;
    node->gossip->storage = calloc(count, sizeof(*node->gossip->storage));
    node->gossip->compared_us = calloc(count, sizeof(*node->gossip->compared_us));
    if (node->gossip->storage == NULL || node->gossip->compared_us == NULL)
        return KVORUM_NO_MEMORY;
    const struct swim_start start = { .members = config->epoch->members,
                                      .count = count,
                                      .self = config->self,
                                      .incarnation_first = config->incarnation_first,
                                      .incarnation_limit = config->incarnation_limit,
                                      .random_seed = random_next(&node->random),
                                      .now_us = node->now_us };
    swim_init(&node->gossip->swim, &config->gossip, node->gossip->storage, &start);
    gossip_step(node, SWIM_TICK, config->self);
    return KVORUM_OK;
}

void gossip_close(struct node *node)
{
    if (node->gossip == NULL)
        return;
    free(node->gossip->storage);
    free(node->gossip->compared_us);
    free(node->gossip);
    node->gossip = NULL;
}

/* Slots keep their members, newcomers are at the end, or in the place of one who is gone. */
static void keep_peers(struct node *node, const struct epoch *epoch, struct node_peer *ret_peers)
{
    const struct epoch *old = node->config.epoch;
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        bool same =
            i < old->member_count && node_id_equal(&old->members[i].id, &epoch->members[i].id);
        ret_peers[i] = same ? node->peers[i] : (struct node_peer){ .since_us = node->now_us };
    }
}

static kvorum_status change_machine(struct node *node, const struct epoch *epoch)
{
    struct gossip *gossip = node->gossip;
    uint16_t count = epoch->member_count;
    struct swim_member *storage = calloc(count, sizeof(*storage));
    uint64_t *compared_us = calloc(count, sizeof(*compared_us));
    if (storage == NULL || compared_us == NULL) {
        free(storage);
        free(compared_us);
        return KVORUM_NO_MEMORY;
    }
    swim_members_changed(&gossip->swim, storage, epoch->members, count, node->now_us);
    free(gossip->storage);
    free(gossip->compared_us);
    gossip->storage = storage;
    gossip->compared_us = compared_us;
    return KVORUM_OK;
}

kvorum_status gossip_members_changed(struct node *node, const struct epoch *epoch)
{
    struct node_peer *peers = calloc(epoch->member_count, sizeof(*peers));
    if (peers == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = node->gossip == NULL ? KVORUM_OK : change_machine(node, epoch);
    if (status != KVORUM_OK) {
        free(peers);
        return status;
    }
    keep_peers(node, epoch, peers);
    free(node->peers);
    node->peers = peers;
    node->config.epoch = epoch;
    if (node->gossip != NULL) {
        tell_changes(node); /* who is gone is dead */
        gossip_step(node, SWIM_TICK, node->config.self);
    }
    return KVORUM_OK;
}

void node_incarnations_reserved(struct node *node, uint64_t limit)
{
    if (node->gossip == NULL)
        return;
    node_enter(node);
    (void)run(node, (struct swim_event){ .kind = SWIM_RESERVED,
                                         .member = node->config.self,
                                         .incarnation_limit = limit });
    node_leave(node);
}

/* --- looking in ------------------------------------------------------------------------------- */

uint64_t gossip_patience_us(const struct node *node)
{
    return swim_patience_us(&node->config.gossip, node->config.epoch->member_count);
}
