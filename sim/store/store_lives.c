/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store/store_internal.h"

#include "base/planted.h"

static kvorum_status open_engine(struct store *store)
{
    struct lsm_options options = store->sizes;
    options.disk = &store->disk.base;
    options.path = "store";
    options.jobs = store->alone ? NULL : &store->jobs.base;
    options.merge = &model_operator;
    options.identity_seed = choose(store->world, UINT64_MAX);
    options.create = store->safe_from_kill == 0;
    return lsm_open(&options, &store->engine);
}

/* The batches a crash forgot never were. */
static void check_recovered(struct store *store)
{
    struct engine_view view;
    uint32_t count = 0;
    store->disk.fuse = 0; /* let it be looked at */
    kvorum_status status = engine_view(store->engine, BYTES_LITERAL("number"), &view);
    if (status == KVORUM_OK) {
        memcpy(&count, view.value.data, sizeof(count));
        count++;
        engine_release(&view);
    }
    uint32_t safe = store->power_failed ? store->safe_from_crash : store->safe_from_kill;
    world_trace(store->world, "recovered %u batches of %u, %u are promised", count, store->count,
                safe);
    if (count < safe || count > store->count) {
        world_fail(store->world, "store", "%u batches are left of %u taken; %u were acknowledged",
                   count, store->count, safe);
        return;
    }
    if (count < store->count)
        PROBE("store: recovery ends before the last batch");
    store->count = count;
    store->safe_from_kill = store->safe_from_crash = count; /* replayed means re-synced */
    store_check_contents(store, count, "after recovery");
}

void store_reopen(struct store *store)
{
    for (;;) {
        sim_disk_restart(&store->disk);
        store->disk.fuse =
            choose_one_in(store->world, 3) ? choose_between(store->world, 1, STORE_FUSE_MAX) : 0;
        kvorum_status status = open_engine(store);
        if (status == KVORUM_OK && !store->disk.dead)
            break;
        bool fault = store->disk.dead || status == KVORUM_IO || status == KVORUM_NO_SPACE;
        if (status == KVORUM_OK)
            store->engine = engine_close(store->engine);
        if (!fault) {
            world_fail(store->world, "store", "cannot be opened on what a crash left: %s",
                       kvorum_status_name(status));
            return;
        }
        PROBE("store: recovery failed");
        store->disk.space_limit = 0; /* somebody makes room */
        sim_jobs_drain(&store->jobs);
        sim_disk_crash(&store->disk);
        store->power_failed = true;
    }
    check_recovered(store);
    store->power_failed = false;
}

void store_end(struct store *store, bool power_failure)
{
    if (!power_failure && !store->disk.dead)
        PROBE("store: killed"); /* the system keeps what it was given */
    sim_disk_stop(&store->disk);
    sim_jobs_drain(&store->jobs);
    readers_leave(&store->readers, store->engine);
    store->engine = engine_close(store->engine);
    if (power_failure)
        sim_disk_crash(&store->disk);
    else
        store->disk.dead = false;
    store->power_failed |= power_failure;
}

void store_close_and_reopen(struct store *store)
{
    sim_jobs_drain(&store->jobs);
    readers_leave(&store->readers, store->engine);
    store->engine = engine_close(store->engine);
    if (store->disk.dead) {
        sim_disk_crash(&store->disk);
        store->power_failed = true;
    }
    store_reopen(store);
}
