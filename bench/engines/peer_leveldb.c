/* SPDX-License-Identifier: Apache-2.0 */
/* LevelDB: its defaults but for what `describe` says.  It has no multi-get, and only snappy. */
#include "bench/engines/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include <leveldb/c.h>

enum { OPEN_FILES = 5000 }; /* as RocksDB: all of them */

struct store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write[2]; /* [sync] */
};

struct session {
    struct store *store;
    leveldb_writebatch_t *batch;
    leveldb_iterator_t *iterator;
};

static void check(char *error, const char *what)
{
    if (error != NULL)
        bench_fail("%s: %s", what, error);
}

static void describe(const struct settings *settings, char *text, size_t size)
{
    snprintf(text, size,
             "LevelDB %d.%d: LRU cache %.3g MiB, write buffer %.3g MiB, Bloom %u bits, "
             "compression %s, %d open files",
             leveldb_major_version(), leveldb_minor_version(), mebibytes(settings->cache_size),
             mebibytes(settings->buffer_size), settings->filter_bits,
             settings->lz4 ? "snappy (it has no lz4)" : "none", OPEN_FILES);
}

static void *store_open(const struct settings *settings)
{
    struct store *store = bench_new(sizeof(*store));
    leveldb_options_t *options = store->options = leveldb_options_create();
    store->cache = leveldb_cache_create_lru(settings->cache_size);
    store->filter = leveldb_filterpolicy_create_bloom((int)settings->filter_bits);
    leveldb_options_set_create_if_missing(options, 1);
    leveldb_options_set_compression(options, settings->lz4 ? leveldb_snappy_compression
                                                           : leveldb_no_compression);
    leveldb_options_set_filter_policy(options, store->filter);
    leveldb_options_set_cache(options, store->cache);
    leveldb_options_set_write_buffer_size(options, settings->buffer_size);
    leveldb_options_set_max_open_files(options, OPEN_FILES);
    store->read = leveldb_readoptions_create();
    for (int sync = 0; sync < 2; sync++) {
        store->write[sync] = leveldb_writeoptions_create();
        leveldb_writeoptions_set_sync(store->write[sync], (unsigned char)sync);
    }
    char *error = NULL;
    store->db = leveldb_open(options, settings->path, &error);
    check(error, "open");
    return store;
}

static void store_close(void *context)
{
    struct store *store = context;
    leveldb_close(store->db);
    leveldb_readoptions_destroy(store->read);
    leveldb_writeoptions_destroy(store->write[0]);
    leveldb_writeoptions_destroy(store->write[1]);
    leveldb_options_destroy(store->options);
    leveldb_cache_destroy(store->cache);
    leveldb_filterpolicy_destroy(store->filter);
    free(store);
}

static void *session_open(void *store)
{
    struct session *session = bench_new(sizeof(*session));
    session->store = store;
    session->batch = leveldb_writebatch_create();
    return session;
}

static void session_close(void *context)
{
    struct session *session = context;
    leveldb_writebatch_destroy(session->batch);
    free(session);
}

static void put(void *context, struct bytes key, struct bytes value, bool sync)
{
    struct session *session = context;
    char *error = NULL;
    leveldb_put(session->store->db, session->store->write[sync], (const char *)key.data, key.size,
                (const char *)value.data, value.size, &error);
    check(error, "put");
}

static void batch_begin(void *context)
{
    struct session *session = context;
    leveldb_writebatch_clear(session->batch);
}

static void batch_put(void *context, struct bytes key, struct bytes value)
{
    struct session *session = context;
    leveldb_writebatch_put(session->batch, (const char *)key.data, key.size,
                           (const char *)value.data, value.size);
}

static void batch_commit(void *context, bool sync)
{
    struct session *session = context;
    char *error = NULL;
    leveldb_write(session->store->db, session->store->write[sync], session->batch, &error);
    check(error, "write");
}

static long get(void *context, struct bytes key, void *value, size_t capacity)
{
    struct session *session = context;
    char *error = NULL;
    size_t size;
    char *found = leveldb_get(session->store->db, session->store->read, (const char *)key.data,
                              key.size, &size, &error);
    check(error, "get");
    if (found == NULL)
        return -1;
    memcpy(value, found, size < capacity ? size : capacity);
    leveldb_free(found);
    return (long)size;
}

static void cursor_open(void *context)
{
    struct session *session = context;
    session->iterator = leveldb_create_iterator(session->store->db, session->store->read);
}

static bool cursor_entry(leveldb_iterator_t *iterator, struct bytes *ret_key,
                         struct bytes *ret_value)
{
    if (!leveldb_iter_valid(iterator)) {
        char *error = NULL;
        leveldb_iter_get_error(iterator, &error);
        check(error, "iterate");
        return false;
    }
    ret_key->data = (const uint8_t *)leveldb_iter_key(iterator, &ret_key->size);
    ret_value->data = (const uint8_t *)leveldb_iter_value(iterator, &ret_value->size);
    return true;
}

static bool cursor_seek(void *context, const struct bytes *key, struct bytes *ret_key,
                        struct bytes *ret_value)
{
    struct session *session = context;
    if (key == NULL)
        leveldb_iter_seek_to_first(session->iterator);
    else
        leveldb_iter_seek(session->iterator, (const char *)key->data, key->size);
    return cursor_entry(session->iterator, ret_key, ret_value);
}

static bool cursor_next(void *context, struct bytes *ret_key, struct bytes *ret_value)
{
    struct session *session = context;
    leveldb_iter_next(session->iterator);
    return cursor_entry(session->iterator, ret_key, ret_value);
}

static void cursor_close(void *context)
{
    struct session *session = context;
    leveldb_iter_destroy(session->iterator);
}

/* It cannot be asked whether it works, nor told to flush. */
static void settle(void *context)
{
    (void)context;
    bench_wait_idle();
}

const struct peer_ops peer_leveldb = {
    .name = "leveldb",
    .title = "LevelDB",
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
    .cursor_open = cursor_open,
    .cursor_seek = cursor_seek,
    .cursor_next = cursor_next,
    .cursor_close = cursor_close,
    .settle = settle,
};
