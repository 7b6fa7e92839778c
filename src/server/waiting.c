/* SPDX-License-Identifier: Apache-2.0 */
/* What clients are told by a node that does not serve yet: one answer that says what it waits for,
 * then the connection is closed, so that the next one finds whatever is true then. */
#include "server/internal.h"

#include <stdio.h>
#include <stdlib.h>

struct waiting {
    struct protocol protocol;
    struct connection *connection;
    const struct server *server;
};

void server_waiting_text(const struct server *server, char *ret_text, size_t size)
{
    const struct server_waiting *waiting = &server->waiting;
    switch ((enum waiting_stage)atomic_load(&waiting->stage)) {
    case WAITING_FOUNDERS:
        snprintf(ret_text, size, "waiting for founders: %u of %u are here",
                 atomic_load(&waiting->present), atomic_load(&waiting->wanted));
        break;
    case WAITING_JOIN:
        snprintf(ret_text, size, "waiting for the founder at %.200s", server->config.join);
        break;
    case WAITING_STORES:
        snprintf(ret_text, size, "opening the stores");
        break;
    case WAITING_STOP:
        snprintf(ret_text, size, "stopping");
        break;
    }
}

static struct protocol *open_as(const struct protocol_ops *ops, struct connection *connection,
                                const struct protocol_environment *environment)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    if (waiting == NULL)
        return NULL;
    waiting->protocol.ops = ops;
    waiting->connection = connection;
    waiting->server = environment->server->reactors[0]->server;
    return &waiting->protocol;
}

static struct protocol *open_resp(struct connection *connection,
                                  const struct protocol_environment *environment)
{
    return open_as(&protocol_waiting_resp, connection, environment);
}

static struct protocol *open_http(struct connection *connection,
                                  const struct protocol_environment *environment)
{
    return open_as(&protocol_waiting_http, connection, environment);
}

static size_t input_resp(struct protocol *protocol, struct bytes input)
{
    struct waiting *waiting = (struct waiting *)protocol;
    char text[256];
    server_waiting_text(waiting->server, text, sizeof(text));
    buffer_printf(connection_output(waiting->connection), "-NOT_READY %s\r\n", text);
    connection_finish(waiting->connection);
    return input.size;
}

static size_t input_http(struct protocol *protocol, struct bytes input)
{
    struct waiting *waiting = (struct waiting *)protocol;
    bool head = bytes_starts_with(input, BYTES_LITERAL("HEAD "));
    char text[256];
    server_waiting_text(waiting->server, text, sizeof(text));
    buffer_printf(connection_output(waiting->connection),
                  "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
                  "Retry-After: 1\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                  strlen(text) + 1);
    if (!head)
        buffer_printf(connection_output(waiting->connection), "%s\n", text);
    connection_finish(waiting->connection);
    return input.size;
}

static void writable(struct protocol *protocol)
{
    (void)protocol;
}

static void close_waiting(struct protocol *protocol)
{
    free(protocol);
}

static bool mid_request(const struct protocol *protocol)
{
    (void)protocol;
    return false;
}

const struct protocol_ops protocol_waiting_resp = {
    .name = "resp",
    .open = open_resp,
    .input = input_resp,
    .writable = writable,
    .close = close_waiting,
    .mid_request = mid_request,
};

const struct protocol_ops protocol_waiting_http = {
    .name = "http",
    .open = open_http,
    .input = input_http,
    .writable = writable,
    .close = close_waiting,
    .mid_request = mid_request,
};
