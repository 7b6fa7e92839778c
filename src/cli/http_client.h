/* SPDX-License-Identifier: Apache-2.0 */
/** A small blocking HTTP/1.1 client for one node, one request at a time, with keep-alive.
 *
 *      http_client_init -> { http_client_call | http_client_send, http_client_read... } -> _done
 *
 *  Requests are also made (http_request_encode) for the pipelined loops of import and bench.
 *  Thread: one at a time.  Blocks: on the network, never beyond its timeout. */
#ifndef CLI_HTTP_CLIENT_H
#define CLI_HTTP_CLIENT_H

#include "cli/endpoint.h"
#include "cli/http_response.h"

struct http_request {
    const char *method;
    struct bytes path;   /* encoded already: http_append_encoded */
    struct bytes fields; /* whole header lines, each with CR LF; may be empty */
    struct bytes body;
    bool has_body; /* then Content-Length is sent, be it 0 */
};

/** Append `text` percent-encoded for a path segment or a query value. */
void http_append_encoded(struct buffer *buffer, struct bytes text);
/** Append the request as bytes. */
void http_request_encode(const struct http_request *request, const char *host, struct buffer *out);

struct http_client {
    struct endpoint endpoint;
    uint32_t connect_timeout_ms; /* 0: 5 s */
    uint32_t timeout_ms;         /* of each wait for the other side; 0: 15 s */
    int descriptor;              /* -1: not connected */
    bool reused;                 /* the connection has carried an exchange before */
    struct http_response response;
    struct buffer unread; /* received, not yet parsed */
    char reason[192];     /* of the last failure, for people */
};

/** Nothing is connected before the first call.  `body_limit` bounds a collected body. */
void http_client_init(struct http_client *client, const struct endpoint *endpoint,
                      size_t body_limit);
void http_client_done(struct http_client *client);

/** Send and read the whole answer into client->response.  OK whatever the HTTP code is.
 *  UNAVAILABLE: no connection, nothing was sent.  CLOSED, TIMEOUT: the request may have taken
 *  effect. INVALID: what came back is no HTTP, or above the limit. */
KVORUM_CHECKED kvorum_status http_client_call(struct http_client *client,
                                              const struct http_request *request);
/** Send, and read until the head is there. */
KVORUM_CHECKED kvorum_status http_client_send(struct http_client *client,
                                              const struct http_request *request);
/** Read more of the body into response.body, which the caller empties; OK and state
 *  HTTP_COMPLETE at the end. */
KVORUM_CHECKED kvorum_status http_client_read(struct http_client *client);
void http_client_close(struct http_client *client);

#endif
