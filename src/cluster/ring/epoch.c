/* SPDX-License-Identifier: Apache-2.0 */
/* The epoch record, on disk and on the wire.  Integers little-endian, "sized": varint size and
 * bytes.
 *
 *      offset size
 *       0     4    magic "KVE1" (the format version is its last byte)
 *       4     8    epoch number, from 1
 *      12    16    cluster id
 *      28     8    seed of the key hash
 *      36     4    partitions Q, a power of two
 *      40     1    replicas a partition R
 *      41     2    members M
 *      43          M times, by ascending id: id 16, weight u32, name sized, zone sized,
 *                  address sized
 *                  Q * R member indices u16, partition by partition
 *      end-8  8    XXH3-64 of all before
 */
#include <string.h>

#include "base/hash.h"
#include "cluster/ring/ring.h"
#include "codec/varint.h"

static const uint8_t magic[4] = { 'K', 'V', 'E', '1' };

void epoch_encode(const struct epoch *epoch, struct buffer *buffer)
{
    size_t start = buffer->size;
    buffer_append(buffer, magic, sizeof(magic));
    write_u64(buffer, epoch->number);
    buffer_append(buffer, epoch->cluster.bytes, NODE_ID_SIZE);
    write_u64(buffer, epoch->hash_seed);
    write_u32(buffer, epoch->partition_count);
    buffer_append_u8(buffer, epoch->replica_count);
    write_u16(buffer, epoch->member_count);
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        const struct member *member = &epoch->members[i];
        buffer_append(buffer, member->id.bytes, NODE_ID_SIZE);
        write_u32(buffer, member->weight);
        write_sized(buffer, bytes_of_string(member->name));
        write_sized(buffer, bytes_of_string(member->zone));
        write_sized(buffer, bytes_of_string(member->address));
    }
    size_t places = (size_t)epoch->partition_count * epoch->replica_count;
    for (size_t i = 0; i < places; i++)
        write_u16(buffer, epoch->table[i]);
    if (!buffer->failed)
        write_u64(buffer, hash64(bytes_from(buffer_bytes(buffer), start), 0));
}

static bool read_id(struct reader *reader, struct node_id *ret)
{
    struct bytes id = read_bytes(reader, NODE_ID_SIZE);
    if (reader->failed)
        return false;
    memcpy(ret->bytes, id.data, NODE_ID_SIZE);
    return true;
}

static bool read_text(struct reader *reader, size_t limit, char *ret)
{
    struct bytes text = read_sized(reader, limit);
    if (reader->failed || text.size == 0 || memchr(text.data, 0, text.size) != NULL)
        return false;
    memcpy(ret, text.data, text.size);
    ret[text.size] = 0;
    return true;
}

/* Text for people and for a resolver: visible ASCII. */
static bool is_address(const char *text)
{
    for (; *text != 0; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static bool read_member(struct reader *reader, struct member *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (!read_id(reader, &ret->id))
        return false;
    ret->weight = read_u32(reader);
    return read_text(reader, RING_NAME_MAX, ret->name) &&
           read_text(reader, RING_NAME_MAX, ret->zone) &&
           read_text(reader, RING_ADDRESS_MAX, ret->address) && ring_name_valid(ret->name) &&
           ring_name_valid(ret->zone) && is_address(ret->address) && ret->weight >= 1 &&
           ret->weight <= 10000;
}

static bool read_shape(struct reader *reader, struct epoch *ret)
{
    ret->number = read_u64(reader);
    if (!read_id(reader, &ret->cluster))
        return false;
    ret->hash_seed = read_u64(reader);
    ret->partition_count = read_u32(reader);
    ret->replica_count = read_u8(reader);
    ret->member_count = read_u16(reader);
    uint32_t partitions = ret->partition_count;
    return !reader->failed && ret->number >= 1 && partitions >= 1 &&
           partitions <= RING_PARTITIONS_MAX && (partitions & (partitions - 1)) == 0 &&
           ret->replica_count >= 1 && ret->replica_count <= RING_REPLICAS_MAX &&
           ret->member_count >= 1 && ret->member_count <= RING_MEMBERS_MAX &&
           ret->replica_count <= ret->member_count;
}

static bool read_members(struct reader *reader, struct epoch *epoch)
{
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        if (!read_member(reader, &epoch->members[i]))
            return false;
        if (i > 0 &&
            memcmp(epoch->members[i - 1].id.bytes, epoch->members[i].id.bytes, NODE_ID_SIZE) >= 0)
            return false;
    }
    return true;
}

static bool read_table(struct reader *reader, struct epoch *epoch)
{
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        uint16_t *row = epoch->table + (size_t)p * epoch->replica_count;
        for (uint8_t c = 0; c < epoch->replica_count; c++) {
            row[c] = read_u16(reader);
            if (reader->failed || row[c] >= epoch->member_count)
                return false;
            for (uint8_t before = 0; before < c; before++)
                if (row[before] == row[c])
                    return false;
        }
    }
    return true;
}

static kvorum_status check_envelope(struct bytes bytes)
{
    if (bytes.size < sizeof(magic) + 8 || memcmp(bytes.data, magic, 3) != 0)
        return KVORUM_CORRUPT;
    if (bytes.data[3] != magic[3])
        return bytes.data[3] > magic[3] ? KVORUM_NEWER_FORMAT : KVORUM_CORRUPT;
    struct bytes content = { bytes.data, bytes.size - 8 };
    struct reader sum = reader_of(bytes_from(bytes, content.size));
    return read_u64(&sum) == hash64(content, 0) ? KVORUM_OK : KVORUM_CORRUPT;
}

kvorum_status epoch_decode(struct bytes bytes, struct arena *arena, struct epoch *ret_epoch)
{
    kvorum_status status = check_envelope(bytes);
    if (status != KVORUM_OK)
        return status;
    struct epoch epoch = { 0 };
    struct reader reader = reader_of(bytes_make(bytes.data + 4, bytes.size - 12));
    if (!read_shape(&reader, &epoch))
        return KVORUM_CORRUPT;
    size_t places = (size_t)epoch.partition_count * epoch.replica_count;
    if (places * 2 > reader.rest.size) /* before anything is allocated for it */
        return KVORUM_CORRUPT;
    epoch.members = arena_allocate(arena, epoch.member_count * sizeof(*epoch.members));
    epoch.table = arena_allocate(arena, places * sizeof(*epoch.table));
    if (epoch.members == NULL || epoch.table == NULL)
        return KVORUM_NO_MEMORY;
    if (!read_members(&reader, &epoch) || !read_table(&reader, &epoch) || !reader_finished(&reader))
        return KVORUM_CORRUPT;
    *ret_epoch = epoch;
    return KVORUM_OK;
}
