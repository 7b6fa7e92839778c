/* SPDX-License-Identifier: Apache-2.0 */
/* The engine `kvorum` of a harness that others wrote, against the public API alone.
 *
 * That harness has a table of engines, whose functions take keys of a fixed size, values of a fixed
 * size, and a thread's own `void *`.  bench/cross-check compiles it with these functions behind one
 * more line of its table; adapter_kvorum.h is all that the harness gets to see. */
#include "bench/adapter_kvorum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvorum/kvorum.h"

struct thread {
    kvorum_batch *batch;
};

static kvorum_store *store;
static size_t key_size, value_size;

static void check(kvorum_status status, const char *what)
{
    if (status != KVORUM_OK) {
        fprintf(stderr, "kvorum: %s: %s\n", what, kvorum_status_text(status));
        _Exit(3);
    }
}

static enum kvorum_durability durability(int sync)
{
    return sync ? KVORUM_DURABILITY_SYNC : KVORUM_DURABILITY_LOG;
}

static kvorum_bytes key_of(const char *key)
{
    return kvorum_make(key, key_size);
}

static kvorum_bytes value_of(const char *value)
{
    return kvorum_make(value, value_size);
}

void adapter_open(const char *path, const struct adapter_settings *settings)
{
    kvorum_options options = {
        .compression = settings->lz4 ? KVORUM_COMPRESSION_LZ4 : KVORUM_COMPRESSION_NONE,
        .background_threads = 2,
        .filter_bits = settings->filter_bits,
        .cache_size = settings->cache_size,
        .memtable_size = settings->memtable_size,
    };
    key_size = settings->key_size;
    value_size = settings->value_size;
    check(kvorum_open(path, &options, &store), "open");
}

void adapter_close(void)
{
    store = kvorum_close(store);
}

void *adapter_thread_create(void)
{
    struct thread *thread = calloc(1, sizeof(*thread));
    if (thread == NULL || (thread->batch = kvorum_batch_create()) == NULL)
        check(KVORUM_NO_MEMORY, "thread");
    return thread;
}

void adapter_thread_destroy(void *context)
{
    struct thread *thread = context;
    kvorum_batch_destroy(thread->batch);
    free(thread);
}

int adapter_put(void *context, const char *key, const char *value, int sync)
{
    (void)context;
    check(kvorum_put(store, key_of(key), value_of(value), durability(sync)), "put");
    return 0;
}

void adapter_batch_begin(void *context)
{
    struct thread *thread = context;
    kvorum_batch_clear(thread->batch);
}

int adapter_batch_put(void *context, const char *key, const char *value)
{
    struct thread *thread = context;
    check(kvorum_batch_put(thread->batch, key_of(key), value_of(value)), "put");
    return 0;
}

int adapter_batch_commit(void *context, int sync)
{
    struct thread *thread = context;
    check(kvorum_write(store, thread->batch, durability(sync)), "write");
    return 0;
}

int adapter_get(void *context, const char *key, char *buffer)
{
    size_t size;
    (void)context;
    kvorum_status status = kvorum_get(store, key_of(key), buffer, value_size + 1, &size);
    if (status == KVORUM_NOT_FOUND)
        return -1;
    check(status, "get");
    return (int)size;
}

int adapter_delete(void *context, const char *key)
{
    (void)context;
    check(kvorum_delete(store, key_of(key), KVORUM_DURABILITY_LOG), "delete");
    return 0;
}

/* The values overwrite each other, as those of the other engines there do. */
int adapter_get_many(void *context, int count, char (*keys)[16], char *buffer)
{
    enum { MANY = 64 };
    kvorum_bytes names[MANY] = { { 0 } };
    kvorum_view views[MANY];
    kvorum_status statuses[MANY];
    int found = 0;
    (void)context;
    for (int i = 0; i < count; i++)
        names[i] = key_of(keys[i]);
    check(kvorum_get_many(store, names, (size_t)count, NULL, views, statuses), "get many");
    for (int i = 0; i < count; i++) {
        if (statuses[i] == KVORUM_NOT_FOUND)
            continue;
        check(statuses[i], "get many");
        if (views[i].value.size == value_size)
            memcpy(buffer, views[i].value.data, value_size);
        found += views[i].value.size == value_size;
        kvorum_view_release(&views[i]);
    }
    return found;
}

void *adapter_iterator_open(void *context)
{
    kvorum_iterator *iterator;
    (void)context;
    check(kvorum_iterate(store, NULL, &iterator), "iterate");
    return iterator;
}

static int entry(const kvorum_iterator *iterator, bool found, const char **ret_key,
                 const char **ret_value)
{
    if (!found) {
        check(kvorum_iterator_status(iterator), "iterate");
        return 0;
    }
    *ret_key = kvorum_iterator_key(iterator).data;
    *ret_value = kvorum_iterator_value(iterator).data;
    return 1;
}

int adapter_iterator_seek(void *iterator, const char *key, const char **ret_key,
                          const char **ret_value)
{
    bool found =
        key == NULL ? kvorum_iterator_first(iterator) : kvorum_iterator_seek(iterator, key_of(key));
    return entry(iterator, found, ret_key, ret_value);
}

int adapter_iterator_next(void *iterator, const char **ret_key, const char **ret_value)
{
    return entry(iterator, kvorum_iterator_next(iterator), ret_key, ret_value);
}

void adapter_iterator_close(void *iterator)
{
    kvorum_iterator_close(iterator);
}

void adapter_settle(void)
{
    kvorum_status status = kvorum_settle(store);
    if (status != KVORUM_UNSUPPORTED) /* no tables, nothing to settle */
        check(status, "settle");
}
