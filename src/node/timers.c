/* SPDX-License-Identifier: Apache-2.0 */
/* Time.  One heap has the timers of a shard; each part of the node has one, and so has each request
 * that somebody may wait for. */
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/hints/hints.h"
#include "node/members/lives.h"
#include "node/recover/recover.h"
#include "node/repair/repair.h"
#include "node/scrub/scrub.h"

/* --- what some of them do -------------------------------------------------------------------- */

static void tick_gossip(struct node *node)
{
    gossip_step(node, SWIM_TICK, node->config.self);
}

static void tick_hints(struct node *node)
{
    hints_wake(node, hints_tick(node)); /* it may be set to an earlier hour already */
}

static void tick_sync(struct node *node)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    engine_batch_reset(node->batch);
    for (uint16_t i = 0; i < node->config.store_count; i++) {
        struct engine *store = node->config.stores[i];
        if (store == NULL)
            continue;
        kvorum_status status = replica_submit(node, store, node->batch, ENGINE_SYNC, &nothing);
        node->counters.disk_errors += status != KVORUM_OK;
    }
    (void)heap_insert(&node->timers, &node->sync_timer,
                      node->now_us + node->config.sync_interval_us);
}

static void tick_handoff(struct node *node)
{
    (void)heap_insert(&node->timers, &node->handoff->timer, node->now_us + HANDOFF_TICK_US);
    handoff_tick(node);
}

/* --- which is it? ---------------------------------------------------------------------------- */

struct alarm {
    const struct heap_item *timer;
    void (*tick)(struct node *node);
    bool of_members; /* who is no member works for nobody: only requests, and what was written,
                      * still have their time */
};

/* False: it is none of them. */
static bool find_alarm(struct node *node, const struct heap_item *timer, struct alarm *ret)
{
    /* clang-format off */
    const struct alarm alarms[] = {
        { &node->gossip_timer,   tick_gossip,     true },
        { &node->hint_timer,     tick_hints,      true },
        { &node->sync_timer,     tick_sync,       false },
        { &node->room_timer,     fetch_room_tick, false },
        { &node->expiry_timer,   expiry_tick,     true },
        { &node->repair_timer,   repair_tick,     true },
        { &node->handoff->timer, tick_handoff,    true },
        { epochs_timer(node),    epochs_tick,     true },
        { lives_timer(node),     lives_tick,      true },
        { recover_timer(node),   recover_tick,    true },
        { scrub_timer(node),     scrub_tick,      true },
        { collect_timer(node),   collect_tick,    false },
        { reclaim_timer(node),   reclaim_tick,    false },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof(alarms) / sizeof(*alarms); i++)
        if (alarms[i].timer == timer) {
            *ret = alarms[i];
            return true;
        }
    return false;
}

static void wake(struct node *node, struct heap_item *timer)
{
    struct alarm alarm;
    heap_remove(&node->timers, timer);
    if (!find_alarm(node, timer, &alarm))
        request_timeout(node, LIST_ENTRY(timer, struct request, timer));
    else if (node->left_epoch == 0 || !alarm.of_members)
        alarm.tick(node);
}

void node_tick(struct node *node)
{
    node_enter(node);
    request_set_timers(node);
    struct heap_item *item;
    while ((item = heap_first(&node->timers)) != NULL && item->key <= node->now_us)
        wake(node, item);
    node_leave(node);
}

uint64_t node_next_deadline_us(struct node *node)
{
    request_set_timers(node);
    const struct heap_item *item = heap_first(&node->timers);
    return item == NULL ? UINT64_MAX : item->key;
}
