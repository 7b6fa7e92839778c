/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/wire.h"

#include "cli/http_client.h"

enum { RESP_LINE_MAX = 64 * 1024, RESP_DEPTH_MAX = 8 };

/* --- RESP ------------------------------------------------------------------------------------ */

static void append_bulk(struct buffer *out, struct bytes text)
{
    char head[32], *at = head + sizeof(head);
    size_t number = text.size;
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    *--at = '$';
    buffer_append(out, at, (size_t)(head + sizeof(head) - at));
    buffer_append_bytes(out, text);
    buffer_append(out, "\r\n", 2);
}

static void resp_append_get(const struct wire_settings *settings, struct bytes key,
                            struct buffer *out)
{
    (void)settings;
    buffer_append(out, "*2\r\n$3\r\nGET\r\n", 13);
    append_bulk(out, key);
}

static void resp_append_set(const struct wire_settings *settings, struct bytes key,
                            struct bytes value, struct buffer *out)
{
    (void)settings;
    buffer_append(out, "*3\r\n$3\r\nSET\r\n", 13);
    append_bulk(out, key);
    append_bulk(out, value);
}

/* The number of a $ or * line; false when it is none. */
static bool read_number(struct bytes line, int64_t *ret)
{
    int64_t number = 0;
    size_t i = line.size > 0 && line.data[0] == '-';
    bool negative = i == 1;
    if (i == line.size || line.size > 18)
        return false;
    for (; i < line.size; i++) {
        if (line.data[i] < '0' || line.data[i] > '9')
            return false;
        number = number * 10 + (line.data[i] - '0');
    }
    *ret = negative ? -number : number;
    return true;
}

static long bulk_size(struct bytes input, size_t line_size, int64_t number)
{
    if (number < 0)
        return number == -1 ? (long)line_size : -1;
    if (number > INT64_C(1) << 31)
        return -1;
    size_t size = line_size + (size_t)number + 2;
    if (input.size < size)
        return 0;
    return input.data[size - 2] == '\r' && input.data[size - 1] == '\n' ? (long)size : -1;
}

static long reply_size(struct bytes input, unsigned depth);

static long array_size(struct bytes input, size_t line_size, int64_t number, unsigned depth)
{
    if (number > 1 << 20 || depth == RESP_DEPTH_MAX)
        return -1;
    size_t size = line_size;
    for (int64_t i = 0; i < number; i++) {
        long one = reply_size(bytes_from(input, size), depth + 1);
        if (one <= 0)
            return one;
        size += (size_t)one;
    }
    return (long)size;
}

static long reply_size(struct bytes input, unsigned depth)
{
    if (input.size == 0)
        return 0;
    const uint8_t *end = memchr(input.data, '\n', input.size);
    if (end == NULL)
        return input.size > RESP_LINE_MAX ? -1 : 0;
    size_t line_size = (size_t)(end - input.data) + 1;
    if (line_size < 3 || end[-1] != '\r')
        return -1;
    uint8_t kind = input.data[0];
    if (kind == '+' || kind == '-' || kind == ':')
        return (long)line_size;
    int64_t number;
    if ((kind != '$' && kind != '*') ||
        !read_number(bytes_make(input.data + 1, line_size - 3), &number))
        return -1;
    return kind == '$' ? bulk_size(input, line_size, number)
                       : array_size(input, line_size, number, depth);
}

long resp_reply_size(struct bytes input)
{
    return reply_size(input, 0);
}

static enum wire_reply resp_reply(struct http_response *response, struct bytes input,
                                  size_t *ret_size)
{
    (void)response;
    long size = resp_reply_size(input);
    *ret_size = size > 0 ? (size_t)size : 0;
    if (size <= 0)
        return size == 0 ? WIRE_MORE : WIRE_BAD;
    if (input.data[0] == '-')
        return WIRE_ERROR;
    return input.data[0] == '$' && input.data[1] == '-' ? WIRE_NOTHING : WIRE_VALUE;
}

const struct wire wire_resp = { "resp", resp_append_get, resp_append_set, resp_reply };

/* --- HTTP ------------------------------------------------------------------------------------ */

static void append_line(const struct wire_settings *settings, const char *method, struct bytes key,
                        const char *query, struct buffer *out)
{
    buffer_append_text(out, method);
    buffer_append_text(out, " /buckets/");
    http_append_encoded(out, bytes_of_string(settings->bucket));
    buffer_append_text(out, "/keys/");
    http_append_encoded(out, key);
    buffer_append_text(out, query);
    buffer_append_text(out, " HTTP/1.1\r\nHost: ");
    buffer_append_text(out, settings->host);
}

static void http_append_get(const struct wire_settings *settings, struct bytes key,
                            struct buffer *out)
{
    append_line(settings, "GET", key, settings->read_query, out);
    buffer_append_text(out, "\r\n\r\n");
}

static void http_append_set(const struct wire_settings *settings, struct bytes key,
                            struct bytes value, struct buffer *out)
{
    append_line(settings, "PUT", key, settings->write_query, out);
    buffer_printf(out, "\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", value.size);
    buffer_append_bytes(out, value);
}

static enum wire_reply http_reply(struct http_response *response, struct bytes input,
                                  size_t *ret_size)
{
    *ret_size = http_response_input(response, input);
    if (response->state == HTTP_BAD)
        return WIRE_BAD;
    if (response->state != HTTP_COMPLETE)
        return WIRE_MORE;
    int code = response->code;
    if (!response->keep_alive)
        return WIRE_BAD;
    http_response_reset(response, false);
    return code == 404 ? WIRE_NOTHING : code < 400 ? WIRE_VALUE : WIRE_ERROR;
}

const struct wire wire_http = { "http", http_append_get, http_append_set, http_reply };
