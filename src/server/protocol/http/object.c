/* SPDX-License-Identifier: Apache-2.0 */
/* Reading objects: one value (200), several siblings (300), or one of them by its vtag. */
#include "server/protocol/http/internal.h"

#include <assert.h>
#include <stdio.h>

#include "codec/base64.h"

static void add_vclock(struct http *http, const struct answer *answer)
{
    struct buffer context, text;
    buffer_init(&context, 1 << 20);
    buffer_init(&text, 1 << 21);
    answer_context(answer, &context);
    base64_encode(buffer_bytes(&context), &text);
    http_add_bytes(http, "X-Riak-Vclock", buffer_bytes(&text));
    buffer_done(&context);
    buffer_done(&text);
}

static void add_etag(struct http *http, const char *tag)
{
    char quoted[VTAG_SIZE + 2];
    snprintf(quoted, sizeof(quoted), "\"%s\"", tag);
    http_add(http, "ETag", quoted);
}

/* Of a key that we made: in the form of the request, "/buckets/B/keys/K" or "/riak/B/K". */
void http_add_location(struct http *http)
{
    if (!http->request.key_made)
        return;
    struct buffer *lines = &http->response;
    bool old = bytes_is_text(http->request.segments[0], "riak");
    buffer_append_text(lines, old ? "Location: /riak/" : "Location: /buckets/");
    http_write_encoded(lines, http->request.bucket);
    buffer_append_text(lines, old ? "/" : "/keys/");
    buffer_append_bytes(lines, http->request.key);
    buffer_append_text(lines, "\r\n");
}

static void answer_one(struct http *http, const struct answer *answer,
                       const struct sibling *sibling)
{
    char tag[VTAG_SIZE];
    vtag_of_dot(sibling->dot, tag);
    http_begin(http, http->request.key_made ? 201 : 200);
    add_vclock(http, answer);
    http_add(http, "Vary", "Accept, Accept-Encoding");
    add_etag(http, tag);
    http_add_location(http);
    http_write_metadata(http, sibling, &http->response);
    http_end(http, sibling->value);
}

/* --- siblings --------------------------------------------------------------------------------- */

static void answer_list(struct http *http, const struct answer *answer)
{
    struct buffer body;
    buffer_init(&body, 1 << 20);
    buffer_append_text(&body, "Siblings:\n");
    for (uint32_t i = 0; i < answer->object->sibling_count; i++) {
        char tag[VTAG_SIZE];
        vtag_of_dot(answer->object->siblings[i].dot, tag);
        buffer_printf(&body, "%s\n", tag);
    }
    http_add(http, "Content-Type", "text/plain");
    http_end(http, buffer_bytes(&body));
    buffer_done(&body);
}

/* A separator that no value contains by chance: it is made from the clock of all of them. */
static void answer_parts(struct http *http, const struct answer *answer)
{
    const struct object *object = answer->object;
    char boundary[VTAG_SIZE], type[64];
    struct buffer body;
    vtag_of_clock(&object->clock, boundary);
    buffer_init(&body, HTTP_ARENA_LIMIT);
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        char tag[VTAG_SIZE];
        vtag_of_dot(object->siblings[i].dot, tag);
        buffer_printf(&body, "\r\n--%s\r\n", boundary);
        http_write_metadata(http, &object->siblings[i], &body);
        buffer_printf(&body, "Etag: %s\r\n\r\n", tag);
        buffer_append_bytes(&body, object->siblings[i].value);
    }
    buffer_printf(&body, "\r\n--%s--\r\n", boundary);
    snprintf(type, sizeof(type), "multipart/mixed; boundary=%s", boundary);
    http_add(http, "Content-Type", type);
    http_end(http, buffer_bytes(&body));
    buffer_done(&body);
}

static bool accepts_multipart(struct http *http)
{
    struct bytes accept = http_header(http, "accept");
    return accept.size > 0 && memmem(accept.data, accept.size, "multipart/mixed", 15) != NULL;
}

static void answer_siblings(struct http *http, const struct answer *answer)
{
    char tag[VTAG_SIZE];
    vtag_of_clock(&answer->object->clock, tag);
    http_begin(http, 300);
    add_vclock(http, answer);
    http_add(http, "Vary", "Accept, Accept-Encoding");
    add_etag(http, tag);
    http_add_location(http);
    if (accepts_multipart(http))
        answer_parts(http, answer);
    else
        answer_list(http, answer);
}

static const struct sibling *find_vtag(const struct object *object, struct bytes wanted)
{
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        char tag[VTAG_SIZE];
        vtag_of_dot(object->siblings[i].dot, tag);
        if (bytes_is_text(wanted, tag))
            return &object->siblings[i];
    }
    return NULL;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void answer_missing(struct http *http, const struct answer *answer)
{
    http_begin(http, 404);
    if (answer->object != NULL && answer->object->sibling_count > 0) {
        add_vclock(http, answer);
        http_add(http, "X-Riak-Deleted", "true");
    }
    http_end_text(http, "not found\n");
}

void http_answer_object(struct http *http, const struct answer *answer)
{
    struct bytes vtag;
    const struct object *object = answer->object;
    if (answer->status == KVORUM_NOT_FOUND || object == NULL || object->sibling_count == 0) {
        answer_missing(http, answer);
        return;
    }
    assert(object->siblings != NULL);
    const struct sibling *one = object->sibling_count == 1 ? &object->siblings[0] : NULL;
    if (one == NULL && http_query(http, "vtag", &vtag))
        one = find_vtag(object, vtag);
    if (one != NULL)
        answer_one(http, answer, one);
    else
        answer_siblings(http, answer);
}

static void on_read(void *context, const struct answer *answer)
{
    struct http *http = context;
    http->operation_id = 0;
    if (answer->status != KVORUM_OK && answer->status != KVORUM_NOT_FOUND) {
        http_error(http, answer);
        return;
    }
    uint16_t status = answer->status == KVORUM_OK ? http_check_conditions(http, answer->object) : 0;
    if (status == 0) {
        http_answer_object(http, answer);
        return;
    }
    char tag[VTAG_SIZE];
    http_etag(answer->object, tag);
    http_begin(http, status);
    add_etag(http, tag);
    add_vclock(http, answer);
    http_end_text(http, "");
}

void http_get_object(struct http *http)
{
    struct operation operation = { .kind = OPERATION_GET,
                                   .type = http->request.type,
                                   .bucket = http->request.bucket,
                                   .key = http->request.key };
    if (http_query_levels(http, &operation.levels, &operation.timeout_ms)) {
        uint64_t id = node_submit(http->environment.node, &operation, on_read, http);
        if (id != 0)
            http->operation_id = id;
    }
}
