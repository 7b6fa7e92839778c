/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/names.h"

#include <inttypes.h>
#include <jansson.h>

#include "cli/json_documents.h"
#include "cli/message.h"

enum { PAGE_SIZE_MAX = 64 << 20, NAME_SIZE_MAX = 1 << 20 };

struct listing {
    bool (*visit)(void *context, struct bytes name);
    void *context;
    const char *member; /* "keys" or "buckets" */
    bool stopped;
};

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-encoded, as it would stand in a path. */
static bool decode(const char *text, struct buffer *ret_name)
{
    for (; *text != '\0'; text++) {
        if (*text != '%') {
            buffer_append_u8(ret_name, (uint8_t)*text);
            continue;
        }
        int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0)
            return false;
        buffer_append_u8(ret_name, (uint8_t)(high << 4 | low));
        text += 2;
    }
    return !ret_name->failed;
}

static int visit_name(struct listing *listing, const char *encoded)
{
    struct buffer name;
    buffer_init(&name, NAME_SIZE_MAX);
    int code = EXIT_DONE;
    if (!decode(encoded, &name))
        code = fail(EXIT_INTERNAL, "the node's list is malformed: a name is not encoded: %.100s",
                    encoded);
    else
        listing->stopped = !listing->visit(listing->context, buffer_bytes(&name));
    buffer_done(&name);
    return code;
}

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
        if (code == EXIT_DONE && !listing->stopped && json_is_string(name))
            code = visit_name(listing, json_string_value(name));
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
    buffer_printf(&path, "?%s=stream&names=encoded&timeout=%" PRId64, listing.member,
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
