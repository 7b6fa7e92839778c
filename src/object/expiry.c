/* SPDX-License-Identifier: Apache-2.0 */
/** Deadlines: what an object is at a given time, and a digest that does not depend on when each
 *  replica dropped an expired value.
 *
 *      at its deadline   value --> tombstone of the same dot, stamp and deadline  (object_expire)
 *      dropped           the same, written down
 *
 *  In merge's order the second is above the first (sibling_compare: same dot, tombstone above
 *  value), so a replica that has dropped it wins, and no replica takes the value back. */
#include "base/hash.h"
#include "object/encoding.h"
#include "object/sibling.h"

static bool is_over(const struct sibling *sibling, uint64_t now_ms)
{
    return sibling->deadline_ms != 0 && sibling->deadline_ms <= now_ms && !sibling->tombstone;
}

kvorum_status object_expire(const struct object *object, uint64_t now_ms, struct arena *arena,
                            struct object *ret_object)
{
    struct object result = *object;
    uint32_t over = 0;
    for (uint32_t i = 0; i < object->sibling_count; i++)
        over += is_over(&object->siblings[i], now_ms);
    if (over > 0) {
        result.siblings = arena_allocate(arena, object->sibling_count * sizeof(*result.siblings));
        if (result.siblings == NULL)
            return KVORUM_NO_MEMORY;
        for (uint32_t i = 0; i < object->sibling_count; i++) {
            struct sibling *sibling = &result.siblings[i];
            *sibling = object->siblings[i];
            if (!is_over(sibling, now_ms))
                continue;
            sibling->tombstone = true;
            sibling->metadata_count = 0;
            sibling->value = (struct bytes){ 0 };
        }
    }
    *ret_object = result;
    return KVORUM_OK;
}

/* --- without decoding ------------------------------------------------------------------------ */

/* A sibling's bytes in a format that has deadlines. */
struct head {
    struct bytes front; /* its dot and stamp */
    uint8_t flags;
    uint64_t deadline_ms;
    struct bytes metadata; /* count, and all of them */
    uint64_t value_size;
};

static struct bytes between(const uint8_t *from, const struct reader *reader)
{
    return bytes_make(from, reader->failed ? 0 : (size_t)(reader->rest.data - from));
}

static void skip_clock(struct reader *reader)
{
    uint64_t count = read_varint(reader);
    for (uint64_t i = 0; i < count && !reader->failed; i++) {
        (void)read_u64(reader);
        (void)read_varint(reader);
    }
}

/* All before the siblings but their number, which is returned; 0 where it makes no sense. */
static uint64_t skip_to_siblings(struct reader *reader)
{
    (void)read_u8(reader);
    skip_clock(reader);
    if (read_u8(reader) == 1) {
        (void)read_u64(reader);
        (void)read_varint(reader);
        (void)read_varint(reader);
    }
    uint64_t count = read_varint(reader);
    return reader->failed || count > OBJECT_SIBLING_MAX ? 0 : count;
}

static struct head read_head(struct reader *reader)
{
    struct head head = { 0 };
    const uint8_t *from = reader->rest.data;
    (void)read_varint(reader);
    (void)read_varint(reader);
    (void)read_u64(reader);
    head.front = between(from, reader);
    head.flags = read_u8(reader);
    if ((head.flags & OBJECT_FLAG_EXPIRES) != 0)
        head.deadline_ms = read_u64(reader);
    from = reader->rest.data;
    uint64_t count = read_varint(reader);
    for (uint64_t i = 0; i < count && !reader->failed; i++) {
        (void)read_u8(reader);
        (void)read_sized(reader, SIZE_MAX);
        (void)read_sized(reader, SIZE_MAX);
    }
    head.metadata = between(from, reader);
    head.value_size = read_varint(reader);
    return head;
}

static uint64_t mix(uint64_t digest, struct bytes bytes)
{
    return hash64(bytes, digest);
}

/* Two walks side by side: over the heads, and over the values behind them. */
static uint64_t digest_expiring(struct bytes encoding)
{
    struct reader heads = reader_of(encoding), values;
    uint64_t count = skip_to_siblings(&heads);
    uint64_t digest = mix(OBJECT_FORMAT_EXPIRES, between(encoding.data, &heads));
    values = heads;
    for (uint64_t i = 0; i < count && !values.failed; i++)
        (void)read_head(&values);
    for (uint64_t i = 0; i < count && !heads.failed && !values.failed; i++) {
        struct head head = read_head(&heads);
        struct bytes value = read_bytes(&values, head.value_size);
        uint64_t numbers[] = { head.flags, head.deadline_ms };
        bool expires = head.deadline_ms != 0;
        if (expires)
            numbers[0] &= ~(uint64_t)OBJECT_FLAG_TOMBSTONE;
        digest = mix(mix(digest, head.front), bytes_make(numbers, sizeof(numbers)));
        if (!expires)
            digest = mix(mix(digest, head.metadata), value);
    }
    return heads.failed || values.failed ? hash64(encoding, 0) : digest;
}

static bool may_expire(struct bytes encoding)
{
    return encoding.size > 0 && encoding.data[0] == OBJECT_FORMAT_EXPIRES;
}

uint64_t object_digest(struct bytes encoding)
{
    uint64_t digest = may_expire(encoding) ? digest_expiring(encoding) : hash64(encoding, 0);
    return digest != 0 ? digest : 1;
}

uint64_t object_first_deadline(struct bytes encoding)
{
    if (!may_expire(encoding))
        return 0;
    struct reader reader = reader_of(encoding);
    uint64_t count = skip_to_siblings(&reader), first_ms = 0;
    for (uint64_t i = 0; i < count && !reader.failed; i++) {
        struct head head = read_head(&reader);
        bool counts = head.deadline_ms != 0 && (head.flags & OBJECT_FLAG_TOMBSTONE) == 0;
        if (counts && (first_ms == 0 || head.deadline_ms < first_ms))
            first_ms = head.deadline_ms;
    }
    return reader.failed ? 0 : first_ms;
}
