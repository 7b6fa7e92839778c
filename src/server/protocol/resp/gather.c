/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on many keys: one operation a key, a window of them in flight, one reply from all.
 *
 *      keys     0 1 2 3 | 4 5 6 7 8 | 9 10 ...
 *               taken     in flight   not started: read from a copy of the request once the
 *                         (window)    input it came in is gone
 *
 * Values are taken in the order of the keys, whatever the order of the answers.  The first error
 * ends the command: no further key is started, and the reply is that error. */
#include <stdlib.h>

#include "server/protocol/resp/internal.h"

enum { WINDOW = 64, TEXT_SLACK = 1 << 20 };

struct resp_gather_kind {
    enum operation_kind operation;
    uint32_t flags;
    uint8_t arguments; /* a key takes */
    bool changes;      /* later commands wait until it is done */
    /* Turn an answer that is no error into what the reply will hold. */
    void (*take)(struct resp_gather *gather, const struct answer *answer, struct buffer *out);
    void (*reply)(const struct resp_gather *gather, struct buffer *out);
};

struct piece {
    struct resp_gather *gather;
    uint64_t operation;
    bool answered;
    struct buffer value; /* answered before those ahead of it */
};

struct resp_gather {
    struct resp_reply *reply;
    const struct resp_gather_kind *kind;
    const uint8_t *base; /* of the spans: the request, or our copy */
    const struct resp_span *spans;
    uint8_t *copy;
    uint32_t total, started, taken;
    bool starting;
    int64_t sum;
    bool failed;
    struct buffer values, error;
    struct piece pieces[WINDOW];
};

/* --- kinds ------------------------------------------------------------------------------------ */

static void take_value(struct resp_gather *gather, const struct answer *answer, struct buffer *out)
{
    (void)gather;
    struct bytes value;
    if (resp_value_of(answer, &value))
        resp_write_bulk(out, value);
    else
        resp_write_nil(out);
}

static void take_existence(struct resp_gather *gather, const struct answer *answer,
                           struct buffer *out)
{
    (void)out;
    struct bytes value;
    gather->sum += resp_value_of(answer, &value);
}

static void take_success(struct resp_gather *gather, const struct answer *answer,
                         struct buffer *out)
{
    (void)out;
    gather->sum += answer->status == KVORUM_OK;
}

static void reply_values(const struct resp_gather *gather, struct buffer *out)
{
    resp_write_array(out, gather->total);
    buffer_append_bytes(out, buffer_bytes(&gather->values));
}

static void reply_sum(const struct resp_gather *gather, struct buffer *out)
{
    resp_write_integer(out, gather->sum);
}

static void reply_ok(const struct resp_gather *gather, struct buffer *out)
{
    (void)gather;
    resp_write_simple(out, "OK");
}

const struct resp_gather_kind resp_gather_get = {
    .operation = OPERATION_GET, .arguments = 1, .take = take_value, .reply = reply_values
};
const struct resp_gather_kind resp_gather_exists = {
    .operation = OPERATION_GET, .arguments = 1, .take = take_existence, .reply = reply_sum
};
const struct resp_gather_kind resp_gather_delete = { .operation = OPERATION_DELETE,
                                                     .arguments = 1,
                                                     .changes = true,
                                                     .take = take_success,
                                                     .reply = reply_sum };
const struct resp_gather_kind resp_gather_set = { .operation = OPERATION_PUT,
                                                  .flags = OPERATION_OVERWRITE,
                                                  .arguments = 2,
                                                  .changes = true,
                                                  .take = take_success,
                                                  .reply = reply_ok };

/* --- running ---------------------------------------------------------------------------------- */

static struct resp_gather *make(struct resp_call *call, const struct resp_gather_kind *kind,
                                struct resp_reply *reply)
{
    struct resp_connection *resp = call->connection;
    struct resp_gather *gather = calloc(1, sizeof(*gather));
    if (gather == NULL)
        return NULL;
    size_t limit = resp->environment->value_size_limit * 2 + TEXT_SLACK;
    gather->reply = reply;
    gather->kind = kind;
    gather->base = resp->parser.base;
    gather->spans = resp->parser.spans;
    gather->total = (call->count - 1) / kind->arguments;
    buffer_init(&gather->values, limit);
    buffer_init(&gather->error, 4096);
    for (uint32_t i = 0; i < WINDOW; i++) {
        gather->pieces[i].gather = gather;
        buffer_init(&gather->pieces[i].value, limit);
    }
    return gather;
}

static void destroy(struct resp_gather *gather)
{
    for (uint32_t i = 0; i < WINDOW; i++)
        buffer_done(&gather->pieces[i].value);
    buffer_done(&gather->values);
    buffer_done(&gather->error);
    free(gather->copy);
    free(gather);
}

static void fail(struct resp_gather *gather, const struct answer *answer)
{
    if (!gather->failed)
        resp_write_answer(&gather->error, answer);
    gather->failed = true;
    gather->total = gather->started;
}

/* Values that are next in line move into the reply. */
static void take_in_order(struct resp_gather *gather)
{
    while (gather->taken < gather->started && gather->pieces[gather->taken % WINDOW].answered) {
        struct piece *piece = &gather->pieces[gather->taken % WINDOW];
        buffer_append_bytes(&gather->values, buffer_bytes(&piece->value));
        gather->values.failed |= piece->value.failed;
        buffer_reset(&piece->value);
        piece->answered = false;
        gather->taken++;
    }
    struct answer too_large = { .status = KVORUM_TOO_LARGE,
                                .reason = "the values together are larger than a reply may be" };
    if (gather->values.failed)
        fail(gather, &too_large);
}

static void go_on(struct resp_gather *gather);

static void on_piece(void *context, const struct answer *answer)
{
    struct piece *piece = context;
    struct resp_gather *gather = piece->gather;
    bool next = piece == &gather->pieces[gather->taken % WINDOW];
    piece->operation = 0;
    piece->answered = true;
    if (answer->status != KVORUM_OK && answer->status != KVORUM_NOT_FOUND)
        fail(gather, answer);
    else
        gather->kind->take(gather, answer, next ? &gather->values : &piece->value);
    take_in_order(gather);
    if (!gather->starting)
        go_on(gather);
}

static struct bytes argument(const struct resp_gather *gather, uint32_t index)
{
    struct resp_span span = gather->spans[index];
    return bytes_make(gather->base + span.offset, span.size);
}

static void start_one(struct resp_gather *gather)
{
    const struct resp_gather_kind *kind = gather->kind;
    struct resp_connection *resp = gather->reply->owner;
    uint32_t at = 1 + gather->started * kind->arguments;
    struct piece *piece = &gather->pieces[gather->started % WINDOW];
    struct operation operation = resp->operation;
    operation.kind = kind->operation;
    operation.flags = kind->flags;
    operation.key = argument(gather, at);
    if (kind->operation == OPERATION_PUT)
        operation.value = argument(gather, at + 1);
    gather->started++;
    uint64_t id = node_submit(resp->environment->node, &operation, on_piece, piece);
    if (id != 0)
        piece->operation = id;
}

static void finish(struct resp_gather *gather)
{
    struct resp_reply *reply = gather->reply;
    struct buffer *out = resp_reply_out(reply);
    if (gather->failed)
        buffer_append_bytes(out, buffer_bytes(&gather->error));
    else
        gather->kind->reply(gather, out);
    if (reply->gather != NULL)
        reply->owner->gathering--;
    reply->gather = NULL;
    destroy(gather);
    resp_reply_end(reply);
}

static void start_window(struct resp_gather *gather)
{
    gather->starting = true;
    while (gather->started < gather->total && gather->started - gather->taken < WINDOW)
        start_one(gather);
    gather->starting = false;
}

static void go_on(struct resp_gather *gather)
{
    start_window(gather);
    if (gather->taken == gather->total)
        finish(gather);
}

/* The input goes away when the parser returns; what is not started yet must outlive it. */
static bool keep_arguments(struct resp_gather *gather, uint32_t count)
{
    struct resp_span last = gather->spans[count - 1];
    size_t size = (size_t)last.offset + last.size, spans_size = count * sizeof(struct resp_span);
    gather->copy = malloc(spans_size + size + 1);
    if (gather->copy == NULL)
        return false;
    memcpy(gather->copy, gather->spans, spans_size);
    memcpy(gather->copy + spans_size, gather->base, size);
    gather->spans = (const struct resp_span *)gather->copy;
    gather->base = gather->copy + spans_size;
    return true;
}

static bool keys_busy(const struct resp_call *call, const struct resp_gather_kind *kind)
{
    const struct resp_connection *resp = call->connection;
    if (kind->changes)
        return resp->used > 0 || resp->gathering > 0;
    for (uint32_t i = 1; i < call->count; i += kind->arguments)
        if (resp_key_busy(resp, resp_call_argument(call, i), RESP_USE_READ))
            return true;
    return false;
}

void resp_gather(struct resp_call *call, const struct resp_gather_kind *kind)
{
    struct resp_connection *resp = call->connection;
    if (keys_busy(call, kind)) {
        call->wait = true;
        return;
    }
    struct resp_reply *reply = resp_reply_begin(resp);
    struct resp_gather *gather = reply == NULL ? NULL : make(call, kind, reply);
    struct answer no_memory = { .status = KVORUM_NO_MEMORY };
    if (gather == NULL && reply != NULL) {
        resp_write_answer(resp_reply_out(reply), &no_memory);
        resp_reply_end(reply);
    }
    if (gather == NULL)
        return;
    start_window(gather);
    if (gather->taken == gather->total) {
        finish(gather);
        return;
    }
    reply->gather = gather;
    resp->gathering++;
    resp_reply_pending(reply, 0);
    if (gather->started < gather->total && !keep_arguments(gather, call->count))
        fail(gather, &no_memory);
    if (kind->changes)
        resp_hold(resp);
}

void resp_gather_cancel(struct resp_gather *gather)
{
    for (uint32_t i = 0; i < WINDOW; i++)
        if (gather->pieces[i].operation != 0)
            node_cancel(gather->reply->owner->environment->node, gather->pieces[i].operation);
    destroy(gather);
}
