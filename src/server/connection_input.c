/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: whatever comes goes through the protocol at once, and only the rest of a request that is
 * not whole is kept. */
#include "server/connection_internal.h"

#include <assert.h>

enum { PARTIAL_READ = 64 * 1024 }; /* room behind a partial request */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct connection *connection = connection_of(handle);
    struct buffer *input = &connection->input;
    char *shared = (char *)connection->reactor->read_buffer;
    *ret = uv_buf_init(shared, REACTOR_READ_SIZE);
    if (input->size == 0 || connection->ending != ENDING_NOT)
        return;
    size_t room = input->limit - input->size;
    uint8_t *at = buffer_reserve(input, room < PARTIAL_READ ? room : PARTIAL_READ);
    *ret = uv_buf_init((char *)at, at == NULL ? 0 : (unsigned)(input->capacity - input->size));
}

void connection_note_partial(struct connection *connection, size_t size)
{
    const struct protocol *protocol = connection->protocol;
    bool partial = connection->input.size > 0 || protocol->ops->mid_request(protocol);
    connection->began_size += size;
    if (!partial || connection->paused) {
        connection->began_ms = 0;
    } else if (connection->began_ms == 0) {
        connection->began_ms = connection->active_ms;
        connection->began_size = 0;
    }
}

static size_t parse(struct connection *connection, struct bytes input)
{
    connection->working = true;
    size_t used = connection->protocol->ops->input(connection->protocol, input);
    connection->working = false;
    assert(used <= input.size);
    connection->paused |= connection_blocked(connection); /* or the protocol asked for it */
    connection_wake(connection);
    return used;
}

static void take(struct connection *connection, struct bytes input)
{
    size_t used = parse(connection, input);
    if (used < input.size && connection->ending == ENDING_NOT)
        buffer_append_bytes(&connection->input, bytes_from(input, used));
}

void connection_take_kept(struct connection *connection)
{
    struct buffer *input = &connection->input;
    buffer_consume(input, parse(connection, buffer_bytes(input)));
    if (input->size == 0 && input->capacity > CONNECTION_KEPT_CAPACITY)
        buffer_done(input);
}

static void on_input(struct connection *connection, const uint8_t *data, size_t size)
{
    connection->active_ms = reactor_now_ms(connection->reactor);
    held_clock_let_go(&connection->reactor->clock);
    if (connection->input.size == 0) {
        take(connection, bytes_make(data, size));
    } else {
        connection->input.size += size;
        connection_take_kept(connection);
    }
    connection_note_partial(connection, size);
    if (connection->paused)
        uv_read_stop((uv_stream_t *)&connection->tcp);
}

static void on_read(uv_stream_t *tcp, ssize_t size, const uv_buf_t *buffer)
{
    struct connection *connection = connection_of(tcp);
    if (size == 0 || connection->ending == ENDING_CLOSED)
        return;
    if (size == UV_EOF && connection->ending != ENDING_LINGER) {
        connection->ended = true; /* what it asked before is still answered */
        uv_read_stop(tcp);
        connection_wake(connection);
    } else if (size < 0) {
        connection_end(connection); /* gone, or UV_ENOBUFS: a request larger than any may be */
    } else if (connection->ending == ENDING_NOT) {
        on_input(connection, (const uint8_t *)buffer->base, (size_t)size);
    }
}

void connection_read(struct connection *connection)
{
    uv_read_start((uv_stream_t *)&connection->tcp, on_allocate, on_read);
}
