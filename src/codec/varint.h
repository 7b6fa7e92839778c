/* SPDX-License-Identifier: Apache-2.0 */
/** Little readers and writers for binary formats: LEB128 varints and little-endian integers.
 *  A reader never runs past its bytes: the first failure is sticky and reads then give zero. */
#ifndef CODEC_VARINT_H
#define CODEC_VARINT_H

#include <endian.h>

#include "base/buffer.h"

struct reader {
    struct bytes rest;
    bool failed;
};

static inline struct reader reader_of(struct bytes bytes)
{
    return (struct reader){ bytes, false };
}

/** Note a failure: nothing is left to read. */
static inline void reader_fail(struct reader *reader)
{
    *reader = (struct reader){ .failed = true };
}

/** True when nothing failed and nothing is left. */
static inline bool reader_finished(const struct reader *reader)
{
    return !reader->failed && reader->rest.size == 0;
}

/** The next `size` bytes as a view. */
static inline struct bytes read_bytes(struct reader *reader, uint64_t size)
{
    if (size > reader->rest.size) {
        reader_fail(reader);
        return (struct bytes){ 0 };
    }
    struct bytes taken = { reader->rest.data, size };
    reader->rest = bytes_from(reader->rest, size);
    return taken;
}

static inline uint8_t read_u8(struct reader *reader)
{
    struct bytes taken = read_bytes(reader, 1);
    return taken.size == 0 ? 0 : taken.data[0];
}

static inline uint16_t read_u16(struct reader *reader)
{
    uint16_t value = 0;
    struct bytes taken = read_bytes(reader, sizeof(value));
    if (taken.size != 0)
        memcpy(&value, taken.data, sizeof(value));
    return le16toh(value);
}

static inline uint32_t read_u32(struct reader *reader)
{
    uint32_t value = 0;
    struct bytes taken = read_bytes(reader, sizeof(value));
    if (taken.size != 0)
        memcpy(&value, taken.data, sizeof(value));
    return le32toh(value);
}

static inline uint64_t read_u64(struct reader *reader)
{
    uint64_t value = 0;
    struct bytes taken = read_bytes(reader, sizeof(value));
    if (taken.size != 0)
        memcpy(&value, taken.data, sizeof(value));
    return le64toh(value);
}

uint64_t read_varint_slowly(struct reader *reader); /* for read_varint only */

/** LEB128, at most 10 bytes, refused when it overflows 64 bits or is not the shortest form. */
static inline uint64_t read_varint(struct reader *reader)
{
    if (reader->rest.size == 0 || reader->rest.data[0] >= 0x80)
        return read_varint_slowly(reader);
    uint8_t value = reader->rest.data[0];
    reader->rest = bytes_from(reader->rest, 1);
    return value;
}

/** A varint size and that many bytes, refused above `limit`. */
static inline struct bytes read_sized(struct reader *reader, size_t limit)
{
    uint64_t size = read_varint(reader);
    return read_bytes(reader, size <= limit ? size : UINT64_MAX);
}

/** Bytes that write_varint would take: 1 to 10. */
static inline size_t varint_size(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

/** Raw form for code that packs into its own memory; returns the new end. */
static inline uint8_t *varint_put(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline void write_u16(struct buffer *buffer, uint16_t value)
{
    value = htole16(value);
    buffer_append(buffer, &value, sizeof(value));
}

static inline void write_u32(struct buffer *buffer, uint32_t value)
{
    value = htole32(value);
    buffer_append(buffer, &value, sizeof(value));
}

static inline void write_u64(struct buffer *buffer, uint64_t value)
{
    value = htole64(value);
    buffer_append(buffer, &value, sizeof(value));
}

void write_varint(struct buffer *buffer, uint64_t value);
void write_sized(struct buffer *buffer, struct bytes bytes);

#endif
