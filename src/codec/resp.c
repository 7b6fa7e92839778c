/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/resp.h"

#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_MAX = 10, SPANS_KEPT = 1024 };

void resp_parser_init(struct resp_parser *parser, const struct resp_limits *limits)
{
    assert(limits->arguments > 0 && limits->request_size < UINT32_MAX / 2);
    *parser = (struct resp_parser){ .limits = *limits, .capacity = RESP_ARGUMENTS_INLINE };
    parser->spans = parser->few;
    buffer_init(&parser->words, limits->line_size + 1);
}

static void free_spans(struct resp_parser *parser)
{
    if (parser->spans != parser->few)
        free(parser->spans);
    parser->spans = parser->few;
    parser->capacity = RESP_ARGUMENTS_INLINE;
}

void resp_parser_done(struct resp_parser *parser)
{
    free_spans(parser);
    buffer_done(&parser->words);
}

static enum resp_outcome malformed(struct resp_parser *parser, const char *problem)
{
    parser->problem = problem;
    return RESP_MALFORMED;
}

/* --- arguments ------------------------------------------------------------------------------ */

/* Room grows with the arguments that came, not with the count that was announced. */
static bool grow(struct resp_parser *parser)
{
    uint32_t capacity = parser->capacity * 2;
    bool first = parser->spans == parser->few;
    struct resp_span *spans =
        realloc(first ? NULL : parser->spans, capacity * sizeof(struct resp_span));
    if (spans == NULL)
        return false;
    if (first)
        memcpy(spans, parser->few, sizeof(parser->few));
    parser->spans = spans;
    parser->capacity = capacity;
    return true;
}

static inline bool add_span(struct resp_parser *parser, size_t offset, size_t size)
{
    if (parser->count == parser->capacity && !grow(parser))
        return false;
    parser->spans[parser->count++] = (struct resp_span){ (uint32_t)offset, (uint32_t)size };
    return true;
}

/* --- multibulk ------------------------------------------------------------------------------ */

/* "<marker>NUMBER\r\n" at the position.  A number below zero is given as -1.  RESP_REQUEST:
 * taken. */
static inline enum resp_outcome take_number(struct resp_parser *parser, struct bytes input,
                                            const char *problem, int64_t *ret_number)
{
    const uint8_t *first = input.data + parser->position + 1;
    const uint8_t *end = input.data + input.size;
    bool negative = first < end && *first == '-';
    first += negative;
    const uint8_t *at = first;
    uint64_t number = 0;
    while (at < end && (uint8_t)(*at - '0') < 10 && at - first < DIGITS_MAX)
        number = number * 10 + (uint8_t)(*at++ - '0');
    if (at - first > 1 && *first == '0')
        return malformed(parser, problem);
    if (at < end && (*at != '\r' || at == first))
        return malformed(parser, problem);
    if (end - at < 2)
        return RESP_PARTIAL;
    if (at[1] != '\n' || (negative && *first == '0'))
        return malformed(parser, problem);
    *ret_number = negative ? -1 : (int64_t)number;
    parser->position = (uint32_t)(at + 2 - input.data);
    return RESP_REQUEST;
}

static enum resp_outcome unexpected(struct resp_parser *parser, uint8_t got)
{
    bool printable = got >= 0x20 && got < 0x7f;
    snprintf(parser->problem_text, sizeof(parser->problem_text),
             printable ? "Protocol error: expected '$', got '%c'"
                       : "Protocol error: expected '$', got 0x%02x",
             got);
    return malformed(parser, parser->problem_text);
}

static inline enum resp_outcome take_bulk_size(struct resp_parser *parser, struct bytes input)
{
    static const char problem[] = "Protocol error: invalid bulk length";
    int64_t size;
    if (parser->position == input.size)
        return RESP_PARTIAL;
    if (input.data[parser->position] != '$')
        return unexpected(parser, input.data[parser->position]);
    enum resp_outcome outcome = take_number(parser, input, problem, &size);
    if (outcome != RESP_REQUEST)
        return outcome;
    if (size < 0 || size > parser->limits.bulk_size)
        return malformed(parser, problem);
    if (parser->position + (uint64_t)size + 2 > parser->limits.request_size)
        return malformed(parser, "Protocol error: request is too large");
    parser->bulk_size = (uint32_t)size;
    parser->in_bulk = true;
    return RESP_REQUEST;
}

static inline enum resp_outcome take_argument(struct resp_parser *parser, struct bytes input)
{
    if (!parser->in_bulk) {
        enum resp_outcome outcome = take_bulk_size(parser, input);
        if (outcome != RESP_REQUEST)
            return outcome;
    }
    uint32_t end = parser->position + parser->bulk_size;
    if (input.size < (size_t)end + 2)
        return RESP_PARTIAL;
    if (input.data[end] != '\r' || input.data[end + 1] != '\n')
        return malformed(parser, "Protocol error: bulk is not followed by CRLF");
    if (!add_span(parser, parser->position, parser->bulk_size))
        return malformed(parser, "Protocol error: out of memory");
    parser->position = end + 2;
    parser->in_bulk = false;
    return RESP_REQUEST;
}

static inline enum resp_outcome take_count(struct resp_parser *parser, struct bytes input)
{
    static const char problem[] = "Protocol error: invalid multibulk length";
    int64_t count;
    enum resp_outcome outcome = take_number(parser, input, problem, &count);
    if (outcome != RESP_REQUEST)
        return outcome;
    if (count > parser->limits.arguments)
        return malformed(parser, problem);
    parser->expected = count < 0 ? 0 : (uint32_t)count;
    return RESP_REQUEST;
}

/* --- inline --------------------------------------------------------------------------------- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r' || c == 0;
}

/* What follows a backslash in "": appends one byte, returns how many were read. */
static size_t unescape(struct buffer *words, struct bytes rest)
{
    static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
    int high = rest.size > 2 && rest.data[0] == 'x' ? text_hex_digit(rest.data[1]) : -1;
    int low = high >= 0 ? text_hex_digit(rest.data[2]) : -1;
    if (low >= 0) {
        buffer_append_u8(words, (uint8_t)(high * 16 + low));
        return 3;
    }
    const char *known = rest.data[0] == 0 ? NULL : strchr(from, rest.data[0]);
    buffer_append_u8(words, known == NULL ? rest.data[0] : (uint8_t)to[known - from]);
    return 1;
}

/* The inside of a quoted word, from behind its quote to behind the closing one.  0: unbalanced. */
static size_t take_quoted(struct buffer *words, struct bytes line, size_t at, uint8_t quote)
{
    while (at < line.size) {
        uint8_t c = line.data[at++];
        if (c == quote) /* the word must end with its quote */
            return at == line.size || is_space(line.data[at]) ? at : 0;
        bool escape = c == '\\' && at < line.size;
        if (escape && quote == '"')
            at += unescape(words, bytes_from(line, at));
        else if (escape && line.data[at] == '\'')
            buffer_append_u8(words, line.data[at++]);
        else
            buffer_append_u8(words, c);
    }
    return 0;
}

/* One word of the line from `at` on; returns where it ends, 0 when its quotes are unbalanced. */
static size_t take_word(struct buffer *words, struct bytes line, size_t at)
{
    while (at < line.size && !is_space(line.data[at])) {
        uint8_t c = line.data[at++];
        if (c == '"' || c == '\'')
            return take_quoted(words, line, at, c);
        buffer_append_u8(words, c);
    }
    return at;
}

static enum resp_outcome split_line(struct resp_parser *parser, struct bytes line)
{
    struct buffer *words = &parser->words;
    buffer_reset(words);
    if (buffer_reserve(words, line.size + 1) == NULL)
        return malformed(parser, "Protocol error: out of memory");
    for (size_t at = 0;;) {
        while (at < line.size && is_space(line.data[at]))
            at++;
        if (at == line.size)
            break;
        size_t start = words->size;
        at = take_word(words, line, at);
        if (at == 0)
            return malformed(parser, "Protocol error: unbalanced quotes in request");
        if (!add_span(parser, start, words->size - start))
            return malformed(parser, "Protocol error: out of memory");
    }
    parser->base = words->data;
    return RESP_REQUEST;
}

static enum resp_outcome parse_inline(struct resp_parser *parser, struct bytes input,
                                      size_t *ret_size)
{
    struct bytes unseen = bytes_from(input, parser->position);
    const uint8_t *newline = memchr(unseen.data, '\n', unseen.size);
    size_t size = newline == NULL ? input.size : (size_t)(newline - input.data);
    if (size > parser->limits.line_size)
        return malformed(parser, "Protocol error: too big inline request");
    if (newline == NULL) {
        parser->position = (uint32_t)input.size;
        return RESP_PARTIAL;
    }
    enum resp_outcome outcome = split_line(parser, bytes_make(input.data, size));
    if (outcome != RESP_REQUEST)
        return outcome;
    *ret_size = size + 1;
    parser->position = 0;
    return RESP_REQUEST;
}

/* --- both ----------------------------------------------------------------------------------- */

static inline void begin(struct resp_parser *parser)
{
    parser->count = 0;
    if (parser->capacity > SPANS_KEPT)
        free_spans(parser);
}

enum resp_outcome resp_parse(struct resp_parser *parser, struct bytes input, size_t *ret_size)
{
    if (input.size == 0)
        return RESP_PARTIAL;
    enum resp_outcome outcome = RESP_REQUEST;
    if (parser->expected == 0) {
        begin(parser);
        if (input.data[0] != '*')
            return parse_inline(parser, input, ret_size);
        outcome = take_count(parser, input);
    }
    while (outcome == RESP_REQUEST && parser->count < parser->expected)
        outcome = take_argument(parser, input);
    if (outcome != RESP_REQUEST)
        return outcome;
    parser->base = input.data;
    *ret_size = parser->position;
    parser->expected = parser->position = 0;
    return RESP_REQUEST;
}
