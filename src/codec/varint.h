/* SPDX-License-Identifier: Apache-2.0 */
/** Little readers and writers for binary formats: LEB128 varints and little-endian integers.
 *  A reader never runs past its bytes: the first failure is sticky and reads then give zero. */
#ifndef CODEC_VARINT_H
#define CODEC_VARINT_H

#include "base/buffer.h"

struct reader {
    struct bytes rest;
    bool failed;
};

static inline struct reader reader_of(struct bytes bytes)
{
    return (struct reader){ bytes, false };
}

uint8_t read_u8(struct reader *reader);
uint16_t read_u16(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
/** LEB128, at most 10 bytes, refused when it overflows 64 bits or is not the shortest form. */
uint64_t read_varint(struct reader *reader);
/** The next `size` bytes as a view. */
struct bytes read_bytes(struct reader *reader, uint64_t size);
/** A varint size and that many bytes, refused above `limit`. */
struct bytes read_sized(struct reader *reader, size_t limit);
/** True when nothing failed and nothing is left. */
static inline bool reader_finished(const struct reader *reader)
{
    return !reader->failed && reader->rest.size == 0;
}

void write_u16(struct buffer *buffer, uint16_t value);
void write_u32(struct buffer *buffer, uint32_t value);
void write_u64(struct buffer *buffer, uint64_t value);
void write_varint(struct buffer *buffer, uint64_t value);
void write_sized(struct buffer *buffer, struct bytes bytes);
/** Bytes that write_varint would take: 1 to 10. */
size_t varint_size(uint64_t value);
/** Raw forms for code that packs into its own memory; return the new end. */
uint8_t *varint_put(uint8_t *at, uint64_t value);

#endif
