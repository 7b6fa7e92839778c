/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: once at the end of an iteration, and what the kernel does not take then, later. */
#include "server/connection_internal.h"

static void trim(struct buffer *buffer)
{
    if (buffer->capacity > CONNECTION_KEPT_CAPACITY)
        buffer_done(buffer);
    else
        buffer_reset(buffer);
}

static void on_written(uv_write_t *write, int error)
{
    struct connection *connection = connection_of(write->handle);
    if (connection->ending == ENDING_CLOSED)
        return;
    connection->writing = false;
    trim(&connection->sending);
    connection->active_ms = reactor_now_ms(connection->reactor);
    if (error < 0)
        connection_end(connection);
    else
        connection_wake(connection);
}

static bool write_rest(struct connection *connection, size_t written)
{
    struct buffer empty = connection->sending;
    connection->given += connection->output.size;
    empty.limit = connection->output.limit;
    connection->sending = connection->output;
    connection->output = empty;
    uv_buf_t rest = uv_buf_init((char *)connection->sending.data + written,
                                (unsigned)(connection->sending.size - written));
    connection->progress_ms = reactor_now_ms(connection->reactor);
    connection->progress_size = rest.len;
    connection->writing = true;
    return uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &rest, 1, on_written) == 0;
}

/* False: the connection is lost. */
static bool write_output(struct connection *connection)
{
    struct buffer *output = &connection->output;
    if (connection->writing || output->size == 0)
        return true;
    uv_buf_t all = uv_buf_init((char *)output->data, (unsigned)output->size);
    int written = uv_try_write((uv_stream_t *)&connection->tcp, &all, 1);
    if (written < 0 && written != UV_EAGAIN)
        return false;
    if (written < 0 || (size_t)written < output->size)
        return write_rest(connection, written < 0 ? 0 : (size_t)written);
    connection->given += output->size;
    trim(output);
    connection->active_ms = reactor_now_ms(connection->reactor);
    return true;
}

/* --- the end of an iteration ------------------------------------------------------------------ */

/* Our last words may be thrown away with the connection if we close while the client still sends.
 */
static void linger(struct connection *connection)
{
    connection->ending = ENDING_LINGER;
    connection->active_ms = reactor_now_ms(connection->reactor);
    if (connection->ended ||
        uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, NULL) != 0)
        connection_end(connection);
    else
        connection_read(connection);
}

static bool may_resume(const struct connection *connection)
{
    return connection->paused && connection->ending == ENDING_NOT &&
           connection->output.size + connection->sending.size < CONNECTION_LOW_WATER &&
           connection->in_flight <= connection_window(connection) * 3 / 4;
}

static void resume(struct connection *connection)
{
    connection->paused = false;
    connection->working = true;
    connection->protocol->ops->writable(connection->protocol);
    connection->working = false;
    connection->paused |= connection_blocked(connection); /* or the protocol asked for it */
    connection_wake(connection);
    if (!connection->paused && connection->input.size > 0)
        connection_take_kept(connection);
    connection_note_partial(connection, 0);
    if (!connection->paused && !connection->ended && connection->reactor->state != REACTOR_DRAINING)
        connection_read(connection);
}

static bool check_output(struct connection *connection)
{
    if (!connection->output.failed && !connection->input.failed)
        return true;
    log_warn(server_of(connection)->log, "client connection ended: its buffers are full",
             LOG_TEXT("protocol", connection->protocol->ops->name),
             LOG_U64("waiting", connection->output.size + connection->sending.size));
    return false;
}

static void flush(struct connection *connection)
{
    list_remove(&connection->dirty);
    if (connection->ending == ENDING_CLOSED)
        return;
    if (!check_output(connection) || !write_output(connection)) {
        connection_end(connection);
        return;
    }
    bool written = !connection->writing && connection->output.size == 0;
    if (may_resume(connection))
        resume(connection);
    else if (connection->ending == ENDING_FINISH && written)
        linger(connection);
    else if (connection->ended && connection_is_quiet(connection))
        connection_end(connection);
}

void connections_flush(struct reactor *reactor)
{
    struct list *item;
    struct list again; /* those that become dirty meanwhile wait for the next round */
    list_init(&again);
    while ((item = list_first(&reactor->dirty_connections)) != NULL) {
        list_remove(item);
        list_append(&again, item);
    }
    while ((item = list_first(&again)) != NULL)
        flush(LIST_ENTRY(item, struct connection, dirty));
}
