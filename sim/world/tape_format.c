/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a tape: docs/formats/tape.md. */
#include "base/hash.h"
#include "codec/varint.h"
#include "sim/world/tape.h"

enum { VERSION = '1', CHECKSUM_SIZE = 8 };

static const char magic[] = { 'K', 'V', 'T' };

/* --- writing --------------------------------------------------------------------------------- */

static void encode_span(const struct tape_stream *stream, size_t span, struct buffer *buffer)
{
    size_t from = stream->starts[span], to = tape_span_end(stream, span);
    write_varint(buffer, to - from);
    for (size_t i = from; i < to; i++)
        write_varint(buffer, stream->choices[i]);
}

static void encode_stream(const struct tape_stream *stream, struct buffer *buffer)
{
    write_varint(buffer, stream->span_count);
    for (size_t span = 0; span < stream->span_count; span++)
        encode_span(stream, span, buffer);
}

void tape_encode(const struct tape_header *header, const struct tape *tape, struct buffer *buffer)
{
    size_t start = buffer->size;
    buffer_append(buffer, magic, sizeof(magic));
    buffer_append_u8(buffer, VERSION);
    write_u64(buffer, header->seed);
    write_u64(buffer, header->trace_hash);
    write_u32(buffer, header->operation_count);
    buffer_append_u8(buffer, run_kinds[header->kind].tape_code);
    write_sized(buffer, bytes_of_string(header->bug));
    write_sized(buffer, bytes_of_string(header->checker));
    buffer_append_u8(buffer, STREAM_COUNT);
    for (int i = 0; i < STREAM_COUNT; i++)
        encode_stream(&tape->streams[i], buffer);
    write_u64(buffer, hash64(bytes_from(buffer_bytes(buffer), start), 0));
}

/* --- reading --------------------------------------------------------------------------------- */

static void decode_name(struct reader *reader, char ret_name[TAPE_NAME_MAX + 1])
{
    struct bytes name = read_sized(reader, TAPE_NAME_MAX);
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (c != '-' && (c < 'a' || c > 'z'))
            reader_fail(reader);
    }
    if (!reader->failed && name.size > 0)
        memcpy(ret_name, name.data, name.size);
}

/* Each span and each choice takes at least a byte, so memory is bounded by the file. */
static void decode_stream(struct reader *reader, struct tape *tape, enum stream stream)
{
    uint64_t spans = read_varint(reader);
    for (uint64_t span = 0; span < spans && !reader->failed; span++) {
        uint64_t count = read_varint(reader);
        if (reader->failed)
            return;
        tape_begin_span(tape, stream);
        for (uint64_t i = 0; i < count && !reader->failed; i++)
            tape_record(tape, stream, read_varint(reader));
    }
}

static kvorum_status check_frame(struct bytes bytes, const char **ret_why)
{
    *ret_why = "is larger than any tape";
    if (bytes.size > TAPE_SIZE_MAX)
        return KVORUM_TOO_LARGE;
    *ret_why = "is not a tape of kvorum-sim";
    if (bytes.size < sizeof(magic) + 1 || memcmp(bytes.data, magic, sizeof(magic)) != 0)
        return KVORUM_FOREIGN;
    *ret_why = "was written by a newer release of kvorum-sim";
    if (bytes.data[sizeof(magic)] != VERSION)
        return KVORUM_NEWER_FORMAT;
    *ret_why = "is truncated or damaged (checksum)";
    if (bytes.size < sizeof(magic) + 1 + CHECKSUM_SIZE)
        return KVORUM_CORRUPT;
    struct bytes body = bytes_make(bytes.data, bytes.size - CHECKSUM_SIZE);
    struct reader end = reader_of(bytes_from(bytes, body.size));
    return read_u64(&end) == hash64(body, 0) ? KVORUM_OK : KVORUM_CORRUPT;
}

static void decode_header(struct reader *reader, struct tape_header *ret)
{
    ret->seed = read_u64(reader);
    ret->trace_hash = read_u64(reader);
    ret->operation_count = read_u32(reader);
    if (!kind_of_tape(read_u8(reader), &ret->kind))
        reader_fail(reader);
    decode_name(reader, ret->bug);
    decode_name(reader, ret->checker);
}

kvorum_status tape_decode(struct bytes bytes, struct tape_header *ret_header, struct tape *ret_tape,
                          const char **ret_why)
{
    kvorum_status status = check_frame(bytes, ret_why);
    if (status != KVORUM_OK)
        return status;
    struct reader reader = reader_of(
        bytes_make(bytes.data + sizeof(magic) + 1, bytes.size - sizeof(magic) - 1 - CHECKSUM_SIZE));
    struct tape_header header = { 0 };
    struct tape tape = { 0 };
    decode_header(&reader, &header);
    *ret_why = "holds values out of range";
    if (reader.failed)
        return KVORUM_CORRUPT;
    *ret_why = "has other streams than this kvorum-sim";
    if (read_u8(&reader) != STREAM_COUNT)
        return KVORUM_CORRUPT;
    for (int i = 0; i < STREAM_COUNT; i++)
        decode_stream(&reader, &tape, (enum stream)i);
    if (!reader_finished(&reader)) {
        *ret_why = "holds values out of range";
        tape_done(&tape);
        return KVORUM_CORRUPT;
    }
    *ret_header = header;
    *ret_tape = tape;
    return KVORUM_OK;
}
