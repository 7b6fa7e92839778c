/* SPDX-License-Identifier: Apache-2.0 */
/* Listing keys and buckets.  The body goes out in chunks as pages come in, so memory stays bounded
 * whatever the size of the bucket; a client that does not read holds up the next page.
 *
 *      keys=true     {"keys":["a","b", ... ]}              one object, in pieces
 *      keys=stream   {"keys":["a"]}{"keys":["b"]}{"keys":[]}
 *
 *  JSON has no bytes, only characters: with names=encoded each name is percent-encoded as in a
 *  path, so that any name can be asked for again.
 */
#include "server/protocol/http/internal.h"

enum { OUTPUT_FULL = 256 * 1024 };

static const char *noun(const struct http *http)
{
    return http->list_buckets ? "buckets" : "keys";
}

static void write_text(struct http *http, const char *text)
{
    http_stream_write(http, bytes_of_string(text));
}

static void begin(struct http *http)
{
    http->list_started = true;
    http_begin(http, 200);
    http_add(http, "Content-Type", "application/json");
    http_add(http, "Vary", "Accept-Encoding");
    http_stream_begin(http);
    if (http->list_stream)
        return;
    struct buffer head;
    buffer_init(&head, 1 << 16);
    buffer_append_u8(&head, '{');
    if (http->list_props) {
        http_write_props_json(http, &head);
        buffer_append_u8(&head, ',');
    }
    buffer_printf(&head, "\"%s\":[", noun(http));
    http_stream_write(http, buffer_bytes(&head));
    buffer_done(&head);
}

static void write_name(struct http *http, struct bytes name, struct buffer *piece)
{
    if (!http->list_encoded) {
        http_json_string(piece, name);
        return;
    }
    buffer_append_u8(piece, '"');
    http_write_encoded(piece, name);
    buffer_append_u8(piece, '"');
}

static void write_names(struct http *http, const struct list_page *page)
{
    struct buffer piece;
    buffer_init(&piece, 64 << 20);
    if (http->list_stream)
        buffer_printf(&piece, "{\"%s\":[", noun(http));
    for (uint32_t i = 0; i < page->count; i++) {
        if (http->list_stream ? i > 0 : http->list_named)
            buffer_append_u8(&piece, ',');
        http->list_named = true;
        write_name(http, page->names[i], &piece);
    }
    if (http->list_stream)
        buffer_append_text(&piece, "]}");
    http_stream_write(http, buffer_bytes(&piece));
    buffer_done(&piece);
}

/* Too late for a status line: an unfinished body, and the end of the connection, tell the
 * client. */
static void fail(struct http *http, const struct list_page *page)
{
    struct answer answer = { .status = page->status, .reason = page->reason };
    if (!http->list_started) {
        http_error(http, &answer);
        return;
    }
    log_warn(http->environment.log, "listing ended early", LOG_TEXT("reason", page->reason));
    http->finished = true;
    http_done(http);
}

static void end(struct http *http)
{
    struct list_page none = { .last = true };
    if (http->list_stream)
        write_names(http, &none);
    else
        write_text(http, "]}");
    http_stream_end(http);
}

static void on_page(void *context, const struct list_page *page)
{
    struct http *http = context;
    if (page->last)
        http->operation_id = 0;
    if (page->status != KVORUM_OK) {
        fail(http, page);
        return;
    }
    if (!http->list_started)
        begin(http);
    if (page->count > 0)
        write_names(http, page);
    if (page->last) {
        end(http);
        return;
    }
    if (connection_output(http->connection)->size < OUTPUT_FULL) {
        if (http->operation_id != 0)
            node_list_next(http->environment.node, http->operation_id);
        return;
    }
    http->list_paused = true;
    connection_pause(http->connection);
}

void http_list_writable(struct http *http)
{
    http->list_paused = false;
    node_list_next(http->environment.node, http->operation_id);
}

static void start(struct http *http, enum list_kind kind, const char *parameter)
{
    struct quorum_levels levels;
    uint32_t timeout_ms;
    if (!http_query_levels(http, &levels, &timeout_ms))
        return;
    http->list_buckets = kind == LIST_BUCKETS;
    http->list_stream = http_query_is(http, parameter, "stream");
    http->list_encoded = http_query_is(http, "names", "encoded");
    http->list_started = http->list_named = http->list_paused = false;
    uint64_t id = node_list(http->environment.node, kind, http->request.type, http->request.bucket,
                            timeout_ms, on_page, http);
    if (id == 0)
        return;
    http->operation_id = id;
    /* Pages that came before the id was known asked for nothing more. */
    if (http->list_started && !http->list_paused)
        node_list_next(http->environment.node, id);
}

void http_list_keys(struct http *http)
{
    if (http_query_is(http, "keys", "true") || http_query_is(http, "keys", "stream"))
        start(http, LIST_KEYS, "keys");
    else
        http_text(http, 400, "to list keys, ask with ?keys=true or ?keys=stream\n");
}

void http_list_buckets(struct http *http)
{
    if (http_query_is(http, "buckets", "true") || http_query_is(http, "buckets", "stream"))
        start(http, LIST_BUCKETS, "buckets");
    else
        http_text(http, 400, "to list buckets, ask with ?buckets=true or ?buckets=stream\n");
}
