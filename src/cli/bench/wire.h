/* SPDX-License-Identifier: Apache-2.0 */
/** What the load generator says and hears: requests as bytes, and where each reply ends and
 *  whether it is an error.  Pure. */
#ifndef CLI_BENCH_WIRE_H
#define CLI_BENCH_WIRE_H

#include "base/buffer.h"
#include "cli/http_response.h"

enum wire_reply { WIRE_MORE, WIRE_VALUE, WIRE_NOTHING, WIRE_ERROR, WIRE_BAD };

struct wire_settings {
    const char *host;
    const char *bucket; /* http only */
    const char *read_query, *write_query;
};

struct wire {
    const char *name;
    void (*append_get)(const struct wire_settings *settings, struct bytes key, struct buffer *out);
    void (*append_set)(const struct wire_settings *settings, struct bytes key, struct bytes value,
                       struct buffer *out);
    /** Look at the front of `input`.  VALUE, NOTHING (no such key) and ERROR: a whole reply,
     *  *ret_size bytes of `input` belong to it; MORE: *ret_size bytes were taken in and more
     *  must come; BAD: no sense can be made of it.  `response` is the state of http. */
    enum wire_reply (*reply)(struct http_response *response, struct bytes input, size_t *ret_size);
};

extern const struct wire wire_resp, wire_http;

/** Size of the RESP2 reply at the front; 0 when it is not whole; -1 when it is none. */
long resp_reply_size(struct bytes input);

#endif
