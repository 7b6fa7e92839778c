/* SPDX-License-Identifier: Apache-2.0 */
/* RocksDB: its defaults but for what `describe` says. */
#include "bench/engines/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rocksdb/c.h>

struct store {
    rocksdb_t *db;
    rocksdb_column_family_handle_t *family; /* the batched multi-get wants one */
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *tables;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write[2]; /* [sync] */
};

struct session {
    struct store *store;
    rocksdb_writebatch_t *batch;
    rocksdb_iterator_t *iterator;
};

static void check(char *error, const char *what)
{
    if (error != NULL)
        bench_fail("%s: %s", what, error);
}

static void describe(const struct settings *settings, char *text, size_t size)
{
    snprintf(text, size,
             "RocksDB %s: LRU cache %.3g MiB, write buffer %.3g MiB, Bloom %u bits, "
             "compression %s, "
             "2 background jobs",
             BENCH_ROCKSDB_VERSION, mebibytes(settings->cache_size),
             mebibytes(settings->buffer_size), settings->filter_bits,
             settings->lz4 ? "lz4" : "none");
}

static void set_options(struct store *store, const struct settings *settings)
{
    rocksdb_options_t *options = store->options = rocksdb_options_create();
    store->tables = rocksdb_block_based_options_create();
    store->cache = rocksdb_cache_create_lru(settings->cache_size);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_increase_parallelism(options, 2);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_compression(options, settings->lz4 ? rocksdb_lz4_compression
                                                           : rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(options, settings->buffer_size);
    rocksdb_block_based_options_set_filter_policy(
        store->tables, rocksdb_filterpolicy_create_bloom_full(settings->filter_bits));
    rocksdb_block_based_options_set_block_cache(store->tables, store->cache);
    rocksdb_options_set_block_based_table_factory(options, store->tables);
    store->read = rocksdb_readoptions_create();
    for (int sync = 0; sync < 2; sync++) {
        store->write[sync] = rocksdb_writeoptions_create();
        rocksdb_writeoptions_set_sync(store->write[sync], (unsigned char)sync);
    }
}

static void *store_open(const struct settings *settings)
{
    struct store *store = bench_new(sizeof(*store));
    set_options(store, settings);
    const char *names[] = { "default" };
    const rocksdb_options_t *options[] = { store->options };
    char *error = NULL;
    store->db = rocksdb_open_column_families(store->options, settings->path, 1, names, options,
                                             &store->family, &error);
    check(error, "open");
    return store;
}

static void store_close(void *context)
{
    struct store *store = context;
    rocksdb_column_family_handle_destroy(store->family);
    rocksdb_close(store->db);
    rocksdb_readoptions_destroy(store->read);
    rocksdb_writeoptions_destroy(store->write[0]);
    rocksdb_writeoptions_destroy(store->write[1]);
    rocksdb_block_based_options_destroy(store->tables);
    rocksdb_cache_destroy(store->cache);
    rocksdb_options_destroy(store->options);
    free(store);
}

static void *session_open(void *store)
{
    struct session *session = bench_new(sizeof(*session));
    session->store = store;
    session->batch = rocksdb_writebatch_create();
    return session;
}

static void session_close(void *context)
{
    struct session *session = context;
    rocksdb_writebatch_destroy(session->batch);
    free(session);
}

static void put(void *context, struct bytes key, struct bytes value, bool sync)
{
    struct session *session = context;
    char *error = NULL;
    rocksdb_put(session->store->db, session->store->write[sync], (const char *)key.data, key.size,
                (const char *)value.data, value.size, &error);
    check(error, "put");
}

static void batch_begin(void *context)
{
    struct session *session = context;
    rocksdb_writebatch_clear(session->batch);
}

static void batch_put(void *context, struct bytes key, struct bytes value)
{
    struct session *session = context;
    rocksdb_writebatch_put(session->batch, (const char *)key.data, key.size,
                           (const char *)value.data, value.size);
}

static void batch_commit(void *context, bool sync)
{
    struct session *session = context;
    char *error = NULL;
    rocksdb_write(session->store->db, session->store->write[sync], session->batch, &error);
    check(error, "write");
}

static long copy_out(rocksdb_pinnableslice_t *slice, void *value, size_t capacity)
{
    size_t size;
    if (slice == NULL)
        return -1;
    const char *data = rocksdb_pinnableslice_value(slice, &size);
    memcpy(value, data, size < capacity ? size : capacity);
    rocksdb_pinnableslice_destroy(slice);
    return (long)size;
}

static long get(void *context, struct bytes key, void *value, size_t capacity)
{
    struct session *session = context;
    char *error = NULL;
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned(session->store->db, session->store->read,
                                                        (const char *)key.data, key.size, &error);
    check(error, "get");
    return copy_out(slice, value, capacity);
}

static void get_many(void *context, const struct bytes *keys, size_t count, uint8_t *values,
                     size_t capacity, long *ret_sizes)
{
    struct session *session = context;
    struct store *store = session->store;
    const char *texts[MANY] = { NULL };
    size_t sizes[MANY] = { 0 };
    rocksdb_pinnableslice_t *slices[MANY];
    char *errors[MANY];
    for (size_t i = 0; i < count; i++) {
        texts[i] = (const char *)keys[i].data;
        sizes[i] = keys[i].size;
    }
    rocksdb_batched_multi_get_cf(store->db, store->read, store->family, count, texts, sizes, slices,
                                 errors, false);
    for (size_t i = 0; i < count; i++) {
        check(errors[i], "get many");
        ret_sizes[i] = copy_out(slices[i], values + i * capacity, capacity);
    }
}

static void cursor_open(void *context)
{
    struct session *session = context;
    session->iterator = rocksdb_create_iterator(session->store->db, session->store->read);
}

static bool cursor_entry(rocksdb_iterator_t *iterator, struct bytes *ret_key,
                         struct bytes *ret_value)
{
    if (!rocksdb_iter_valid(iterator)) {
        char *error = NULL;
        rocksdb_iter_get_error(iterator, &error);
        check(error, "iterate");
        return false;
    }
    ret_key->data = (const uint8_t *)rocksdb_iter_key(iterator, &ret_key->size);
    ret_value->data = (const uint8_t *)rocksdb_iter_value(iterator, &ret_value->size);
    return true;
}

static bool cursor_seek(void *context, const struct bytes *key, struct bytes *ret_key,
                        struct bytes *ret_value)
{
    struct session *session = context;
    if (key == NULL)
        rocksdb_iter_seek_to_first(session->iterator);
    else
        rocksdb_iter_seek(session->iterator, (const char *)key->data, key->size);
    return cursor_entry(session->iterator, ret_key, ret_value);
}

static bool cursor_next(void *context, struct bytes *ret_key, struct bytes *ret_value)
{
    struct session *session = context;
    rocksdb_iter_next(session->iterator);
    return cursor_entry(session->iterator, ret_key, ret_value);
}

static void cursor_close(void *context)
{
    struct session *session = context;
    rocksdb_iter_destroy(session->iterator);
}

static bool works(struct store *store, const char *property)
{
    uint64_t value = 0;
    return rocksdb_property_int(store->db, property, &value) == 0 && value != 0;
}

static void settle(void *context)
{
    struct store *store = context;
    char *error = NULL;
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    rocksdb_flush(store->db, flush, &error);
    rocksdb_flushoptions_destroy(flush);
    check(error, "flush");
    while (works(store, "rocksdb.num-running-flushes") ||
           works(store, "rocksdb.num-running-compactions") ||
           works(store, "rocksdb.compaction-pending"))
        usleep(20 * 1000);
}

const struct peer_ops peer_rocksdb = {
    .name = "rocksdb",
    .title = "RocksDB",
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
