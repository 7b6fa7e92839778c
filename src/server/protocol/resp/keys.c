/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on keys: each becomes one operation of the node, or a gathering of them. */
#include "server/protocol/resp/internal.h"

#include <stdio.h>

bool resp_value_of(const struct answer *answer, struct bytes *ret_value)
{
    if (answer->status != KVORUM_OK || answer->object == NULL)
        return false;
    const struct sibling *winner = object_winner(answer->object);
    if (winner == NULL || winner->tombstone)
        return false;
    *ret_value = winner->value;
    return true;
}

static bool is_error(const struct answer *answer)
{
    return answer->status != KVORUM_OK && answer->status != KVORUM_NOT_FOUND;
}

/* --- answers --------------------------------------------------------------------------------- */

static void on_get(void *context, const struct answer *answer)
{
    struct resp_reply *reply = context;
    struct buffer *out = resp_reply_out(reply);
    struct bytes value;
    if (is_error(answer))
        resp_write_answer(out, answer);
    else if (resp_value_of(answer, &value))
        resp_write_bulk(out, value);
    else
        resp_write_nil(out);
    resp_reply_end(reply);
}

static void on_set(void *context, const struct answer *answer)
{
    struct resp_reply *reply = context;
    struct buffer *out = resp_reply_out(reply);
    if (answer->status == KVORUM_OK)
        buffer_append(out, "+OK\r\n", 5);
    else
        resp_write_answer(out, answer);
    resp_reply_end(reply);
}

static void on_exists(void *context, const struct answer *answer)
{
    struct resp_reply *reply = context;
    struct buffer *out = resp_reply_out(reply);
    struct bytes value;
    if (is_error(answer))
        resp_write_answer(out, answer);
    else
        resp_write_integer(out, resp_value_of(answer, &value));
    resp_reply_end(reply);
}

static void on_del(void *context, const struct answer *answer)
{
    struct resp_reply *reply = context;
    struct buffer *out = resp_reply_out(reply);
    if (is_error(answer))
        resp_write_answer(out, answer);
    else
        resp_write_integer(out, answer->status == KVORUM_OK);
    resp_reply_end(reply);
}

/* --- one key --------------------------------------------------------------------------------- */

void resp_submit(struct resp_call *call, struct operation *operation, enum resp_use use,
                 node_answer_fn on_answer)
{
    struct resp_connection *resp = call->connection;
    operation->key = resp_call_argument(call, 1);
    if (resp_key_busy(resp, operation->key, use)) {
        call->wait = true;
        return;
    }
    struct resp_reply *reply = resp_reply_begin(resp);
    if (reply == NULL)
        return;
    uint64_t id = node_submit(resp->environment->node, operation, on_answer, reply);
    if (id == 0)
        return;
    resp_reply_pending(reply, id);
    resp_key_note(reply, operation->key, use);
}

void resp_run_get(struct resp_call *call)
{
    struct operation operation = call->connection->operation;
    operation.kind = OPERATION_GET;
    resp_submit(call, &operation, RESP_USE_READ, on_get);
}

/* NX, XX and GET would need an answer from a read that nobody else can come between. */
static void refuse_option(struct resp_call *call, struct bytes option)
{
    static const char *const known[] = { "NX", "XX", "GET" };
    char text[160];
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!resp_is(option, known[i]))
            continue;
        snprintf(text, sizeof(text),
                 "the option %s of SET is not supported yet; nothing was written", known[i]);
        resp_reply_error(call->connection, "ERR", text);
        return;
    }
    resp_reply_error(call->connection, "ERR", "syntax error");
}

static bool find_time(struct bytes option, enum resp_time *ret)
{
    static const struct {
        const char *name;
        enum resp_time time;
    } known[] = { { "EX", RESP_TIME_SECONDS },
                  { "PX", RESP_TIME_MS },
                  { "EXAT", RESP_TIME_UNIX_SECONDS },
                  { "PXAT", RESP_TIME_UNIX_MS } };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (resp_is(option, known[i].name)) {
            *ret = known[i].time;
            return true;
        }
    return false;
}

/* False: refused. */
static bool read_options(struct resp_call *call, struct operation *operation)
{
    for (uint32_t i = 3; i < call->count; i++) {
        struct bytes option = resp_call_argument(call, i);
        bool first =
            operation->deadline_ms == 0 && (operation->flags & OPERATION_KEEP_DEADLINE) == 0;
        enum resp_time time;
        if (first && resp_is(option, "KEEPTTL"))
            operation->flags |= OPERATION_KEEP_DEADLINE;
        else if (first && i + 1 < call->count && find_time(option, &time)) {
            if (!resp_read_deadline(call, resp_call_argument(call, ++i), time,
                                    &operation->deadline_ms))
                return false;
        } else {
            refuse_option(call, option);
            return false;
        }
    }
    return true;
}

void resp_run_set(struct resp_call *call)
{
    struct operation operation = call->connection->operation;
    operation.kind = OPERATION_PUT;
    operation.flags = OPERATION_OVERWRITE;
    operation.value = resp_call_argument(call, 2);
    if (call->count > 3 && !read_options(call, &operation))
        return;
    bool reads = (operation.flags & OPERATION_KEEP_DEADLINE) != 0;
    resp_submit(call, &operation, reads ? RESP_USE_DELETE : RESP_USE_SET, on_set);
}

static void set_for(struct resp_call *call, enum resp_time time)
{
    struct operation operation = call->connection->operation;
    operation.kind = OPERATION_PUT;
    operation.flags = OPERATION_OVERWRITE;
    operation.value = resp_call_argument(call, 3);
    if (resp_read_deadline(call, resp_call_argument(call, 2), time, &operation.deadline_ms))
        resp_submit(call, &operation, RESP_USE_SET, on_set);
}

void resp_run_setex(struct resp_call *call)
{
    set_for(call, RESP_TIME_SECONDS);
}

void resp_run_psetex(struct resp_call *call)
{
    set_for(call, RESP_TIME_MS);
}

void resp_run_del(struct resp_call *call)
{
    if (call->count > 2) {
        resp_gather(call, &resp_gather_delete);
        return;
    }
    struct operation operation = call->connection->operation;
    operation.kind = OPERATION_DELETE;
    resp_submit(call, &operation, RESP_USE_DELETE, on_del);
}

void resp_run_exists(struct resp_call *call)
{
    if (call->count > 2) {
        resp_gather(call, &resp_gather_exists);
        return;
    }
    struct operation operation = call->connection->operation;
    operation.kind = OPERATION_GET;
    resp_submit(call, &operation, RESP_USE_READ, on_exists);
}

/* --- many keys ------------------------------------------------------------------------------- */

void resp_run_mget(struct resp_call *call)
{
    resp_gather(call, &resp_gather_get);
}

void resp_run_mset(struct resp_call *call)
{
    if (call->count % 2 == 0)
        resp_reply_error(call->connection, "ERR", "wrong number of arguments for 'mset' command");
    else
        resp_gather(call, &resp_gather_set);
}

static void on_count(void *context, const struct list_page *page)
{
    struct resp_reply *reply = context;
    struct answer failure = { .status = page->status, .reason = page->reason };
    struct buffer *out = resp_reply_out(reply);
    reply->ended = page->last || page->status != KVORUM_OK;
    if (!reply->ended && reply->listing)
        reply->more = true; /* the id is not known yet */
    else if (!reply->ended)
        node_list_next(reply->owner->environment->node, reply->operation);
    else if (page->status != KVORUM_OK)
        resp_write_answer(out, &failure);
    else
        resp_write_integer(out, (int64_t)page->counted);
    if (reply->ended && !reply->listing)
        resp_reply_end(reply);
}

void resp_run_dbsize(struct resp_call *call)
{
    struct resp_connection *resp = call->connection;
    if (resp->used > 0) {
        call->wait = true;
        return;
    }
    struct resp_reply *reply = resp_reply_begin(resp);
    if (reply == NULL)
        return;
    struct node *node = resp->environment->node;
    reply->listing = true;
    uint64_t id = node_list(node, LIST_COUNT, (struct bytes){ 0 }, resp->operation.bucket, 0,
                            on_count, reply);
    reply->listing = false;
    if (reply->ended) {
        resp_reply_end(reply);
        return;
    }
    resp_reply_pending(reply, id);
    if (reply->more)
        node_list_next(node, id);
}
