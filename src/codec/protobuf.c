/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/protobuf.h"

#include <assert.h>

static void *allocate(void *context, size_t size)
{
    return arena_allocate(context, size);
}

static void leave(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

void protobuf_arena_allocator(struct arena *arena, ProtobufCAllocator *ret)
{
    *ret = (ProtobufCAllocator){ .alloc = allocate, .free = leave, .allocator_data = arena };
}

void protobuf_append(const ProtobufCMessage *message, struct buffer *buffer)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size == 0)
        return;
    uint8_t *at = buffer_reserve(buffer, size);
    if (at == NULL)
        return;
    size_t written = protobuf_c_message_pack(message, at);
    assert(written == size);
    buffer->size += size;
}
