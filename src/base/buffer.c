/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){ .limit = limit };
}

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    buffer_init(buffer, buffer->limit);
}

void buffer_reset(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

static size_t grown_capacity(const struct buffer *buffer, size_t need)
{
    size_t capacity = buffer->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buffer->capacity;
    if (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    if (capacity < need)
        capacity = need;
    return capacity < buffer->limit ? capacity : buffer->limit;
}

static bool grow(struct buffer *buffer, size_t size)
{
    if (size > buffer->limit - buffer->size)
        return false;
    size_t capacity = grown_capacity(buffer, buffer->size + size);
    uint8_t *data = realloc(buffer->data, capacity > 0 ? capacity : 1);
    if (data == NULL)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

uint8_t *buffer_reserve_slowly(struct buffer *buffer, size_t size)
{
    assert(buffer->size <= buffer->capacity && buffer->capacity <= buffer->limit);
    if (buffer->failed)
        return NULL;
    if (!grow(buffer, size)) {
        buffer->failed = true;
        return NULL;
    }
    return buffer->data + buffer->size;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        buffer->failed = true;
        return;
    }
    /* vsnprintf ends its text with a NUL, which is not part of ours and may not fit the limit */
    char small[256];
    char *text = (size_t)length < sizeof(small) ? small : malloc((size_t)length + 1);
    if (text == NULL) {
        buffer->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer_append(buffer, text, (size_t)length);
    if (text != small)
        free(text);
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    if (size == 0)
        return;
    buffer->size -= size;
    memmove(buffer->data, buffer->data + size, buffer->size);
}
