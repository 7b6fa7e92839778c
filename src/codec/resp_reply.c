/* SPDX-License-Identifier: Apache-2.0 */
/* Writers of RESP2 replies. */
#include "codec/resp.h"

enum { NUMBER_SIZE_MAX = 20, LINE_SIZE_MAX = 1 + NUMBER_SIZE_MAX + 2, ERROR_SIZE_MAX = 1024 };

static uint8_t *put_number(uint8_t *at, uint64_t number)
{
    uint8_t digits[NUMBER_SIZE_MAX];
    uint8_t *first = digits + sizeof(digits);
    do
        *--first = (uint8_t)('0' + number % 10);
    while ((number /= 10) != 0);
    size_t size = (size_t)(digits + sizeof(digits) - first);
    memcpy(at, first, size);
    return at + size;
}

static uint8_t *put_line(uint8_t *at, char marker, uint64_t number)
{
    *at++ = (uint8_t)marker;
    at = put_number(at, number);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static void write_line(struct buffer *buffer, char marker, uint64_t number)
{
    uint8_t *at = buffer_reserve(buffer, LINE_SIZE_MAX);
    if (at != NULL)
        buffer->size += (size_t)(put_line(at, marker, number) - at);
}

void resp_write_simple(struct buffer *buffer, const char *text)
{
    buffer_append_u8(buffer, '+');
    buffer_append_text(buffer, text);
    buffer_append(buffer, "\r\n", 2);
}

/* One line: a break, and the spaces around it, become one space. */
static void append_as_line(struct buffer *buffer, const char *text)
{
    bool space = false;
    for (size_t i = 0; text[i] != '\0' && i < ERROR_SIZE_MAX; i++) {
        bool is_space = (uint8_t)text[i] <= ' ';
        if (!is_space || !space)
            buffer_append_u8(buffer, is_space ? ' ' : (uint8_t)text[i]);
        space = is_space;
    }
}

void resp_write_error(struct buffer *buffer, const char *code, const char *text)
{
    buffer_append_u8(buffer, '-');
    buffer_append_text(buffer, code);
    buffer_append_u8(buffer, ' ');
    append_as_line(buffer, text);
    buffer_append(buffer, "\r\n", 2);
}

void resp_write_integer(struct buffer *buffer, int64_t value)
{
    if (value >= 0)
        write_line(buffer, ':', (uint64_t)value);
    else
        buffer_printf(buffer, ":%lld\r\n", (long long)value);
}

void resp_write_bulk(struct buffer *buffer, struct bytes value)
{
    uint8_t *start = buffer_reserve(buffer, LINE_SIZE_MAX + value.size + 2);
    if (start == NULL)
        return;
    uint8_t *at = put_line(start, '$', value.size);
    if (value.size > 0)
        memcpy(at, value.data, value.size);
    at += value.size;
    *at++ = '\r';
    *at++ = '\n';
    buffer->size += (size_t)(at - start);
}

void resp_write_text(struct buffer *buffer, const char *text)
{
    resp_write_bulk(buffer, bytes_of_string(text));
}

void resp_write_nil(struct buffer *buffer)
{
    buffer_append(buffer, "$-1\r\n", 5);
}

void resp_write_array(struct buffer *buffer, uint64_t count)
{
    write_line(buffer, '*', count);
}
