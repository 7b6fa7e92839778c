/* SPDX-License-Identifier: Apache-2.0 */
/* A connection begins and ends, and what protocols see of it meanwhile. */
#include "server/connection_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    INPUT_SLACK = 1 << 20, /* over the largest value: everything around it in a request */
    WINDOW_MIN = 2,
    ANSWER_SIZE_FIRST = CONNECTION_HIGH_WATER / 32 - 1,
};

/* --- for protocols -------------------------------------------------------------------------- */

void connection_wake(struct connection *connection)
{
    if (list_empty(&connection->dirty) && connection->ending != ENDING_CLOSED)
        list_append(&connection->reactor->dirty_connections, &connection->dirty);
}

struct buffer *connection_output(struct connection *connection)
{
    return &connection->output;
}

/* Requests that may be in flight: as many as bring about CONNECTION_HIGH_WATER of answers.  Their
 * size is not known before they come, so it starts low and follows what came. */
uint64_t connection_window(const struct connection *connection)
{
    uint64_t pipeline = server_of(connection)->config.pipeline;
    uint64_t count = CONNECTION_HIGH_WATER / (connection->answer_size + 1);
    if (count < WINDOW_MIN)
        count = WINDOW_MIN;
    return count < pipeline ? count : pipeline;
}

bool connection_blocked(const struct connection *connection)
{
    return connection->output.size + connection->sending.size >= CONNECTION_HIGH_WATER ||
           connection->in_flight >= connection_window(connection) ||
           connection->ending != ENDING_NOT;
}

static void measure_answer(struct connection *connection)
{
    uint64_t given = connection->given + connection->output.size;
    uint64_t size = given - connection->given_seen;
    connection->given_seen = given;
    connection->answer_size = (connection->answer_size * 7 + size) / 8;
}

void connection_in_flight(struct connection *connection, int change)
{
    assert(change >= 0 || connection->in_flight >= (uint32_t)-change);
    connection->in_flight = (uint32_t)((int64_t)connection->in_flight + change);
    if (change >= 0)
        return;
    measure_answer(connection);
    connection_wake(connection);
}

void connection_pause(struct connection *connection)
{
    connection->paused = true;
    uv_read_stop((uv_stream_t *)&connection->tcp);
    connection_wake(connection);
}

void connection_finish(struct connection *connection)
{
    if (connection->ending == ENDING_NOT)
        connection->ending = ENDING_FINISH;
    connection_wake(connection);
}

/* --- the end -------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = connection_of(handle);
    buffer_done(&connection->input);
    buffer_done(&connection->output);
    buffer_done(&connection->sending);
    free(connection);
}

void connection_end(struct connection *connection)
{
    if (connection->ending == ENDING_CLOSED)
        return;
    assert(!connection->working);
    connection->ending = ENDING_CLOSED;
    list_remove(&connection->all);
    list_remove(&connection->dirty);
    connection->protocol->ops->close(connection->protocol);
    atomic_fetch_sub(&server_of(connection)->client_count, 1);
    atomic_fetch_sub(&connection->reactor->snapshot.clients, 1);
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
}

bool connections_drain(struct reactor *reactor)
{
    bool quiet = true;
    struct list *next;
    for (struct list *item = reactor->connections.next; item != &reactor->connections;
         item = next) {
        next = item->next;
        struct connection *connection = LIST_ENTRY(item, struct connection, all);
        uv_read_stop((uv_stream_t *)&connection->tcp);
        if (connection_is_quiet(connection))
            connection_end(connection);
        else
            quiet = false;
    }
    return quiet;
}

void connections_close(struct reactor *reactor)
{
    struct list *item;
    while ((item = list_first(&reactor->connections)) != NULL)
        connection_end(LIST_ENTRY(item, struct connection, all));
}

/* --- the beginning -------------------------------------------------------------------------- */

static const struct protocol_ops *ops_of(const struct reactor *reactor, enum connection_wire wire)
{
    if (reactor->state == REACTOR_SERVING)
        return wire == CONNECTION_RESP ? &protocol_resp : &protocol_http;
    return wire == CONNECTION_RESP ? &protocol_waiting_resp : &protocol_waiting_http;
}

static struct connection *create(struct reactor *reactor, enum connection_wire wire)
{
    const struct config *config = &reactor->server->config;
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    connection->reactor = reactor;
    connection->answer_size = ANSWER_SIZE_FIRST;
    list_init(&connection->all);
    list_init(&connection->dirty);
    buffer_init(&connection->input, config->value_size + config->header_size + INPUT_SLACK);
    buffer_init(&connection->output, config->output_buffer);
    buffer_init(&connection->sending, config->output_buffer);
    connection->protocol = ops_of(reactor, wire)->open(connection, &reactor->environment);
    if (connection->protocol != NULL)
        return connection;
    free(connection);
    return NULL;
}

void connection_open(struct reactor *reactor, int descriptor, enum connection_wire wire)
{
    struct connection *connection = create(reactor, wire);
    if (connection == NULL) {
        atomic_fetch_sub(&reactor->server->client_count, 1);
        close(descriptor);
        return;
    }
    connection->active_ms = reactor_now_ms(reactor);
    atomic_fetch_add(&reactor->snapshot.clients, 1);
    list_append(&reactor->connections, &connection->all);
    uv_tcp_init(&reactor->loop, &connection->tcp);
    connection->tcp.data = connection;
    int error = uv_tcp_open(&connection->tcp, descriptor);
    if (error != 0) {
        close(descriptor);
        connection_end(connection);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    connection_read(connection);
}

void connection_refuse(int descriptor, enum connection_wire wire)
{
    static const char resp[] = "-ERR max number of clients reached\r\n";
    static const char http[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 31\r\nConnection: close\r\n\r\n"
                               "too many connections, try later";
    char ignored[4096];
    if (wire == CONNECTION_RESP)
        send(descriptor, resp, sizeof(resp) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    else
        send(descriptor, http, sizeof(http) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(descriptor, SHUT_WR);
    while (recv(descriptor, ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
        continue; /* closing over unread bytes would take our answer back */
    close(descriptor);
}
