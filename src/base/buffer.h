/* SPDX-License-Identifier: Apache-2.0 */
/** A growing byte buffer with a limit: output of encoders, queues of sockets.
 *
 *  Failure is sticky: once an append could not be kept (limit or memory), `failed` stays set, later
 *  appends do nothing, and the caller checks once at the end.  Thread: one at a time. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/bytes.h"

struct buffer {
    uint8_t *data;
    size_t size, capacity, limit;
    bool failed;
};

/** Empty buffer that may hold `limit` bytes; capacity doubles, and never passes the limit. */
void buffer_init(struct buffer *buffer, size_t limit);
/** Free the memory; the buffer is then as after init. */
void buffer_done(struct buffer *buffer);
/** Size 0 and not failed, memory kept. */
void buffer_reset(struct buffer *buffer);

uint8_t *buffer_reserve_slowly(struct buffer *buffer, size_t size); /* for buffer_reserve only */

/** Room for `size` more bytes at the end, to be filled by the caller, who then adds to `size`;
 *  NULL (and failed) at the limit. */
static inline uint8_t *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (buffer->failed || buffer->data == NULL || size > buffer->capacity - buffer->size)
        return buffer_reserve_slowly(buffer, size);
    return buffer->data + buffer->size;
}

static inline void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    uint8_t *at = buffer_reserve(buffer, size);
    if (at == NULL)
        return;
    memcpy(at, data, size);
    buffer->size += size;
}

static inline void buffer_append_bytes(struct buffer *buffer, struct bytes bytes)
{
    buffer_append(buffer, bytes.data, bytes.size);
}

static inline void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

static inline void buffer_append_u8(struct buffer *buffer, uint8_t value)
{
    buffer_append(buffer, &value, 1);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Drop the first `size` bytes, moving the rest to the front. */
void buffer_consume(struct buffer *buffer, size_t size);

static inline struct bytes buffer_bytes(const struct buffer *buffer)
{
    return (struct bytes){ buffer->data, buffer->size };
}

#endif
