/* SPDX-License-Identifier: Apache-2.0 */
/* Batches are the engine's own under a public name; a single write borrows one from the store. */
#include <pthread.h>

#include "embed/internal.h"

/* --- batches ------------------------------------------------------------------------------- */

kvorum_batch *kvorum_batch_create(void)
{
    return (kvorum_batch *)engine_batch_create();
}

kvorum_batch *kvorum_batch_destroy(kvorum_batch *batch)
{
    engine_batch_destroy(embed_batch(batch));
    return NULL;
}

void kvorum_batch_clear(kvorum_batch *batch)
{
    if (batch != NULL)
        engine_batch_reset(embed_batch(batch));
}

size_t kvorum_batch_count(const kvorum_batch *batch)
{
    return batch == NULL ? 0 : engine_batch_count((const struct engine_batch *)batch);
}

static kvorum_status check_change(const void *batch, kvorum_bytes key, kvorum_bytes value)
{
    if (batch == NULL || !embed_bytes_valid(value))
        return KVORUM_INVALID;
    return embed_check_key(key);
}

kvorum_status kvorum_batch_put(kvorum_batch *batch, kvorum_bytes key, kvorum_bytes value)
{
    kvorum_status status = check_change(batch, key, value);
    if (status != KVORUM_OK)
        return status;
    return engine_batch_put(embed_batch(batch), embed_bytes(key), embed_bytes(value));
}

kvorum_status kvorum_batch_delete(kvorum_batch *batch, kvorum_bytes key)
{
    kvorum_status status = check_change(batch, key, kvorum_make(NULL, 0));
    if (status != KVORUM_OK)
        return status;
    return engine_batch_delete(embed_batch(batch), embed_bytes(key));
}

kvorum_status kvorum_batch_merge(kvorum_batch *batch, kvorum_bytes key, kvorum_bytes operand)
{
    kvorum_status status = check_change(batch, key, operand);
    if (status != KVORUM_OK)
        return status;
    return engine_batch_merge(embed_batch(batch), embed_bytes(key), embed_bytes(operand));
}

/* No key is below one zero byte, so that stands for "from the first". */
kvorum_status kvorum_batch_delete_range(kvorum_batch *batch, kvorum_bytes lower, kvorum_bytes upper)
{
    if (lower.size == 0)
        lower = kvorum_make("", 1);
    kvorum_status status = check_change(batch, lower, upper);
    if (status == KVORUM_OK && upper.size > KVORUM_KEY_SIZE_MAX)
        status = KVORUM_TOO_LARGE;
    if (status != KVORUM_OK)
        return status;
    return engine_batch_delete_range(embed_batch(batch), embed_bytes(lower), embed_bytes(upper));
}

kvorum_status kvorum_write(kvorum_store *store, const kvorum_batch *batch,
                           enum kvorum_durability durability)
{
    if (store == NULL || batch == NULL || (unsigned)durability > KVORUM_DURABILITY_SYNC)
        return KVORUM_INVALID;
    return engine_write(store->engine, (const struct engine_batch *)batch,
                        (enum engine_durability)durability);
}

static_assert((int)KVORUM_DURABILITY_NONE == (int)ENGINE_NONE, "one is the other");
static_assert((int)KVORUM_DURABILITY_LOG == (int)ENGINE_LOG, "one is the other");
static_assert((int)KVORUM_DURABILITY_SYNC == (int)ENGINE_SYNC, "one is the other");
static_assert((int)KVORUM_VALUE_SIZE_MAX == (int)ENGINE_VALUE_SIZE_MAX, "one is the other");
static_assert((int)KVORUM_KEY_SIZE_MAX <= (int)ENGINE_KEY_SIZE_MAX, "one fits the other");

/* --- single writes ------------------------------------------------------------------------- */

/* Threads begin at different places, so that each soon has a batch of its own. */
static unsigned first_place(void)
{
    uint64_t thread = (uint64_t)(uintptr_t)pthread_self() * 0x9e3779b97f4a7c15;
    return (unsigned)(thread >> 60);
}

static_assert(EMBED_IDLE_BATCHES == 16, "the four bits of first_place");

static kvorum_batch *borrow(kvorum_store *store)
{
    unsigned first = first_place();
    for (unsigned i = 0; i < EMBED_IDLE_BATCHES; i++) {
        _Atomic(struct engine_batch *) *place =
            &store->idle_batches[(first + i) % EMBED_IDLE_BATCHES];
        if (atomic_load_explicit(place, memory_order_relaxed) == NULL)
            continue;
        struct engine_batch *batch = atomic_exchange(place, NULL);
        if (batch != NULL)
            return (kvorum_batch *)batch;
    }
    return kvorum_batch_create();
}

static void give_back(kvorum_store *store, kvorum_batch *batch)
{
    struct engine_batch *one = embed_batch(batch);
    unsigned first = first_place();
    bool large = engine_batch_bytes(one).size > EMBED_IDLE_BATCH_SIZE;
    engine_batch_reset(one);
    for (unsigned i = 0; i < EMBED_IDLE_BATCHES && !large && one != NULL; i++) {
        _Atomic(struct engine_batch *) *place =
            &store->idle_batches[(first + i) % EMBED_IDLE_BATCHES];
        struct engine_batch *empty = NULL;
        if (atomic_compare_exchange_strong(place, &empty, one))
            one = NULL;
    }
    engine_batch_destroy(one);
}

static kvorum_status write_one(kvorum_store *store, enum engine_change kind, kvorum_bytes key,
                               kvorum_bytes value, enum kvorum_durability durability)
{
    if (store == NULL)
        return KVORUM_INVALID;
    kvorum_batch *batch = borrow(store);
    if (batch == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = kind == ENGINE_PUT      ? kvorum_batch_put(batch, key, value)
                           : kind == ENGINE_DELETE ? kvorum_batch_delete(batch, key)
                                                   : kvorum_batch_merge(batch, key, value);
    if (status == KVORUM_OK)
        status = kvorum_write(store, batch, durability);
    give_back(store, batch);
    return status;
}

kvorum_status kvorum_put(kvorum_store *store, kvorum_bytes key, kvorum_bytes value,
                         enum kvorum_durability durability)
{
    return write_one(store, ENGINE_PUT, key, value, durability);
}

kvorum_status kvorum_delete(kvorum_store *store, kvorum_bytes key,
                            enum kvorum_durability durability)
{
    return write_one(store, ENGINE_DELETE, key, kvorum_make(NULL, 0), durability);
}

kvorum_status kvorum_merge(kvorum_store *store, kvorum_bytes key, kvorum_bytes operand,
                           enum kvorum_durability durability)
{
    return write_one(store, ENGINE_MERGE, key, operand, durability);
}

kvorum_status kvorum_sync(kvorum_store *store)
{
    if (store == NULL)
        return KVORUM_INVALID;
    kvorum_batch *empty = borrow(store);
    if (empty == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = kvorum_write(store, empty, KVORUM_DURABILITY_SYNC);
    give_back(store, empty);
    return status;
}
