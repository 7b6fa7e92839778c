/* SPDX-License-Identifier: Apache-2.0 */
/* The address of a key: in memory, in messages, and as a key of a store. */
#include <endian.h>

#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/buckets/drop.h"
#include "node/internal.h"

static struct bytes copy_part(uint8_t **at, struct bytes part)
{
    struct bytes copy = { *at, part.size };
    if (part.size > 0)
        memcpy(*at, part.data, part.size);
    *at += part.size;
    return copy;
}

bool address_copy(struct arena *arena, struct key_address *address)
{
    uint8_t *at =
        arena_allocate(arena, address->type.size + address->bucket.size + address->key.size);
    if (at == NULL)
        return false;
    address->type = copy_part(&at, address->type);
    address->bucket = copy_part(&at, address->bucket);
    address->key = copy_part(&at, address->key);
    return true;
}

/* --- in messages ----------------------------------------------------------------------------- */

void address_pack(const struct key_address *address, Peer__Address *ret)
{
    peer__address__init(ret);
    ret->type = protobuf_data(address->type);
    ret->bucket = protobuf_data(address->bucket);
    ret->key = protobuf_data(address->key);
    ret->generation = address->generation;
}

bool address_unpack(struct node *node, const Peer__Address *from, struct key_address *ret_address)
{
    bool fine = from != NULL &&
                placement_address(node, bytes_make(from->type.data, from->type.len),
                                  bytes_make(from->bucket.data, from->bucket.len),
                                  bytes_make(from->key.data, from->key.len), ret_address) &&
                placement_store(node, ret_address->partition) != NULL;
    if (fine)
        ret_address->generation = from->generation;
    if (fine && PLANTED(GENERATION_NOT_ASKED))
        ret_address->generation = drop_generation(node, ret_address->type, ret_address->bucket);
    return fine;
}

/* --- in stores -------------------------------------------------------------------------------
 *
 *      'o'  partition u16  type size u8  type  bucket size u16  bucket  key        (big-endian)
 *
 * so a partition is a range, a bucket in it too, and its keys are in order.  A bucket that was
 * dropped has the top bit of its size set, and its generation u64 before the key: each generation
 * is a range, and those before the one in force are two, the first and the others. */
enum { GENERATION_FLAG = 0x80, GENERATION_SIZE = 8 };

_Static_assert(NODE_BUCKET_SIZE_MAX < GENERATION_FLAG << 8, "the flag is no size");

static size_t generation_size(const struct key_address *address)
{
    return address->generation == 0 ? 0 : GENERATION_SIZE;
}

struct bytes store_key(struct arena *arena, const struct key_address *address)
{
    size_t generation = generation_size(address);
    size_t size = 6 + address->type.size + address->bucket.size + generation + address->key.size;
    uint8_t *data = arena_allocate(arena, size), *at = data;
    if (data == NULL)
        return (struct bytes){ 0 };
    *at++ = 'o';
    *at++ = (uint8_t)(address->partition >> 8);
    *at++ = (uint8_t)address->partition;
    *at++ = (uint8_t)address->type.size;
    at = bytes_put(at, address->type);
    *at++ = (uint8_t)(address->bucket.size >> 8 | (generation > 0 ? GENERATION_FLAG : 0));
    *at++ = (uint8_t)address->bucket.size;
    at = bytes_put(at, address->bucket);
    uint64_t big = htobe64(address->generation);
    at = bytes_put(at, bytes_make(&big, generation));
    bytes_put(at, address->key);
    return bytes_make(data, size);
}

bool store_key_range(struct arena *arena, uint32_t partition, struct bytes *ret_lower,
                     struct bytes *ret_upper)
{
    uint8_t *bounds = arena_allocate(arena, 6);
    if (bounds == NULL)
        return false;
    const uint8_t both[] = { 'o', (uint8_t)(partition >> 8),       (uint8_t)partition,
                             'o', (uint8_t)((partition + 1) >> 8), (uint8_t)(partition + 1) };
    memcpy(bounds, both, sizeof(both));
    bounds[3] += partition == UINT16_MAX; /* behind it there is no other */
    *ret_lower = bytes_make(bounds, 3);
    *ret_upper = bytes_make(bounds + 3, 3);
    return true;
}

struct bytes store_key_end(struct arena *arena, struct bytes prefix)
{
    struct bytes end;
    if (!arena_copy(arena, prefix, &end))
        return (struct bytes){ 0 };
    uint8_t *data = (uint8_t *)end.data;
    while (data[end.size - 1] == 0xff)
        end.size--;
    data[end.size - 1]++;
    return end;
}

bool store_key_parse(struct bytes key, struct key_address *ret_address)
{
    if (key.size < 6 || key.data[0] != 'o')
        return false;
    size_t type_size = key.data[3];
    if (key.size < 6 + type_size)
        return false;
    const uint8_t *sizes = key.data + 4 + type_size;
    size_t bucket_size = (size_t)(sizes[0] & ~GENERATION_FLAG) << 8 | sizes[1];
    size_t generation = (sizes[0] & GENERATION_FLAG) != 0 ? GENERATION_SIZE : 0;
    uint64_t big = 0;
    if (key.size < 6 + type_size + bucket_size + generation)
        return false;
    memcpy(&big, sizes + 2 + bucket_size, generation);
    ret_address->generation = be64toh(big);
    if (generation > 0 && big == 0)
        return false; /* it would be written without */
    ret_address->partition = (uint32_t)key.data[1] << 8 | key.data[2];
    ret_address->type = bytes_make(key.data + 4, type_size);
    ret_address->bucket = bytes_make(sizes + 2, bucket_size);
    ret_address->key = bytes_from(key, 6 + type_size + bucket_size + generation);
    return true;
}
