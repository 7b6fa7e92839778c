/* SPDX-License-Identifier: Apache-2.0 */
/* WiredTiger: its B-tree with a log, the default of those who use it.  Its one cache holds what is
 * read and what is written, so it gets both budgets, and never less than it can work with. */
#include "bench/engines/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include <wiredtiger.h>

#define TABLE "table:records"
enum { CACHE_MIB_MIN = 64 };

struct store {
    WT_CONNECTION *connection;
};

struct session {
    WT_SESSION *session;
    WT_CURSOR *cursor, *scan;
};

static void check(int code, const char *what)
{
    if (code != 0)
        bench_fail("%s: %s", what, wiredtiger_strerror(code));
}

static unsigned cache_mib(const struct settings *settings)
{
    uint64_t mib = (settings->cache_size + settings->buffer_size) >> 20;
    return mib < CACHE_MIB_MIN ? CACHE_MIB_MIN : (unsigned)mib;
}

static void describe(const struct settings *settings, char *text, size_t size)
{
    snprintf(text, size,
             "WiredTiger %d.%d.%d: B-tree, cache %u MiB, log, checkpoint every 60 s or 1 GB of "
             "log, compression none",
             WIREDTIGER_VERSION_MAJOR, WIREDTIGER_VERSION_MINOR, WIREDTIGER_VERSION_PATCH,
             cache_mib(settings));
}

static void *store_open(const struct settings *settings)
{
    struct store *store = bench_new(sizeof(*store));
    WT_SESSION *session;
    char text[256];
    snprintf(text, sizeof(text),
             "create,cache_size=%uM,log=(enabled=true,file_max=128MB),session_max=100,"
             "transaction_sync=(enabled=false,method=fsync),checkpoint=(wait=60,log_size=1GB),"
             "eviction=(threads_max=2)",
             cache_mib(settings));
    check(wiredtiger_open(settings->path, NULL, text, &store->connection), "open");
    check(store->connection->open_session(store->connection, NULL, NULL, &session), "open");
    check(session->create(session, TABLE, "key_format=u,value_format=u"), "create");
    check(session->close(session, NULL), "close");
    return store;
}

static void store_close(void *context)
{
    struct store *store = context;
    check(store->connection->close(store->connection, NULL), "close");
    free(store);
}

static void *session_open(void *context)
{
    struct store *store = context;
    struct session *session = bench_new(sizeof(*session));
    check(store->connection->open_session(store->connection, NULL, NULL, &session->session),
          "session");
    check(session->session->open_cursor(session->session, TABLE, NULL, "overwrite=true",
                                        &session->cursor),
          "cursor");
    return session;
}

static void session_close(void *context)
{
    struct session *session = context;
    check(session->session->close(session->session, NULL), "close");
    free(session);
}

static void set_key(WT_CURSOR *cursor, struct bytes key)
{
    WT_ITEM item = { .data = key.data, .size = key.size };
    cursor->set_key(cursor, &item);
}

static int insert(struct session *session, struct bytes key, struct bytes value)
{
    WT_ITEM item = { .data = value.data, .size = value.size };
    set_key(session->cursor, key);
    session->cursor->set_value(session->cursor, &item);
    return session->cursor->insert(session->cursor);
}

static void batch_begin(void *context)
{
    struct session *session = context;
    check(session->session->begin_transaction(session->session, NULL), "begin");
}

static void batch_put(void *context, struct bytes key, struct bytes value)
{
    check(insert(context, key, value), "put");
}

static void batch_commit(void *context, bool sync)
{
    struct session *session = context;
    check(session->session->commit_transaction(session->session, sync ? "sync=on" : NULL),
          "commit");
}

static void put(void *context, struct bytes key, struct bytes value, bool sync)
{
    int code;
    if (!sync) {
        do
            code = insert(context, key, value);
        while (code == WT_ROLLBACK); /* met another writer of the key */
        check(code, "put");
        return;
    }
    struct session *session = context;
    for (;;) {
        batch_begin(context);
        code = insert(context, key, value);
        if (code != WT_ROLLBACK)
            break;
        check(session->session->rollback_transaction(session->session, NULL), "rollback");
    }
    check(code, "put");
    batch_commit(context, true);
}

static long get(void *context, struct bytes key, void *value, size_t capacity)
{
    struct session *session = context;
    WT_CURSOR *cursor = session->cursor;
    WT_ITEM item;
    set_key(cursor, key);
    int code = cursor->search(cursor);
    if (code == WT_NOTFOUND)
        return -1;
    check(code, "get");
    check(cursor->get_value(cursor, &item), "get");
    memcpy(value, item.data, item.size < capacity ? item.size : capacity);
    check(cursor->reset(cursor), "get");
    return (long)item.size;
}

static void cursor_open(void *context)
{
    struct session *session = context;
    check(session->session->open_cursor(session->session, TABLE, NULL, NULL, &session->scan),
          "cursor");
}

static bool cursor_entry(int code, WT_CURSOR *cursor, struct bytes *ret_key,
                         struct bytes *ret_value)
{
    WT_ITEM key, value;
    if (code == WT_NOTFOUND)
        return false;
    check(code, "iterate");
    check(cursor->get_key(cursor, &key), "iterate");
    check(cursor->get_value(cursor, &value), "iterate");
    *ret_key = bytes_make(key.data, key.size);
    *ret_value = bytes_make(value.data, value.size);
    return true;
}

static bool cursor_next(void *context, struct bytes *ret_key, struct bytes *ret_value)
{
    struct session *session = context;
    return cursor_entry(session->scan->next(session->scan), session->scan, ret_key, ret_value);
}

static bool cursor_seek(void *context, const struct bytes *key, struct bytes *ret_key,
                        struct bytes *ret_value)
{
    struct session *session = context;
    WT_CURSOR *scan = session->scan;
    int side = 0;
    if (key == NULL) {
        check(scan->reset(scan), "iterate");
        return cursor_next(context, ret_key, ret_value);
    }
    set_key(scan, *key);
    int code = scan->search_near(scan, &side);
    if (code == 0 && side < 0) /* it stands on the entry before */
        return cursor_next(context, ret_key, ret_value);
    return cursor_entry(code, scan, ret_key, ret_value);
}

static void cursor_close(void *context)
{
    struct session *session = context;
    check(session->scan->close(session->scan), "close");
}

static void settle(void *context)
{
    struct store *store = context;
    WT_SESSION *session;
    check(store->connection->open_session(store->connection, NULL, NULL, &session), "session");
    check(session->checkpoint(session, NULL), "checkpoint");
    check(session->close(session, NULL), "close");
}

const struct peer_ops peer_wiredtiger = {
    .name = "wiredtiger",
    .title = "WiredTiger",
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
