/* SPDX-License-Identifier: Apache-2.0 */
/** RESP2, the Redis protocol: requests in, replies out.
 *
 *      request   *2\r\n $3\r\nGET\r\n $1\r\nk\r\n        multibulk: count, then sized arguments
 *                GET k\r\n                               inline: words, "quoted" or 'quoted'
 *      reply     +OK  -ERR text  :12  $3 abc  $-1 (nil)  *2 ...
 *
 *  The parser is incremental: it is shown the same bytes again with more behind them and goes on
 *  where it stopped.  Arguments are views into the input.  A length is compared with its limit
 *  before anything waits or allocates for it.  Thread: one at a time. */
#ifndef CODEC_RESP_H
#define CODEC_RESP_H

#include "base/buffer.h"

enum {
    RESP_ARGUMENTS_MAX = 1024 * 1024,
    RESP_LINE_SIZE_MAX = 64 * 1024,
    RESP_ARGUMENTS_INLINE = 16, /* kept without allocation */
};

struct resp_limits {
    uint32_t arguments;
    uint32_t bulk_size;    /* of one argument, bytes */
    uint32_t line_size;    /* of an inline request */
    uint32_t request_size; /* of a whole request, with its framing */
};

struct resp_span {
    uint32_t offset, size;
};

struct resp_parser {
    struct resp_limits limits;
    const uint8_t *base; /* what the spans of a complete request are offsets in */
    struct resp_span *spans, few[RESP_ARGUMENTS_INLINE];
    uint32_t capacity;
    uint32_t count;     /* arguments so far */
    uint32_t expected;  /* arguments announced; 0: between requests */
    uint32_t position;  /* bytes of the request already understood */
    uint32_t bulk_size; /* of the argument being waited for, when in_bulk */
    bool in_bulk;
    char unexpected;     /* for the text of the problem */
    struct buffer words; /* of an inline request with quotes */
    const char *problem; /* after RESP_MALFORMED: "Protocol error: ..." */
    char problem_text[64];
};

enum resp_outcome {
    RESP_PARTIAL,   /* more bytes are needed */
    RESP_REQUEST,   /* one request; without arguments it is to be ignored */
    RESP_MALFORMED, /* see `problem`; the stream cannot be trusted any more */
};

void resp_parser_init(struct resp_parser *parser, const struct resp_limits *limits);
void resp_parser_done(struct resp_parser *parser);

/** Read one request from the front of `input`.  *ret_size is what it took, set for RESP_REQUEST
 *  only: otherwise the next call must begin with the same bytes. */
enum resp_outcome resp_parse(struct resp_parser *parser, struct bytes input, size_t *ret_size);

/** Argument `index` of the request just read; valid while the input is, until the next call. */
static inline struct bytes resp_argument(const struct resp_parser *parser, uint32_t index)
{
    struct resp_span span = parser->spans[index];
    return bytes_make(parser->base + span.offset, span.size);
}

/* --- replies ------------------------------------------------------------------------------- */

void resp_write_simple(struct buffer *buffer, const char *text);
/** `code` is the first word, without '-'.  Line breaks in `text` become spaces. */
void resp_write_error(struct buffer *buffer, const char *code, const char *text);
void resp_write_integer(struct buffer *buffer, int64_t value);
void resp_write_bulk(struct buffer *buffer, struct bytes value);
void resp_write_text(struct buffer *buffer, const char *text); /* as a bulk string */
void resp_write_nil(struct buffer *buffer);
void resp_write_array(struct buffer *buffer, uint64_t count); /* the elements follow */

#endif
