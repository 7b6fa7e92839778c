/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/process.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "engine/lsm/lsm.h"
#include "engine/memory/memory.h"
#include "sim/checkers/checkers.h"
#include "sim/checkers/epochs.h"
#include "sim/disk_decay.h"

enum {
    ITERATION_US = 30,           /* of the event loop, at most */
    START_AGAIN_US = 300 * 1000, /* mean */
    EPOCH_ARENA_LIMIT = 1 << 24,
    STORE_PATH_SIZE = 16,
    FUSE_WHILE_STARTING = 40, /* disk operations */
};

/* --- the seams ------------------------------------------------------------------------------- */

static bool shard_send(struct net *net, struct net_address to, const struct message *message)
{
    struct process_shard *shard = LIST_ENTRY(net, struct process_shard, net);
    struct process *process = shard->process;
    if (!process_alive(process))
        return false;
    struct net_address from = { process->member, shard->number };
    return network_send(process->network, from, to, message);
}

static uint16_t shard_of(struct net *net, uint16_t member, uint32_t partition)
{
    const struct process_shard *shard = LIST_ENTRY(net, struct process_shard, net);
    const struct process *peer = &shard->process->peers[member];
    return (uint16_t)(partition % peer->store_count % peer->shard_count);
}

static bool shard_send_datagram(struct net *net, uint16_t member, struct bytes datagram)
{
    struct process *process = LIST_ENTRY(net, struct process_shard, net)->process;
    return process_alive(process) &&
           network_send_datagram(process->network, process->member, member, datagram);
}

static const struct net_ops shard_net_ops = { .send = shard_send,
                                              .shard_of = shard_of,
                                              .send_datagram = shard_send_datagram };

/* --- the event loop -------------------------------------------------------------------------- */

static void arm_tick(struct process *process, struct process_shard *shard)
{
    world_cancel(process->world, &shard->tick);
    uint64_t due_us = node_next_deadline_us(shard->node);
    if (due_us != UINT64_MAX)
        world_at(process->world, &shard->tick, sim_clock_world_time(&process->clock, due_us));
}

void process_enter(struct process *process)
{
    assert(process->running && !process->entered);
    process->entered = true;
    world_noise(process->world);
}

/* Power may have failed while the node's code ran. */
static void leave(struct process *process)
{
    process->entered = false;
    if (process->disk.dead) {
        process_crash(process, choose(process->world, 3) == 0);
        return;
    }
    if (!event_is_set(&process->iteration))
        world_after(process->world, &process->iteration, choose(process->world, ITERATION_US));
}

void process_leave(struct process *process, uint16_t shard)
{
    arm_tick(process, &process->shards[shard]);
    leave(process);
}

static void tick_run(struct event *event)
{
    struct process_shard *shard = LIST_ENTRY(event, struct process_shard, tick);
    process_enter(shard->process);
    node_tick(shard->node);
    process_leave(shard->process, shard->number);
}

/* The end of a loop iteration: group commits start. */
static void iteration_run(struct event *event)
{
    struct process *process = LIST_ENTRY(event, struct process, iteration);
    process_enter(process);
    for (uint16_t i = 0; i < process->shard_count; i++) {
        node_flush(process->shards[i].node);
        arm_tick(process, &process->shards[i]);
    }
    process->entered = false;
    if (process->disk.dead)
        process_crash(process, choose(process->world, 3) == 0);
}

static void after_job(void *context)
{
    struct process *process = context;
    if (!process->running)
        return;
    process->entered = true;
    for (uint16_t i = 0; i < process->shard_count; i++)
        arm_tick(process, &process->shards[i]);
    leave(process);
}

struct liveness_news {
    struct event event;
    struct process *process;
    uint32_t life;
    uint16_t member;
    enum liveness_state state;
};

static void news_drop(struct event *event)
{
    free(LIST_ENTRY(event, struct liveness_news, event));
}

static void news_run(struct event *event)
{
    struct liveness_news *news = LIST_ENTRY(event, struct liveness_news, event);
    struct process *process = news->process;
    if (process->running && process->lives == news->life) {
        process_enter(process);
        for (uint16_t i = 1; i < process->shard_count; i++)
            node_set_liveness(process->shards[i].node, news->member, news->state);
        process_leave(process, 0);
    }
    free(news);
}

static void liveness_changed(void *context, uint16_t member, enum liveness_state state)
{
    struct process *process = context;
    world_trace(process->world, "n%u: n%u is %s", process->member, member,
                state == LIVENESS_DEAD      ? "dead"
                : state == LIVENESS_SUSPECT ? "suspect"
                                            : "alive");
    if (process->takes_for_dead[member] && state != LIVENESS_DEAD)
        process->not_dead_since_us[member] = process->world->now_us;
    process->takes_for_dead[member] = state == LIVENESS_DEAD;
    if (process->shard_count == 1)
        return;
    struct liveness_news *news = calloc(1, sizeof(*news));
    if (news == NULL)
        abort();
    news->process = process;
    news->life = process->lives;
    news->member = member;
    news->state = state;
    event_init(&news->event, &process->gate, news_run);
    news->event.drop = news_drop;
    uint64_t at_us = process->world->now_us + 1 + choose(process->world, ITERATION_US);
    if (at_us > process->last_news_us)
        process->last_news_us = at_us;
    world_at(process->world, &news->event, process->last_news_us);
}

/* Only a disk that was put back, or thousands of refutations, need this; a disk that fails leaves
 * us accused. */
static void reserve_incarnations(void *context, uint64_t limit)
{
    struct process *process = context;
    if (identity_reserve(&process->disk.base, &process->identity, limit) != KVORUM_OK)
        return;
    PROBE("process: more incarnations were reserved");
    node_incarnations_reserved(process->shards[0].node, limit);
}

void process_receive_datagram(struct process *process, struct bytes datagram)
{
    process_enter(process);
    node_receive_datagram(process->shards[0].node, datagram);
    process_leave(process, 0);
}

void process_receive(struct process *process, uint16_t shard, struct net_address from,
                     const struct message *message)
{
    if (shard >= process->shard_count)
        return; /* meant for a life with more reactors */
    process_enter(process);
    node_receive(process->shards[shard].node, from, message);
    process_leave(process, shard);
}

void process_link_lost(struct process *process, uint16_t member, bool refused)
{
    if (!process->running)
        return;
    process_enter(process);
    for (uint16_t i = 0; i < process->shard_count; i++) {
        node_link_lost(process->shards[i].node, member, refused);
        arm_tick(process, &process->shards[i]);
    }
    leave(process);
}

/* --- starting -------------------------------------------------------------------------------- */

static void store_path(uint16_t store, char ret_path[STORE_PATH_SIZE])
{
    snprintf(ret_path, STORE_PATH_SIZE, "store-%u", store);
}

static kvorum_status open_store(struct process *process, uint16_t store, bool create)
{
    if (process->plan->memory) {
        struct memory_options options = { 0 };
        return memory_open(&options, &process->stores[store]);
    }
    char path[STORE_PATH_SIZE];
    store_path(store, path);
    struct lsm_options options = process->plan->sizes;
    options.disk = &process->disk.base;
    options.path = path;
    options.jobs = &process->jobs.base;
    options.log = &process->log;
    options.identity_seed = choose(process->world, UINT64_MAX);
    options.create = create;
    return lsm_open(&options, &process->stores[store]);
}

static void close_stores(struct process *process)
{
    sim_jobs_drain(&process->jobs);
    for (uint16_t i = 0; i < process->store_count; i++)
        process->stores[i] = engine_close(process->stores[i]);
    sim_jobs_drain(&process->jobs);
}

static void destroy_nodes(struct process *process)
{
    for (uint16_t i = 0; i < SIM_SHARDS_MAX; i++) {
        struct process_shard *shard = &process->shards[i];
        world_cancel(process->world, &shard->tick);
        shard->node = node_destroy(shard->node);
    }
}

static void close_lock(struct process *process)
{
    if (process->lock != NULL)
        process->lock->ops->close(process->lock);
    process->lock = NULL;
}

static void open_gate(struct process *process)
{
    process->paused_total_us = process_paused_us(process);
    gate_open(process->world, &process->gate);
}

/* Everything a process holds goes; its disk stays. */
static void tear_down(struct process *process)
{
    if (process->running)
        debts_life_ends(process, debts_of(process));
    process->running = false;
    world_cancel(process->world, &process->iteration);
    world_cancel(process->world, &process->resume);
    destroy_nodes(process);
    close_stores(process);
    close_lock(process);
    arena_reset(&process->arena);
    open_gate(process);
    if (process->went_down != NULL)
        process->went_down(process->went_down_context, process->member);
}

static kvorum_status open_identity(struct process *process)
{
    struct disk *disk = &process->disk.base;
    struct identity_options options = {
        .create = process->wiped,
        .fresh_id = process->fresh_id,
        .fresh_life = choose(process->world, UINT64_MAX),
        .volatile_stores = process->plan->memory,
        .store_count = process->plan->store_count[process->member],
        .engine = process->plan->memory ? "memory" : "lsm",
    };
    const char *why = NULL;
    kvorum_status status = disk->ops->lock(disk, "lock", &process->lock);
    if (status == KVORUM_OK)
        status = identity_open(disk, &options, &process->identity, &why);
    if (status == KVORUM_OK)
        status =
            identity_load_epoch(disk, &process->identity, &process->arena, &process->epoch, &why);
    if (status == KVORUM_OK)
        check_epoch_started(process, &process->epoch);
    return status;
}

static bool save_life(void *context, const struct node_life *life)
{
    struct process *process = context;
    return identity_save_life(&process->disk.base, &process->identity, life) == KVORUM_OK;
}

static void epoch_changed(void *context)
{
    struct process_shard *shard = context;
    uint64_t left = node_left_epoch(shard->node);
    if (left != 0 && shard->number == 0)
        check_epoch_left(shard->process, left);
    if (left != 0)
        return; /* it goes by no epoch any more */
    if (process_alive(shard->process) || !shard->process->running)
        check_epoch_adopted(shard->process, node_epoch(shard->node));
}

static kvorum_status create_shard(struct process *process, uint16_t number)
{
    struct process_shard *shard = &process->shards[number];
    const struct plan *plan = process->plan;
    shard->number = number;
    for (uint16_t i = 0; i < process->store_count; i++)
        process->shard_stores[number][i] =
            i % process->shard_count == number ? process->stores[i] : NULL;
    struct node_config config = {
        .epoch = &process->epoch,
        .self = process->member,
        .shard = number,
        .shard_count = process->shard_count,
        .store_count = process->store_count,
        .stores = process->shard_stores[number],
        .actor = identity_actor(&process->identity),
        .actor_inherited = process->identity.inherited,
        .life = &process->identity.life,
        .save_life = number == 0 ? save_life : NULL,
        .sync = plan->sync,
        .clock = &process->clock.base,
        .net = &shard->net,
        .jobs = &process->jobs.base,
        .log = &process->log,
        .random_seed = choose(process->world, UINT64_MAX),
        .limits = plan->limits,
        .gossip = plan->gossip,
        .incarnation_first = process->identity.incarnation_first,
        .incarnation_limit = process->identity.incarnation_limit,
        .reserve_incarnations = number == 0 ? reserve_incarnations : NULL,
        .repair = plan->repair,
        .collect = plan->collect,
        .scrub = plan->scrub,
        .liveness_changed = number == 0 ? liveness_changed : NULL,
        .liveness_context = process,
        .disk = number == 0 ? &process->disk.base : NULL,
        .epoch_changed = epoch_changed,
        .epoch_context = shard,
    };
    quorum_levels_init(&config.default_levels);
    if (plan->memory) /* its crashes forget the bucket's properties too */
        config.default_levels.n = plan->levels.n;
    return node_create(&config, &shard->node);
}

static uint64_t seal_stores(struct process *process)
{
    uint64_t seal = 0;
    for (uint16_t i = 0; i < process->store_count; i++)
        seal += identity_seal_store(process->stores[i], i);
    return seal;
}

static kvorum_status bring_up(struct process *process)
{
    kvorum_status status = open_identity(process);
    process->store_count = process->plan->store_count[process->member];
    for (uint16_t i = 0; status == KVORUM_OK && i < process->store_count; i++)
        status = open_store(process, i, false);
    if (status == KVORUM_OK && !identity_check_seal(&process->identity, seal_stores(process)))
        PROBE("process: the stores are not those of the clean stop");
    for (uint16_t i = 0; status == KVORUM_OK && i < process->shard_count; i++)
        status = create_shard(process, i);
    return status;
}

/* What is on its disk tells it that it is no member any more: somebody switches it off. */
static bool is_dismissed(struct process *process, kvorum_status status)
{
    if (status != KVORUM_WRONG_CLUSTER || !check_epoch_dismissed(process))
        return false;
    PROBE("process: one who was removed did not start again");
    process->retired = true;
    tear_down(process);
    return true;
}

static void start_failed(struct process *process, kvorum_status status)
{
    if (is_dismissed(process, status))
        return;
    bool decayed = status != KVORUM_OK && sim_disk_undo_decay(&process->disk);
    bool fault = process->disk.dead || status == KVORUM_IO || status == KVORUM_NO_SPACE ||
                 status == KVORUM_POISONED || decayed;
    if (decayed)
        PROBE("process: a start met a damaged disk");
    world_tell(process->world, -1, "n%u: start failed: %s", process->member,
               kvorum_status_name(status));
    if (!fault)
        world_fail(process->world, "recovery",
                   "n%u cannot start on what a crash left of its disk: %s", process->member,
                   kvorum_status_name(status));
    PROBE("process: a start failed");
    tear_down(process);
    if (process->disk.dead)
        sim_disk_crash(&process->disk);
    if (!process->held_down)
        process_start_after(process, 1 + choose_delay(process->world, START_AGAIN_US));
}

void process_start(struct process *process)
{
    assert(!process->running);
    if (process->disk.dead)
        sim_disk_restart(&process->disk);
    if (!process->calm && process->plan->faults[FAULT_FUSE] > 0 && choose_one_in(process->world, 4))
        process->disk.fuse = choose_between(process->world, 1, FUSE_WHILE_STARTING);
    process->lives++;
    uint16_t most = process->plan->store_count[process->member];
    if (most > SIM_SHARDS_MAX)
        most = SIM_SHARDS_MAX;
    process->shard_count = (uint16_t)choose_between(process->world, 1, most);
    debts_life_begins(process);
    kvorum_status status = bring_up(process);
    if (status != KVORUM_OK || process->disk.dead) {
        start_failed(process, status);
        return;
    }
    world_tell(process->world, -1, "n%u: started, life %u, %u shards, actor %llx", process->member,
               process->lives, process->shard_count,
               (unsigned long long)identity_actor(&process->identity));
    process->running = true;
    for (uint16_t i = 0; i < process->shard_count; i++)
        arm_tick(process, &process->shards[i]);
    network_started(process->network, process->member);
}

static void restart_run(struct event *event)
{
    struct process *process = LIST_ENTRY(event, struct process, restart);
    if (!process->running)
        process_start(process);
}

void process_start_after(struct process *process, uint64_t delay_us)
{
    world_cancel(process->world, &process->restart);
    if (!process->retired)
        world_after(process->world, &process->restart, delay_us);
}

/* --- ending ---------------------------------------------------------------------------------- */

void process_crash(struct process *process, bool silent)
{
    if (!process->running)
        return;
    assert(!process->entered);
    world_tell(process->world, -1, "n%u: crashed%s", process->member, silent ? ", silently" : "");
    sim_disk_stop(&process->disk);
    network_stopped(process->network, process->member, silent);
    tear_down(process);
    sim_disk_crash(&process->disk);
}

/* "All stores are synced and closed" (identity_mark_clean): a store that refused a write is not. */
static bool sync_stores(struct process *process)
{
    struct engine_batch *barrier = engine_batch_create();
    if (barrier == NULL)
        abort();
    bool synced = true;
    sim_jobs_drain(&process->jobs);
    for (uint16_t i = 0; i < process->store_count; i++)
        synced = synced && engine_write(process->stores[i], barrier, ENGINE_SYNC) == KVORUM_OK;
    engine_batch_destroy(barrier);
    return synced;
}

void process_stop(struct process *process)
{
    if (!process->running)
        return;
    assert(!process->entered);
    world_tell(process->world, -1, "n%u: stops", process->member);
    network_stopped(process->network, process->member, false);
    process->running = false;
    for (uint16_t i = 0; i < process->shard_count; i++)
        node_keep_trees(process->shards[i].node);
    uint64_t actor = node_actor(process->shards[0].node);
    destroy_nodes(process);
    bool synced = sync_stores(process);
    uint64_t seal = seal_stores(process);
    close_stores(process);
    if (synced && !process->plan->memory && !process->disk.dead &&
        identity_mark_clean(&process->disk.base, &process->identity, actor, seal) == KVORUM_OK)
        PROBE("process: stopped cleanly");
    tear_down(process);
    if (process->disk.dead)
        sim_disk_crash(&process->disk);
}

static struct node_id draw_id(struct world *world)
{
    struct node_id id;
    for (size_t i = 0; i < NODE_ID_SIZE; i++)
        id.bytes[i] = (uint8_t)choose(world, 256);
    return id;
}

void process_wipe(struct process *process)
{
    struct node_id old = process->identity.node;
    assert(!process->running);
    world_tell(process->world, -1, "n%u: its directory is lost, and starts empty", process->member);
    sim_disk_done(&process->disk);
    sim_disk_init(&process->disk, process->world);
    process->disk.maps = process->plan->mapped;
    process->wiped = true;
    process->fresh_id = draw_id(process->world);
    kvorum_status status = open_identity(process);
    if (status == KVORUM_OK || memcmp(&old, &process->identity.node, sizeof(old)) == 0)
        world_fail(process->world, "identity", "n%u came up as a member from an empty directory",
                   process->member);
    else if (status != KVORUM_NOT_FOUND)
        world_fail(process->world, "recovery", "n%u cannot start on an empty directory: %s",
                   process->member, kvorum_status_name(status));
    PROBE("process: an empty directory waits to be joined");
    close_lock(process);
    arena_reset(&process->arena);
}

void process_put_back(struct process *process, struct sim_disk *snapshot)
{
    assert(!process->running);
    world_tell(process->world, -1, "n%u: its disk is put back to an older state", process->member);
    sim_disk_done(&process->disk);
    process->disk = *snapshot;
    list_init(&process->disk.mapped);
    process->disk.world = process->world;
    process->disk.maps = process->plan->mapped;
    check_epoch_put_back(process);
}

static void resume_run(struct event *event)
{
    process_resume(LIST_ENTRY(event, struct process, resume));
}

void process_pause(struct process *process, uint64_t duration_us)
{
    if (!process->running || process->gate.closed)
        return;
    world_tell(process->world, -1, "n%u: paused", process->member);
    process->gate.closed = true;
    process->paused_since_us = process->world->now_us;
    world_after(process->world, &process->resume, duration_us);
}

void process_resume(struct process *process)
{
    world_cancel(process->world, &process->resume);
    if (process->gate.closed)
        world_tell(process->world, -1, "n%u: resumed", process->member);
    open_gate(process);
}

/* --- the machine ----------------------------------------------------------------------------- */

static void must(kvorum_status status)
{
    if (status != KVORUM_OK)
        abort(); /* no faults yet: the founding cannot fail */
}

void process_format(struct process *process, const struct node_id *id, const struct epoch *epoch)
{
    struct disk *disk = &process->disk.base;
    process->store_count = process->plan->store_count[process->member];
    struct identity_options options = {
        .create = true,
        .volatile_stores = process->plan->memory,
        .fresh_id = *id,
        .store_count = process->store_count,
        .engine = process->plan->memory ? "memory" : "lsm",
    };
    const char *why;
    must(identity_open(disk, &options, &process->identity, &why));
    must(identity_join(disk, &process->identity, &epoch->cluster));
    must(identity_save_epoch(disk, &process->identity, epoch));
    for (uint16_t i = 0; i < process->store_count; i++)
        must(open_store(process, i, true));
    close_stores(process);
}

static void narrate(void *context, enum log_level level, struct bytes line)
{
    const struct process *process = context;
    (void)level;
    world_trace(process->world, "n%u: %.*s", process->member, (int)line.size - 1,
                (const char *)line.data);
}

static void init_clock(struct process *process)
{
    struct world *world = process->world;
    int64_t drift_max = process->plan->drift_ppm_max;
    int64_t offset_max = process->plan->wall_offset_ms_max;
    int64_t offset = (int64_t)choose(world, (uint64_t)(2 * offset_max + 1)) - offset_max;
    int64_t drift = (int64_t)choose(world, (uint64_t)(2 * drift_max + 1)) - drift_max;
    uint64_t start_us = choose(world, 1000 * SIM_SECOND);
    sim_clock_init(&process->clock, world, start_us, drift, offset);
}

void process_init(struct process *process, struct world *world, struct network *network,
                  const struct plan *plan, uint16_t member, struct process *peers)
{
    *process = (struct process){
        .world = world, .network = network, .plan = plan, .member = member, .peers = peers
    };
    process->store_count = plan->store_count[member];
    process->shard_count = 1;
    init_clock(process);
    process->log.level = world->tracing ? LOG_LEVEL_INFO : LOG_LEVEL_NONE;
    process->log.write = narrate;
    process->log.context = process;
    gate_init(&process->gate);
    sim_disk_init(&process->disk, world);
    process->disk.maps = plan->mapped;
    sim_jobs_init(&process->jobs, world, &process->gate, plan->jobs_latency_us);
    process->jobs.after_step = after_job;
    process->jobs.context = process;
    arena_init(&process->arena, EPOCH_ARENA_LIMIT);
    event_init(&process->iteration, &process->gate, iteration_run);
    event_init(&process->restart, NULL, restart_run);
    event_init(&process->resume, NULL, resume_run);
    for (uint16_t i = 0; i < SIM_SHARDS_MAX; i++) {
        struct process_shard *shard = &process->shards[i];
        shard->net.ops = &shard_net_ops;
        shard->process = process;
        event_init(&shard->tick, &process->gate, tick_run);
    }
    network->gates[member] = &process->gate;
}

void process_done(struct process *process)
{
    process->world->tracing = false;
    process_crash(process, true);
    world_cancel(process->world, &process->restart);
    debts_done(&process->debts);
    sim_disk_done(&process->disk);
    arena_done(&process->arena);
}
