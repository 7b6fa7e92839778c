/* SPDX-License-Identifier: Apache-2.0 */
/* An engine of a few lines, an array in memory, right or with one planted fault: what the harness
 * must notice.  Records whose number is FAULTY modulo STEP are hit. */
#include "bench/engines/peers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/engines/records.h"

enum { STEP = 97, FAULTY = 5 };

enum fault { NONE, FORGETS, MIXES_UP, CUTS, KEEPS_OLD, INVENTS, REPEATS };

struct store {
    pthread_mutex_t mutex;
    enum fault fault;
    uint64_t count;
    size_t value_size;
    bool *present;
    uint8_t *values;
};

struct session {
    struct store *store;
    uint64_t place; /* of the cursor */
    uint8_t *lent;
    char key[KEY_SIZE];
};

static void describe(const struct settings *settings, char *text, size_t size)
{
    (void)settings;
    snprintf(text, size, "planted: an array in memory");
}

static void *store_open(const struct settings *settings, enum fault fault)
{
    /* The phase `evict` opens again what it has closed; an array has nowhere else to stay. */
    static struct store store = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    if (store.values == NULL) {
        store.fault = fault;
        store.count = settings->record_count;
        store.value_size = settings->value_size;
        store.present = bench_new(store.count * sizeof(*store.present));
        store.values = bench_new(store.count * store.value_size);
    }
    return &store;
}

static void store_close(void *context)
{
    (void)context;
}

static void *session_open(void *context)
{
    struct session *session = bench_new(sizeof(*session));
    session->store = context;
    session->lent = bench_new(session->store->value_size);
    return session;
}

static void session_close(void *context)
{
    struct session *session = context;
    free(session->lent);
    free(session);
}

static bool is_hit(const struct store *store, enum fault fault, uint64_t number)
{
    return store->fault == fault && number % STEP == FAULTY;
}

static void put(void *context, struct bytes key, struct bytes value, bool sync)
{
    struct session *session = context;
    struct store *store = session->store;
    uint64_t number = record_of_key(key);
    (void)sync;
    pthread_mutex_lock(&store->mutex);
    if (!is_hit(store, KEEPS_OLD, number) || !store->present[number])
        memcpy(store->values + number * store->value_size, value.data, store->value_size);
    store->present[number] = !is_hit(store, FORGETS, number);
    pthread_mutex_unlock(&store->mutex);
}

static void batch_begin(void *context)
{
    (void)context;
}

static void batch_put(void *context, struct bytes key, struct bytes value)
{
    put(context, key, value, false);
}

static void batch_commit(void *context, bool sync)
{
    (void)context, (void)sync;
}

static long get(void *context, struct bytes key, void *value, size_t capacity)
{
    struct session *session = context;
    struct store *store = session->store;
    uint64_t number = record_of_key(key);
    if (number >= store->count) {
        if (store->fault != INVENTS || key.data[KEY_SIZE - 1] != '7')
            return -1;
        number = 0;
    }
    pthread_mutex_lock(&store->mutex);
    uint64_t other = is_hit(store, MIXES_UP, number) ? number - 1 : number;
    size_t size = store->value_size - is_hit(store, CUTS, number);
    bool present = store->present[number];
    memcpy(value, store->values + other * store->value_size, size < capacity ? size : capacity);
    pthread_mutex_unlock(&store->mutex);
    return present ? (long)size : -1;
}

static void cursor_open(void *context)
{
    (void)context;
}

static bool cursor_entry(struct session *session, struct bytes *ret_key, struct bytes *ret_value)
{
    struct store *store = session->store;
    while (session->place < store->count && !store->present[session->place])
        session->place++;
    if (session->place >= store->count)
        return false;
    *ret_key = record_key(session->place, false, session->key);
    long size = get(session, *ret_key, session->lent, store->value_size);
    *ret_value = bytes_make(session->lent, (size_t)size);
    return true;
}

static bool cursor_seek(void *context, const struct bytes *key, struct bytes *ret_key,
                        struct bytes *ret_value)
{
    struct session *session = context;
    session->place = key == NULL ? 0 : record_of_key(*key);
    return cursor_entry(session, ret_key, ret_value);
}

static bool cursor_next(void *context, struct bytes *ret_key, struct bytes *ret_value)
{
    struct session *session = context;
    static _Thread_local bool repeated;
    repeated = is_hit(session->store, REPEATS, session->place) && !repeated;
    session->place += !repeated;
    return cursor_entry(session, ret_key, ret_value);
}

static void cursor_close(void *context)
{
    (void)context;
}

static void settle(void *context)
{
    (void)context;
}

#define PLANTED(fault_name, fault)                                                                 \
    static void *open_##fault(const struct settings *settings)                                     \
    {                                                                                              \
        return store_open(settings, fault);                                                        \
    }                                                                                              \
    const struct peer_ops peer_planted_##fault = {                                                 \
        .name = "planted-" fault_name,                                                             \
        .title = "planted: " fault_name,                                                           \
        .describe = describe,                                                                      \
        .open = open_##fault,                                                                      \
        .close = store_close,                                                                      \
        .session_open = session_open,                                                              \
        .session_close = session_close,                                                            \
        .put = put,                                                                                \
        .batch_begin = batch_begin,                                                                \
        .batch_put = batch_put,                                                                    \
        .batch_commit = batch_commit,                                                              \
        .get = get,                                                                                \
        .cursor_open = cursor_open,                                                                \
        .cursor_seek = cursor_seek,                                                                \
        .cursor_next = cursor_next,                                                                \
        .cursor_close = cursor_close,                                                              \
        .settle = settle,                                                                          \
    }

PLANTED("right", NONE);
PLANTED("forgets", FORGETS);
PLANTED("mixes-up", MIXES_UP);
PLANTED("cuts", CUTS);
PLANTED("keeps-old", KEEPS_OLD);
PLANTED("invents", INVENTS);
PLANTED("repeats", REPEATS);
