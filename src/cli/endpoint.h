/* SPDX-License-Identifier: Apache-2.0 */
/** Where a node listens: ADDR:PORT, [V6]:PORT or a name. */
#ifndef CLI_ENDPOINT_H
#define CLI_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "kvorum/status.h"

enum { ENDPOINTS_MAX = 64 };

struct endpoint {
    char host[128];
    char text[144]; /* for messages and the Host field */
    uint16_t port;
    struct sockaddr_storage address; /* after endpoint_resolve */
    socklen_t address_size;
};

/** False when `text` is no address; a missing port is `default_port`. */
bool endpoint_parse(const char *text, uint16_t default_port, struct endpoint *ret_endpoint);
/** Several with commas.  Returns how many, or 0 after saying what is wrong. */
uint32_t endpoint_parse_list(const char *text, uint16_t default_port,
                             struct endpoint ret[ENDPOINTS_MAX]);
/** Look the name up.  False after saying so.  Blocks: on the resolver, unless it is a number. */
bool endpoint_resolve(struct endpoint *endpoint);
/** A non-blocking TCP socket that is connected or connecting; -1 with errno. */
int endpoint_connect_start(const struct endpoint *endpoint);
/** Wait until the socket is connected.  0 or an errno value. */
int endpoint_connect_wait(int descriptor, uint32_t timeout_ms);

#endif
