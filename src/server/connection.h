/* SPDX-License-Identifier: Apache-2.0 */
/** A client's socket, seen from the reactor.  (What protocols see of it stands in
 *  protocol/protocol.h.)
 *
 *      socket --> the reactor's big read buffer --> protocol.input --> node
 *                 (only the rest of a partial request is kept, in `input`)
 *      node --> protocol --> `output` --> socket, in one write at the end of the iteration
 *                                         (what the kernel does not take moves to `sending`)
 *
 *  Bounds: output over CONNECTION_HIGH_WATER, or too many requests in flight, stop the reading
 *  until they have gone down; output over [limits] output_buffer ends the connection.  A request
 *  begun must be whole within the header deadline or keep coming at CONNECTION_RATE_MIN; a client
 *  that takes no answers for CONNECTION_STALL_MS is cut. */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "server/protocol/protocol.h"

enum {
    CONNECTION_HIGH_WATER = 1 << 20,
    CONNECTION_LOW_WATER = 1 << 18,
    CONNECTION_RATE_MIN = 1024, /* bytes a second */
    CONNECTION_STALL_MS = 60 * 1000,
    CONNECTION_LINGER_MS = 1000, /* for the client to see our last words */
};

enum connection_wire { CONNECTION_RESP, CONNECTION_HTTP, CONNECTION_WIRES };

struct reactor;

/** Take over `descriptor`, a connected socket.  Thread: the reactor's. */
void connection_open(struct reactor *reactor, int descriptor, enum connection_wire wire);
/** Say that there are too many, in the words of the wire, and close.  Thread: any. */
void connection_refuse(int descriptor, enum connection_wire wire);

/** At the end of an iteration: write, resume, close whatever asks for it. */
void connections_flush(struct reactor *reactor);
/** Now and then: deadlines of all connections. */
void connections_sweep(struct reactor *reactor);
/** Stop reading requests.  True when none is in flight and all answers are written. */
bool connections_drain(struct reactor *reactor);
void connections_close(struct reactor *reactor);

#endif
