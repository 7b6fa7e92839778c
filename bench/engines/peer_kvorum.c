/* SPDX-License-Identifier: Apache-2.0 */
/* Our engines, through the public API alone. */
#include "bench/engines/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "kvorum/kvorum.h"

struct session {
    kvorum_store *store;
    kvorum_batch *batch;
    kvorum_iterator *iterator;
};

static void check(kvorum_status status, const char *what)
{
    if (status != KVORUM_OK)
        bench_fail("%s: %s", what, kvorum_status_text(status));
}

static kvorum_bytes lend(struct bytes bytes)
{
    return kvorum_make(bytes.data, bytes.size);
}

static struct bytes lent(kvorum_bytes bytes)
{
    return bytes_make(bytes.data, bytes.size);
}

static enum kvorum_durability durability(bool sync)
{
    return sync ? KVORUM_DURABILITY_SYNC : KVORUM_DURABILITY_LOG;
}

static void describe(const struct settings *settings, char *text, size_t size)
{
    snprintf(text, size,
             "kvorum %s: block cache %.3g MiB, memtable %.3g MiB, filter %u bits, compression %s, "
             "2 background threads",
             kvorum_version(), mebibytes(settings->cache_size), mebibytes(settings->buffer_size),
             settings->filter_bits, settings->lz4 ? "lz4" : "none");
}

/* What an engine without tables may hold in memory is all that it can hold. */
static bool has_tables(kvorum_store *store)
{
    kvorum_status status = kvorum_flush(store);
    if (status != KVORUM_UNSUPPORTED)
        check(status, "flush");
    return status == KVORUM_OK;
}

static void *open_engine(const struct settings *settings, const char *engine)
{
    static bool without_tables;
    kvorum_store *store;
    kvorum_options options = {
        .engine = engine,
        .compression = settings->lz4 ? KVORUM_COMPRESSION_LZ4 : KVORUM_COMPRESSION_NONE,
        .background_threads = 2,
        .filter_bits = settings->filter_bits,
        .cache_size = settings->cache_size,
        .memtable_size = without_tables ? 0 : settings->buffer_size,
    };
    check(kvorum_open(settings->path, &options, &store), "open");
    if (without_tables || has_tables(store))
        return store;
    without_tables = true;
    kvorum_close(store);
    return open_engine(settings, engine);
}

static void *open_lsm(const struct settings *settings)
{
    return open_engine(settings, "lsm");
}

static void *open_memory(const struct settings *settings)
{
    return open_engine(settings, "memory");
}

static void store_close(void *store)
{
    kvorum_close(store);
}

static void *session_open(void *store)
{
    struct session *session = bench_new(sizeof(*session));
    session->batch = kvorum_batch_create();
    if (session->batch == NULL)
        bench_fail("no memory");
    session->store = store;
    return session;
}

static void session_close(void *context)
{
    struct session *session = context;
    kvorum_batch_destroy(session->batch);
    free(session);
}

static void put(void *context, struct bytes key, struct bytes value, bool sync)
{
    struct session *session = context;
    check(kvorum_put(session->store, lend(key), lend(value), durability(sync)), "put");
}

static void batch_begin(void *context)
{
    struct session *session = context;
    kvorum_batch_clear(session->batch);
}

static void batch_put(void *context, struct bytes key, struct bytes value)
{
    struct session *session = context;
    check(kvorum_batch_put(session->batch, lend(key), lend(value)), "put");
}

static void batch_commit(void *context, bool sync)
{
    struct session *session = context;
    check(kvorum_write(session->store, session->batch, durability(sync)), "write");
}

static long get(void *context, struct bytes key, void *value, size_t capacity)
{
    struct session *session = context;
    size_t size;
    kvorum_status status = kvorum_get(session->store, lend(key), value, capacity, &size);
    if (status == KVORUM_NOT_FOUND)
        return -1;
    check(status, "get");
    return (long)size;
}

static void get_many(void *context, const struct bytes *keys, size_t count, uint8_t *values,
                     size_t capacity, long *ret_sizes)
{
    struct session *session = context;
    kvorum_bytes names[MANY] = { { 0 } };
    kvorum_view views[MANY];
    kvorum_status statuses[MANY];
    for (size_t i = 0; i < count; i++)
        names[i] = lend(keys[i]);
    check(kvorum_get_many(session->store, names, count, NULL, views, statuses), "get many");
    for (size_t i = 0; i < count; i++) {
        ret_sizes[i] = -1;
        if (statuses[i] == KVORUM_NOT_FOUND)
            continue;
        check(statuses[i], "get many");
        size_t size = views[i].value.size;
        memcpy(values + i * capacity, views[i].value.data, size < capacity ? size : capacity);
        ret_sizes[i] = (long)size;
        kvorum_view_release(&views[i]);
    }
}

static void cursor_open(void *context)
{
    struct session *session = context;
    check(kvorum_iterate(session->store, NULL, &session->iterator), "iterate");
}

static bool cursor_entry(const kvorum_iterator *iterator, bool found, struct bytes *ret_key,
                         struct bytes *ret_value)
{
    if (!found) {
        check(kvorum_iterator_status(iterator), "iterate");
        return false;
    }
    *ret_key = lent(kvorum_iterator_key(iterator));
    *ret_value = lent(kvorum_iterator_value(iterator));
    return true;
}

static bool cursor_seek(void *context, const struct bytes *key, struct bytes *ret_key,
                        struct bytes *ret_value)
{
    struct session *session = context;
    bool found = key == NULL ? kvorum_iterator_first(session->iterator)
                             : kvorum_iterator_seek(session->iterator, lend(*key));
    return cursor_entry(session->iterator, found, ret_key, ret_value);
}

static bool cursor_next(void *context, struct bytes *ret_key, struct bytes *ret_value)
{
    struct session *session = context;
    bool found = kvorum_iterator_next(session->iterator);
    return cursor_entry(session->iterator, found, ret_key, ret_value);
}

static void cursor_close(void *context)
{
    struct session *session = context;
    session->iterator = kvorum_iterator_close(session->iterator);
}

static void settle(void *store)
{
    kvorum_status status = kvorum_settle(store);
    if (status != KVORUM_UNSUPPORTED) /* no tables, nothing to settle */
        check(status, "settle");
}

#define KVORUM_PEER(engine)                                                                        \
    const struct peer_ops peer_##engine = {                                                        \
        .name = #engine,                                                                           \
        .title = "Kvorum " #engine,                                                                \
        .describe = describe,                                                                      \
        .open = open_##engine,                                                                     \
        .close = store_close,                                                                      \
        .session_open = session_open,                                                              \
        .session_close = session_close,                                                            \
        .put = put,                                                                                \
        .batch_begin = batch_begin,                                                                \
        .batch_put = batch_put,                                                                    \
        .batch_commit = batch_commit,                                                              \
        .get = get,                                                                                \
        .get_many = get_many,                                                                      \
        .cursor_open = cursor_open,                                                                \
        .cursor_seek = cursor_seek,                                                                \
        .cursor_next = cursor_next,                                                                \
        .cursor_close = cursor_close,                                                              \
        .settle = settle,                                                                          \
    }

KVORUM_PEER(lsm);
KVORUM_PEER(memory);
