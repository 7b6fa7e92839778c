/* SPDX-License-Identifier: Apache-2.0 */
/* Looking in: what the process asks of a shard, and tells it, without anything happening. */
#include "node/internal.h"

void node_set_liveness(struct node *node, uint16_t member, enum liveness_state state)
{
    if (member >= node->config.epoch->member_count || node->peers[member].state == state)
        return;
    node_enter(node);
    node->peers[member].state = state;
    node->peers[member].since_us = node->now_us;
    node_leave(node);
}

enum liveness_state node_liveness(const struct node *node, uint16_t member)
{
    if (member >= node->config.epoch->member_count)
        return LIVENESS_DEAD;
    return member == node->config.self ? LIVENESS_ALIVE : node->peers[member].state;
}

uint64_t node_liveness_since_us(const struct node *node, uint16_t member)
{
    uint64_t now_us = clock_monotonic_us(node->config.clock);
    uint64_t since_us = node->peers[member].since_us;
    return now_us > since_us ? now_us - since_us : 0;
}

const struct epoch *node_epoch(const struct node *node)
{
    return node->config.epoch;
}

bool node_ready(const struct node *node)
{
    return node->ready || node->newcomer;
}

uint64_t node_actor(const struct node *node)
{
    return node->config.actor;
}

bool node_serves(const struct node *node)
{
    return node->ready;
}

uint16_t node_self(const struct node *node)
{
    return node->config.self;
}

uint64_t node_wall_ms(const struct node *node)
{
    return clock_wall_ms(node->config.clock);
}

const struct node_limits *node_limits(const struct node *node)
{
    return &node->config.limits;
}

const struct node_counters *node_counters(const struct node *node)
{
    return &node->counters;
}

const struct histogram *node_latency(const struct node *node, enum operation_kind kind)
{
    return &node->latency[kind];
}

void answer_context(const struct answer *answer, struct buffer *buffer)
{
    if (answer->object != NULL)
        context_encode(answer->object, buffer);
}
