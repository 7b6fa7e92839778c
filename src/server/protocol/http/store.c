/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and deleting objects. */
#include "server/protocol/http/internal.h"

#include "codec/base64.h"
#include "os/entropy.h"

static bool read_context(struct http *http, const char *header)
{
    struct bytes text = http_header(http, header);
    struct object_context ignored;
    if (text.size == 0)
        return true;
    if (base64_decode(text, &http->arena, &http->operation.context) &&
        context_decode(http->operation.context, &http->arena, &ignored) == KVORUM_OK)
        return true;
    http_text(http, 400, "%s: not a context that a read of this cluster gave\n", header);
    return false;
}

static void answer_written(struct http *http, const struct answer *answer)
{
    if ((http->operation.flags & OPERATION_RETURN_BODY) != 0 && answer->object != NULL) {
        http_answer_object(http, answer);
        return;
    }
    http_begin(http, http->request.key_made ? 201 : 204);
    http_add_location(http);
    http_write_links(http, NULL, &http->response);
    http_add(http, "Content-Type", "text/plain");
    http_end(http, (struct bytes){ 0 });
}

static void on_written(void *context, const struct answer *answer)
{
    struct http *http = context;
    bool deleting = http->operation.kind == OPERATION_DELETE;
    http->operation_id = 0;
    if (answer->status == KVORUM_OK)
        answer_written(http, answer);
    else if (answer->status == KVORUM_CONFLICT)
        http_text(http, 409, "modified\n");
    else if (answer->status == KVORUM_NOT_FOUND)
        http_text(http, deleting ? 404 : 409, deleting ? "not found\n" : "notfound\n");
    else
        http_error(http, answer);
}

static void submit(struct http *http)
{
    uint64_t id = node_submit(http->environment.node, &http->operation, on_written, http);
    if (id != 0)
        http->operation_id = id;
}

/* The read before a conditional write.  Its answer is gone when the write starts, but the
 * conditions have been judged by then. */
static void on_checked(void *context, const struct answer *answer)
{
    struct http *http = context;
    http->operation_id = 0;
    if (answer->status != KVORUM_OK && answer->status != KVORUM_NOT_FOUND) {
        http_error(http, answer);
        return;
    }
    uint16_t status =
        http_check_conditions(http, answer->status == KVORUM_OK ? answer->object : NULL);
    if (status != 0)
        http_text(http, status, "Precondition Failed\n");
    else
        submit(http);
}

static void start(struct http *http)
{
    if (!http_has_condition(http)) {
        submit(http);
        return;
    }
    struct operation read = http->operation;
    read.kind = OPERATION_GET;
    read.flags = 0;
    read.context = (struct bytes){ 0 };
    uint64_t id = node_submit(http->environment.node, &read, on_checked, http);
    if (id != 0 && http->busy && http->operation_id == 0)
        http->operation_id = id;
}

static bool prepare(struct http *http, enum operation_kind kind)
{
    http->operation = (struct operation){ .kind = kind,
                                          .type = http->request.type,
                                          .bucket = http->request.bucket,
                                          .key = http->request.key };
    struct operation *operation = &http->operation;
    if (!http_query_levels(http, &operation->levels, &operation->timeout_ms) ||
        !read_context(http, "x-riak-vclock"))
        return false;
    if (http_header(http, "x-riak-if-not-modified").data == NULL)
        return true;
    operation->flags |= OPERATION_IF_MATCH;
    return read_context(http, "x-riak-if-not-modified");
}

void http_put_object(struct http *http)
{
    if (!prepare(http, OPERATION_PUT) || !http_read_metadata(http, &http->operation) ||
        !http_read_ttl(http, &http->operation))
        return;
    http->operation.value = http->request.body;
    int8_t body = 0;
    if (!http_query_flag(http, "returnbody", &body))
        return;
    if (body == 1)
        http->operation.flags |= OPERATION_RETURN_BODY;
    start(http);
}

/* A key nobody else makes: 128 random bits in letters that need no encoding. */
static bool make_key(struct http *http)
{
    char text[VTAG_SIZE];
    struct dot dot = { os_entropy_u64(), os_entropy_u64() };
    vtag_of_dot(dot, text);
    http->request.key_made = true;
    return arena_copy(&http->arena, bytes_of_string(text), &http->request.key);
}

void http_post_object(struct http *http)
{
    if (http->request.key.size > 0 || make_key(http))
        http_put_object(http);
    else
        http_text(http, 500, "out of memory\n");
}

void http_delete_object(struct http *http)
{
    if (prepare(http, OPERATION_DELETE))
        start(http);
}
