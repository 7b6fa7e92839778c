/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store/store_internal.h"

#include <stdlib.h>

#include "base/planted.h"

/* --- what the store should hold -------------------------------------------------------------- */

struct model store_model_of(const struct store *store, uint32_t batches)
{
    struct model model = { 0 };
    for (uint32_t i = 0; i < batches; i++)
        model_apply(&model, &store->taken[i]->content);
    return model;
}

void store_check_contents(struct store *store, uint32_t batches, const char *when)
{
    struct model model = store_model_of(store, batches);
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

/* --- a batch --------------------------------------------------------------------------------- */

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
    struct model now = store_model_of(store, store->count);
    model_draw(store->world, &now, &store->next_piece, &batch->content);
    model_fill(&batch->content, store->scratch);
    narrate(store, batch);
}

/* --- writing it ------------------------------------------------------------------------------ */

/* Reasons that a store may give when nothing is wrong with it but its disk. */
static bool is_fair(kvorum_status status)
{
    return status == KVORUM_OK || status == KVORUM_IO || status == KVORUM_NO_SPACE ||
           status == KVORUM_POISONED || status == KVORUM_OVERLOADED;
}

void store_check_fair(struct store *store, kvorum_status status, const char *what)
{
    if (!is_fair(status))
        world_fail(store->world, "store", "%s answered %s", what, kvorum_status_name(status));
    if (status == KVORUM_OVERLOADED)
        PROBE("store: overloaded");
}

/* A refused batch has no effect, so its number is used again. */
void store_submit(struct store *store)
{
    struct batch *batch = new_batch(store);
    fill_batch(store, batch);
    store->taken[store->count++] = batch; /* `done` may be called from inside */
    kvorum_status status =
        engine_submit(store->engine, store->scratch, batch->durability, &batch->commit);
    store_check_fair(store, status, "submit");
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

void store_write_and_wait(struct store *store)
{
    struct batch *batch = new_batch(store);
    fill_batch(store, batch);
    store->taken[store->count++] = batch;
    kvorum_status status = engine_write(store->engine, store->scratch, batch->durability);
    store_check_fair(store, status, "write");
    if (status == KVORUM_OK)
        acknowledged(&batch->commit, status);
    else if (!was_taken(store, batch->number))
        store->count--;
}
