/* SPDX-License-Identifier: Apache-2.0 */
/* What the wire tells the history: objects in MERGE frames, under their key. */
#include <stdio.h>

#include "codec/peer.pb-c.h"
#include "codec/protobuf.h"
#include "sim/history.h"

enum { ARENA_LIMIT = 1 << 26 };

static bool key_number(const Peer__Address *address, uint32_t *ret_key)
{
    char name[SIM_KEY_SIZE] = "";
    struct bytes key = protobuf_bytes(address->key);
    if (!bytes_equal(protobuf_bytes(address->bucket), BYTES_LITERAL(SIM_BUCKET)) ||
        key.size >= sizeof(name))
        return false;
    memcpy(name, key.data, key.size);
    return sscanf(name, "key-%5u.", ret_key) == 1;
}

void history_see_merge(struct history *history, const struct message *message)
{
    struct arena arena;
    ProtobufCAllocator allocator;
    struct object object;
    uint32_t key;
    arena_init(&arena, ARENA_LIMIT);
    protobuf_arena_allocator(&arena, &allocator);
    const Peer__Merge *merge =
        peer__merge__unpack(&allocator, message->body.size, message->body.data);
    if (merge == NULL || object_decode(message->tail, &arena, &object) != KVORUM_OK)
        world_fail(history->world, "wire", "a MERGE frame that cannot be decoded was sent");
    else if (key_number(merge->address, &key) && key < history->key_count)
        history_see(history, key, &object);
    arena_done(&arena);
}
