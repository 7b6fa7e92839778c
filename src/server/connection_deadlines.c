/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that are too slow, or gone without a word. */
#include "server/connection_internal.h"

static bool is_too_slow(const struct connection *connection, uint64_t now_ms)
{
    uint64_t deadline = server_of(connection)->config.header_deadline_ms;
    if (connection->began_ms == 0 || now_ms < connection->began_ms + deadline)
        return false;
    uint64_t elapsed = now_ms - connection->began_ms;
    return connection->began_size * 1000 < elapsed * CONNECTION_RATE_MIN;
}

/* The client takes none of our answers. */
static bool is_stalled(struct connection *connection, uint64_t now_ms)
{
    if (!connection->writing)
        return false;
    size_t left = uv_stream_get_write_queue_size((const uv_stream_t *)&connection->tcp);
    if (left != connection->progress_size) {
        connection->progress_size = left;
        connection->progress_ms = now_ms;
    }
    return now_ms >= connection->progress_ms + CONNECTION_STALL_MS;
}

static bool is_idle(const struct connection *connection, uint64_t now_ms)
{
    uint64_t timeout = server_of(connection)->config.idle_timeout_ms;
    return timeout > 0 && connection_is_quiet(connection) && connection->began_ms == 0 &&
           now_ms >= connection->active_ms + timeout;
}

static const char *reason_to_end(struct connection *connection, uint64_t now_ms)
{
    if (connection->ending == ENDING_LINGER)
        return now_ms >= connection->active_ms + CONNECTION_LINGER_MS ? "" : NULL;
    if (is_too_slow(connection, now_ms))
        return "its request was not whole in time ([limits] header_deadline_ms)";
    if (is_stalled(connection, now_ms))
        return "it takes no answers";
    return is_idle(connection, now_ms) ? "" : NULL;
}

static void sweep(struct connection *connection, uint64_t now_ms)
{
    const char *reason = reason_to_end(connection, now_ms);
    if (reason == NULL)
        return;
    if (reason[0] != '\0') {
        atomic_fetch_add(&server_of(connection)->clients_slow, 1);
        log_info(server_of(connection)->log, "client connection ended",
                 LOG_TEXT("protocol", connection->protocol->ops->name), LOG_TEXT("reason", reason));
    }
    connection_end(connection);
}

void connections_sweep(struct reactor *reactor)
{
    uint64_t now_ms = reactor_now_ms(reactor);
    struct list *next;
    for (struct list *item = reactor->connections.next; item != &reactor->connections;
         item = next) {
        next = item->next;
        sweep(LIST_ENTRY(item, struct connection, all), now_ms);
    }
}
