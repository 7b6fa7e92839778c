/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB: a B+tree in a mapped file.  Its cache is the page cache, so a memory budget cannot be set;
 * without `durable` it never syncs, and a crash of the machine may break the file. */
#include "bench/engines/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include <lmdb.h>

#define MAP_SIZE ((size_t)32 << 30)

struct store {
    MDB_env *environment;
    MDB_dbi table;
};

struct session {
    struct store *store;
    MDB_txn *reads, *writes, *scans;
    MDB_cursor *cursor;
};

static void check(int code, const char *what)
{
    if (code != 0)
        bench_fail("%s: %s", what, mdb_strerror(code));
}

static void describe(const struct settings *settings, char *text, size_t size)
{
    snprintf(text, size, "LMDB %d.%d.%d: page cache (no budget), no read-ahead%s",
             MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH,
             settings->durable ? "" : ", MDB_NOSYNC");
}

static void *store_open(const struct settings *settings)
{
    struct store *store = bench_new(sizeof(*store));
    MDB_txn *first;
    unsigned flags = MDB_NORDAHEAD | MDB_NOTLS | (settings->durable ? 0 : MDB_NOSYNC);
    check(mdb_env_create(&store->environment), "create");
    check(mdb_env_set_mapsize(store->environment, MAP_SIZE), "map");
    check(mdb_env_open(store->environment, settings->path, flags, 0644), "open");
    check(mdb_txn_begin(store->environment, NULL, 0, &first), "begin");
    check(mdb_dbi_open(first, NULL, MDB_CREATE, &store->table), "open");
    check(mdb_txn_commit(first), "commit");
    return store;
}

static void store_close(void *context)
{
    struct store *store = context;
    mdb_env_close(store->environment);
    free(store);
}

static void *session_open(void *context)
{
    struct session *session = bench_new(sizeof(*session));
    session->store = context;
    check(mdb_txn_begin(session->store->environment, NULL, MDB_RDONLY, &session->reads), "begin");
    mdb_txn_reset(session->reads);
    return session;
}

static void session_close(void *context)
{
    struct session *session = context;
    mdb_txn_abort(session->reads);
    free(session);
}

static MDB_val lend(struct bytes bytes)
{
    return (MDB_val){ bytes.size, (void *)bytes.data };
}

static void batch_begin(void *context)
{
    struct session *session = context;
    check(mdb_txn_begin(session->store->environment, NULL, 0, &session->writes), "begin");
}

static void batch_put(void *context, struct bytes key, struct bytes value)
{
    struct session *session = context;
    MDB_val name = lend(key), data = lend(value);
    check(mdb_put(session->writes, session->store->table, &name, &data, 0), "put");
}

static void batch_commit(void *context, bool sync)
{
    struct session *session = context;
    (void)sync; /* settled at open */
    check(mdb_txn_commit(session->writes), "commit");
}

static void put(void *context, struct bytes key, struct bytes value, bool sync)
{
    batch_begin(context);
    batch_put(context, key, value);
    batch_commit(context, sync);
}

static long get_in(struct session *session, struct bytes key, void *value, size_t capacity)
{
    MDB_val name = lend(key), data;
    int code = mdb_get(session->reads, session->store->table, &name, &data);
    if (code == MDB_NOTFOUND)
        return -1;
    check(code, "get");
    memcpy(value, data.mv_data, data.mv_size < capacity ? data.mv_size : capacity);
    return (long)data.mv_size;
}

static long get(void *context, struct bytes key, void *value, size_t capacity)
{
    struct session *session = context;
    check(mdb_txn_renew(session->reads), "begin");
    long size = get_in(session, key, value, capacity);
    mdb_txn_reset(session->reads);
    return size;
}

static void get_many(void *context, const struct bytes *keys, size_t count, uint8_t *values,
                     size_t capacity, long *ret_sizes)
{
    struct session *session = context;
    check(mdb_txn_renew(session->reads), "begin");
    for (size_t i = 0; i < count; i++)
        ret_sizes[i] = get_in(session, keys[i], values + i * capacity, capacity);
    mdb_txn_reset(session->reads);
}

static void cursor_open(void *context)
{
    struct session *session = context;
    check(mdb_txn_begin(session->store->environment, NULL, MDB_RDONLY, &session->scans), "begin");
    check(mdb_cursor_open(session->scans, session->store->table, &session->cursor), "iterate");
}

static bool cursor_move(struct session *session, MDB_val *key, MDB_cursor_op move,
                        struct bytes *ret_key, struct bytes *ret_value)
{
    MDB_val value;
    int code = mdb_cursor_get(session->cursor, key, &value, move);
    if (code == MDB_NOTFOUND)
        return false;
    check(code, "iterate");
    *ret_key = bytes_make(key->mv_data, key->mv_size);
    *ret_value = bytes_make(value.mv_data, value.mv_size);
    return true;
}

static bool cursor_seek(void *context, const struct bytes *key, struct bytes *ret_key,
                        struct bytes *ret_value)
{
    MDB_val place = key == NULL ? (MDB_val){ 0 } : lend(*key);
    return cursor_move(context, &place, key == NULL ? MDB_FIRST : MDB_SET_RANGE, ret_key,
                       ret_value);
}

static bool cursor_next(void *context, struct bytes *ret_key, struct bytes *ret_value)
{
    MDB_val place;
    return cursor_move(context, &place, MDB_NEXT, ret_key, ret_value);
}

static void cursor_close(void *context)
{
    struct session *session = context;
    mdb_cursor_close(session->cursor);
    mdb_txn_abort(session->scans);
}

static void settle(void *context)
{
    (void)context; /* nothing runs in the background */
}

const struct peer_ops peer_lmdb = {
    .name = "lmdb",
    .title = "LMDB",
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
