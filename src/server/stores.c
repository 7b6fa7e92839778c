/* SPDX-License-Identifier: Apache-2.0 */
/* A reactor's stores: opened side by side in its jobs (a replay may take long, and the reactor
 * must go on answering), then its shard of the node; synced and closed. */
#include "engine/lsm/lsm.h"
#include "engine/memory/memory.h"
#include "node/tasks/task_orders.h"
#include "os/entropy.h"
#include "os/jobs_thread.h"
#include "server/stores_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool owns(const struct reactor *reactor, uint16_t store)
{
    return store % reactor->server->reactor_count == reactor->index;
}

/* --- opening -------------------------------------------------------------------------------- */

static kvorum_status open_lsm(struct store_job *store, const struct server *server)
{
    char path[32];
    snprintf(path, sizeof(path), "store-%u", store->index);
    const struct lsm_options options = {
        .disk = server->disk,
        .path = path,
        .jobs = store->reactor->jobs,
        .log = server->log,
        .identity_seed = os_entropy_u64(),
        .create = !server->identity.stores_made,
        .memtable_size = server->config.memtable_size,
        .cache_size = server->config.cache_size / server->store_count + 1,
    };
    return lsm_open(&options, &store->engine);
}

static void open_work(struct job *job)
{
    struct store_job *store = LIST_ENTRY(job, struct store_job, job);
    const struct server *server = store->reactor->server;
    const struct memory_options memory = { .size_limit = server->config.memory_limit };
    if (server->config.engine == CONFIG_ENGINE_MEMORY)
        store->status = memory_open(&memory, &store->engine);
    else
        store->status = open_lsm(store, server);
}

static void tell_liveness(void *context, uint16_t member, enum liveness_state state)
{
    struct reactor *reactor = context;
    const struct mail mail = { .kind = MAIL_LIVENESS, .member = member, .value = state };
    for (uint16_t i = 1; i < reactor->server->reactor_count; i++)
        reactor_mail(reactor, i, &mail);
    if (state == LIVENESS_ALIVE)
        peers_greeted(&reactor->peers, member);
}

static void epoch_changed(void *context)
{
    server_epoch_changed(context);
}

static struct quorum_levels levels_of(const struct config *config)
{
    struct quorum_levels levels;
    quorum_levels_init(&levels);
    levels.n = (uint32_t)config->n;
    levels.r = (uint32_t)config->r;
    levels.w = (uint32_t)config->w;
    levels.dw = (uint32_t)config->dw;
    levels.pr = (uint32_t)config->pr;
    levels.pw = (uint32_t)config->pw;
    return levels;
}

static struct swim_config gossip_of(const struct config *config)
{
    struct swim_config gossip = *swim_preset((enum swim_preset)config->gossip_preset);
    if (config->probe_interval_ms != 0)
        gossip.probe_interval_us = config->probe_interval_ms * 1000;
    if (config->probe_timeout_ms != 0)
        gossip.probe_timeout_us = config->probe_timeout_ms * 1000;
    if (config->suspicion_multiplier != 0)
        gossip.suspicion_multiplier = (uint8_t)config->suspicion_multiplier;
    return gossip;
}

/* A node's partitions are spread evenly over its reactors, so each takes an equal part. */
static uint64_t handoff_share(uint64_t rate, uint16_t reactor_count)
{
    return (rate + reactor_count - 1) / reactor_count;
}

static struct node_scrub_config scrub_of(const struct config *config, uint16_t reactor_count)
{
    uint64_t share = (config->scrub_rate + reactor_count - 1) / reactor_count;
    return (struct node_scrub_config){
        .rate = config->scrub_rate == 0 ? UINT64_MAX : share,
        .period_us = config->scrub_period_ms == 0 ? UINT64_MAX : config->scrub_period_ms * 1000,
    };
}

/* So rare (an old disk was put back, or somebody accuses us without end) that the reactor may wait
 * for the disk. */
static void reserve_incarnations(void *context, uint64_t limit)
{
    struct reactor *reactor = context;
    struct server *server = reactor->server;
    kvorum_status status = identity_reserve(server->disk, &server->identity, limit);
    if (status == KVORUM_OK)
        node_incarnations_reserved(reactor->node, limit);
    else
        log_error(server->log, "cannot refute what others say of this node", LOG_STATUS(status),
                  LOG_TEXT("next", "look at the disk: the file `identity` cannot be written"));
}

/* As rare: this directory is an older copy of itself. */
static bool save_life(void *context, const struct node_life *life)
{
    const struct reactor *reactor = context;
    struct server *server = reactor->server;
    return identity_save_life(server->disk, &server->identity, life) == KVORUM_OK;
}

/* A node without them does its work as the configuration has it. */
static void load_orders(struct server *server, uint16_t reactor, struct task_orders *ret_orders)
{
    kvorum_status status = task_orders_load(server->disk, ret_orders);
    if (status != KVORUM_OK && status != KVORUM_NOT_FOUND && reactor == 0)
        log_error(server->log,
                  "the file `tasks` in the data directory cannot be read: pauses and limits of "
                  "background work are forgotten",
                  LOG_STATUS(status), LOG_TEXT("next", "order them again: kvorum tasks"));
}

/* A tombstone waits a tenth of its age longer, at most; 10 minutes where that is more. */
static uint64_t collect_interval_us(uint64_t age_ms)
{
    enum { LEAST_MS = 1000, MOST_MS = 600 * 1000 };
    uint64_t interval_ms = age_ms / 10 < LEAST_MS ? LEAST_MS : age_ms / 10;
    return (interval_ms > MOST_MS ? MOST_MS : interval_ms) * 1000;
}

static kvorum_status create_node(struct reactor *reactor)
{
    struct server *server = reactor->server;
    const struct config *config = &server->config;
    struct task_orders orders = { 0 };
    load_orders(server, reactor->index, &orders);
    const struct node_config node_config = {
        .task_orders = &orders,
        .epoch = &server->epoch,
        .self = server->self,
        .shard = reactor->index,
        .shard_count = server->reactor_count,
        .store_count = server->store_count,
        .stores = reactor->stores,
        .actor = identity_actor(&server->identity),
        .actor_inherited = server->identity.inherited,
        .life = &server->identity.life,
        .save_life = reactor->index == 0 ? save_life : NULL,
        .sync = (enum node_sync)config->sync,
        .clock = &reactor->clock.clock,
        .net = &reactor->peers.net,
        .jobs = reactor->jobs,
        .log = server->log,
        .random_seed = os_entropy_u64(),
        .request_timeout_us = config->request_timeout_ms * 1000,
        .gossip = gossip_of(config),
        .incarnation_first = server->identity.incarnation_first,
        .incarnation_limit = server->identity.incarnation_limit,
        .reserve_incarnations = reactor->index == 0 ? reserve_incarnations : NULL,
        .default_levels = levels_of(config),
        .limits = { .value_size = config->value_size,
                    .value_size_warning = config->value_size_warning,
                    .siblings = (uint32_t)config->siblings,
                    .siblings_warning = (uint32_t)config->siblings_warning,
                    .requests = (uint32_t)config->requests,
                    .hints = config->hints,
                    .hints_size = config->hints_size,
                    .hint_rate = config->hint_rate,
                    .hint_horizon_ms = config->hint_horizon_ms,
                    .clock_offset_ms = config->clock_offset_ms },
        .sync_interval_us = config->sync_interval_ms * 1000,
        .scrub = scrub_of(config, server->reactor_count),
        .liveness_changed = reactor->index == 0 ? tell_liveness : NULL,
        .liveness_context = reactor,
        .disk = reactor->index == 0 ? server->disk : NULL,
        .epoch_changed = epoch_changed,
        .epoch_context = reactor,
        .collect = { .age_ms = config->tombstone_age_ms,
                     .interval_us = collect_interval_us(config->tombstone_age_ms) },
        .handoff_rate = handoff_share(config->handoff_rate, server->reactor_count),
        .reclaim_compacts = true,
    };
    return node_create(&node_config, &reactor->node);
}

kvorum_status stores_create_node(struct reactor *reactor)
{
    if (!peers_start(&reactor->peers))
        return KVORUM_NO_MEMORY;
    kvorum_status status = create_node(reactor);
    if (status != KVORUM_OK)
        return status;
    reactor->environment.node = reactor->node;
    snapshot_publish_slowly(&reactor->snapshot, reactor->node, reactor->stores,
                            reactor->server->store_count, reactor_now_ms(reactor));
    return KVORUM_OK;
}

static void opened_all(struct reactor *reactor)
{
    const struct mail mail = { .kind = MAIL_OPENED,
                               .shard = reactor->index,
                               .value = reactor->store_status };
    reactor_mail(reactor, 0, &mail);
}

enum { ADVICE_SIZE = CONFIG_TEXT_MAX + 768 };

/* Words that can be typed as they stand; docs/operations/scrub.md has the whole of it. */
static void advise(const struct server *server, uint16_t store, kvorum_status status,
                   char ret[ADVICE_SIZE])
{
    const char *data = server->config.data_dir;
    switch (status) {
    case KVORUM_NOT_FOUND:
        snprintf(ret, ADVICE_SIZE,
                 "it was there before: restore it, or start with a new data directory as another "
                 "node and give it this one's place: kvorum cluster replace");
        break;
    case KVORUM_CORRUPT:
        snprintf(
            ret, ADVICE_SIZE,
            "nothing was changed; a line above names the file. Either keep what is "
            "intact, and the other nodes bring what is missing: (cd %s && kvorum store salvage "
            "store-%u store-%u.saved; mv store-%u store-%u.damaged && mv store-%u.saved "
            "store-%u), then start again. Or start with a new data directory as another node "
            "and give it this one's place: kvorum cluster replace",
            data, store, store, store, store, store, store);
        break;
    case KVORUM_LOCKED:
        snprintf(ret, ADVICE_SIZE, "another process uses it");
        break;
    default:
        snprintf(ret, ADVICE_SIZE, "see docs/operations");
    }
}

static void open_done(struct job *job)
{
    struct store_job *store = LIST_ENTRY(job, struct store_job, job);
    struct reactor *reactor = store->reactor;
    if (store->status == KVORUM_OK) {
        reactor->stores[store->index] = store->engine;
    } else {
        char name[32], next[ADVICE_SIZE];
        snprintf(name, sizeof(name), "store-%u", store->index);
        advise(reactor->server, store->index, store->status, next);
        log_error(reactor->server->log,
                  store->status == KVORUM_CORRUPT ? "a store is damaged, and was not opened"
                                                  : "cannot open store",
                  LOG_TEXT("store", name), LOG_TEXT("data_dir", reactor->server->config.data_dir),
                  LOG_STATUS(store->status), LOG_TEXT("next", next));
        reactor->store_status = store->status;
        atomic_store(&reactor->server->unclean, true);
    }
    if (--reactor->opening->left == 0)
        opened_all(reactor);
}

void stores_open(struct reactor *reactor)
{
    uint16_t count = reactor->server->store_count;
    struct store_opening *opening = calloc(1, sizeof(*opening));
    reactor->opening = opening;
    reactor->state = REACTOR_OPENING;
    if (opening == NULL) {
        reactor->store_status = KVORUM_NO_MEMORY;
        opened_all(reactor);
        return;
    }
    opening->left = 1; /* our own, so that it does not reach 0 below */
    for (uint16_t i = 0; i < count; i++) {
        if (!owns(reactor, i))
            continue;
        struct store_job *store = &opening->stores[i];
        *store = (struct store_job){ .job = { .work = open_work, .done = open_done },
                                     .reactor = reactor,
                                     .index = i };
        opening->left++;
        jobs_submit(reactor->jobs, &store->job);
    }
    if (--opening->left == 0)
        opened_all(reactor);
}

/* --- closing -------------------------------------------------------------------------------- */

static void sync_store(struct server *server, struct engine *engine)
{
    struct engine_batch *empty = engine_batch_create();
    kvorum_status status = KVORUM_NO_MEMORY;
    if (empty != NULL)
        status = engine_write(engine, empty, ENGINE_SYNC);
    engine_batch_destroy(empty);
    if (status == KVORUM_OK)
        return;
    atomic_store(&server->unclean, true);
    log_warn(server->log, "a store could not be synced at the end", LOG_STATUS(status));
}

uint64_t stores_seal(const struct reactor *reactor)
{
    uint64_t seal = 0;
    for (uint16_t i = 0; i < NODE_STORES_MAX; i++)
        if (reactor->stores[i] != NULL)
            seal += identity_seal_store(reactor->stores[i], i);
    return seal;
}

static void end_node(struct reactor *reactor)
{
    if (reactor->node == NULL)
        return;
    node_keep_trees(reactor->node);
    if (reactor->index == 0)
        reactor->server->last_actor = node_actor(reactor->node);
    reactor->node = node_destroy(reactor->node);
}

void stores_close(struct reactor *reactor)
{
    while (jobs_thread_drain(reactor->jobs, true) > 0)
        continue; /* openings and commits that are under way */
    reactor->environment.node = NULL;
    end_node(reactor);
    for (uint16_t i = 0; i < NODE_STORES_MAX; i++) {
        if (reactor->stores[i] == NULL)
            continue;
        sync_store(reactor->server, reactor->stores[i]);
        atomic_fetch_add(&reactor->server->seal, identity_seal_store(reactor->stores[i], i));
        reactor->stores[i] = engine_close(reactor->stores[i]);
    }
    free(reactor->opening);
    reactor->opening = NULL;
}
