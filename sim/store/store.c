/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/plan/sizes.h"
#include "sim/store/store_internal.h"

enum { ERRORS_PER_MILLION = 10000, SPACE_STEP = 40000 };

/* --- one step -------------------------------------------------------------------------------- */

static void report_damage(void *context, const struct engine_damage *damage)
{
    struct store *store = context;
    if (!store->disk.dead)
        world_fail(store->world, "store", "verify found damage in %s at %llu: %s", damage->file,
                   (unsigned long long)damage->offset, damage->what);
}

/* Only while nothing else is at work: nobody would finish what it waits for. */
static void work_by_hand(struct store *store)
{
    uint8_t lower = (uint8_t)choose(store->world, MODEL_KEYS);
    uint8_t upper = (uint8_t)choose_between(store->world, lower + 1u, MODEL_KEYS);
    const struct engine_range range = { bytes_make(&lower, 1), bytes_make(&upper, 1), false };
    kvorum_status status = KVORUM_OK;
    switch (choose(store->world, 5)) {
    case 0:
        status = engine_flush(store->engine);
        break;
    case 1:
        status = engine_compact(store->engine, choose(store->world, 2) == 0 ? &range : NULL);
        break;
    case 2:
        status = engine_settle(store->engine);
        break;
    case 3:
        status = engine_verify(store->engine, report_damage, store);
        break;
    default:
        store_check_contents(store, store->count, "while running");
    }
    if (!store->disk.dead)
        store_check_fair(store, status, "work by hand");
}

static void let_events_run(struct store *store)
{
    for (uint64_t i = choose(store->world, 6); i > 0; i--)
        (void)world_step(store->world);
}

/* Room for a while, or no room. */
static void fill_disk(struct store *store)
{
    uint64_t used = 0;
    for (size_t i = 0; i < store->disk.current.count; i++)
        used += store->disk.current.list[i].inode->current.size;
    bool full = store->disk.space_limit == 0 && choose_one_in(store->world, 4);
    store->disk.space_limit = full ? used + 1 + choose(store->world, SPACE_STEP) : 0;
}

static void begin_again(struct store *store)
{
    uint64_t how = choose(store->world, 7);
    if (how == 0)
        store_close_and_reopen(store);
    if (how > 1)
        return;
    store_end(store, choose(store->world, 2) == 0);
    store_reopen(store);
}

static void read_slowly(struct store *store)
{
    struct model now = store_model_of(store, store->count);
    readers_step(&store->readers, store->engine, &now);
}

static void step(struct store *store)
{
    bool idle = sim_jobs_idle(&store->jobs);
    switch (choose_calm(store->world, 16, 15)) {
    case 0:
        store->disk.fuse = choose_between(store->world, 1, STORE_FUSE_MAX);
        break;
    case 1:
        begin_again(store);
        break;
    case 2:
        fill_disk(store);
        break;
    case 3:
        engine_kick(store->engine);
        if (sim_jobs_idle(&store->jobs)) /* nobody else would finish what it may wait for */
            store_write_and_wait(store);
        break;
    case 4:
        if (idle)
            work_by_hand(store);
        break;
    case 5:
    case 6:
        engine_kick(store->engine);
        break;
    case 7:
    case 8:
        let_events_run(store);
        break;
    case 9:
    case 10:
        read_slowly(store);
        break;
    default:
        if (store->alone)
            store_write_and_wait(store);
        else
            store_submit(store);
    }
}

/* --- a run ----------------------------------------------------------------------------------- */

static bool begin(struct store *store, struct world *world, uint32_t steps)
{
    *store = (struct store){ .world = world };
    store->capacity = steps + 1;
    store->taken = calloc(store->capacity, sizeof(*store->taken));
    store->all = calloc(store->capacity, sizeof(*store->all));
    store->scratch = engine_batch_create();
    if (store->taken == NULL || store->all == NULL || store->scratch == NULL)
        abort();
    sizes_draw(world, &store->sizes);
    sim_disk_init(&store->disk, world);
    sim_jobs_init(&store->jobs, world, NULL, 100);
    store->disk.error_per_million = choose_one_in(world, 4) ? ERRORS_PER_MILLION : 0;
    store->disk.maps = choose(world, 2) == 0;
    store->alone = choose(world, 4) == 0;
    store->readers = (struct readers){ .world = world, .disk = &store->disk };
    store_reopen(store);
    return world->violation.checker == NULL;
}

static void finish(struct store *store)
{
    if (store->engine != NULL) {
        sim_disk_stop(&store->disk);
        sim_jobs_drain(&store->jobs);
        readers_leave(&store->readers, store->engine);
        sim_jobs_drain(&store->jobs); /* those that the readers left */
        engine_close(store->engine);
    }
    sim_disk_done(&store->disk);
    engine_batch_destroy(store->scratch);
    for (uint32_t i = 0; i < store->all_count; i++)
        free(store->all[i]);
    free(store->all);
    free(store->taken);
}

static void report(const struct store *store, struct run_result *ret)
{
    struct buffer text;
    buffer_init(&text, sizeof(ret->plan));
    buffer_printf(&text, "%s, %s", store->alone ? "no jobs" : "jobs",
                  store->disk.maps ? "mapped, " : "");
    sizes_describe(&store->sizes, &text);
    snprintf(ret->plan, sizeof(ret->plan), "%.*s", (int)text.size, (const char *)text.data);
    buffer_done(&text);
    ret->violation = store->world->violation;
    ret->trace_hash = store->world->trace_hash;
    ret->event_count = store->world->event_count;
    ret->virtual_us = store->world->now_us;
    ret->operations = ret->asked = store->all_count;
    for (uint32_t i = 0; i < store->all_count; i++)
        ret->acknowledged += store->all[i]->done;
}

void store_play(struct world *world, uint32_t steps, struct run_result *ret_result)
{
    struct store store;
    bool fine = begin(&store, world, steps);
    for (uint32_t i = 0; fine && i < steps && world->violation.checker == NULL; i++) {
        world_span(world, STREAM_CLIENTS);
        if (world_ended(world))
            break;
        step(&store);
        if (world->violation.checker == NULL && store.disk.dead) {
            store_end(&store, true);
            store_reopen(&store);
        }
    }
    if (world->violation.checker == NULL)
        store_check_contents(&store, store.count, "at the end");
    report(&store, ret_result);
    finish(&store);
}
