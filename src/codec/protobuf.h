/* SPDX-License-Identifier: Apache-2.0 */
/** protobuf-c messages decoded into an arena: no malloc, no unpack-free pairs. */
#ifndef CODEC_PROTOBUF_H
#define CODEC_PROTOBUF_H

#include "base/arena.h"
#include "base/buffer.h"

#include <protobuf-c/protobuf-c.h>

/** An allocator that cuts from `arena` and frees nothing: what it unpacks lives as long as the
 *  arena's content, and *_free_unpacked is not called.  At the arena's limit unpack returns NULL.
 */
void protobuf_arena_allocator(struct arena *arena, ProtobufCAllocator *ret);

/** Append the packed `message` to `buffer`; check buffer->failed. */
void protobuf_append(const ProtobufCMessage *message, struct buffer *buffer);

static inline ProtobufCBinaryData protobuf_data(struct bytes bytes)
{
    return (ProtobufCBinaryData){ bytes.size, (uint8_t *)bytes.data };
}

static inline struct bytes protobuf_bytes(ProtobufCBinaryData data)
{
    return (struct bytes){ data.data, data.len };
}

#endif
