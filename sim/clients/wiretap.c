/* SPDX-License-Identifier: Apache-2.0 */
/* What the wire tells the history: objects in MERGE frames, under their key. */
#include "codec/peer.pb-c.h"
#include "codec/protobuf.h"
#include "sim/clients/history.h"

enum { ARENA_LIMIT = 1 << 26 };

static bool key_number(const Peer__Address *address, uint32_t *ret_key)
{
    return bytes_equal(protobuf_bytes(address->bucket), BYTES_LITERAL(SIM_BUCKET)) &&
           history_key_number(protobuf_bytes(address->key), ret_key);
}

static void narrate(const struct history *history, const Peer__Merge *merge, uint32_t key,
                    const struct object *object)
{
    if (!history->world->tracing)
        return;
    world_trace(history->world, "  merge of key %u, %u versions%s%.0u", key, object->sibling_count,
                merge->stand_in ? ", in the place of n" : "", merge->stand_in ? merge->owner : 0);
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        world_trace(history->world, "    (%llx, %llu) at %llx%s %.*s",
                    (unsigned long long)sibling->dot.actor,
                    (unsigned long long)sibling->dot.counter, (unsigned long long)sibling->stamp,
                    sibling->kept ? " kept" : "",
                    (int)(sibling->tombstone        ? 9
                          : sibling->value.size < 9 ? sibling->value.size
                                                    : 9),
                    sibling->tombstone ? "tombstone" : (const char *)sibling->value.data);
    }
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
    else if (key_number(merge->address, &key) && key < history->key_count) {
        narrate(history, merge, key, &object);
        history_see(history, key, &object);
    }
    arena_done(&arena);
}
