/* SPDX-License-Identifier: Apache-2.0 */
/** HTTP/1.1 responses, read from bytes of outside as they come.  Pure: no socket.
 *
 *      input -> [head, up to the empty line] -> [body: by length, chunks or end] -> complete
 *
 *  Bounded: heads of 64 KiB and 64 fields, bodies as the caller says; anything not plainly right is
 *  refused with `problem`.  Thread: one at a time. */
#ifndef CLI_HTTP_RESPONSE_H
#define CLI_HTTP_RESPONSE_H

#include "base/buffer.h"

enum { HTTP_HEAD_SIZE_MAX = 64 * 1024, HTTP_FIELDS_MAX = 64 };

enum http_state {
    HTTP_HEAD,
    HTTP_BODY_SIZED,
    HTTP_BODY_TO_END,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_EXTENSION,
    HTTP_CHUNK_SIZE_END,
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_DATA_CR,
    HTTP_CHUNK_DATA_END,
    HTTP_TRAILER,
    HTTP_COMPLETE,
    HTTP_BAD,
};

struct http_field {
    struct bytes name, value; /* value without blanks around it */
};

struct http_response {
    enum http_state state;
    const char *problem; /* HTTP_BAD: why */
    int code;
    bool keep_alive;   /* the connection may be used again */
    bool without_body; /* answers HEAD */
    uint32_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX]; /* views into head */
    struct buffer head;
    struct buffer body; /* a streaming reader may reset it between inputs */
    uint64_t left;      /* of the body, or of the chunk */
    uint32_t line_size; /* of the chunk or trailer line so far */
};

void http_response_init(struct http_response *response, size_t body_limit);
void http_response_done(struct http_response *response);
/** Make ready for the next response, keeping memory. */
void http_response_reset(struct http_response *response, bool without_body);
/** Take bytes from the front of `input` and return how many: fewer than all only when the
 *  response is complete or bad. */
size_t http_response_input(struct http_response *response, struct bytes input);
/** The other side closed: ends a body without length, else makes the response bad. */
void http_response_end(struct http_response *response);
/** False: no such field.  `name` in lower case. */
bool http_response_field(const struct http_response *response, const char *name,
                         struct bytes *ret_value);
/** The head has been read; code and fields hold. */
static inline bool http_response_has_head(const struct http_response *response)
{
    return response->state != HTTP_HEAD && response->state != HTTP_BAD;
}

#endif
