/* SPDX-License-Identifier: Apache-2.0 */
/** What a client carries from a read to its next write.
 *
 *      offset  size      field
 *      0       1         version of the format: 1, or 2 where `last` follows the clock
 *      1       8         largest stamp of the object, little-endian
 *      9                 clock, as in an object (encode.c)
 *                        last, in version 2: the object's newest write that is not kept, there or
 *                        replaced, as in an object: stamp, entry, age
 *      end-4   4         checksum: low half of the hash of all before, little-endian
 *
 *  The checksum is no secret; it tells what another store, or a client's truncation, has made of a
 *  header.  One object state gives one text.  23 bytes for one actor, 9 or more for each further,
 *  10 or more for `last`.
 */
#include <assert.h>

#include "base/hash.h"
#include "object/encoding.h"

enum {
    FORMAT_PLAIN = 1,
    FORMAT_LAST = 2,
    HEAD_SIZE = 9,
    CHECKSUM_SIZE = 4,
    CHECKSUM_SEED = 0x63747874
};

static uint32_t checksum(struct bytes bytes)
{
    return htole32((uint32_t)hash64(bytes, CHECKSUM_SEED));
}

void context_encode(const struct object *object, struct buffer *buffer)
{
    struct object_context context = object_context_of(object);
    bool tells_last = context.last.dot.counter != 0;
    size_t body_size = HEAD_SIZE + clock_vector_packed_size(&context.clock);
    if (tells_last)
        body_size += write_mark_packed_size(&context.clock, context.last);
    uint8_t *at = buffer_reserve(buffer, body_size + CHECKSUM_SIZE);
    if (at == NULL)
        return;
    uint64_t stamp = htole64(context.stamp);
    at[0] = tells_last ? FORMAT_LAST : FORMAT_PLAIN;
    memcpy(at + 1, &stamp, sizeof(stamp));
    uint8_t *end = clock_vector_pack(at + HEAD_SIZE, &context.clock);
    if (tells_last)
        end = write_mark_pack(end, &context.clock, context.last);
    assert((size_t)(end - at) == body_size);
    uint32_t sum = checksum(bytes_make(at, body_size));
    memcpy(end, &sum, sizeof(sum));
    buffer->size += body_size + CHECKSUM_SIZE;
}

static bool checksum_holds(struct bytes bytes)
{
    struct bytes body = { bytes.data, bytes.size - CHECKSUM_SIZE };
    uint32_t sum = checksum(body);
    return memcmp(bytes.data + body.size, &sum, sizeof(sum)) == 0;
}

kvorum_status context_decode(struct bytes bytes, struct arena *arena,
                             struct object_context *ret_context)
{
    if (bytes.size <= HEAD_SIZE + CHECKSUM_SIZE || !checksum_holds(bytes))
        return KVORUM_CORRUPT;
    struct reader reader = reader_of((struct bytes){ bytes.data, bytes.size - CHECKSUM_SIZE });
    uint8_t format = read_u8(&reader);
    if (format != FORMAT_PLAIN && format != FORMAT_LAST)
        return KVORUM_CORRUPT;
    struct object_context context = { .stamp = read_u64(&reader) };
    kvorum_status status = clock_vector_read(&reader, arena, &context.clock);
    if (status != KVORUM_OK)
        return status;
    if (format == FORMAT_LAST)
        context.last = write_mark_read(&reader, &context.clock);
    if (!reader_finished(&reader) || context.last.stamp > context.stamp)
        return KVORUM_CORRUPT;
    *ret_context = context;
    return KVORUM_OK;
}
