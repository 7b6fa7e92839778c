/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <inttypes.h>

#include "cli/message.h"

bool session_begin(struct session *session, const struct invocation *invocation)
{
    const char *text = option_text(invocation, "node");
    struct endpoint endpoint;
    session->invocation = invocation;
    if (!endpoint_parse(text, HTTP_PORT, &endpoint)) {
        say_error("'%s' is no address of a node; --node looks like 127.0.0.1:%d", text, HTTP_PORT);
        return false;
    }
    http_client_init(&session->client, &endpoint, SESSION_BODY_MAX);
    /* The node gives up first, so that its reason is heard. */
    session->client.timeout_ms = (uint32_t)option_number(invocation, "timeout", 10000) + 3000;
    return true;
}

void session_end(struct session *session)
{
    http_client_done(&session->client);
}

int session_fail(const struct http_client *client, const char *what, kvorum_status status)
{
    const char *node = client->endpoint.text;
    switch (status) {
    case KVORUM_UNAVAILABLE:
        return fail(EXIT_CONNECT,
                    "%s: no connection to %s: %s\n  Next: is the node running? "
                    "kvorum demo status, or name another one with --node ADDR:PORT",
                    what, node, client->reason);
    case KVORUM_TIMEOUT:
        return fail(EXIT_TIMEOUT,
                    "%s: %s: %s; whether a write took effect is not known\n"
                    "  Next: kvorum status, or retry with a longer --timeout",
                    what, node, client->reason);
    case KVORUM_INVALID:
        return fail(EXIT_CONNECT,
                    "%s: %s does not speak HTTP as expected: %s\n"
                    "  Next: --node is the HTTP address of a node, usually port %d",
                    what, node, client->reason, HTTP_PORT);
    default:
        return fail(EXIT_CONNECT, "%s: %s: %s\n  Next: kvorum status", what, node, client->reason);
    }
}

static bool body_has(const struct http_response *response, const char *word)
{
    return response->body.size > 0 &&
           memmem(response->body.data, response->body.size, word, strlen(word)) != NULL;
}

/* 503 stands for several things; the word that Riak's clients look for tells them apart. */
static int code_of_unavailable(const struct http_response *response)
{
    if (body_has(response, "timed out") || body_has(response, "timeout") ||
        body_has(response, "outcome unknown"))
        return EXIT_TIMEOUT;
    return EXIT_QUORUM;
}

int session_exit_code(const struct http_response *response)
{
    switch (response->code) {
    case 400:
    case 405:
    case 406:
    case 411:
    case 413:
    case 414:
    case 415:
    case 431:
        return EXIT_USAGE;
    case 401:
    case 403:
    case 426:
        return EXIT_NOT_ALLOWED;
    case 404:
        return EXIT_NO;
    case 409:
    case 412:
        return EXIT_CONFLICT;
    case 503:
        return code_of_unavailable(response);
    default:
        return response->code < 400 ? EXIT_DONE : EXIT_INTERNAL;
    }
}

static struct bytes cut_line(struct bytes *text)
{
    const uint8_t *end = text->size == 0 ? NULL : memchr(text->data, '\n', text->size);
    struct bytes line = { text->data, end == NULL ? text->size : (size_t)(end - text->data) };
    *text = bytes_from(*text, line.size + (end != NULL));
    return line;
}

/* The words Riak's clients look for stand on lines of their own before our reason. */
static struct bytes reason_of(struct bytes body)
{
    while (body.size > 0 && strchr("\r\n", body.data[body.size - 1]) != NULL)
        body.size--;
    body.size = body.size < 4096 ? body.size : 4096;
    struct bytes rest = body, line = cut_line(&rest);
    bool for_riak = bytes_equal(line, BYTES_LITERAL("Error:")) ||
                    bytes_equal(line, BYTES_LITERAL("request timed out")) ||
                    memmem(line.data, line.size, "-value unsatisfied", 18) != NULL ||
                    bytes_starts_with(line, BYTES_LITERAL("Specified "));
    return for_riak && rest.size > 0 ? rest : body;
}

int session_refused(const struct http_client *client, const char *what)
{
    const struct http_response *response = &client->response;
    struct bytes reason = reason_of(buffer_bytes(&response->body));
    bool whole = bytes_starts_with(reason, bytes_of_string(what)) ||
                 bytes_starts_with(reason, BYTES_LITERAL("outcome unknown"));
    fflush(stdout);
    fprintf(stderr, "kvorum: %s%s%s", whole ? "" : what, whole ? "" : ": ",
            reason.size == 0 ? "the node gave no reason" : "");
    while (reason.size > 0) {
        print_safely(stderr, cut_line(&reason));
        fputs(reason.size > 0 ? "\n  " : "", stderr);
    }
    fprintf(stderr, "\n  (HTTP %d from %s)\n", response->code, client->endpoint.text);
    return session_exit_code(response);
}

void session_append_path(struct buffer *path, const char *type, struct bytes bucket,
                         struct bytes key)
{
    if (type != NULL && strcmp(type, "default") != 0) {
        buffer_append_text(path, "/types/");
        http_append_encoded(path, bytes_of_string(type));
    }
    buffer_append_text(path, "/buckets");
    if (bucket.data == NULL)
        return;
    buffer_append_u8(path, '/');
    http_append_encoded(path, bucket);
    buffer_append_text(path, "/keys");
    if (key.data == NULL)
        return;
    buffer_append_u8(path, '/');
    http_append_encoded(path, key);
}

json_t *session_json(const struct http_client *client, json_error_t *ret_error)
{
    struct bytes body = buffer_bytes(&client->response.body);
    return json_loadb(body.size == 0 ? "" : (const char *)body.data, body.size, 0, ret_error);
}

/* On an object of the cluster, a conflict is a change that would not be safe. */
static int code_of_refusal(const struct http_response *response)
{
    switch (response->code) {
    case 409:
        return EXIT_UNSAFE;
    case 504:
        return EXIT_TIMEOUT;
    default:
        return session_exit_code(response);
    }
}

int session_object_failed(const struct http_client *client, const char *what, kvorum_status status)
{
    if (status != KVORUM_NOT_READY)
        return session_fail(client, what, status);
    (void)session_refused(client, what);
    return code_of_refusal(&client->response);
}

kvorum_status session_object(struct http_client *client, const char *method, struct bytes path,
                             const json_t *body, json_t **ret_json)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    const struct http_request request = {
        .method = method,
        .path = path,
        .fields = text == NULL ? (struct bytes){ 0 }
                               : BYTES_LITERAL("Content-Type: application/json\r\n"),
        .body = text == NULL ? (struct bytes){ 0 } : bytes_of_string(text),
        .has_body = *method == 'P',
    };
    kvorum_status status = http_client_call(client, &request);
    free(text);
    if (status != KVORUM_OK)
        return status;
    if (client->response.code != 200 && client->response.code != 202) {
        snprintf(client->reason, sizeof(client->reason), "HTTP %d", client->response.code);
        return KVORUM_NOT_READY;
    }
    json_error_t error;
    json_t *json = session_json(client, &error);
    if (!json_is_object(json)) {
        snprintf(client->reason, sizeof(client->reason), "the answer is malformed: %s",
                 json == NULL ? error.text : "no object");
        json_decref(json);
        return KVORUM_INVALID;
    }
    *ret_json = json;
    return KVORUM_OK;
}

void session_append_levels(struct buffer *path, const struct invocation *invocation)
{
    static const char *const names[] = { "r", "pr", "w", "dw", "pw", NULL };
    const char *separator = "?";
    for (const struct option *o = invocation->command->options; o->name != NULL; o++) {
        bool level = false;
        for (const char *const *name = names; *name != NULL; name++)
            level = level || strcmp(*name, o->name) == 0;
        const char *value = level ? option_text(invocation, o->name) : NULL;
        if (value == NULL)
            continue;
        buffer_printf(path, "%s%s=%s", separator, o->name, value);
        separator = "&";
    }
    buffer_printf(path, "%stimeout=%" PRId64, separator,
                  option_number(invocation, "timeout", 10000));
}
