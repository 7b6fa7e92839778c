/* SPDX-License-Identifier: Apache-2.0 */
/* Our LSM engine, through the interface that all engines of src/engine share. */
#include "bench/engines/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/lsm/lsm.h"
#include "os/disk.h"
#include "os/entropy.h"

struct store {
    struct disk *disk;
    struct engine *engine;
};

struct session {
    struct engine *engine;
    struct engine_batch *batch;
    struct engine_iterator *iterator;
};

static void check(kvorum_status status, const char *what)
{
    if (status != KVORUM_OK)
        bench_fail("%s: %s", what, kvorum_status_text(status));
}

static void describe(const struct settings *settings, char *text, size_t size)
{
    (void)settings;
    snprintf(text, size, "kvorum %s: commit log and memtable, no tables yet", KVORUM_VERSION);
}

static void *store_open(const struct settings *settings)
{
    struct store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        bench_fail("no memory");
    check(os_disk_open(settings->path, true, &store->disk), "open the disk");
    struct lsm_options options = {
        .disk = store->disk,
        .path = "store",
        .identity_seed = os_entropy_u64(),
        .create = true,
        .memtable_limit = UINT64_C(4) << 30,
    };
    check(lsm_open(&options, &store->engine), "open");
    return store;
}

static void store_close(void *context)
{
    struct store *store = context;
    engine_close(store->engine);
    os_disk_close(store->disk);
    free(store);
}

static void *session_open(void *context)
{
    struct store *store = context;
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL || (session->batch = engine_batch_create()) == NULL)
        bench_fail("no memory");
    session->engine = store->engine;
    return session;
}

static void session_close(void *context)
{
    struct session *session = context;
    engine_batch_destroy(session->batch);
    free(session);
}

static void batch_begin(void *context)
{
    struct session *session = context;
    engine_batch_reset(session->batch);
}

static void batch_put(void *context, struct bytes key, struct bytes value)
{
    struct session *session = context;
    check(engine_batch_put(session->batch, key, value), "add to a batch");
}

static void batch_commit(void *context, bool sync)
{
    struct session *session = context;
    check(engine_write(session->engine, session->batch, sync ? ENGINE_SYNC : ENGINE_LOG), "write");
}

static void put(void *context, struct bytes key, struct bytes value, bool sync)
{
    batch_begin(context);
    batch_put(context, key, value);
    batch_commit(context, sync);
}

static long copy_out(struct engine_view *view, void *value, size_t capacity)
{
    size_t size = view->value.size;
    memcpy(value, view->value.data, size < capacity ? size : capacity);
    engine_release(view);
    return (long)size;
}

static long get(void *context, struct bytes key, void *value, size_t capacity)
{
    struct session *session = context;
    struct engine_view view;
    kvorum_status status = engine_view(session->engine, key, &view);
    if (status == KVORUM_NOT_FOUND)
        return -1;
    check(status, "get");
    return copy_out(&view, value, capacity);
}

static void get_many(void *context, const struct bytes *keys, size_t count, uint8_t *values,
                     size_t capacity, long *ret_sizes)
{
    struct session *session = context;
    struct engine_view views[MANY];
    kvorum_status statuses[MANY];
    engine_view_many(session->engine, keys, count, NULL, views, statuses);
    for (size_t i = 0; i < count; i++) {
        ret_sizes[i] = -1;
        if (statuses[i] == KVORUM_NOT_FOUND)
            continue;
        check(statuses[i], "get many");
        ret_sizes[i] = copy_out(&views[i], values + i * capacity, capacity);
    }
}

static void cursor_open(void *context)
{
    struct session *session = context;
    check(engine_iterate(session->engine, NULL, &session->iterator), "iterate");
}

static bool cursor_entry(const struct engine_iterator *iterator, struct bytes *ret_key,
                         struct bytes *ret_value)
{
    check(iterator->error, "iterate");
    if (!iterator->valid)
        return false;
    *ret_key = iterator->key;
    *ret_value = iterator->value;
    return true;
}

static bool cursor_seek(void *context, const struct bytes *key, struct bytes *ret_key,
                        struct bytes *ret_value)
{
    struct session *session = context;
    if (key == NULL)
        engine_iterator_first(session->iterator);
    else
        engine_iterator_seek(session->iterator, *key);
    return cursor_entry(session->iterator, ret_key, ret_value);
}

static bool cursor_next(void *context, struct bytes *ret_key, struct bytes *ret_value)
{
    struct session *session = context;
    engine_iterator_next(session->iterator);
    return cursor_entry(session->iterator, ret_key, ret_value);
}

static void cursor_close(void *context)
{
    struct session *session = context;
    session->iterator = engine_iterator_close(session->iterator);
}

static void settle(void *context)
{
    struct store *store = context;
    if (engine_can(store->engine, ENGINE_TABLES))
        check(engine_settle(store->engine), "settle");
}

const struct peer_ops peer_lsm = {
    .name = "lsm",
    .title = "Kvorum lsm",
    .describe = describe,
    .open = store_open,
    .close = store_close,
    .session_open = session_open,
    .session_close = session_close,
    .put = put,
    .batch_begin = batch_begin,
    .batch_put = batch_put,
    .batch_commit = batch_commit,
    .get = get,
    .get_many = get_many,
    .cursor_open = cursor_open,
    .cursor_seek = cursor_seek,
    .cursor_next = cursor_next,
    .cursor_close = cursor_close,
    .settle = settle,
};
