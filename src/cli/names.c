/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/names.h"

#include <inttypes.h>
#include <jansson.h>

#include "cli/json_documents.h"
#include "cli/message.h"

enum { PAGE_SIZE_MAX = 64 << 20 };

struct listing {
    bool (*visit)(void *context, struct bytes name);
    void *context;
    const char *member; /* "keys" or "buckets" */
    bool stopped;
};

/* One {"keys":[...]}; EXIT_DONE, or the code of an {"error":...}. */
static int visit_page(struct listing *listing, struct bytes document)
{
    json_error_t error;
    json_t *page = json_loadb((const char *)document.data, document.size, 0, &error);
    const char *reason = json_string_value(json_object_get(page, "error"));
    json_t *names = json_object_get(page, listing->member), *name;
    int code = EXIT_DONE;
    if (reason != NULL)
        code = fail(strstr(reason, "timeout") != NULL ? EXIT_TIMEOUT : EXIT_QUORUM,
                    "the list is not complete: %s\n  Next: kvorum status, or retry", reason);
    else if (!json_is_array(names))
        code =
            fail(EXIT_INTERNAL, "the node's list is malformed: no array \"%s\"", listing->member);
    size_t i;
    json_array_foreach(names, i, name)
    {
        struct bytes text = bytes_make(json_string_value(name), json_string_length(name));
        if (!listing->stopped && json_is_string(name))
            listing->stopped = !listing->visit(listing->context, text);
    }
    json_decref(page);
    return code;
}

static int visit_pages(struct listing *listing, struct json_documents *documents)
{
    struct bytes document;
    int code = EXIT_DONE;
    while (code == EXIT_DONE && !listing->stopped && json_documents_next(documents, &document))
        code = visit_page(listing, document);
    return code;
}

static int read_pages(struct session *session, struct listing *listing, const char *what)
{
    struct http_client *client = &session->client;
    struct json_documents documents;
    json_documents_init(&documents, PAGE_SIZE_MAX);
    int code = EXIT_DONE;
    while (code == EXIT_DONE && !listing->stopped) {
        if (!json_documents_add(&documents, buffer_bytes(&client->response.body)))
            code = fail(EXIT_INTERNAL, "%s: a page is larger than 64 MB", what);
        buffer_reset(&client->response.body);
        if (code == EXIT_DONE)
            code = visit_pages(listing, &documents);
        if (code != EXIT_DONE || client->response.state == HTTP_COMPLETE)
            break;
        kvorum_status status = http_client_read(client);
        if (status != KVORUM_OK)
            code = session_fail(client, what, status);
    }
    if (client->response.state != HTTP_COMPLETE)
        http_client_close(client); /* stopped in the middle */
    json_documents_done(&documents);
    return code;
}

int names_visit(struct session *session, struct bytes bucket,
                bool (*visit)(void *context, struct bytes name), void *context)
{
    struct listing listing = { visit, context, bucket.data == NULL ? "buckets" : "keys", false };
    char what[200];
    snprintf(what, sizeof(what), "cannot list %.*s",
             bucket.data == NULL ? 7 : (int)(bucket.size < 160 ? bucket.size : 160),
             bucket.data == NULL ? "buckets" : (const char *)bucket.data);
    struct buffer path;
    buffer_init(&path, 64 * 1024);
    session_append_path(&path, option_text(session->invocation, "type"), bucket,
                        (struct bytes){ 0 });
    buffer_printf(&path, "?%s=stream&timeout=%" PRId64, listing.member,
                  option_number(session->invocation, "timeout", 10000));
    struct http_request request = { .method = "GET", .path = buffer_bytes(&path) };
    kvorum_status status = http_client_send(&session->client, &request);
    buffer_done(&path);
    if (status != KVORUM_OK)
        return session_fail(&session->client, what, status);
    if (session->client.response.code == 200)
        return read_pages(session, &listing, what);
    while (status == KVORUM_OK && session->client.response.state != HTTP_COMPLETE)
        status = http_client_read(&session->client);
    return session_refused(&session->client, what);
}
