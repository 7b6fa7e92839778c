/* SPDX-License-Identifier: Apache-2.0 */
/** An object as bytes: on disk, between nodes, under digests.
 *
 *      offset  size      field
 *      0       1         version of the format: the smallest of 1, 2 and 3 that holds the object
 *      1       varint    C, entries of the clock (at most 4,096)
 *              C x       actor     8, little-endian, each above the one before
 *                        counter   varint, at least 1
 *              in versions 2 and 3:
 *                        replaced  1: 1 when `last` follows, else 0
 *                        stamp     8, little-endian  } the newest write that was not kept, which a
 *                        entry, age  as below        } kept one replaced
 *              varint    S, siblings (at most 1,024)
 *              S x       entry     varint, place of the dot's actor in the clock
 *                        age       varint, the entry's counter less the dot's counter
 *                        stamp     8, little-endian
 *                        flags     1: bit 0 tombstone, bit 1 kept (from version 2 on), bit 2
 *                                  expires (version 3), the others 0
 *                        deadline  8, little-endian, wall clock in ms, not 0: where it expires
 *                        count     varint, of metadata (at most 1,024)
 *                        count x   kind    1, not 0
 *                                  name    varint size, bytes
 *                                  value   varint size, bytes
 *                        size      varint, of the value
 *              S x       value     bytes, in the order of the siblings, to the end
 *
 *  Siblings ascend by (actor, counter), varints are in their shortest form and nothing follows, so
 *  an object has one encoding.  A dot is told by the clock it lies under, so a dot that the clock
 *  does not cover cannot be written down; it costs 2 bytes.  Values stand last: a big one is
 *  contiguous, and the rest can be read without touching it.  One sibling and no metadata cost 25
 *  bytes, 26 where it is kept.
 *
 *  At most one sibling is not kept, and none where `last` is written.  Version 1 is for objects
 *  that know of one mode only: no sibling is kept, at most one is there, `last` is not needed; no
 *  sibling of versions 1 and 2 has a deadline, and some sibling of version 3 has.
 *
 *  docs/formats/object.md holds this table for readers of other languages; decode.c reads it.
 */
#include <assert.h>

#include "codec/varint.h"
#include "object/encoding.h"
#include "object/sibling.h"

/* Place in the clock of the actor of `dot`; siblings ascend, so each search starts where the last
 * ended. */
static uint32_t entry_of(const struct clock_vector *clock, struct dot dot, uint32_t from)
{
    while (from < clock->count && clock->entries[from].actor < dot.actor)
        from++;
    assert(from < clock->count && clock->entries[from].actor == dot.actor);
    assert(dot.counter >= 1 && dot.counter <= clock->entries[from].counter);
    return from;
}

uint8_t *dot_pack(uint8_t *at, const struct clock_vector *clock, struct dot dot, uint32_t from,
                  uint32_t *ret_entry)
{
    *ret_entry = entry_of(clock, dot, from);
    at = varint_put(at, *ret_entry);
    return varint_put(at, clock->entries[*ret_entry].counter - dot.counter);
}

size_t dot_packed_size(const struct clock_vector *clock, struct dot dot, uint32_t from,
                       uint32_t *ret_entry)
{
    *ret_entry = entry_of(clock, dot, from);
    return varint_size(*ret_entry) + varint_size(clock->entries[*ret_entry].counter - dot.counter);
}

static size_t sized_size(struct bytes bytes)
{
    return varint_size(bytes.size) + bytes.size;
}

static size_t clock_size(const struct clock_vector *clock)
{
    size_t size = varint_size(clock->count) + 8 * (size_t)clock->count;
    for (uint32_t i = 0; i < clock->count; i++)
        size += varint_size(clock->entries[i].counter);
    return size;
}

static size_t sibling_size(const struct sibling *sibling)
{
    size_t size = 8 + 1 + varint_size(sibling->metadata_count) + sized_size(sibling->value);
    if (sibling->deadline_ms != 0)
        size += 8;
    for (uint32_t i = 0; i < sibling->metadata_count; i++) {
        const struct metadata *metadata = &sibling->metadata[i];
        size += 1 + sized_size(metadata->name) + sized_size(metadata->value);
    }
    return size;
}

size_t write_mark_packed_size(const struct clock_vector *clock, struct write_mark mark)
{
    uint32_t entry;
    return 8 + dot_packed_size(clock, mark.dot, 0, &entry);
}

/* Its newest write that is not kept was replaced, and must be told. */
static bool tells_last(const struct object *object)
{
    return object->last.dot.counter != 0 && object_last(object) == NULL;
}

/* What its bytes depend on, found once for all. */
struct shape {
    uint8_t format;
    bool tells_last;
};

static struct shape shape_of(const struct object *object)
{
    bool tells = tells_last(object), kept = tells, expires = false;
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        kept |= object->siblings[i].kept;
        expires |= object->siblings[i].deadline_ms != 0;
    }
    uint8_t format = expires ? OBJECT_FORMAT_EXPIRES
                     : kept  ? OBJECT_FORMAT_KEPT
                             : OBJECT_FORMAT_LAST;
    return (struct shape){ format, tells };
}

static size_t size_of(const struct object *object, struct shape shape)
{
    size_t size = 1 + clock_size(&object->clock) + varint_size(object->sibling_count);
    if (shape.format != OBJECT_FORMAT_LAST)
        size += 1;
    if (shape.tells_last)
        size += write_mark_packed_size(&object->clock, object->last);
    uint32_t entry = 0;
    for (uint32_t i = 0; i < object->sibling_count; i++)
        size += dot_packed_size(&object->clock, object->siblings[i].dot, entry, &entry) +
                sibling_size(&object->siblings[i]);
    return size;
}

size_t object_encoded_size(const struct object *object)
{
    return size_of(object, shape_of(object));
}

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static uint8_t *put_bytes(uint8_t *at, struct bytes bytes)
{
    if (bytes.size != 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static uint8_t *put_sized(uint8_t *at, struct bytes bytes)
{
    return put_bytes(varint_put(at, bytes.size), bytes);
}

uint8_t *clock_vector_pack(uint8_t *at, const struct clock_vector *clock)
{
    at = varint_put(at, clock->count);
    for (uint32_t i = 0; i < clock->count; i++)
        at = varint_put(put_u64(at, clock->entries[i].actor), clock->entries[i].counter);
    return at;
}

size_t clock_vector_packed_size(const struct clock_vector *clock)
{
    return clock_size(clock);
}

uint8_t *write_mark_pack(uint8_t *at, const struct clock_vector *clock, struct write_mark mark)
{
    uint32_t entry;
    return dot_pack(put_u64(at, mark.stamp), clock, mark.dot, 0, &entry);
}

static uint8_t *put_metadata(uint8_t *at, const struct metadata *metadata)
{
    assert(metadata->kind != 0);
    *at++ = metadata->kind;
    return put_sized(put_sized(at, metadata->name), metadata->value);
}

/* All of a sibling but its dot and its value. */
static uint8_t *put_head(uint8_t *at, const struct sibling *sibling)
{
    at = put_u64(at, sibling->stamp);
    *at++ = (sibling->tombstone ? OBJECT_FLAG_TOMBSTONE : 0) |
            (sibling->kept ? OBJECT_FLAG_KEPT : 0) |
            (sibling->deadline_ms != 0 ? OBJECT_FLAG_EXPIRES : 0);
    if (sibling->deadline_ms != 0)
        at = put_u64(at, sibling->deadline_ms);
    at = varint_put(at, sibling->metadata_count);
    for (uint32_t i = 0; i < sibling->metadata_count; i++)
        at = put_metadata(at, &sibling->metadata[i]);
    return varint_put(at, sibling->value.size);
}

static uint8_t *put_object(uint8_t *at, const struct object *object, struct shape shape)
{
    *at++ = shape.format;
    at = clock_vector_pack(at, &object->clock);
    if (shape.format != OBJECT_FORMAT_LAST)
        *at++ = shape.tells_last;
    if (shape.tells_last)
        at = write_mark_pack(at, &object->clock, object->last);
    at = varint_put(at, object->sibling_count);
    uint32_t entry = 0;
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        at = dot_pack(at, &object->clock, object->siblings[i].dot, entry, &entry);
        at = put_head(at, &object->siblings[i]);
    }
    for (uint32_t i = 0; i < object->sibling_count; i++)
        at = put_bytes(at, object->siblings[i].value);
    return at;
}

void object_encode(const struct object *object, struct buffer *buffer)
{
    struct shape shape = shape_of(object);
    size_t size = size_of(object, shape);
    uint8_t *at = buffer_reserve(buffer, size);
    if (at == NULL)
        return;
    uint8_t *end = put_object(at, object, shape);
    assert((size_t)(end - at) == size);
    buffer->size += size;
}

kvorum_status object_encode_in(const struct object *object, struct arena *arena,
                               struct bytes *ret_encoding)
{
    struct shape shape = shape_of(object);
    size_t size = size_of(object, shape);
    uint8_t *memory = arena_allocate(arena, size);
    if (memory == NULL)
        return KVORUM_NO_MEMORY;
    uint8_t *end = put_object(memory, object, shape);
    assert((size_t)(end - memory) == size);
    *ret_encoding = bytes_make(memory, size);
    return KVORUM_OK;
}
