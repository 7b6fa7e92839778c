/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/varint.h"

uint64_t read_varint_slowly(struct reader *reader)
{
    uint64_t value = 0;
    for (size_t i = 0; i < reader->rest.size && i < 10; i++) {
        uint8_t byte = reader->rest.data[i];
        if (i == 9 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte >= 0x80)
            continue;
        if (byte == 0 && i > 0)
            break;
        reader->rest = bytes_from(reader->rest, i + 1);
        return value;
    }
    reader_fail(reader);
    return 0;
}

void write_varint(struct buffer *buffer, uint64_t value)
{
    size_t size = varint_size(value);
    uint8_t *at = buffer_reserve(buffer, size);
    if (at == NULL)
        return;
    varint_put(at, value);
    buffer->size += size;
}

void write_sized(struct buffer *buffer, struct bytes bytes)
{
    write_varint(buffer, bytes.size);
    buffer_append_bytes(buffer, bytes);
}
