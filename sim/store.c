/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "engine/lsm/lsm.h"
#include "sim/disk.h"
#include "sim/jobs.h"

enum {
    KEYS = 12,
    CHANGES_MAX = 5,
    VALUE_SIZE_MAX = 1800,
    FUSE_MAX = 40,
    ARENA_LIMIT = 1 << 26,
    ABSENT = UINT32_MAX,
};

struct change {
    uint8_t key;
    uint32_t value; /* names the bytes; ABSENT: deleted */
};

struct batch {
    struct engine_commit commit; /* first */
    struct store *store;
    uint32_t number, change_count;
    struct change changes[CHANGES_MAX];
    enum engine_durability durability;
    bool done;
};

/* Batches that a crash took leave `taken`; their memory waits until the end. */
struct store {
    struct world *world;
    struct sim_disk disk;
    struct sim_jobs jobs;
    struct engine *engine;
    struct engine_batch *scratch;
    struct batch **taken, **all;
    uint32_t count, all_count, capacity;
    uint32_t safe_from_kill, safe_from_crash; /* so many batches must survive */
    uint32_t next_value, segment_size;
    bool power_failed;
};

/* --- what a store should hold ---------------------------------------------------------------- */

static void make_value(uint32_t value, struct buffer *buffer)
{
    buffer_reset(buffer);
    uint32_t size = value * 2654435761u % VALUE_SIZE_MAX;
    buffer_printf(buffer, "%u ", value);
    while (buffer->size < size)
        buffer_append_u8(buffer, (uint8_t)(value + buffer->size * 7));
}

static void model(const struct store *store, uint32_t batches, uint32_t ret_values[KEYS])
{
    for (int i = 0; i < KEYS; i++)
        ret_values[i] = ABSENT;
    for (uint32_t i = 0; i < batches; i++) {
        const struct batch *batch = store->taken[i];
        for (uint32_t j = 0; j < batch->change_count; j++)
            ret_values[batch->changes[j].key] = batch->changes[j].value;
    }
}

static bool holds(struct store *store, uint8_t key, uint32_t value)
{
    struct arena arena;
    struct buffer expected;
    struct bytes found = { 0 };
    arena_init(&arena, ARENA_LIMIT);
    buffer_init(&expected, 1 << 20);
    if (value != ABSENT)
        make_value(value, &expected);
    kvorum_status status = engine_get(store->engine, bytes_make(&key, sizeof(key)), &arena, &found);
    bool same = value == ABSENT
                    ? status == KVORUM_NOT_FOUND
                    : status == KVORUM_OK && bytes_equal(found, buffer_bytes(&expected));
    buffer_done(&expected);
    arena_done(&arena);
    return same;
}

static void check_contents(struct store *store, uint32_t batches, const char *when)
{
    uint32_t values[KEYS];
    model(store, batches, values);
    for (uint8_t key = 0; key < KEYS; key++) {
        if (!holds(store, key, values[key]))
            world_fail(store->world, "store", "%s, key %u is not as batch %u left it", when, key,
                       batches);
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

static void fill_batch(struct store *store, struct batch *batch)
{
    struct buffer value;
    buffer_init(&value, 1 << 20);
    engine_batch_reset(store->scratch);
    put_number(store, batch->number);
    batch->change_count = (uint32_t)choose(store->world, CHANGES_MAX + 1);
    for (uint32_t i = 0; i < batch->change_count; i++) {
        struct change *change = &batch->changes[i];
        *change = (struct change){ (uint8_t)choose(store->world, KEYS), ABSENT };
        struct bytes key = bytes_make(&change->key, sizeof(change->key));
        if (choose(store->world, 4) == 0) {
            must(engine_batch_delete(store->scratch, key));
            continue;
        }
        change->value = store->next_value++;
        make_value(change->value, &value);
        must(engine_batch_put(store->scratch, key, buffer_bytes(&value)));
    }
    buffer_done(&value);
}

/* A refused batch has no effect, so its number is used again. */
static void submit(struct store *store)
{
    struct batch *batch = new_batch(store);
    fill_batch(store, batch);
    store->taken[store->count++] = batch; /* `done` may be called from inside */
    kvorum_status status =
        engine_submit(store->engine, store->scratch, batch->durability, &batch->commit);
    if (status != KVORUM_OK) {
        store->count--;
        PROBE("store: a batch was refused");
    }
}

/* An error may come before the batch was taken, or from making it durable after that. */
static bool was_taken(struct store *store, uint32_t number)
{
    struct engine_view view;
    if (engine_view(store->engine, BYTES_LITERAL("number"), &view) != KVORUM_OK)
        return false;
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
    if (status == KVORUM_OK)
        acknowledged(&batch->commit, status);
    else if (!was_taken(store, batch->number))
        store->count--;
}

/* --- opening and ending ---------------------------------------------------------------------- */

static kvorum_status open_engine(struct store *store)
{
    struct lsm_options options = {
        .disk = &store->disk.base,
        .path = "store",
        .jobs = &store->jobs.base,
        .identity_seed = choose(store->world, UINT64_MAX),
        .create = store->safe_from_kill == 0,
        .segment_size = store->segment_size,
    };
    return lsm_open(&options, &store->engine);
}

/* The batches a crash forgot never were. */
static void check_recovered(struct store *store)
{
    struct engine_view view;
    uint32_t count = 0;
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
    if (power_failure && !store->disk.dead)
        store->disk.dead = true;
    else if (!store->disk.dead) {
        store->disk.dead = true; /* killed: the system keeps what it was given */
        PROBE("store: killed");
    }
    sim_jobs_drain(&store->jobs);
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
            choose(store->world, 3) == 0 ? choose_between(store->world, 1, FUSE_MAX) : 0;
        kvorum_status status = open_engine(store);
        if (status == KVORUM_OK && !store->disk.dead)
            break;
        bool fault = store->disk.dead || status == KVORUM_IO;
        if (status == KVORUM_OK)
            store->engine = engine_close(store->engine);
        if (!fault) {
            world_fail(store->world, "store", "cannot be opened on what a crash left: %s",
                       kvorum_status_name(status));
            return;
        }
        PROBE("store: power failed during recovery");
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

static void step(struct store *store)
{
    switch (choose(store->world, 12)) {
    case 0:
        store->disk.fuse = choose_between(store->world, 1, FUSE_MAX);
        break;
    case 1:
        if (choose(store->world, 4) == 0)
            close_and_reopen(store);
        break;
    case 2:
        if (choose(store->world, 3) == 0) {
            end(store, choose(store->world, 2) == 0);
            reopen(store);
        }
        break;
    case 3:
        if (sim_jobs_idle(&store->jobs)) /* nobody else would finish the work it may wait for */
            write_and_wait(store);
        break;
    case 4:
    case 5:
        engine_kick(store->engine);
        break;
    case 6:
    case 7:
        let_events_run(store);
        break;
    default:
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
    store->segment_size = 4096u << choose(world, 5);
    sim_disk_init(&store->disk, world);
    sim_jobs_init(&store->jobs, world, NULL, 100);
    store->disk.error_per_million = choose(world, 4) == 0 ? 10000 : 0;
    reopen(store);
    return world->violation.checker == NULL;
}

static void finish(struct store *store)
{
    if (store->engine != NULL) {
        store->disk.dead = true;
        sim_jobs_drain(&store->jobs);
        engine_close(store->engine);
    }
    sim_disk_done(&store->disk);
    engine_batch_destroy(store->scratch);
    for (uint32_t i = 0; i < store->all_count; i++)
        free(store->all[i]);
    free(store->all);
    free(store->taken);
}

void store_play(struct world *world, uint32_t steps)
{
    struct store store;
    bool fine = begin(&store, world, steps);
    for (uint32_t i = 0; fine && i < steps && world->violation.checker == NULL; i++) {
        step(&store);
        if (world->violation.checker == NULL && store.disk.dead) {
            end(&store, true);
            reopen(&store);
        }
        if (world->violation.checker == NULL && choose(world, 8) == 0)
            check_contents(&store, store.count, "while running");
    }
    finish(&store);
}
