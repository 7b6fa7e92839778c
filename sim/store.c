/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "engine/lsm/lsm.h"
#include "sim/disk.h"
#include "sim/jobs.h"
#include "sim/sizes.h"
#include "sim/store_readers.h"

enum { FUSE_MAX = 60, ERRORS_PER_MILLION = 10000, SPACE_STEP = 40000 };

struct batch {
    struct engine_commit commit; /* first */
    struct store *store;
    uint32_t number;
    struct model_batch content;
    enum engine_durability durability;
    bool done;
};

/* Batches that a crash took leave `taken`; their memory waits until the end. */
struct store {
    struct world *world;
    struct sim_disk disk;
    struct sim_jobs jobs;
    struct readers readers;
    struct engine *engine;
    struct engine_batch *scratch;
    struct batch **taken, **all;
    uint32_t count, all_count, capacity;
    uint32_t safe_from_kill, safe_from_crash; /* so many batches must survive */
    uint32_t next_piece;
    struct lsm_options sizes;
    bool alone; /* no jobs: whoever writes does the work of the background too */
    bool power_failed;
};

/* --- what a store should hold ---------------------------------------------------------------- */

static struct model model_of(const struct store *store, uint32_t batches)
{
    struct model model = { 0 };
    for (uint32_t i = 0; i < batches; i++)
        model_apply(&model, &store->taken[i]->content);
    return model;
}

static void check_contents(struct store *store, uint32_t batches, const char *when)
{
    struct model model = model_of(store, batches);
    for (uint8_t key = 0; key < MODEL_KEYS; key++) {
        struct engine_view view = { 0 };
        kvorum_status status = engine_view(store->engine, bytes_make(&key, 1), &view);
        bool good = model_agrees(&model.values[key], status, view.value);
        if (!good)
            world_trace(store->world, "key %u: %s, %zu B", key, kvorum_status_name(status),
                        view.value.size);
        if (status == KVORUM_OK)
            engine_release(&view);
        if (!good && !store->disk.dead)
            world_fail(store->world, "store", "%s, key %u is not as batch %u left it (%s)", when,
                       key, batches, kvorum_status_name(status));
    }
}

/* --- writing --------------------------------------------------------------------------------- */

static void acknowledged(struct engine_commit *commit, kvorum_status status)
{
    struct batch *batch = (struct batch *)commit;
    struct store *store = batch->store;
    batch->done = true;
    if (status != KVORUM_OK || store->disk.dead)
        return; /* what a process says after its power failed, nobody hears */
    world_trace(store->world, "batch %u acknowledged, durability %d", batch->number,
                batch->durability);
    uint32_t safe = batch->number + 1;
    if (batch->durability >= ENGINE_LOG && safe > store->safe_from_kill)
        store->safe_from_kill = safe;
    if (batch->durability == ENGINE_SYNC && safe > store->safe_from_crash)
        store->safe_from_crash = safe;
}

static void must(kvorum_status status)
{
    if (status != KVORUM_OK)
        abort();
}

static void put_number(struct store *store, uint32_t number)
{
    must(engine_batch_put(store->scratch, BYTES_LITERAL("number"),
                          bytes_make(&number, sizeof(number))));
}

static struct batch *new_batch(struct store *store)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL || store->all_count == store->capacity)
        abort();
    store->all[store->all_count++] = batch;
    batch->store = store;
    batch->number = store->count;
    batch->commit.done = acknowledged;
    batch->durability = (enum engine_durability)choose(store->world, 3);
    return batch;
}

static void narrate(const struct store *store, const struct batch *batch)
{
    static const char *const kinds[] = { [ENGINE_PUT] = "put",
                                         [ENGINE_DELETE] = "delete",
                                         [ENGINE_MERGE] = "merge",
                                         [ENGINE_DELETE_RANGE] = "delete range" };
    for (uint32_t i = 0; i < batch->content.change_count; i++) {
        const struct model_change *change = &batch->content.changes[i];
        world_trace(store->world, "batch %u: %s %u (end %u, piece %u)", batch->number,
                    kinds[change->kind], change->key, change->key_end, change->piece);
    }
}

static void fill_batch(struct store *store, struct batch *batch)
{
    engine_batch_reset(store->scratch);
    put_number(store, batch->number);
    struct model now = model_of(store, store->count);
    model_draw(store->world, &now, &store->next_piece, &batch->content);
    model_fill(&batch->content, store->scratch);
    narrate(store, batch);
}

/* Reasons that a store may give when nothing is wrong with it but its disk. */
static bool is_fair(kvorum_status status)
{
    return status == KVORUM_OK || status == KVORUM_IO || status == KVORUM_NO_SPACE ||
           status == KVORUM_POISONED || status == KVORUM_OVERLOADED;
}

static void check_fair(struct store *store, kvorum_status status, const char *what)
{
    if (!is_fair(status))
        world_fail(store->world, "store", "%s answered %s", what, kvorum_status_name(status));
    if (status == KVORUM_OVERLOADED)
        PROBE("store: overloaded");
}

/* A refused batch has no effect, so its number is used again. */
static void submit(struct store *store)
{
    struct batch *batch = new_batch(store);
    fill_batch(store, batch);
    store->taken[store->count++] = batch; /* `done` may be called from inside */
    kvorum_status status =
        engine_submit(store->engine, store->scratch, batch->durability, &batch->commit);
    check_fair(store, status, "submit");
    if (status != KVORUM_OK) {
        store->count--;
        PROBE("store: a batch was refused");
    }
}

/* An error may come before the batch was taken, or from making it durable after that. */
static bool was_taken(struct store *store, uint32_t number)
{
    struct engine_view view;
    kvorum_status status = engine_view(store->engine, BYTES_LITERAL("number"), &view);
    if (status != KVORUM_OK)
        return status == KVORUM_IO; /* nobody knows */
    bool taken = memcmp(view.value.data, &number, sizeof(number)) == 0;
    engine_release(&view);
    return taken;
}

static void write_and_wait(struct store *store)
{
    struct batch *batch = new_batch(store);
    fill_batch(store, batch);
    store->taken[store->count++] = batch;
    kvorum_status status = engine_write(store->engine, store->scratch, batch->durability);
    check_fair(store, status, "write");
    if (status == KVORUM_OK)
        acknowledged(&batch->commit, status);
    else if (!was_taken(store, batch->number))
        store->count--;
}

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
        check_contents(store, store->count, "while running");
    }
    if (!store->disk.dead)
        check_fair(store, status, "work by hand");
}

/* --- opening and ending ---------------------------------------------------------------------- */

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
    check_contents(store, count, "after recovery");
}

static void end(struct store *store, bool power_failure)
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

static void reopen(struct store *store)
{
    for (;;) {
        sim_disk_restart(&store->disk);
        store->disk.fuse =
            choose_one_in(store->world, 3) ? choose_between(store->world, 1, FUSE_MAX) : 0;
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

static void close_and_reopen(struct store *store)
{
    sim_jobs_drain(&store->jobs);
    readers_leave(&store->readers, store->engine);
    store->engine = engine_close(store->engine);
    if (store->disk.dead) {
        sim_disk_crash(&store->disk);
        store->power_failed = true;
    }
    reopen(store);
}

/* --- playing --------------------------------------------------------------------------------- */

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
        close_and_reopen(store);
    if (how > 1)
        return;
    end(store, choose(store->world, 2) == 0);
    reopen(store);
}

static void read_slowly(struct store *store)
{
    struct model now = model_of(store, store->count);
    readers_step(&store->readers, store->engine, &now);
}

static void step(struct store *store)
{
    bool idle = sim_jobs_idle(&store->jobs);
    switch (choose_calm(store->world, 16, 15)) {
    case 0:
        store->disk.fuse = choose_between(store->world, 1, FUSE_MAX);
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
            write_and_wait(store);
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
            write_and_wait(store);
        else
            submit(store);
    }
}

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
    reopen(store);
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
            end(&store, true);
            reopen(&store);
        }
    }
    if (world->violation.checker == NULL)
        check_contents(&store, store.count, "at the end");
    report(&store, ret_result);
    finish(&store);
}
