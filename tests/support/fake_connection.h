/* SPDX-License-Identifier: Apache-2.0 */
/** A client's connection without a socket, for tests of protocols: bytes in, bytes out, with the
 *  same blocking as server/connection.c.  Include it in one .c file of a test program. */
#ifndef TESTS_SUPPORT_FAKE_CONNECTION_H
#define TESTS_SUPPORT_FAKE_CONNECTION_H

#include "server/protocol/protocol.h"
#include "tests/support/fake_node.h"

struct connection {
    struct node *node;
    struct protocol *protocol;
    struct protocol_environment environment;
    struct buffer input, output, received; /* received: what the client has read */
    size_t high_water;
    uint32_t in_flight, pipeline;
    bool paused, finished;
};

struct buffer *connection_output(struct connection *connection)
{
    return &connection->output;
}

bool connection_blocked(const struct connection *connection)
{
    return connection->output.size >= connection->high_water ||
           connection->in_flight >= connection->pipeline || connection->finished;
}

void connection_in_flight(struct connection *connection, int change)
{
    assert(change >= 0 || connection->in_flight >= (uint32_t)-change);
    connection->in_flight += (uint32_t)change;
}

void connection_wake(struct connection *connection)
{
    (void)connection;
}

void connection_pause(struct connection *connection)
{
    connection->paused = true;
}

void connection_finish(struct connection *connection)
{
    connection->finished = true;
}

static inline void fake_open(struct connection *connection, struct node *node,
                             const struct protocol_ops *ops)
{
    *connection = (struct connection){ .node = node, .pipeline = 64, .high_water = 64 * 1024 };
    connection->environment = (struct protocol_environment){
        .node = node, .server = &fake_view, .value_size_limit = 64 * 1024, .header_size_limit = 8192
    };
    buffer_init(&connection->input, SIZE_MAX);
    buffer_init(&connection->output, SIZE_MAX);
    buffer_init(&connection->received, SIZE_MAX);
    connection->protocol = ops->open(connection, &connection->environment);
    assert(connection->protocol != NULL);
}

static inline void fake_close(struct connection *connection)
{
    connection->protocol->ops->close(connection->protocol);
    buffer_done(&connection->input);
    buffer_done(&connection->output);
    buffer_done(&connection->received);
}

/* The input is shown in memory of its own, so that a view kept too long is found. */
static inline size_t fake_parse(struct connection *connection)
{
    size_t size = connection->input.size;
    uint8_t *copy = malloc(size + 1);
    assert(copy != NULL);
    memcpy(copy, connection->input.data, size);
    size_t used = connection->protocol->ops->input(connection->protocol, bytes_make(copy, size));
    free(copy);
    assert(used <= size);
    buffer_consume(&connection->input, used);
    connection->paused |= connection_blocked(connection);
    return used;
}

/** The end of an iteration: the client reads all output; what was held back goes on. */
static inline void fake_flush(struct connection *connection)
{
    for (;;) {
        buffer_append_bytes(&connection->received, buffer_bytes(&connection->output));
        buffer_reset(&connection->output);
        bool resume = connection->paused && !connection_blocked(connection);
        if (!resume)
            return;
        connection->paused = false;
        connection->protocol->ops->writable(connection->protocol);
        connection->paused |= connection_blocked(connection);
        if (!connection->paused && connection->input.size > 0)
            fake_parse(connection);
        if (connection->output.size == 0 && !connection->paused)
            return;
    }
}

static inline void fake_send(struct connection *connection, struct bytes bytes)
{
    if (connection->finished)
        return;
    buffer_append_bytes(&connection->input, bytes);
    if (!connection->paused && connection->input.size > 0)
        fake_parse(connection);
    fake_flush(connection);
}

/** Let everything that waits go on until nothing does. */
static inline void fake_settle(struct connection *connection, bool last_first)
{
    fake_flush(connection);
    while (fake_release(connection->node, last_first))
        fake_flush(connection);
}

#endif
