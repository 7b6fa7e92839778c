/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/collect/fence_record.h"

#include "codec/varint.h"

enum { FORMAT = 0x81, DOUBT_BITS = 3, KNOWN_BIT = 4, REFILLING_BIT = 8, ALL_BITS = 15 };

void fence_record_encode(const struct fence_record *record, uint8_t ret[FENCE_RECORD_SIZE])
{
    const uint64_t numbers[] = { record->fence.promised, record->fence.committed, record->lifted,
                                 record->counter,        record->stamp,           record->salt };
    ret[0] = FORMAT;
    ret[1] = (uint8_t)(record->fence.doubt | (record->fence.known ? KNOWN_BIT : 0) |
                       (record->refilling ? REFILLING_BIT : 0));
    for (size_t i = 0; i < 6; i++) {
        uint64_t little = htole64(numbers[i]);
        memcpy(ret + 2 + 8 * i, &little, sizeof(little));
    }
}

static bool is_sound(const struct fence *fence)
{
    return fence->committed <= fence->promised && fence->doubt <= FENCE_ALL &&
           (fence->doubt == FENCE_SETTLED || (fence->known && fence->committed < fence->promised));
}

bool fence_record_decode(struct bytes bytes, struct fence_record *ret)
{
    struct reader reader = reader_of(bytes);
    uint8_t format = read_u8(&reader), flags = read_u8(&reader);
    *ret = (struct fence_record){ 0 };
    ret->fence.promised = read_u64(&reader);
    ret->fence.committed = read_u64(&reader);
    ret->lifted = read_u64(&reader);
    ret->counter = read_u64(&reader);
    ret->stamp = read_u64(&reader);
    ret->salt = read_u64(&reader);
    ret->fence.doubt = (enum fence_doubt)(flags & DOUBT_BITS);
    ret->fence.known = (flags & KNOWN_BIT) != 0;
    ret->refilling = (flags & REFILLING_BIT) != 0;
    return reader_finished(&reader) && format == FORMAT && flags <= ALL_BITS &&
           is_sound(&ret->fence);
}
