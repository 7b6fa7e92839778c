/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http_response.h"

#include "base/text.h"

#include <strings.h>

enum { LINE_SIZE_MAX = 4096 };

void http_response_init(struct http_response *response, size_t body_limit)
{
    memset(response, 0, sizeof(*response));
    buffer_init(&response->head, HTTP_HEAD_SIZE_MAX);
    buffer_init(&response->body, body_limit);
}

void http_response_done(struct http_response *response)
{
    buffer_done(&response->head);
    buffer_done(&response->body);
}

void http_response_reset(struct http_response *response, bool without_body)
{
    buffer_reset(&response->head);
    buffer_reset(&response->body);
    response->state = HTTP_HEAD;
    response->problem = NULL;
    response->code = 0;
    response->keep_alive = false;
    response->without_body = without_body;
    response->field_count = 0;
    response->left = 0;
    response->line_size = 0;
}

static void refuse(struct http_response *response, const char *problem)
{
    response->state = HTTP_BAD;
    response->problem = problem;
}

/* --- the head ------------------------------------------------------------------------------- */

static bool is_token(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Cut the line up to CR LF off the front of `text`; false when there is none, or a stray
 * control. */
static bool cut_line(struct bytes *text, struct bytes *ret_line)
{
    const uint8_t *end = text->size == 0 ? NULL : memchr(text->data, '\n', text->size);
    if (end == NULL || end == text->data || end[-1] != '\r')
        return false;
    struct bytes line = { text->data, (size_t)(end - text->data) - 1 };
    if (memchr(line.data, '\r', line.size) != NULL || memchr(line.data, 0, line.size) != NULL)
        return false;
    *text = bytes_from(*text, line.size + 2);
    *ret_line = line;
    return true;
}

static bool read_status_line(struct http_response *response, struct bytes line)
{
    const uint8_t *p = line.data;
    bool shaped = line.size >= 12 && memcmp(p, "HTTP/1.", 7) == 0 && (p[7] == '0' || p[7] == '1') &&
                  p[8] == ' ' && (line.size == 12 || p[12] == ' ');
    if (!shaped)
        return false;
    int code = 0;
    for (int i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        code = code * 10 + (p[i] - '0');
    }
    response->code = code;
    response->keep_alive = p[7] == '1';
    return code >= 100 && code < 600;
}

static bool read_field(struct http_response *response, struct bytes line)
{
    const uint8_t *colon = memchr(line.data, ':', line.size);
    if (colon == NULL || colon == line.data || response->field_count == HTTP_FIELDS_MAX)
        return false;
    struct bytes name = { line.data, (size_t)(colon - line.data) };
    for (size_t i = 0; i < name.size; i++) {
        if (!is_token(name.data[i]))
            return false;
    }
    response->fields[response->field_count++] =
        (struct http_field){ name, text_trim(bytes_from(line, name.size + 1)) };
    return true;
}

static bool name_is(struct bytes name, const char *wanted)
{
    return name.size == strlen(wanted) &&
           strncasecmp((const char *)name.data, wanted, name.size) == 0;
}

bool http_response_field(const struct http_response *response, const char *name,
                         struct bytes *ret_value)
{
    for (uint32_t i = 0; i < response->field_count; i++) {
        if (name_is(response->fields[i].name, name)) {
            *ret_value = response->fields[i].value;
            return true;
        }
    }
    return false;
}

static bool read_length(struct bytes text, uint64_t *ret_length)
{
    uint64_t length = 0;
    if (text.size == 0 || text.size > 18)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        length = length * 10 + (text.data[i] - '0');
    }
    *ret_length = length;
    return true;
}

/* How long the body is, by RFC 9112 section 6.3; doubtful combinations are refused. */
static void begin_body(struct http_response *response)
{
    bool sized = false, chunked = false;
    for (uint32_t i = 0; i < response->field_count; i++) {
        const struct http_field *field = &response->fields[i];
        if (name_is(field->name, "content-length")) {
            uint64_t length;
            if (!read_length(field->value, &length) || (sized && length != response->left))
                return refuse(response, "bad Content-Length");
            response->left = length;
            sized = true;
        } else if (name_is(field->name, "transfer-encoding")) {
            if (chunked || !name_is(field->value, "chunked"))
                return refuse(response, "unknown Transfer-Encoding");
            chunked = true;
        } else if (name_is(field->name, "connection")) {
            response->keep_alive = name_is(field->value, "keep-alive") ||
                                   (response->keep_alive && !name_is(field->value, "close"));
        }
    }
    if (sized && chunked)
        return refuse(response, "both Content-Length and Transfer-Encoding");
    bool empty = response->without_body || response->code == 204 || response->code == 304 ||
                 (sized && response->left == 0);
    response->state = empty     ? HTTP_COMPLETE
                      : chunked ? HTTP_CHUNK_SIZE
                      : sized   ? HTTP_BODY_SIZED
                                : HTTP_BODY_TO_END;
    response->keep_alive = response->keep_alive && response->state != HTTP_BODY_TO_END;
}

static void read_head(struct http_response *response)
{
    struct bytes rest = buffer_bytes(&response->head), line;
    if (!cut_line(&rest, &line) || !read_status_line(response, line))
        return refuse(response, "not an HTTP/1.1 status line");
    while (cut_line(&rest, &line) && line.size > 0) {
        if (!read_field(response, line))
            return refuse(response, "a malformed header field, or too many");
    }
    if (rest.size > 0)
        return refuse(response, "a malformed header line");
    if (response->code >= 200)
        return begin_body(response);
    if (response->code == 101)
        return refuse(response, "an unasked change of protocol");
    http_response_reset(response, response->without_body); /* 100 Continue: the real one follows */
}

/* Collect up to and with the empty line; returns how many bytes of `input` belong to the head. */
static size_t input_head(struct http_response *response, struct bytes input)
{
    struct buffer *head = &response->head;
    size_t before = head->size, overlap = before < 3 ? before : 3;
    const uint8_t *end = NULL;
    if (before == 0) {
        end = memmem(input.data, input.size, "\r\n\r\n", 4);
        buffer_append(head, input.data, end == NULL ? input.size : (size_t)(end - input.data) + 4);
    } else {
        buffer_append_bytes(head, input);
        if (!head->failed)
            end =
                memmem(head->data + before - overlap, head->size - before + overlap, "\r\n\r\n", 4);
        if (end != NULL)
            head->size = (size_t)(end - head->data) + 4;
    }
    if (head->failed) {
        refuse(response, "a header block above 64 KiB");
        return 0;
    }
    size_t taken = head->size - before;
    if (end != NULL)
        read_head(response);
    return taken;
}

/* --- the body ------------------------------------------------------------------------------- */

static size_t input_body(struct http_response *response, struct bytes input)
{
    size_t size = input.size;
    if (response->state != HTTP_BODY_TO_END && size > response->left)
        size = (size_t)response->left;
    buffer_append(&response->body, input.data, size);
    if (response->body.failed) {
        refuse(response, "a body above the limit");
        return 0;
    }
    if (response->state == HTTP_BODY_TO_END)
        return size;
    response->left -= size;
    if (response->left == 0)
        response->state = response->state == HTTP_CHUNK_DATA ? HTTP_CHUNK_DATA_CR : HTTP_COMPLETE;
    return size;
}

static void step_chunk_size(struct http_response *response, uint8_t c)
{
    int digit = text_hex_digit(c);
    if (digit >= 0 && response->line_size < 15) {
        response->left = response->left * 16 + (uint64_t)digit;
        response->line_size++;
    } else if (digit >= 0 || response->line_size == 0) {
        refuse(response, "a malformed chunk size");
    } else if (c == '\r') {
        response->state = HTTP_CHUNK_SIZE_END;
    } else if (c == ';' || c == ' ' || c == '\t') {
        response->state = HTTP_CHUNK_EXTENSION;
    } else {
        refuse(response, "a malformed chunk size");
    }
}

static void step_chunk_extension(struct http_response *response, uint8_t c)
{
    if (c == '\r')
        response->state = HTTP_CHUNK_SIZE_END;
    else if (c == '\n' || ++response->line_size > LINE_SIZE_MAX)
        refuse(response, "a malformed chunk extension");
}

/* Trailer fields are skipped; an empty line ends them. */
static void step_trailer(struct http_response *response, uint8_t c)
{
    if (c == '\r')
        return;
    if (c != '\n') {
        if (++response->line_size > LINE_SIZE_MAX)
            refuse(response, "a trailer line above 4 KiB");
    } else if (response->line_size == 0) {
        response->state = HTTP_COMPLETE;
    } else if (++response->left > HTTP_FIELDS_MAX) {
        refuse(response, "too many trailer lines");
    } else {
        response->line_size = 0;
    }
}

/* One byte of what stands between the data of chunks. */
static void step_control(struct http_response *response, uint8_t c)
{
    switch (response->state) {
    case HTTP_CHUNK_SIZE:
        return step_chunk_size(response, c);
    case HTTP_CHUNK_EXTENSION:
        return step_chunk_extension(response, c);
    case HTTP_CHUNK_SIZE_END:
        response->line_size = 0;
        response->state = response->left == 0 ? HTTP_TRAILER : HTTP_CHUNK_DATA;
        break;
    case HTTP_CHUNK_DATA_CR:
        response->state = HTTP_CHUNK_DATA_END;
        break;
    case HTTP_CHUNK_DATA_END:
        response->state = HTTP_CHUNK_SIZE;
        break;
    default:
        return step_trailer(response, c);
    }
    if (c != (response->state == HTTP_CHUNK_DATA_END ? '\r' : '\n'))
        refuse(response, "a chunk without its line end");
}

size_t http_response_input(struct http_response *response, struct bytes input)
{
    size_t taken = 0;
    while (taken < input.size && response->state < HTTP_COMPLETE) {
        struct bytes rest = bytes_from(input, taken);
        switch (response->state) {
        case HTTP_HEAD:
            taken += input_head(response, rest);
            break;
        case HTTP_BODY_SIZED:
        case HTTP_BODY_TO_END:
        case HTTP_CHUNK_DATA:
            taken += input_body(response, rest);
            break;
        default:
            step_control(response, rest.data[0]);
            taken++;
        }
    }
    return taken;
}

void http_response_end(struct http_response *response)
{
    if (response->state == HTTP_BODY_TO_END)
        response->state = HTTP_COMPLETE;
    else if (response->state == HTTP_HEAD && response->head.size == 0)
        refuse(response, "the connection was closed without an answer");
    else if (response->state < HTTP_COMPLETE)
        refuse(response, "the connection was closed in the middle of an answer");
}
