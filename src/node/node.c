/* SPDX-License-Identifier: Apache-2.0 */
/* A shard begins and ends, and what brackets every call from outside. */
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/hints/hints.h"
#include "node/members/lives.h"
#include "node/recover/recover.h"
#include "node/repair/repair.h"
#include "node/scrub/scrub.h"
#include "node/tasks/tasks.h"

enum {
    DEFAULT_REQUEST_TIMEOUT_US = 10 * 1000 * 1000,
    DEFAULT_SYNC_INTERVAL_US = 1000 * 1000,
    DEFAULT_COLLECT_PAUSE_US = 50 * 1000,
    DEFAULT_COLLECT_INTERVAL_US = 600 * 1000 * 1000,
    FIRST_HINTS_US = 1000 * 1000,
};

static void apply_defaults(struct node_config *config)
{
    struct node_limits *limits = &config->limits;
    if (config->request_timeout_us == 0)
        config->request_timeout_us = DEFAULT_REQUEST_TIMEOUT_US;
    if (config->sync_interval_us == 0)
        config->sync_interval_us = DEFAULT_SYNC_INTERVAL_US;
    if (config->collect.pause_us == 0)
        config->collect.pause_us = DEFAULT_COLLECT_PAUSE_US;
    if (config->collect.interval_us == 0)
        config->collect.interval_us = DEFAULT_COLLECT_INTERVAL_US;
    if (limits->value_size == 0)
        limits->value_size = 50ull << 20;
    if (limits->value_size_warning == 0)
        limits->value_size_warning = 5ull << 20;
    if (limits->siblings == 0)
        limits->siblings = 100;
    if (limits->siblings_warning == 0)
        limits->siblings_warning = 25;
    if (config->default_levels.n == 0) {
        quorum_levels_init(&config->default_levels);
        config->default_levels.n = 3;
    }
    if (limits->requests == 0)
        limits->requests = 50000;
    if (limits->hints == 0)
        limits->hints = 1000000;
    if (limits->hints_size == 0)
        limits->hints_size = 1ull << 30;
    if (limits->hint_rate == 0)
        limits->hint_rate = 16ull << 20;
    if (limits->clock_offset_ms == 0)
        limits->clock_offset_ms = 500;
    if (limits->hint_horizon_ms == 0)
        limits->hint_horizon_ms = 10ull * 24 * 60 * 60 * 1000;
}

static bool config_valid(const struct node_config *config)
{
    return config->epoch != NULL && config->self < config->epoch->member_count &&
           config->shard_count > 0 && config->shard < config->shard_count &&
           config->store_count > 0 && config->store_count <= NODE_STORES_MAX &&
           config->stores != NULL && config->clock != NULL && config->net != NULL;
}

static void init_parts(struct node *node)
{
    node->depth = 0;
    map_init(&node->requests);
    list_init(&node->active);
    node->untimed = &node->active;
    list_init(&node->free_requests);
    list_init(&node->commits);
    list_init(&node->free_commits);
    list_init(&node->errands);
    list_init(&node->readings);
    list_init(&node->roomless);
    map_init(&node->fetch_lines);
    heap_init(&node->timers);
    arena_init(&node->scratch, SCRATCH_LIMIT);
    buffer_init(&node->body, FRAME_BODY_MAX);
    buffer_init(&node->encoding, ENGINE_VALUE_SIZE_MAX);
    random_init(&node->random, node->config.random_seed);
    node->next_id = random_next(&node->random) | 1;
    node->life_actor = node->config.actor;
    for (int i = 0; i < OPERATION_KINDS; i++)
        histogram_init(&node->latency[i]);
}

/* In this order: packets of gossip carry what handoff has settled. */
static kvorum_status (*const open_part[])(struct node *node) = {
    scrub_open,   epochs_open,  property_table_open, hints_open,  tasks_open,
    handoff_open, collect_open, gossip_open,         repair_open, lives_open,
    recover_open, drop_open,    reclaim_open,
};

static bool set_timers(struct node *node)
{
    bool set = heap_insert(&node->timers, &node->hint_timer, node->now_us + FIRST_HINTS_US) &&
               expiry_open(node);
    if (set && node->config.sync == NODE_SYNC_INTERVAL)
        set = heap_insert(&node->timers, &node->sync_timer,
                          node->now_us + node->config.sync_interval_us);
    return set;
}

static kvorum_status start_parts(struct node *node)
{
    node->batch = engine_batch_create();
    node->peers = calloc(node->config.epoch->member_count, sizeof(*node->peers));
    if (node->batch == NULL || node->peers == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t i = 0; i < sizeof(open_part) / sizeof(*open_part); i++) {
        kvorum_status status = open_part[i](node);
        if (status != KVORUM_OK)
            return status;
    }
    if (!set_timers(node))
        return KVORUM_NO_MEMORY;
    tasks_go_by_orders(node);
    return KVORUM_OK;
}

kvorum_status node_create(const struct node_config *config, struct node **ret_node)
{
    if (!config_valid(config))
        return KVORUM_INVALID;
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL)
        return KVORUM_NO_MEMORY;
    node->config = *config;
    apply_defaults(&node->config);
    init_parts(node);
    node_enter(node);
    kvorum_status status = start_parts(node);
    node_leave(node);
    if (status != KVORUM_OK) {
        node_destroy(node);
        return status;
    }
    *ret_node = node;
    return KVORUM_OK;
}

static void cancel_listings(struct node *node)
{
    struct list *item = node->active.next;
    while (item != &node->active) {
        struct request *request = LIST_ENTRY(item, struct request, link);
        item = item->next;
        if (request->kind == REQUEST_LIST)
            list_cancel(node, request);
    }
}

static void free_requests(struct list *requests)
{
    struct list *item;
    while ((item = list_take_first(requests)) != NULL) {
        struct request *request = LIST_ENTRY(item, struct request, link);
        arena_done(&request->arena);
        free(request);
    }
}

struct node *node_destroy(struct node *node)
{
    if (node == NULL)
        return NULL;
    reclaim_close(node);
    drop_close(node);
    recover_close(node);
    lives_close(node);
    repair_close(node);
    scrub_close(node);
    collect_close(node);
    handoff_close(node); /* its streams look at the epoch */
    tasks_close(node);
    epochs_close(node);
    gossip_close(node);
    hints_close(node);
    property_table_close(node);
    cancel_listings(node);
    fetches_leave(node);
    readings_leave(node);
    forward_done(node);
    free_requests(&node->active);
    free_requests(&node->free_requests);
    replica_done(node);
    map_done(&node->requests);
    map_done(&node->fetch_lines);
    heap_done(&node->timers);
    arena_done(&node->scratch);
    buffer_done(&node->body);
    buffer_done(&node->encoding);
    engine_batch_destroy(node->batch);
    free(node->peers);
    free(node);
    return NULL;
}

void node_flush(struct node *node)
{
    for (uint16_t i = 0; i < node->config.store_count; i++)
        if (node->config.stores[i] != NULL)
            engine_kick(node->config.stores[i]);
}

/* Every call from outside is bracketed: time is read once, scratch memory goes at the outermost end
 * (an answer may submit the next operation from inside). */
void node_enter(struct node *node)
{
    if (node->depth++ == 0)
        node->now_us = clock_monotonic_us(node->config.clock);
}

void node_leave(struct node *node)
{
    assert(node->depth > 0);
    while (node->depth == 1 && node->reopen_due)
        reopen_run(node);
    if (--node->depth == 0)
        arena_reset(&node->scratch);
}
