/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a peer: a stream of any bytes is read to its end; what is accepted must encode to the
 * very same bytes, and its body must survive the decoder of its kind. */
#include "codec/frame.h"
#include "codec/peer.pb-c.h"
#include "codec/protobuf.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TAIL_LIMIT = 1 << 16, ARENA_LIMIT = 1 << 22 };

static void decode_body(const struct message *message)
{
    struct arena arena;
    arena_init(&arena, ARENA_LIMIT);
    ProtobufCAllocator allocator;
    protobuf_arena_allocator(&arena, &allocator);
    size_t size = message->body.size;
    const uint8_t *body = message->body.data;
    peer__hello__unpack(&allocator, size, body);
    peer__join__unpack(&allocator, size, body);
    peer__join_answer__unpack(&allocator, size, body);
    peer__merge__unpack(&allocator, size, body);
    peer__forward__unpack(&allocator, size, body);
    peer__list__unpack(&allocator, size, body);
    peer__list_answer__unpack(&allocator, size, body);
    arena_done(&arena);
}

static void encode_again(const struct message *message, struct bytes original)
{
    struct buffer buffer;
    buffer_init(&buffer, original.size);
    frame_encode(message, &buffer);
    assert(!buffer.failed && bytes_equal(buffer_bytes(&buffer), original));
    buffer_done(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_make(data, size);
    struct message message;
    size_t used = 0;
    kvorum_status status = KVORUM_OK;
    while (status == KVORUM_OK) {
        status = frame_decode(input, TAIL_LIMIT, &message, &used);
        if (status != KVORUM_OK)
            break;
        assert(used >= FRAME_HEADER_SIZE && used <= input.size);
        encode_again(&message, bytes_make(input.data, used));
        decode_body(&message);
        input = bytes_from(input, used);
    }
    assert(status != KVORUM_TIMEOUT || used > input.size);
    return 0;
}
