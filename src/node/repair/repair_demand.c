/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing on demand: what somebody asked for (node_repair), pair after pair, on every shard. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/collect/collect.h"
#include "node/repair/repair_internal.h"

/* --- beginning -------------------------------------------------------------------------------- */

static void demand_begin(struct node *node, struct bytes type, struct bytes bucket,
                         uint64_t asked_us)
{
    struct repair_demand *demand = &node->repair->demand;
    if (asked_us <= demand->cancelled_us) {
        PROBE("repair: a cancel overtook the demand that it was about");
        return;
    }
    demand->asked_us = asked_us;
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

/* What a salvaged store lacks nobody knows: as if somebody had asked for all of it. */
void repair_compare_rebuilt(struct node *node)
{
    struct repair *repair = node->repair;
    if (repair->rebuilt_compared)
        return;
    repair->rebuilt_compared = true;
    if (!collect_is_rebuilt(node))
        return;
    PROBE("repair: a store that was rebuilt is compared with the other owners");
    log_warn(node->config.log,
             "a store was salvaged, or put back: it is compared with the other owners now; kvorum "
             "tasks shows how far that is");
    demand_begin(node, BYTES_LITERAL("default"), (struct bytes){ 0 }, node->now_us);
}

void repair_on_begin(struct node *node, struct net_address from, const Peer__Repair *asked)
{
    if (from.member == node->config.self)
        demand_begin(node, protobuf_bytes(asked->type), protobuf_bytes(asked->bucket),
                     asked->asked_us);
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
    begin.asked_us = node->now_us;
    for (uint16_t i = 0; i < node->config.shard_count; i++)
        if (i != node->config.shard)
            node_send(node, (struct net_address){ node->config.self, i }, MESSAGE_REPAIR, 0,
                      node_pack(node, &begin.base), (struct bytes){ 0 });
    demand_begin(node, type, bucket, node->now_us);
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

/* What is under way ends by itself and counts no more.  The shard that was asked for a repair tells
 * the others, and shard 0 tells of a cancel: the one may overtake the other. */
void repair_cancel(struct node *node, uint64_t until_us)
{
    struct repair_demand *demand = &node->repair->demand;
    struct node_counters *counters = &node->counters;
    if (until_us > demand->cancelled_us)
        demand->cancelled_us = until_us;
    if (demand->asked_us > until_us)
        return; /* asked for since */
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
