/* SPDX-License-Identifier: Apache-2.0 */
/* Failure detection for the whole process, on shard 0: cluster/membership/liveness.h judges, this
 * file sends heartbeats and passes on what changed.  A heartbeat also carries the hybrid clock and
 * the digest of the bucket properties, so that both drift back together. */
#include "node/internal.h"

static void send_heartbeat(struct node *node, struct net_address to, bool answer)
{
    Peer__Heartbeat heartbeat = PEER__HEARTBEAT__INIT;
    heartbeat.epoch = node->config.epoch->number;
    heartbeat.stamp = node->hlc.last;
    heartbeat.properties_digest = property_table_digest(node);
    heartbeat.settled = handoff_settled(node);
    heartbeat.answer = answer;
    node_send(node, to, MESSAGE_HEARTBEAT, 0, node_pack(node, &heartbeat.base),
              (struct bytes){ 0 });
}

static void tell_changes(struct node *node, const enum liveness_state *before, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        enum liveness_state state = node->peers[i].state;
        if (state == before[i] || i == node->config.self)
            continue;
        log_info(node->config.log, "member changed",
                 LOG_TEXT("member", node->config.epoch->members[i].name),
                 LOG_TEXT("state", state == LIVENESS_ALIVE     ? "alive"
                                   : state == LIVENESS_SUSPECT ? "suspect"
                                   : state == LIVENESS_DEAD    ? "dead"
                                                               : "unknown"));
        if (node->config.liveness_changed != NULL)
            node->config.liveness_changed(node->config.liveness_context, i, state);
    }
}

void heartbeat_step(struct node *node, enum liveness_event_kind kind, uint16_t member)
{
    uint16_t count = node->config.epoch->member_count;
    enum liveness_state before[RING_MEMBERS_MAX];
    for (uint16_t i = 0; i < count; i++)
        before[i] = node->peers[i].state;
    struct liveness_event event = { node->now_us, kind, member };
    struct liveness_effects effects;
    liveness_step(&node->liveness, &event, &effects);
    if (effects.changed)
        tell_changes(node, before, count);
    for (uint16_t i = 0; effects.changed && i < count; i++)
        if (before[i] != LIVENESS_DEAD && node->peers[i].state == LIVENESS_DEAD)
            property_on_death(node, i);
    for (uint16_t i = 0; effects.send_heartbeats && i < count; i++)
        if (i != node->config.self && node->config.epoch->members[i].state != MEMBER_GONE)
            send_heartbeat(node, (struct net_address){ i, 0 }, false);
    if (effects.next_tick_us != node->heartbeat_timer.key || node->heartbeat_timer.place == 0) {
        heap_remove(&node->timers, &node->heartbeat_timer);
        if (count > 1)
            (void)heap_insert(&node->timers, &node->heartbeat_timer, effects.next_tick_us);
    }
}

void heartbeat_open(struct node *node)
{
    liveness_init(&node->liveness, &node->config.liveness, node->peers,
                  node->config.epoch->member_count, node->config.self, node->now_us);
    if (node->config.shard == 0)
        heartbeat_step(node, LIVENESS_TICK, node->config.self);
}

kvorum_status heartbeat_follow(struct node *node, const struct epoch *former)
{
    const struct epoch *epoch = node->config.epoch;
    uint16_t count = epoch->member_count;
    struct liveness_peer *peers = realloc(node->peers, count * sizeof(*peers));
    if (peers == NULL)
        return KVORUM_NO_MEMORY;
    node->peers = peers;
    liveness_follow(&node->liveness, peers, count, node->now_us);
    for (uint16_t i = 0; i < count; i++) {
        bool another = i < former->member_count &&
                       memcmp(&former->members[i].id, &epoch->members[i].id, NODE_ID_SIZE) != 0;
        bool gone = epoch->members[i].state == MEMBER_GONE;
        if (i != node->config.self && (another || gone))
            liveness_forget(&node->liveness, i, another && !gone, node->now_us);
    }
    if (node->config.shard == 0)
        heartbeat_step(node, LIVENESS_TICK, node->config.self);
    return KVORUM_OK;
}

void heartbeat_on_message(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Heartbeat *heartbeat = node_unpack(node, &peer__heartbeat__descriptor, message->body);
    if (heartbeat == NULL || node->config.shard != 0) {
        node->counters.messages_bad++;
        return;
    }
    if (!hlc_see(&node->hlc, heartbeat->stamp, clock_wall_ms(node->config.clock)))
        log_warn(node->config.log, "a member's clock is more than a minute ahead of ours",
                 LOG_TEXT("member", node->config.epoch->members[from.member].name));
    property_on_digest(node, from.member, heartbeat->properties_digest);
    handoff_on_settled(node, from.member, heartbeat->settled);
    if (!heartbeat->answer)
        send_heartbeat(node, from, true);
}
