/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing on demand: what somebody asked for (node_repair), pair after pair, on every shard. */
#include "node/repair/repair_internal.h"

#include "codec/protobuf.h"

/* --- beginning -------------------------------------------------------------------------------- */

static void demand_begin(struct node *node, struct bytes type, struct bytes bucket)
{
    struct repair_demand *demand = &node->repair->demand;
    arena_reset(&demand->arena);
    demand->partition = demand->slot = 0;
    demand->number++;
    node->counters.repair_demands++;
    demand->active = arena_copy(&demand->arena, type, &demand->type) &&
                     arena_copy(&demand->arena, bucket, &demand->bucket);
    demand->n = bucket.size == 0 ? 0 : repair_bucket_n(node, type, bucket);
    node->counters.repair_demand_done = node->counters.repair_demand_failed = 0;
    node->counters.repair_demand_total = repair_pair_count(node, false, demand->n);
    repair_wake(node);
}

void repair_on_begin(struct node *node, struct net_address from, struct bytes type,
                     struct bytes bucket)
{
    if (from.member == node->config.self)
        demand_begin(node, type, bucket);
    else
        node->counters.messages_bad++;
}

void node_repair(struct node *node, struct bytes type, struct bytes bucket)
{
    Peer__Repair begin = PEER__REPAIR__INIT;
    begin.kind = REPAIR_BEGIN;
    node_enter(node);
    if (type.size == 0)
        type = BYTES_LITERAL("default");
    begin.type = protobuf_data(type);
    begin.bucket = protobuf_data(bucket);
    for (uint16_t i = 0; i < node->config.shard_count; i++)
        if (i != node->config.shard)
            node_send(node, (struct net_address){ node->config.self, i }, MESSAGE_REPAIR, 0,
                      node_pack(node, &begin.base), (struct bytes){ 0 });
    demand_begin(node, type, bucket);
    node_leave(node);
}

/* --- steering --------------------------------------------------------------------------------- */

void repair_pause(struct node *node, bool on)
{
    node->repair->demand.paused = on;
    repair_wake(node);
}

void repair_limit(struct node *node, uint64_t rate)
{
    throttle_set(&node->repair->demand.throttle, rate, node->now_us);
    repair_wake(node);
}

/* What is under way ends by itself and counts no more. */
void repair_cancel(struct node *node)
{
    struct repair_demand *demand = &node->repair->demand;
    struct node_counters *counters = &node->counters;
    demand->active = false;
    demand->number++;
    counters->repair_demand_failed += counters->repair_demand_total - counters->repair_demand_done;
    counters->repair_demand_done = counters->repair_demand_total;
}

/* --- time ------------------------------------------------------------------------------------- */

/* Other comparisons are charged too while it lasts: the limit is for what the shard does. */
static void charge_demand(struct node *node)
{
    struct repair_demand *demand = &node->repair->demand;
    uint64_t size = node->counters.repair_bytes_in + node->counters.repair_bytes_out;
    if (demand->active)
        throttle_spend(&demand->throttle, size - demand->charged, node->now_us);
    demand->charged = size;
}

uint64_t repair_demand_due_us(const struct node *node)
{
    const struct repair_demand *demand = &node->repair->demand;
    uint64_t free_us = throttle_free_us(&demand->throttle);
    if (!demand->active || demand->paused)
        return UINT64_MAX;
    return free_us > node->now_us ? free_us : node->now_us;
}

void repair_demand_tick(struct node *node)
{
    struct repair_demand *demand = &node->repair->demand;
    struct node_counters *counters = &node->counters;
    struct replica_pair pair;
    charge_demand(node);
    while (demand->active && !demand->paused && exchanges_have_room(node) &&
           throttle_free_us(&demand->throttle) <= node->now_us) {
        if (!repair_pair_next(node, &demand->partition, &demand->slot, false, &pair)) {
            demand->active = false;
        } else if (demand->n == 0 || demand->n == pair.n) {
            bool begun = repair_pair_begin(node, &pair, demand->number);
            counters->repair_demand_done += !begun;
            counters->repair_demand_failed += !begun;
        }
    }
}
