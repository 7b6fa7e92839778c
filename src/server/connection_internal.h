/* SPDX-License-Identifier: Apache-2.0 */
/** What connection*.c share.
 *
 *      connection.c            its beginning and end, and what protocols see of it
 *      connection_input.c      reading: from the socket through the protocol
 *      connection_output.c     writing, and the end of an iteration
 *      connection_deadlines.c  who is too slow */
#ifndef SERVER_CONNECTION_INTERNAL_H
#define SERVER_CONNECTION_INTERNAL_H

#include "server/connection.h"
#include "server/internal.h"

enum { CONNECTION_KEPT_CAPACITY = 64 * 1024 }; /* of a buffer that is empty */

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

static inline struct connection *connection_of(void *tcp)
{
    return (struct connection *)((uv_handle_t *)tcp)->data;
}

static inline struct server *server_of(const struct connection *connection)
{
    return connection->reactor->server;
}

static inline bool connection_is_quiet(const struct connection *connection)
{
    return connection->in_flight == 0 && !connection->writing && connection->output.size == 0;
}

/* connection.c */
/** Requests that may be in flight. */
uint64_t connection_window(const struct connection *connection);
void connection_end(struct connection *connection);

/* connection_input.c */
/** Does nothing when it is reading. */
void connection_read(struct connection *connection);
/** Parse what was kept of the input. */
void connection_take_kept(struct connection *connection);
/** How a request that is not whole yet is coming along, `size` more bytes of it being here; see
 *  connections_sweep. */
void connection_note_partial(struct connection *connection, size_t size);

#endif
