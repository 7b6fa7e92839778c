/* SPDX-License-Identifier: Apache-2.0 */
/** The seam between a client connection (server/connection.c: sockets, limits, deadlines) and a
 *  wire protocol (protocol/resp, protocol/http): bytes in become operations, answers become bytes
 *  out.  A protocol knows no sockets and no rule of replication.
 *
 *  Thread: one reactor.  A protocol writes replies into connection_output() in the order of the
 *  requests, whatever the order of the answers. */
#ifndef SERVER_PROTOCOL_H
#define SERVER_PROTOCOL_H

#include "base/buffer.h"
#include "node/node.h"

struct connection; /* server/connection.h */
struct server_view;

/** What a protocol may know about its process; the same for all connections of a reactor. */
struct protocol_environment {
    struct node *node;
    const struct log *log;
    const struct server_view *server; /* names, listeners, start time, all shards: server/view.h */
    uint64_t value_size_limit;
    uint32_t header_size_limit; /* HTTP header block, RESP inline line: bytes */
};

struct protocol {
    const struct protocol_ops *ops;
};

struct protocol_ops {
    const char *name;
    /** NULL: out of memory. */
    struct protocol *(*open)(struct connection *connection,
                             const struct protocol_environment *environment);
    /** Take bytes from the front of `input` and return how many; the rest comes again with more
     *  behind it.  While connection_blocked() holds it may stop early. */
    size_t (*input)(struct protocol *protocol, struct bytes input);
    /** Output went below the low-water mark after it had been full: go on producing. */
    void (*writable)(struct protocol *protocol);
    /** The peer is gone: cancel what is in flight and free everything. */
    void (*close)(struct protocol *protocol);
    /** Bytes of a partial request are waiting (the connection then applies the header deadline). */
    bool (*mid_request)(const struct protocol *protocol);
};

/** Append replies here; they are sent at the end of the loop iteration in one write. */
struct buffer *connection_output(struct connection *connection);
/** Output or in-flight requests are over their limits: stop parsing, `writable` will be called. */
bool connection_blocked(const struct connection *connection);
/** Requests in flight on this connection changed (bounds pipelining). */
void connection_in_flight(struct connection *connection, int change);
/** Replies were appended outside `input` (from an answer): schedule the write. */
void connection_wake(struct connection *connection);
/** Read nothing until the output has gone below the low-water mark; then `writable` is called, and
 *  `input` with whatever was not taken before.  From outside `input` it is the way to ask for
 *  that. */
void connection_pause(struct connection *connection);
/** Send what is in the output, then close; no more input is delivered. */
void connection_finish(struct connection *connection);

extern const struct protocol_ops protocol_resp, protocol_http;

#endif
