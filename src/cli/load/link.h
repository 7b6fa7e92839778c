/* SPDX-License-Identifier: Apache-2.0 */
/** One non-blocking connection of a pump: bytes out, responses in, and the works they belong to, in
 *  order.  Thread: one.  Blocks: never. */
#ifndef CLI_LOAD_LINK_H
#define CLI_LOAD_LINK_H

#include "cli/load/pump.h"

enum link_state { LINK_CLOSED, LINK_CONNECTING, LINK_OPEN };

struct link {
    enum link_state state;
    int descriptor;
    const struct endpoint *node;
    uint64_t due_us;     /* LINK_CLOSED: not before */
    uint64_t since_us;   /* of the oldest request without an answer */
    uint32_t backoff_ms; /* 0: the last attempt succeeded */
    int problem;         /* errno of the last failure */
    struct buffer out;
    size_t sent;
    struct http_response response;
    struct pump_work **works; /* ring of `capacity` */
    uint32_t first, count, capacity;
};

/** False: out of memory. */
bool link_init(struct link *link, const struct endpoint *node, uint32_t capacity,
               size_t body_size_max);
void link_done(struct link *link);
/** Begin to connect; on failure the link is closed with a later due_us. */
void link_connect(struct link *link, uint64_t now_us);
/** The socket is writable while connecting. */
void link_connected(struct link *link, uint64_t now_us);
/** Close and set the next attempt; the works stay in the ring for the caller to take. */
void link_close(struct link *link, uint64_t now_us, int problem);
void link_push(struct link *link, struct pump_work *work, uint64_t now_us);
/** The work whose answer comes next; NULL when none. */
struct pump_work *link_pop(struct link *link);
/** Write what the socket takes.  False: the connection is lost (problem is set). */
bool link_write(struct link *link);
/** Receive once into `room`.  -1: nothing there now; 0: closed or lost (problem is set); else the
 *  size. */
long link_read(struct link *link, uint8_t *room, size_t size);

#endif
