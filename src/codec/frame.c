/* SPDX-License-Identifier: Apache-2.0 */
/* The layout stands in frame.h.  Whatever can be judged from the header is judged before the body is
 * waited for: a stranger cannot make us buffer more than a header. */
#include "codec/frame.h"

#include "base/hash.h"

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

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t take(const uint8_t *at, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
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
    memset(header, 0, FRAME_HEADER_SIZE);
    memcpy(header, magic, sizeof(magic));
    header[AT_KIND] = message->kind;
    put_u32(header + AT_BODY_SIZE, (uint32_t)message->body.size);
    put_u32(header + AT_TAIL_SIZE, (uint32_t)message->tail.size);
    put_u64(header + AT_REQUEST_ID, message->request_id);
    put_u64(header + AT_EPOCH, message->epoch);
    put_u64(header + AT_CHECKSUM, checksum(header, message->body, message->tail));
    buffer->size += FRAME_HEADER_SIZE;
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
    if (take(header + AT_BODY_SIZE, 4) > FRAME_BODY_MAX ||
        take(header + AT_TAIL_SIZE, 4) > tail_limit)
        return KVORUM_TOO_LARGE;
    return KVORUM_OK;
}

static void read_message(struct bytes input, struct message *ret)
{
    size_t body_size = take(input.data + AT_BODY_SIZE, 4);
    *ret = (struct message){
        .kind = input.data[AT_KIND],
        .request_id = take(input.data + AT_REQUEST_ID, 8),
        .epoch = take(input.data + AT_EPOCH, 8),
        .body = bytes_make(input.data + FRAME_HEADER_SIZE, body_size),
        .tail = bytes_make(input.data + FRAME_HEADER_SIZE + body_size,
                           take(input.data + AT_TAIL_SIZE, 4)),
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
    size_t size = FRAME_HEADER_SIZE + take(input.data + AT_BODY_SIZE, 4) +
                  take(input.data + AT_TAIL_SIZE, 4);
    if (input.size < size) {
        *ret_size = size;
        return KVORUM_TIMEOUT;
    }
    struct message message;
    read_message(input, &message);
    if (take(input.data + AT_CHECKSUM, 8) != checksum(input.data, message.body, message.tail))
        return KVORUM_CORRUPT;
    *ret_message = message;
    *ret_size = size;
    return KVORUM_OK;
}
