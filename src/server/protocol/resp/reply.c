/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of replies. */
#include <assert.h>
#include <stdlib.h>

#include "server/protocol/resp/internal.h"

enum { TEXT_SLACK = 1 << 20 };

static struct resp_reply *reply_of(struct list *link)
{
    return LIST_ENTRY(link, struct resp_reply, link);
}

static void finish(struct resp_connection *resp)
{
    if (!resp->finished)
        connection_finish(resp->connection);
    resp->finished = true;
}

static struct resp_reply *make(struct resp_connection *resp)
{
    struct resp_reply *reply = calloc(1, sizeof(*reply));
    if (reply == NULL) {
        finish(resp);
        return NULL;
    }
    reply->owner = resp;
    buffer_init(&reply->text, resp->environment->value_size_limit * 2 + TEXT_SLACK);
    return reply;
}

struct resp_reply *resp_reply_begin(struct resp_connection *resp)
{
    struct list *spare = list_first(&resp->spare);
    struct resp_reply *reply = spare == NULL ? make(resp) : reply_of(spare);
    if (reply == NULL)
        return NULL;
    if (spare != NULL) {
        list_remove(spare);
        resp->spare_count--;
    }
    list_append(&resp->queue, &reply->link);
    return reply;
}

static bool is_first(const struct resp_reply *reply)
{
    return reply->owner->queue.next == &reply->link;
}

struct buffer *resp_reply_out(struct resp_reply *reply)
{
    return is_first(reply) ? connection_output(reply->owner->connection) : &reply->text;
}

static void count(struct resp_reply *reply)
{
    if (!reply->counted)
        connection_in_flight(reply->owner->connection, 1);
    reply->counted = true;
}

void resp_reply_pending(struct resp_reply *reply, uint64_t operation)
{
    reply->operation = operation;
    count(reply);
}

static void destroy(struct resp_reply *reply)
{
    buffer_done(&reply->text);
    free(reply);
}

static void recycle(struct resp_reply *reply)
{
    struct resp_connection *resp = reply->owner;
    list_remove(&reply->link);
    if (reply->counted)
        connection_in_flight(resp->connection, -1);
#ifndef __clang_analyzer__ /* does not see that what left the list is never met there again */
    if (resp->spare_count >= RESP_SPARE_REPLIES) {
        destroy(reply);
        return;
    }
#endif
    if (reply->text.capacity > RESP_REPLY_KEPT)
        buffer_done(&reply->text);
    buffer_reset(&reply->text);
    reply->operation = reply->total = 0;
    reply->done = reply->counted = false;
    reply->listing = reply->more = reply->ended = false;
    list_append(&resp->spare, &reply->link);
    resp->spare_count++;
}

static void send_text(struct resp_reply *reply)
{
    struct buffer *out = connection_output(reply->owner->connection);
    if (reply->text.failed)
        resp_write_error(out, "OOM", "the reply is larger than this connection may keep");
    else
        buffer_append_bytes(out, buffer_bytes(&reply->text));
}

static void on_empty(struct resp_connection *resp)
{
    if (resp->held)
        connection_in_flight(resp->connection, -RESP_HOLD_WEIGHT);
    resp->held = false;
    if (resp->quitting)
        finish(resp);
}

void resp_reply_end(struct resp_reply *reply)
{
    struct resp_connection *resp = reply->owner;
    assert(!reply->done);
    reply->done = true;
    reply->operation = 0;
    if (reply->use != RESP_USE_NONE)
        resp_key_forget(reply);
    if (!is_first(reply)) {
        count(reply);
        return;
    }
    recycle(reply);
    struct list *next;
    while ((next = list_first(&resp->queue)) != NULL && reply_of(next)->done) {
        send_text(reply_of(next));
        recycle(reply_of(next));
    }
    if (next == NULL && (resp->held || resp->quitting))
        on_empty(resp);
    if (!resp->parsing)
        connection_wake(resp->connection);
}

void resp_reply_error(struct resp_connection *resp, const char *code, const char *text)
{
    struct resp_reply *reply = resp_reply_begin(resp);
    if (reply == NULL)
        return;
    resp_write_error(resp_reply_out(reply), code, text);
    resp_reply_end(reply);
}

void resp_hold(struct resp_connection *resp)
{
    assert(!list_empty(&resp->queue));
    if (!resp->held)
        connection_in_flight(resp->connection, RESP_HOLD_WEIGHT);
    resp->held = true;
}

static void destroy_all(struct list *head)
{
    struct list *next;
    for (struct list *link = head->next; link != head; link = next) {
        next = link->next;
        destroy(reply_of(link));
    }
    list_init(head);
}

void resp_replies_cancel(struct resp_connection *resp)
{
    for (struct list *link = resp->queue.next; link != &resp->queue; link = link->next) {
        struct resp_reply *reply = reply_of(link);
        if (reply->operation != 0)
            node_cancel(resp->environment->node, reply->operation);
        if (reply->gather != NULL)
            resp_gather_cancel(reply->gather);
        if (reply->flush != NULL)
            resp_flush_cancel(reply->flush);
    }
    destroy_all(&resp->queue);
    destroy_all(&resp->spare);
}

/* --- errors ---------------------------------------------------------------------------------- */

static const char *error_code(kvorum_status status)
{
    switch (status) {
    case KVORUM_TIMEOUT:
        return "TIMEOUT";
    case KVORUM_UNAVAILABLE:
        return "UNAVAILABLE";
    case KVORUM_TOO_LARGE:
        return "TOOBIG";
    case KVORUM_NO_MEMORY:
    case KVORUM_STORE_FULL:
        return "OOM";
    case KVORUM_NO_SPACE:
    case KVORUM_IO:
    case KVORUM_POISONED:
        return "IOERR";
    case KVORUM_OVERLOADED:
        return "TRYAGAIN";
    case KVORUM_NOT_READY:
        return "LOADING";
    case KVORUM_CORRUPT:
        return "CORRUPT";
    case KVORUM_GONE:
        return "GONE";
    default:
        return "ERR";
    }
}

void resp_write_answer(struct buffer *out, const struct answer *answer)
{
    bool told = answer->reason != NULL && answer->reason[0] != '\0';
    resp_write_error(out, error_code(answer->status),
                     told ? answer->reason : kvorum_status_text(answer->status));
}
