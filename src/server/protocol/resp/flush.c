/* SPDX-License-Identifier: Apache-2.0 */
/* FLUSHDB and FLUSHALL: a database is a bucket, and goes by a drop of it (node/buckets/drop.h),
 * which takes the same time however much it holds.  Its room is given back in the background, so
 * ASYNC and SYNC are the same here: what Redis calls SYNC, nobody has to wait for. */
#include <stdio.h>
#include <stdlib.h>

#include "server/protocol/resp/internal.h"

struct resp_flush {
    struct resp_reply *reply; /* NULL: the client is gone; what was begun goes on */
    struct node *node;
    uint8_t next, end; /* databases still to be dropped */
    char bucket[8];    /* the one under way */
};

static void flush_end(struct resp_flush *flush, const struct answer *answer)
{
    struct resp_reply *reply = flush->reply;
    free(flush);
    if (reply == NULL)
        return;
    reply->flush = NULL;
    struct buffer *out = resp_reply_out(reply);
    if (answer->status == KVORUM_OK)
        resp_write_simple(out, "OK");
    else
        resp_write_answer(out, answer);
    resp_reply_end(reply);
}

static void on_dropped(void *context, const struct answer *answer);

static void drop_next(struct resp_flush *flush)
{
    snprintf(flush->bucket, sizeof(flush->bucket), "db%u", flush->next++);
    node_drop_bucket(flush->node, (struct bytes){ 0 }, bytes_of_string(flush->bucket), on_dropped,
                     flush);
}

/* One after another: a failure leaves the databases behind it as they were. */
static void on_dropped(void *context, const struct answer *answer)
{
    struct resp_flush *flush = context;
    if (answer->status == KVORUM_OK && flush->next < flush->end)
        drop_next(flush);
    else
        flush_end(flush, answer);
}

static void flush_databases(struct resp_call *call, uint8_t first, uint8_t end)
{
    struct resp_connection *resp = call->connection;
    if (call->count > 2 || (call->count == 2 && !resp_is(resp_call_argument(call, 1), "async") &&
                            !resp_is(resp_call_argument(call, 1), "sync"))) {
        resp_reply_error(resp, "ERR", "syntax error");
        return;
    }
    if (!list_empty(&resp->queue)) { /* what came before happens before */
        call->wait = true;
        return;
    }
    struct resp_flush *flush = calloc(1, sizeof(*flush));
    struct resp_reply *reply = flush == NULL ? NULL : resp_reply_begin(resp);
    if (reply == NULL) {
        if (flush == NULL)
            resp_reply_error(resp, "OOM", "out of memory");
        free(flush);
        return;
    }
    *flush = (struct resp_flush){ reply, resp->environment->node, first, end, "" };
    reply->flush = flush;
    resp_hold(resp);
    drop_next(flush);
}

void resp_run_flushdb(struct resp_call *call)
{
    uint8_t database = call->connection->database;
    flush_databases(call, database, (uint8_t)(database + 1));
}

void resp_run_flushall(struct resp_call *call)
{
    flush_databases(call, 0, RESP_DATABASES);
}

void resp_flush_cancel(struct resp_flush *flush)
{
    flush->reply = NULL;
}
