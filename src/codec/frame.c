/* SPDX-License-Identifier: Apache-2.0 */
/* The layout stands in frame.h.  Whatever can be judged from the header is judged before the body
 * is waited for: a stranger cannot make us buffer more than a header. */
#include "codec/frame.h"

#include "base/hash.h"
#include "codec/varint.h"

#include <assert.h>

enum {
    AT_KIND = 4,
    AT_ZERO = 5,
    AT_BODY_SIZE = 8,
    AT_TAIL_SIZE = 12,
    AT_REQUEST_ID = 16,
    AT_EPOCH = 24,
    AT_CHECKSUM = 32,
    MAGIC_SIZE = 3,
    MAGIC_AND_VERSION_SIZE = 4,
};

static const char magic[MAGIC_AND_VERSION_SIZE] = { 'K', 'V', 'F', '1' };

const char *message_kind_name(uint8_t kind)
{
    switch (kind) {
#define X(name, number)                                                                            \
    case (number):                                                                                 \
        return #name;
        MESSAGE_KIND_LIST(X)
#undef X
    default:
        return "?";
    }
}

/* --- integers ------------------------------------------------------------------------------ */

static uint32_t u32_at(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t u64_at(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

/* --- frames -------------------------------------------------------------------------------- */

static uint64_t checksum(const uint8_t *header, struct bytes body, struct bytes tail)
{
    const struct bytes parts[] = { bytes_make(header, AT_CHECKSUM), body, tail };
    return hash64_parts(parts, 3, 0);
}

void frame_encode(const struct message *message, struct buffer *buffer)
{
    assert(message->body.size <= FRAME_BODY_MAX && message->tail.size <= UINT32_MAX);
    uint8_t *header =
        buffer_reserve(buffer, FRAME_HEADER_SIZE + message->body.size + message->tail.size);
    if (header == NULL)
        return;
    const uint8_t kind_and_zero[] = { message->kind, 0, 0, 0 };
    buffer_append(buffer, magic, sizeof(magic));
    buffer_append(buffer, kind_and_zero, sizeof(kind_and_zero));
    write_u32(buffer, (uint32_t)message->body.size);
    write_u32(buffer, (uint32_t)message->tail.size);
    write_u64(buffer, message->request_id);
    write_u64(buffer, message->epoch);
    write_u64(buffer, checksum(header, message->body, message->tail));
    buffer_append_bytes(buffer, message->body);
    buffer_append_bytes(buffer, message->tail);
}

static kvorum_status check_magic(struct bytes input)
{
    size_t size = input.size < MAGIC_SIZE ? input.size : MAGIC_SIZE;
    if (size > 0 && memcmp(input.data, magic, size) != 0)
        return KVORUM_FOREIGN;
    if (input.size > MAGIC_SIZE && input.data[MAGIC_SIZE] != (uint8_t)magic[MAGIC_SIZE])
        return KVORUM_NEWER_FORMAT;
    return KVORUM_OK;
}

static kvorum_status check_header(const uint8_t *header, size_t tail_limit)
{
    for (int i = AT_ZERO; i < AT_BODY_SIZE; i++) {
        if (header[i] != 0)
            return KVORUM_CORRUPT;
    }
    if (message_kind_name(header[AT_KIND])[0] == '?')
        return KVORUM_CORRUPT;
    if (u32_at(header + AT_BODY_SIZE) > FRAME_BODY_MAX ||
        u32_at(header + AT_TAIL_SIZE) > tail_limit)
        return KVORUM_TOO_LARGE;
    return KVORUM_OK;
}

static void read_message(struct bytes input, struct message *ret)
{
    size_t body_size = u32_at(input.data + AT_BODY_SIZE);
    *ret = (struct message){
        .kind = input.data[AT_KIND],
        .request_id = u64_at(input.data + AT_REQUEST_ID),
        .epoch = u64_at(input.data + AT_EPOCH),
        .body = bytes_make(input.data + FRAME_HEADER_SIZE, body_size),
        .tail = bytes_make(input.data + FRAME_HEADER_SIZE + body_size,
                           u32_at(input.data + AT_TAIL_SIZE)),
    };
}

kvorum_status frame_decode(struct bytes input, size_t tail_limit, struct message *ret_message,
                           size_t *ret_size)
{
    kvorum_status status = check_magic(input);
    if (status != KVORUM_OK)
        return status;
    if (input.size < FRAME_HEADER_SIZE) {
        *ret_size = FRAME_HEADER_SIZE;
        return KVORUM_TIMEOUT;
    }
    status = check_header(input.data, tail_limit);
    if (status != KVORUM_OK)
        return status;
    size_t size = FRAME_HEADER_SIZE + (size_t)u32_at(input.data + AT_BODY_SIZE) +
                  u32_at(input.data + AT_TAIL_SIZE);
    if (input.size < size) {
        *ret_size = size;
        return KVORUM_TIMEOUT;
    }
    struct message message;
    read_message(input, &message);
    if (u64_at(input.data + AT_CHECKSUM) != checksum(input.data, message.body, message.tail))
        return KVORUM_CORRUPT;
    *ret_message = message;
    *ret_size = size;
    return KVORUM_OK;
}
