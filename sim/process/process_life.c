/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/process/process_internal.h"

#include <assert.h>

#include "base/planted.h"
#include "sim/checkers/epochs.h"
#include "sim/disk/disk_decay.h"

enum {
    START_AGAIN_US = 300 * 1000, /* mean */
    FUSE_WHILE_STARTING = 40,    /* disk operations */
};

/* --- the nodes ------------------------------------------------------------------------------- */

static bool save_life(void *context, const struct node_life *life)
{
    struct process *process = context;
    return identity_save_life(&process->disk.base, &process->identity, life) == KVORUM_OK;
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
        .liveness_changed = number == 0 ? process_liveness_changed : NULL,
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

static void destroy_nodes(struct process *process)
{
    for (uint16_t i = 0; i < SIM_SHARDS_MAX; i++) {
        struct process_shard *shard = &process->shards[i];
        world_cancel(process->world, &shard->tick);
        shard->node = node_destroy(shard->node);
    }
}

/* --- ending ---------------------------------------------------------------------------------- */

/* Everything a process holds goes; its disk stays. */
static void tear_down(struct process *process)
{
    if (process->running)
        debts_life_ends(process, debts_of(process));
    process->running = false;
    world_cancel(process->world, &process->iteration);
    world_cancel(process->world, &process->resume);
    destroy_nodes(process);
    process_close_stores(process);
    process_close_lock(process);
    arena_reset(&process->arena);
    process_open_gate(process);
    if (process->went_down != NULL)
        process->went_down(process->went_down_context, process->member);
}

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
    bool synced = process_sync_stores(process);
    uint64_t seal = process_seal_stores(process);
    process_close_stores(process);
    if (synced && !process->plan->memory && !process->disk.dead &&
        identity_mark_clean(&process->disk.base, &process->identity, actor, seal) == KVORUM_OK)
        PROBE("process: stopped cleanly");
    tear_down(process);
    if (process->disk.dead)
        sim_disk_crash(&process->disk);
}

/* --- starting -------------------------------------------------------------------------------- */

static kvorum_status bring_up(struct process *process)
{
    kvorum_status status = process_open_identity(process);
    process->store_count = process->plan->store_count[process->member];
    for (uint16_t i = 0; status == KVORUM_OK && i < process->store_count; i++)
        status = process_open_store(process, i, false);
    if (status == KVORUM_OK &&
        !identity_check_seal(&process->identity, process_seal_stores(process)))
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
        process_arm_tick(process, &process->shards[i]);
    network_started(process->network, process->member);
}

void process_start_after(struct process *process, uint64_t delay_us)
{
    world_cancel(process->world, &process->restart);
    if (!process->retired)
        world_after(process->world, &process->restart, delay_us);
}
