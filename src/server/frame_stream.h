/* SPDX-License-Identifier: Apache-2.0 */
/** Frames over one TCP socket of a loop: what links between nodes have in common.
 *
 *  A stream is embedded in its user and is in use from init until `closed` was called, which
 *  follows a close.  After `failed` the user closes it.  Thread: the loop's. */
#ifndef SERVER_FRAME_STREAM_H
#define SERVER_FRAME_STREAM_H

#include <uv.h>

#include "codec/frame.h"

struct frame_stream;

struct frame_stream_handlers {
    void (*connected)(struct frame_stream *stream);
    /** One whole, checked frame; views hold during the call, which may close or release the
     *  stream. */
    void (*message)(struct frame_stream *stream, const struct message *message);
    /** The socket ended, could not be connected, or brought bytes that are no frame.  `why` is for
     *  people; `error` is a libuv error or 0, `status` what frame_decode said or CLOSED. */
    void (*failed)(struct frame_stream *stream, kvorum_status status, int error, const char *why);
    void (*closed)(struct frame_stream *stream);
};

struct frame_stream_options {
    const struct frame_stream_handlers *handlers;
    uint8_t *read_buffer; /* shared by streams of one loop */
    size_t read_size;
    size_t tail_limit;   /* of frames that come in */
    size_t output_limit; /* bytes waiting to go out */
};

struct frame_stream {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_getaddrinfo_t resolving;
    uv_write_t write;
    const struct frame_stream_options *options; /* outlives the stream */
    struct buffer input, output, sending;
    bool open; /* connected, and not failed or closing */
    bool writing, closing, closed;
    bool busy_resolving;
    bool more_read; /* bytes behind the frame that `message` is called with */
};

/** `options` outlive the stream.  From here on it must be ended with close. */
void frame_stream_init(struct frame_stream *stream, uv_loop_t *loop,
                       const struct frame_stream_options *options);
/** Other options from now on, as when the other side has said who it is.  May be called from
 *  handlers. */
void frame_stream_set_options(struct frame_stream *stream,
                              const struct frame_stream_options *options);
/** Start to connect to "host:port"; `connected` or `failed` follows, never from inside.
 *  A libuv error: it could not even begin, and neither follows. */
int frame_stream_dial(struct frame_stream *stream, const char *address);
/** Take over a connected socket, also on error, and start reading.  A libuv error or 0. */
int frame_stream_adopt(struct frame_stream *stream, int descriptor);

/** True when a frame of `message` fits behind what waits. */
bool frame_stream_has_room(const struct frame_stream *stream, const struct message *message);
/** Append; it goes out with the next flush. */
void frame_stream_send(struct frame_stream *stream, const struct message *message);
void frame_stream_flush(struct frame_stream *stream);
/** Close; `closed` follows, when the memory may be freed.  May be called again. */
void frame_stream_close(struct frame_stream *stream);
/** A duplicate of the socket for another loop, after everything was written and nothing more was
 *  read; -1 when that is not so.  The stream must then be closed. */
int frame_stream_release(struct frame_stream *stream);

#endif
