/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/message.h"

enum { RECEIVE_SIZE = 64 * 1024 };

void http_append_encoded(struct buffer *buffer, struct bytes text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        char escaped[3] = { '%', digits[c >> 4], digits[c & 15] };
        if (plain)
            buffer_append_u8(buffer, c);
        else
            buffer_append(buffer, escaped, 3);
    }
}

void http_request_encode(const struct http_request *request, const char *host, struct buffer *out)
{
    buffer_append_text(out, request->method);
    buffer_append_u8(out, ' ');
    buffer_append_bytes(out, request->path);
    buffer_append_text(out, " HTTP/1.1\r\nHost: ");
    buffer_append_text(out, host);
    buffer_append_text(out, "\r\n");
    buffer_append_bytes(out, request->fields);
    if (request->has_body)
        buffer_printf(out, "Content-Length: %zu\r\n", request->body.size);
    buffer_append_text(out, "\r\n");
    buffer_append_bytes(out, request->body);
}

void http_client_init(struct http_client *client, const struct endpoint *endpoint,
                      size_t body_limit)
{
    memset(client, 0, sizeof(*client));
    client->endpoint = *endpoint;
    client->connect_timeout_ms = 5000;
    client->timeout_ms = 15000;
    client->descriptor = -1;
    http_response_init(&client->response, body_limit);
    buffer_init(&client->unread, RECEIVE_SIZE);
}

void http_client_close(struct http_client *client)
{
    if (client->descriptor >= 0)
        close(client->descriptor);
    client->descriptor = -1;
    client->reused = false;
    buffer_reset(&client->unread);
}

void http_client_done(struct http_client *client)
{
    http_client_close(client);
    http_response_done(&client->response);
    buffer_done(&client->unread);
}

static kvorum_status give_up(struct http_client *client, kvorum_status status, const char *why)
{
    snprintf(client->reason, sizeof(client->reason), "%s", why);
    http_client_close(client);
    return status;
}

static kvorum_status connect_client(struct http_client *client)
{
    if (!endpoint_resolve(&client->endpoint))
        return give_up(client, KVORUM_UNAVAILABLE, "the host is not known");
    client->descriptor = endpoint_connect_start(&client->endpoint);
    if (client->descriptor < 0)
        return give_up(client, KVORUM_UNAVAILABLE, errno_text(errno));
    int problem = endpoint_connect_wait(client->descriptor, client->connect_timeout_ms);
    return problem == 0 ? KVORUM_OK : give_up(client, KVORUM_UNAVAILABLE, errno_text(problem));
}

/* Wait for `events`; false at the timeout. */
static bool wait_for(struct http_client *client, short events)
{
    struct pollfd wait = { client->descriptor, events, 0 };
    int ready;
    do {
        ready = poll(&wait, 1, (int)client->timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static kvorum_status send_all(struct http_client *client, struct bytes out)
{
    while (out.size > 0) {
        ssize_t sent = send(client->descriptor, out.data, out.size, MSG_NOSIGNAL);
        if (sent > 0) {
            out = bytes_from(out, (size_t)sent);
        } else if (errno == EAGAIN) {
            if (!wait_for(client, POLLOUT))
                return give_up(client, KVORUM_TIMEOUT, "the node takes no more bytes");
        } else if (errno != EINTR) {
            return KVORUM_CLOSED; /* an early answer may still be there to read */
        }
    }
    return KVORUM_OK;
}

static void parse_unread(struct http_client *client)
{
    size_t taken = http_response_input(&client->response, buffer_bytes(&client->unread));
    buffer_consume(&client->unread, taken);
}

/* Receive once and parse.  OK also when the other side closed and the response says so itself. */
static kvorum_status receive(struct http_client *client)
{
    uint8_t *room = buffer_reserve(&client->unread, RECEIVE_SIZE - client->unread.size);
    if (room == NULL)
        return give_up(client, KVORUM_NO_MEMORY, "out of memory");
    for (;;) {
        ssize_t size = recv(client->descriptor, room, RECEIVE_SIZE - client->unread.size, 0);
        if (size > 0) {
            client->unread.size += (size_t)size;
            parse_unread(client);
            return KVORUM_OK;
        }
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN) {
            if (wait_for(client, POLLIN))
                continue;
            return give_up(client, KVORUM_TIMEOUT, "no answer in time");
        }
        http_response_end(&client->response);
        return KVORUM_OK;
    }
}

/* After each receive: a bad response ends the connection, a complete one may keep it. */
static kvorum_status settle(struct http_client *client)
{
    struct http_response *response = &client->response;
    if (response->state == HTTP_BAD) {
        bool closed = client->unread.size == 0 && strncmp(response->problem, "the conn", 8) == 0;
        return give_up(client, closed ? KVORUM_CLOSED : KVORUM_INVALID, response->problem);
    }
    if (response->state == HTTP_COMPLETE) {
        client->reused = true;
        if (!response->keep_alive || client->unread.size > 0)
            http_client_close(client);
    }
    return KVORUM_OK;
}

static kvorum_status exchange(struct http_client *client, const struct http_request *request)
{
    if (client->descriptor < 0) {
        kvorum_status status = connect_client(client);
        if (status != KVORUM_OK)
            return status;
    }
    struct buffer out;
    buffer_init(&out, request->body.size + request->path.size * 2 + request->fields.size + 4096);
    http_request_encode(request, client->endpoint.text, &out);
    kvorum_status status = out.failed ? give_up(client, KVORUM_NO_MEMORY, "out of memory")
                                      : send_all(client, buffer_bytes(&out));
    buffer_done(&out);
    if (status != KVORUM_OK && status != KVORUM_CLOSED)
        return status;
    http_response_reset(&client->response, strcmp(request->method, "HEAD") == 0);
    do {
        status = receive(client);
        if (status == KVORUM_OK)
            status = settle(client);
    } while (status == KVORUM_OK && client->response.state == HTTP_HEAD);
    return status;
}

kvorum_status http_client_send(struct http_client *client, const struct http_request *request)
{
    bool repeatable =
        client->descriptor >= 0 && client->reused && strcmp(request->method, "GET") == 0;
    kvorum_status status = exchange(client, request);
    /* An idle connection may be closed just as it is used again. */
    if (status == KVORUM_CLOSED && repeatable && client->response.head.size == 0)
        status = exchange(client, request);
    return status;
}

kvorum_status http_client_read(struct http_client *client)
{
    if (client->response.state == HTTP_COMPLETE)
        return KVORUM_OK;
    if (client->descriptor < 0)
        return KVORUM_CLOSED;
    kvorum_status status = receive(client);
    return status == KVORUM_OK ? settle(client) : status;
}

kvorum_status http_client_call(struct http_client *client, const struct http_request *request)
{
    kvorum_status status = http_client_send(client, request);
    while (status == KVORUM_OK && client->response.state != HTTP_COMPLETE)
        status = http_client_read(client);
    return status;
}
