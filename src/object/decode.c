/* SPDX-License-Identifier: Apache-2.0 */
/** Reads what encode.c describes, and refuses everything encode.c would not write: what is accepted
 *  encodes to the very same bytes.  Counts are held against the bytes that are there before memory
 *  is taken, so damage cannot ask for more than some 15 times its own size. */
#include "base/hash.h"
#include "object/clock_vector.h"
#include "object/encoding.h"

enum { ENTRY_SIZE_MIN = 9, SIBLING_SIZE_MIN = 13, METADATA_SIZE_MIN = 3 };

/* A number of things of at least `size_min` bytes each; more than can follow is damage. */
static uint32_t read_count(struct reader *reader, uint32_t limit, size_t size_min)
{
    uint64_t count = read_varint(reader);
    if (count > limit || count * size_min > reader->rest.size) {
        reader_fail(reader);
        return 0;
    }
    return (uint32_t)count;
}

kvorum_status clock_vector_read(struct reader *reader, struct arena *arena,
                                struct clock_vector *ret_clock)
{
    uint32_t count = read_count(reader, OBJECT_CLOCK_MAX, ENTRY_SIZE_MIN);
    struct dot *entries = arena_allocate(arena, sizeof(*entries) * count);
    if (entries == NULL)
        return KVORUM_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t actor = read_u64(reader);
        entries[i] = (struct dot){ actor, read_varint(reader) };
        if (entries[i].counter == 0 || (i > 0 && actor <= entries[i - 1].actor))
            return KVORUM_CORRUPT;
    }
    *ret_clock = (struct clock_vector){ entries, count };
    return reader->failed ? KVORUM_CORRUPT : KVORUM_OK;
}

static kvorum_status read_metadata(struct reader *reader, struct arena *arena,
                                   struct sibling *sibling)
{
    sibling->metadata_count = read_count(reader, OBJECT_METADATA_MAX, METADATA_SIZE_MIN);
    sibling->metadata = NULL;
    if (sibling->metadata_count == 0)
        return KVORUM_OK;
    sibling->metadata = arena_allocate(arena, sizeof(*sibling->metadata) * sibling->metadata_count);
    if (sibling->metadata == NULL)
        return KVORUM_NO_MEMORY;
    for (uint32_t i = 0; i < sibling->metadata_count; i++) {
        struct metadata *metadata = &sibling->metadata[i];
        metadata->kind = read_u8(reader);
        metadata->name = read_sized(reader, SIZE_MAX);
        metadata->value = read_sized(reader, SIZE_MAX);
        if (metadata->kind == 0)
            return KVORUM_CORRUPT;
    }
    return KVORUM_OK;
}

struct dot dot_read(struct reader *reader, const struct clock_vector *clock)
{
    uint64_t entry = read_varint(reader), age = read_varint(reader);
    if (entry >= clock->count || age >= clock->entries[entry].counter) {
        reader_fail(reader);
        return (struct dot){ 0, 0 };
    }
    return (struct dot){ clock->entries[entry].actor, clock->entries[entry].counter - age };
}

struct write_mark write_mark_read(struct reader *reader, const struct clock_vector *clock)
{
    uint64_t stamp = read_u64(reader);
    return (struct write_mark){ stamp, dot_read(reader, clock) };
}

/* All but the bytes of the value, which follow the last sibling; its size is noted. */
static kvorum_status read_sibling(struct reader *reader, const struct clock_vector *clock,
                                  struct arena *arena, struct sibling *ret)
{
    ret->dot = dot_read(reader, clock);
    ret->stamp = read_u64(reader);
    uint8_t flags = read_u8(reader);
    const uint8_t known = OBJECT_FLAG_TOMBSTONE | OBJECT_FLAG_KEPT | OBJECT_FLAG_EXPIRES;
    bool expires = (flags & OBJECT_FLAG_EXPIRES) != 0;
    ret->deadline_ms = expires ? read_u64(reader) : 0;
    if (reader->failed || (flags & ~known) != 0 || (expires && ret->deadline_ms == 0))
        return KVORUM_CORRUPT;
    ret->tombstone = (flags & OBJECT_FLAG_TOMBSTONE) != 0;
    ret->kept = (flags & OBJECT_FLAG_KEPT) != 0;
    kvorum_status status = read_metadata(reader, arena, ret);
    ret->value = (struct bytes){ NULL, read_varint(reader) };
    return status;
}

static kvorum_status read_siblings(struct reader *reader, struct arena *arena,
                                   struct object *object)
{
    object->sibling_count = read_count(reader, OBJECT_SIBLING_MAX, SIBLING_SIZE_MIN);
    object->siblings = arena_allocate(arena, sizeof(*object->siblings) * object->sibling_count);
    if (object->siblings == NULL)
        return KVORUM_NO_MEMORY;
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        struct sibling *sibling = &object->siblings[i];
        kvorum_status status = read_sibling(reader, &object->clock, arena, sibling);
        if (status != KVORUM_OK)
            return status;
        if (i > 0 && dot_compare(object->siblings[i - 1].dot, sibling->dot) >= 0)
            return KVORUM_CORRUPT;
    }
    for (uint32_t i = 0; i < object->sibling_count; i++)
        object->siblings[i].value = read_bytes(reader, object->siblings[i].value.size);
    return reader_finished(reader) ? KVORUM_OK : KVORUM_CORRUPT;
}

static struct write_mark read_last(struct reader *reader, const struct clock_vector *clock)
{
    uint8_t follows = read_u8(reader);
    if (follows > 1)
        reader_fail(reader);
    return follows == 1 ? write_mark_read(reader, clock) : (struct write_mark){ 0 };
}

/* "At most one sibling is not kept, and none where `last` is written"; and each object in the
 * version that encode.c would choose. */
static bool is_regular(const struct object *object, uint8_t format)
{
    bool follows = object->last.dot.counter != 0;
    uint32_t kept = 0, expiring = 0;
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        kept += object->siblings[i].kept;
        expiring += object->siblings[i].deadline_ms != 0;
    }
    uint32_t others = object->sibling_count - kept + follows;
    bool needs_kept = kept > 0 || follows;
    uint8_t wanted = expiring > 0 ? OBJECT_FORMAT_EXPIRES
                     : needs_kept ? OBJECT_FORMAT_KEPT
                                  : OBJECT_FORMAT_LAST;
    return others <= 1 && format == wanted;
}

kvorum_status object_decode(struct bytes bytes, struct arena *arena, struct object *ret_object)
{
    struct reader reader = reader_of(bytes);
    uint8_t format = read_u8(&reader);
    if (format < OBJECT_FORMAT_LAST || format > OBJECT_FORMAT_EXPIRES)
        return format > OBJECT_FORMAT_EXPIRES ? KVORUM_NEWER_FORMAT : KVORUM_CORRUPT;
    struct object object = { 0 };
    kvorum_status status = clock_vector_read(&reader, arena, &object.clock);
    if (status == KVORUM_OK && format != OBJECT_FORMAT_LAST)
        object.last = read_last(&reader, &object.clock);
    if (status == KVORUM_OK)
        status = read_siblings(&reader, arena, &object);
    if (status == KVORUM_OK && !is_regular(&object, format))
        status = KVORUM_CORRUPT;
    if (status == KVORUM_OK)
        *ret_object = object;
    return status;
}
