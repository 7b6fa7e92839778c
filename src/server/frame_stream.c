/* SPDX-License-Identifier: Apache-2.0 */
#include "server/frame_stream.h"

#include "server/config.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

enum { KEPT_CAPACITY = 256 * 1024, REST_CAPACITY = 64 * 1024 };

static struct frame_stream *stream_of(void *tcp)
{
    return (struct frame_stream *)((uv_handle_t *)tcp)->data;
}

void frame_stream_init(struct frame_stream *stream, uv_loop_t *loop,
                       const struct frame_stream_options *options)
{
    *stream = (struct frame_stream){ .options = options };
    int error = uv_tcp_init(loop, &stream->tcp); /* without a socket yet: nothing can fail */
    assert(error == 0);
    stream->tcp.data = stream;
    buffer_init(&stream->input, FRAME_HEADER_SIZE + FRAME_BODY_MAX + options->tail_limit);
    buffer_init(&stream->output, SIZE_MAX / 2);
    buffer_init(&stream->sending, SIZE_MAX / 2);
}

void frame_stream_set_options(struct frame_stream *stream,
                              const struct frame_stream_options *options)
{
    stream->options = options;
    stream->input.limit = FRAME_HEADER_SIZE + FRAME_BODY_MAX + options->tail_limit;
}

static void fail(struct frame_stream *stream, kvorum_status status, int error, const char *why)
{
    if (stream->closing)
        return;
    stream->open = false;
    stream->options->handlers->failed(stream, status, error, why);
}

/* --- reading --------------------------------------------------------------------------------- */

/* While a frame is incomplete its rest is read right behind it; otherwise into the shared buffer.
 */
static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct frame_stream *stream = stream_of(handle);
    const struct frame_stream_options *options = stream->options;
    if (stream->input.size == 0) {
        *ret = uv_buf_init((char *)options->read_buffer, (unsigned)options->read_size);
        return;
    }
    size_t room = stream->input.capacity - stream->input.size;
    *ret = uv_buf_init((char *)stream->input.data + stream->input.size, (unsigned)room);
}

static const char *text_of_bad_frame(kvorum_status status)
{
    switch (status) {
    case KVORUM_FOREIGN:
        return "the other side does not speak kvorum's peer protocol";
    case KVORUM_NEWER_FORMAT:
        return "the other side speaks another version of the peer protocol";
    case KVORUM_TOO_LARGE:
        return "a frame above the size limit";
    default:
        return "a damaged frame";
    }
}

/* Hand over every whole frame of `input`; returns the bytes used.  *ret_need: of the next frame. */
static size_t dispatch(struct frame_stream *stream, struct bytes input, size_t *ret_need)
{
    size_t used = 0;
    *ret_need = 0;
    while (used < input.size && stream->open) {
        struct message message;
        size_t size;
        kvorum_status status =
            frame_decode(bytes_from(input, used), stream->options->tail_limit, &message, &size);
        if (status == KVORUM_TIMEOUT) {
            *ret_need = size;
            break;
        }
        if (status != KVORUM_OK) {
            fail(stream, status, 0, text_of_bad_frame(status));
            break;
        }
        used += size;
        stream->more_read = used < input.size; /* bytes behind this frame: see release */
        stream->options->handlers->message(stream, &message);
    }
    return used;
}

/* Room to read the rest of a frame of `need` bytes, and some of what follows it. */
static bool make_room(struct frame_stream *stream, size_t need)
{
    if (need < REST_CAPACITY)
        need = REST_CAPACITY;
    size_t held = stream->input.size;
    if (buffer_reserve(&stream->input, need - (held < need ? held : need)) != NULL)
        return true;
    fail(stream, KVORUM_NO_MEMORY, 0, "no memory for a frame");
    return false;
}

static void keep_rest(struct frame_stream *stream, struct bytes rest, size_t need)
{
    if (rest.size > 0 && stream->open && make_room(stream, need))
        buffer_append_bytes(&stream->input, rest);
}

static void take_shared(struct frame_stream *stream, struct bytes input)
{
    size_t need;
    size_t used = dispatch(stream, input, &need);
    keep_rest(stream, bytes_from(input, used), need);
}

static void take_kept(struct frame_stream *stream, size_t size)
{
    size_t need;
    stream->input.size += size;
    size_t used = dispatch(stream, buffer_bytes(&stream->input), &need);
    buffer_consume(&stream->input, used);
    if (!stream->open)
        return;
    if (stream->input.size > 0)
        make_room(stream, need);
    else if (stream->input.capacity > KEPT_CAPACITY)
        buffer_done(&stream->input);
}

static void on_read(uv_stream_t *tcp, ssize_t size, const uv_buf_t *buffer)
{
    struct frame_stream *stream = stream_of(tcp);
    if (!stream->open || size == 0)
        return;
    if (size < 0)
        fail(stream, KVORUM_CLOSED, (int)size, uv_strerror((int)size));
    else if (stream->input.size == 0)
        take_shared(stream, bytes_make(buffer->base, (size_t)size));
    else
        take_kept(stream, (size_t)size);
}

/* --- writing --------------------------------------------------------------------------------- */

bool frame_stream_has_room(const struct frame_stream *stream, const struct message *message)
{
    size_t size = FRAME_HEADER_SIZE + message->body.size + message->tail.size;
    size_t held = stream->output.size + stream->sending.size;
    return held == 0 || held + size <= stream->options->output_limit;
}

void frame_stream_send(struct frame_stream *stream, const struct message *message)
{
    frame_encode(message, &stream->output);
}

static void trim(struct buffer *buffer)
{
    if (buffer->capacity > KEPT_CAPACITY)
        buffer_done(buffer);
    else
        buffer_reset(buffer);
}

static void on_written(uv_write_t *write, int error)
{
    struct frame_stream *stream = stream_of(write->handle);
    stream->writing = false;
    if (stream->closing)
        return;
    trim(&stream->sending);
    if (error < 0)
        fail(stream, KVORUM_CLOSED, error, uv_strerror(error));
    else
        frame_stream_flush(stream);
}

static void write_rest(struct frame_stream *stream, size_t written)
{
    struct buffer empty = stream->sending;
    stream->sending = stream->output;
    stream->output = empty;
    uv_buf_t rest = uv_buf_init((char *)stream->sending.data + written,
                                (unsigned)(stream->sending.size - written));
    int error = uv_write(&stream->write, (uv_stream_t *)&stream->tcp, &rest, 1, on_written);
    stream->writing = error == 0;
    if (error != 0)
        fail(stream, KVORUM_CLOSED, error, uv_strerror(error));
}

void frame_stream_flush(struct frame_stream *stream)
{
    if (!stream->open || stream->writing || stream->output.size == 0)
        return;
    if (stream->output.failed) {
        fail(stream, KVORUM_NO_MEMORY, 0, "no memory for messages");
        return;
    }
    uv_buf_t all = uv_buf_init((char *)stream->output.data, (unsigned)stream->output.size);
    int written = uv_try_write((uv_stream_t *)&stream->tcp, &all, 1);
    if (written < 0 && written != UV_EAGAIN)
        fail(stream, KVORUM_CLOSED, written, uv_strerror(written));
    else if (written >= 0 && (size_t)written == stream->output.size)
        trim(&stream->output);
    else
        write_rest(stream, written < 0 ? 0 : (size_t)written);
}

/* --- beginning and end ------------------------------------------------------------------------ */

static int start(struct frame_stream *stream)
{
    uv_tcp_nodelay(&stream->tcp, 1);
    uv_tcp_keepalive(&stream->tcp, 1, 30);
    stream->open = true;
    return uv_read_start((uv_stream_t *)&stream->tcp, on_allocate, on_read);
}

static void on_connected(uv_connect_t *connecting, int error)
{
    struct frame_stream *stream = stream_of(connecting->handle);
    if (stream->closing)
        return;
    if (error == 0)
        error = start(stream);
    if (error != 0)
        fail(stream, KVORUM_CLOSED, error, uv_strerror(error));
    else
        stream->options->handlers->connected(stream);
}

static int connect_to(struct frame_stream *stream, const struct sockaddr *address)
{
    return uv_tcp_connect(&stream->connecting, &stream->tcp, address, on_connected);
}

static void finish_closing(struct frame_stream *stream)
{
    buffer_done(&stream->input);
    buffer_done(&stream->output);
    buffer_done(&stream->sending);
    stream->options->handlers->closed(stream);
}

static void on_resolved(uv_getaddrinfo_t *resolving, int error, struct addrinfo *found)
{
    struct frame_stream *stream = resolving->data;
    stream->busy_resolving = false;
    if (stream->closed) {
        finish_closing(stream);
    } else if (!stream->closing) {
        if (error == 0)
            error = connect_to(stream, found->ai_addr);
        if (error != 0)
            fail(stream, KVORUM_CLOSED, error, uv_strerror(error));
    }
    uv_freeaddrinfo(found);
}

static int resolve(struct frame_stream *stream, const char *host, uint16_t port)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    stream->resolving.data = stream;
    int error =
        uv_getaddrinfo(stream->tcp.loop, &stream->resolving, on_resolved, host, service, &hints);
    stream->busy_resolving = error == 0;
    return error;
}

int frame_stream_dial(struct frame_stream *stream, const char *address)
{
    char host[256];
    uint16_t port;
    struct sockaddr_storage numeric;
    if (!config_split_address(address, host, sizeof(host), &port))
        return UV_EINVAL;
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)&numeric) == 0 ||
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)&numeric) == 0)
        return connect_to(stream, (const struct sockaddr *)&numeric);
    return resolve(stream, host, port);
}

int frame_stream_adopt(struct frame_stream *stream, int descriptor)
{
    int error = uv_tcp_open(&stream->tcp, descriptor);
    if (error != 0)
        close(descriptor);
    return error != 0 ? error : start(stream);
}

static void on_closed(uv_handle_t *handle)
{
    struct frame_stream *stream = stream_of(handle);
    stream->closed = true;
    if (!stream->busy_resolving) /* else its callback still needs our memory */
        finish_closing(stream);
}

void frame_stream_close(struct frame_stream *stream)
{
    stream->open = false;
    if (stream->closing)
        return;
    stream->closing = true;
    if (stream->busy_resolving)
        uv_cancel((uv_req_t *)&stream->resolving);
    uv_close((uv_handle_t *)&stream->tcp, on_closed);
}

int frame_stream_release(struct frame_stream *stream)
{
    uv_os_fd_t descriptor;
    frame_stream_flush(stream);
    if (!stream->open || stream->writing || stream->more_read ||
        uv_fileno((uv_handle_t *)&stream->tcp, &descriptor) != 0)
        return -1;
    uv_read_stop((uv_stream_t *)&stream->tcp);
    stream->open = false;
    return dup(descriptor);
}
