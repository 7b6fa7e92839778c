/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP connection.  llhttp is strict about framing (conflicting lengths, bare line feeds);
 * this file adds the limits and runs one request at a time. */
#include "server/protocol/http/internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/list.h"

static struct http *http_of(const struct protocol *protocol)
{
    return LIST_ENTRY(protocol, struct http, base);
}

static struct http *http_of_parser(llhttp_t *parser)
{
    return LIST_ENTRY(parser, struct http, parser);
}

/* --- what llhttp sees ------------------------------------------------------------------------- */

static int refuse(struct http *http, uint16_t status, const char *why)
{
    if (http->refused == 0) {
        http->refused = status;
        http->refused_why = why;
    }
    return HPE_USER;
}

static int keep(struct http *http, const char *at, size_t size, struct http_span *span)
{
    if (http->head.size + size > http->environment.header_size_limit)
        return refuse(http, 431, "the header block is too large");
    if (span->size == 0)
        span->offset = http->head.size;
    buffer_append(&http->head, at, size);
    span->size += size;
    return http->head.failed ? refuse(http, 500, "out of memory") : 0;
}

static int on_begin(llhttp_t *parser)
{
    struct http *http = http_of_parser(parser);
    http->mid_request = true;
    http->header_count = 0;
    http->in_value = false;
    http->url = (struct http_span){ 0, 0 };
    buffer_reset(&http->head);
    buffer_reset(&http->body);
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t size)
{
    struct http *http = http_of_parser(parser);
    return keep(http, at, size, &http->url);
}

static int on_field(llhttp_t *parser, const char *at, size_t size)
{
    struct http *http = http_of_parser(parser);
    if (http->header_count == 0 || http->in_value) {
        if (http->header_count >= HTTP_HEADERS_MAX)
            return refuse(http, 431, "too many headers");
        http->headers[http->header_count++] = (struct http_header){ { 0, 0 }, { 0, 0 } };
        http->in_value = false;
    }
    struct http_span *name = &http->headers[http->header_count - 1].name;
    int error = keep(http, at, size, name);
    for (size_t i = 0; error == 0 && i < size; i++) {
        uint8_t *c = &http->head.data[http->head.size - size + i];
        *c = *c >= 'A' && *c <= 'Z' ? (uint8_t)(*c | 0x20) : *c;
        if (*c == ' ') /* others may read "Content-Length :" as another name */
            return refuse(http, 400, "space in the name of a header");
    }
    return error;
}

static int on_value(llhttp_t *parser, const char *at, size_t size)
{
    struct http *http = http_of_parser(parser);
    http->in_value = true;
    if (http->header_count == 0)
        return 0;
    return keep(http, at, size, &http->headers[http->header_count - 1].value);
}

static int on_value_complete(llhttp_t *parser)
{
    http_of_parser(parser)->in_value = true; /* an empty value has no data */
    return 0;
}

static bool expects_continue(const struct http *http)
{
    return bytes_is_text_any_case(http_header(http, "expect"), "100-continue");
}

static int on_headers(llhttp_t *parser)
{
    struct http *http = http_of_parser(parser);
    if (parser->content_length > http->environment.value_size_limit)
        return refuse(http, 413, "the body is larger than the largest value ([limits] value_size)");
    if (llhttp_get_method(parser) != HTTP_CONNECT)
        parser->upgrade = 0; /* an offer, which we may leave alone */
    if (expects_continue(http))
        buffer_append_text(connection_output(http->connection), "HTTP/1.1 100 Continue\r\n\r\n");
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t size)
{
    struct http *http = http_of_parser(parser);
    if (http->body.size + size > http->environment.value_size_limit)
        return refuse(http, 413, "the body is larger than the largest value ([limits] value_size)");
    buffer_append(&http->body, at, size);
    return http->body.failed ? refuse(http, 500, "out of memory") : 0;
}

static int on_complete(llhttp_t *parser)
{
    struct http *http = http_of_parser(parser);
    http->request = (struct http_request){
        .method = llhttp_get_method(parser),
        .keep_alive = llhttp_should_keep_alive(parser) != 0,
        .minor_0 = llhttp_get_http_major(parser) < 1 ||
                   (llhttp_get_http_major(parser) == 1 && llhttp_get_http_minor(parser) == 0),
        .body = buffer_bytes(&http->body),
    };
    http->mid_request = false;
    http->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* --- running requests ------------------------------------------------------------------------- */

static void fail(struct http *http, uint16_t status, const char *why)
{
    log_warn(http->environment.log, "HTTP request refused; connection closed",
             LOG_U64("status", status), LOG_TEXT("why", why));
    http->request = (struct http_request){ .method = HTTP_GET };
    http->finished = true;
    http->busy = true;
    http_text(http, status, "%s\n", why);
}

/* The host and port of "http://host:port/...". */
static struct bytes authority_of(struct bytes address)
{
    const uint8_t *slashes = memmem(address.data, address.size, "//", 2);
    if (slashes == NULL)
        return address;
    address = bytes_from(address, (size_t)(slashes + 2 - address.data));
    const uint8_t *end = address.size == 0 ? NULL : memchr(address.data, '/', address.size);
    return end == NULL ? address : bytes_make(address.data, (size_t)(end - address.data));
}

/* A page from elsewhere must not act through the browser of somebody who may reach us (Riak calls
 * it secure_referer_check). */
static bool is_foreign(const struct http *http)
{
    struct bytes referer = http_header(http, "referer");
    if (bytes_is_text(http_header(http, "origin"), "null"))
        return true;
    return referer.size > 0 && !bytes_equal(authority_of(referer), http_header(http, "host"));
}

static void run(struct http *http)
{
    http->complete = false;
    http->busy = true;
    connection_in_flight(http->connection, 1);
    arena_reset(&http->arena);
    http->list_props = false;
    bool well_formed = http_request_parse(http);
    if (is_foreign(http))
        http_text(http, 403, "Forbidden: the request comes from a page of another server\n");
    else if (well_formed)
        http_route(http);
    else
        http_text(http, 400, "%s\n", http->refused_why);
}

void http_done(struct http *http)
{
    assert(http->busy);
    bool counted = !http->finished;
    http->busy = false;
    http->operation_id = 0;
    if (counted)
        connection_in_flight(http->connection, -1);
    if (!http->request.keep_alive || http->finished) {
        http->finished = true;
        connection_finish(http->connection);
    }
    if (!http->in_input) {
        connection_wake(http->connection);
        if (!http->finished)
            connection_pause(http->connection); /* and offer me what waits */
    }
}

static size_t parse_some(struct http *http, struct bytes input)
{
    llhttp_errno_t error = llhttp_execute(&http->parser, (const char *)input.data, input.size);
    if (error == HPE_OK)
        return input.size;
    if (error == HPE_PAUSED && http->complete) {
        const char *at = llhttp_get_error_pos(&http->parser);
        llhttp_resume(&http->parser);
        return (size_t)(at - (const char *)input.data);
    }
    http->mid_request = false;
    if (http->refused != 0)
        fail(http, http->refused, http->refused_why);
    else if (error == HPE_PAUSED_UPGRADE)
        fail(http, 501, "upgrades are not supported");
    else
        fail(http, 400,
             llhttp_get_error_reason(&http->parser) == NULL
                 ? "malformed HTTP request"
                 : llhttp_get_error_reason(&http->parser));
    return input.size;
}

static size_t http_input(struct protocol *protocol, struct bytes input)
{
    struct http *http = http_of(protocol);
    size_t taken = 0;
    http->in_input = true;
    while (!http->finished && !http->busy && taken < input.size &&
           !connection_blocked(http->connection)) {
        taken += parse_some(http, bytes_from(input, taken));
        if (http->complete)
            run(http);
    }
    http->in_input = false;
    return http->finished ? input.size : taken;
}

static void http_writable(struct protocol *protocol)
{
    struct http *http = http_of(protocol);
    if (http->list_paused)
        http_list_writable(http);
}

static bool http_mid_request(const struct protocol *protocol)
{
    return http_of(protocol)->mid_request;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static struct protocol *http_open(struct connection *connection,
                                  const struct protocol_environment *environment)
{
    struct http *http = calloc(1, sizeof(*http));
    if (http == NULL)
        return NULL;
    http->base.ops = &protocol_http;
    http->connection = connection;
    http->environment = *environment;
    llhttp_init(&http->parser, HTTP_REQUEST, &settings);
    buffer_init(&http->head, (size_t)environment->header_size_limit + 1);
    buffer_init(&http->body, environment->value_size_limit + 1);
    buffer_init(&http->response, 1 << 20);
    arena_init(&http->arena, HTTP_ARENA_LIMIT);
    return &http->base;
}

static void http_close(struct protocol *protocol)
{
    struct http *http = http_of(protocol);
    if (http->operation_id != 0)
        node_cancel(http->environment.node, http->operation_id);
    if (http->setting != NULL)
        http->setting->http = NULL;
    buffer_done(&http->head);
    buffer_done(&http->body);
    buffer_done(&http->response);
    arena_done(&http->arena);
    free(http);
}

struct http_setting *http_setting_begin(struct http *http)
{
    struct http_setting *setting = malloc(sizeof(*setting));
    if (setting == NULL) {
        http_text(http, 500, "out of memory\n");
        return NULL;
    }
    setting->http = http;
    http->setting = setting;
    return setting;
}

struct http *http_setting_end(struct http_setting *setting)
{
    struct http *http = setting->http;
    if (http != NULL)
        http->setting = NULL;
    free(setting);
    return http;
}

const struct protocol_ops protocol_http = {
    .name = "http",
    .open = http_open,
    .input = http_input,
    .writable = http_writable,
    .close = http_close,
    .mid_request = http_mid_request,
};
