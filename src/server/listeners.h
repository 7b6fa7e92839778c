/* SPDX-License-Identifier: Apache-2.0 */
/** Sockets that accept.  Reactor 0 accepts for all and deals clients round robin: each reactor
 *  gets the same share, and a port that is taken is noticed (with SO_REUSEPORT a second process
 *  would quietly take half of our clients). */
#ifndef SERVER_LISTENERS_H
#define SERVER_LISTENERS_H

#include <stdbool.h>
#include <uv.h>

#include "base/buffer.h"

enum { LISTENER_ADDRESS_SIZE = 300 };

struct server;

enum listener_kind { LISTENER_RESP, LISTENER_HTTP, LISTENER_PEER, LISTENER_KINDS };

struct listener {
    struct server *server;
    enum listener_kind kind;
    int descriptor; /* -1: off */
    uv_poll_t poll;
    bool polling;
    char address[LISTENER_ADDRESS_SIZE]; /* with the real port */
};

struct listeners {
    struct listener all[LISTENER_KINDS];
    int datagrams;    /* UDP on the port of LISTENER_PEER, until datagrams.c takes it; -1: none */
    uv_timer_t pause; /* out of descriptors: accept again a little later */
    bool pausing, started;
    uint16_t next; /* reactor */
};

/** First of all: all off. */
void listeners_init(struct server *server);
/** Bind and listen, before any loop runs.  False: said in the log, with address and reason. */
bool listeners_bind(struct server *server);
/** Start accepting on reactor 0's loop. */
void listeners_start(struct server *server);
/** Accept no more and free the ports.  Thread: reactor 0. */
void listeners_stop(struct server *server);

#endif
