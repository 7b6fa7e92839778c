/* SPDX-License-Identifier: Apache-2.0 */
#include "server/connection.h"

#include "server/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    KEPT_CAPACITY = 64 * 1024, /* of a buffer that is empty */
    PARTIAL_READ = 64 * 1024,  /* room behind a partial request */
    INPUT_SLACK = 1 << 20,     /* over the largest value: everything around it in a request */
    WINDOW_MIN = 2,
    ANSWER_SIZE_FIRST = CONNECTION_HIGH_WATER / 32 - 1,
};

enum ending {
    ENDING_NOT,
    ENDING_FINISH, /* the protocol said its last words */
    ENDING_LINGER, /* they are sent, we wait for the client to have read them */
    ENDING_CLOSED,
};

struct connection {
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct list all, dirty; /* of the reactor */
    struct reactor *reactor;
    struct protocol *protocol;
    struct buffer input, output, sending;
    enum ending ending;
    bool ended;   /* the client sends no more */
    bool paused;  /* blocked: not reading, not parsing */
    bool writing; /* `sending` is with libuv */
    bool working; /* inside the protocol: do not free */
    uint32_t in_flight;
    uint64_t given;       /* bytes of output that were handed to the kernel or to `sending` */
    uint64_t given_seen;  /* with the output, when an answer was last measured */
    uint64_t answer_size; /* running mean */
    uint64_t began_ms;    /* of the partial request; 0: none */
    uint64_t began_size;  /* bytes that came since */
    uint64_t active_ms;   /* last input, or answer written */
    uint64_t progress_ms; /* of `sending` */
    size_t progress_size;
};

static struct connection *connection_of(void *tcp)
{
    return (struct connection *)((uv_handle_t *)tcp)->data;
}

static struct server *server_of(const struct connection *connection)
{
    return connection->reactor->server;
}

static void mark_dirty(struct connection *connection)
{
    if (list_empty(&connection->dirty) && connection->ending != ENDING_CLOSED)
        list_append(&connection->reactor->dirty_connections, &connection->dirty);
}

/* --- for protocols -------------------------------------------------------------------------- */

struct buffer *connection_output(struct connection *connection)
{
    return &connection->output;
}

/* Requests that may be in flight: as many as bring about CONNECTION_HIGH_WATER of answers.  Their
 * size is not known before they come, so it starts low and follows what came. */
static uint64_t window(const struct connection *connection)
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
           connection->in_flight >= window(connection) || connection->ending != ENDING_NOT;
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
    mark_dirty(connection);
}

void connection_wake(struct connection *connection)
{
    mark_dirty(connection);
}

void connection_pause(struct connection *connection)
{
    connection->paused = true;
    uv_read_stop((uv_stream_t *)&connection->tcp);
    mark_dirty(connection);
}

void connection_finish(struct connection *connection)
{
    if (connection->ending == ENDING_NOT)
        connection->ending = ENDING_FINISH;
    mark_dirty(connection);
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

static void end(struct connection *connection)
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

static void start_reading(struct connection *connection);

/* Our last words may be thrown away with the connection if we close while the client still sends.
 */
static void linger(struct connection *connection)
{
    connection->ending = ENDING_LINGER;
    connection->active_ms = reactor_now_ms(connection->reactor);
    if (connection->ended ||
        uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, NULL) != 0)
        end(connection);
    else
        start_reading(connection);
}

/* --- reading -------------------------------------------------------------------------------- */

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

/* How a request that is not whole yet is coming along; see connections_sweep. */
static void note_partial(struct connection *connection, size_t size)
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
    mark_dirty(connection);
    return used;
}

static void take(struct connection *connection, struct bytes input)
{
    size_t used = parse(connection, input);
    if (used < input.size && connection->ending == ENDING_NOT)
        buffer_append_bytes(&connection->input, bytes_from(input, used));
}

static void take_kept(struct connection *connection)
{
    struct buffer *input = &connection->input;
    buffer_consume(input, parse(connection, buffer_bytes(input)));
    if (input->size == 0 && input->capacity > KEPT_CAPACITY)
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
        take_kept(connection);
    }
    note_partial(connection, size);
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
        mark_dirty(connection);
    } else if (size < 0) {
        end(connection); /* gone, or UV_ENOBUFS: a request larger than any may be */
    } else if (connection->ending == ENDING_NOT) {
        on_input(connection, (const uint8_t *)buffer->base, (size_t)size);
    }
}

/* Does nothing when it is reading. */
static void start_reading(struct connection *connection)
{
    uv_read_start((uv_stream_t *)&connection->tcp, on_allocate, on_read);
}

/* --- writing -------------------------------------------------------------------------------- */

static void trim(struct buffer *buffer)
{
    if (buffer->capacity > KEPT_CAPACITY)
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
        end(connection);
    else
        mark_dirty(connection);
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

/* --- the end of an iteration ---------------------------------------------------------------- */

static bool may_resume(const struct connection *connection)
{
    return connection->paused && connection->ending == ENDING_NOT &&
           connection->output.size + connection->sending.size < CONNECTION_LOW_WATER &&
           connection->in_flight <= window(connection) * 3 / 4;
}

static void resume(struct connection *connection)
{
    connection->paused = false;
    connection->working = true;
    connection->protocol->ops->writable(connection->protocol);
    connection->working = false;
    connection->paused |= connection_blocked(connection); /* or the protocol asked for it */
    mark_dirty(connection);
    if (!connection->paused && connection->input.size > 0)
        take_kept(connection);
    note_partial(connection, 0);
    if (!connection->paused && !connection->ended && connection->reactor->state != REACTOR_DRAINING)
        start_reading(connection);
}

static bool is_quiet(const struct connection *connection)
{
    return connection->in_flight == 0 && !connection->writing && connection->output.size == 0;
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
        end(connection);
        return;
    }
    bool written = !connection->writing && connection->output.size == 0;
    if (may_resume(connection))
        resume(connection);
    else if (connection->ending == ENDING_FINISH && written)
        linger(connection);
    else if (connection->ended && is_quiet(connection))
        end(connection);
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

/* --- deadlines ------------------------------------------------------------------------------ */

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
    return timeout > 0 && is_quiet(connection) && connection->began_ms == 0 &&
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
    end(connection);
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

bool connections_drain(struct reactor *reactor)
{
    bool quiet = true;
    struct list *next;
    for (struct list *item = reactor->connections.next; item != &reactor->connections;
         item = next) {
        next = item->next;
        struct connection *connection = LIST_ENTRY(item, struct connection, all);
        uv_read_stop((uv_stream_t *)&connection->tcp);
        if (is_quiet(connection))
            end(connection);
        else
            quiet = false;
    }
    return quiet;
}

void connections_close(struct reactor *reactor)
{
    struct list *item;
    while ((item = list_first(&reactor->connections)) != NULL)
        end(LIST_ENTRY(item, struct connection, all));
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
        end(connection);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    start_reading(connection);
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
