/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/process/process_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "engine/lsm/lsm.h"
#include "engine/memory/memory.h"
#include "sim/checkers/epochs.h"

enum { STORE_PATH_SIZE = 16 };

/* --- stores ---------------------------------------------------------------------------------- */

static void store_path(uint16_t store, char ret_path[STORE_PATH_SIZE])
{
    snprintf(ret_path, STORE_PATH_SIZE, "store-%u", store);
}

kvorum_status process_open_store(struct process *process, uint16_t store, bool create)
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

void process_close_stores(struct process *process)
{
    sim_jobs_drain(&process->jobs);
    for (uint16_t i = 0; i < process->store_count; i++)
        process->stores[i] = engine_close(process->stores[i]);
    sim_jobs_drain(&process->jobs);
}

bool process_sync_stores(struct process *process)
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

uint64_t process_seal_stores(struct process *process)
{
    uint64_t seal = 0;
    for (uint16_t i = 0; i < process->store_count; i++)
        seal += identity_seal_store(process->stores[i], i);
    return seal;
}

/* --- the identity ---------------------------------------------------------------------------- */

kvorum_status process_open_identity(struct process *process)
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

void process_close_lock(struct process *process)
{
    if (process->lock != NULL)
        process->lock->ops->close(process->lock);
    process->lock = NULL;
}

/* --- making and exchanging it ---------------------------------------------------------------- */

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
        must(process_open_store(process, i, true));
    process_close_stores(process);
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
    kvorum_status status = process_open_identity(process);
    if (status == KVORUM_OK || memcmp(&old, &process->identity.node, sizeof(old)) == 0)
        world_fail(process->world, "identity", "n%u came up as a member from an empty directory",
                   process->member);
    else if (status != KVORUM_NOT_FOUND)
        world_fail(process->world, "recovery", "n%u cannot start on an empty directory: %s",
                   process->member, kvorum_status_name(status));
    PROBE("process: an empty directory waits to be joined");
    process_close_lock(process);
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
