/* SPDX-License-Identifier: Apache-2.0 */
/* From a key to its partition, and from a partition to members in order of preference. */
#include <string.h>

#include "base/hash.h"
#include "cluster/ring/ring.h"

enum { SHORT_NAME_SIZE = 512 };

/* Hashed: type size u16, bucket size u16 (little-endian), type, bucket, key; so that no two
 * addresses look alike.  Nearly all fit on the stack and are hashed in one go. */
uint64_t ring_hash(const struct epoch *epoch, struct bytes type, struct bytes bucket,
                   struct bytes key)
{
    uint8_t memory[SHORT_NAME_SIZE];
    uint8_t sizes[4] = { (uint8_t)type.size, (uint8_t)(type.size >> 8), (uint8_t)bucket.size,
                         (uint8_t)(bucket.size >> 8) };
    if (sizeof(sizes) + type.size + bucket.size + key.size <= sizeof(memory)) {
        uint8_t *end = bytes_put(memory, bytes_make(sizes, sizeof(sizes)));
        end = bytes_put(bytes_put(bytes_put(end, type), bucket), key);
        return hash64(bytes_make(memory, (size_t)(end - memory)), epoch->hash_seed);
    }
    struct bytes parts[] = { { sizes, sizeof(sizes) }, type, bucket, key };
    return hash64_parts(parts, 4, epoch->hash_seed);
}

uint32_t ring_partition_of_hash(const struct epoch *epoch, uint64_t hash)
{
    int bits = __builtin_ctz(epoch->partition_count);
    return bits == 0 ? 0 : (uint32_t)(hash >> (64 - bits));
}

static uint64_t stand_in_rank(const struct epoch *epoch, uint32_t partition, uint16_t member)
{
    const struct node_id *id = &epoch->members[member].id;
    return hash64(bytes_make(id->bytes, sizeof(id->bytes)), hash_mix64(partition + 1));
}

static bool contains(const uint16_t *members, uint16_t count, uint16_t member)
{
    for (uint16_t i = 0; i < count; i++)
        if (members[i] == member)
            return true;
    return false;
}

/* The best stand-ins so far, best first. */
struct ranking {
    uint16_t *members;
    uint64_t *ranks;
    uint16_t count, limit;
};

static void rank(struct ranking *ranking, uint16_t member, uint64_t own)
{
    bool full = ranking->count == ranking->limit;
    if (full && own >= ranking->ranks[ranking->count - 1])
        return;
    uint16_t place = full ? ranking->count - 1u : ranking->count++;
    for (; place > 0 && ranking->ranks[place - 1] > own; place--) {
        ranking->ranks[place] = ranking->ranks[place - 1];
        ranking->members[place] = ranking->members[place - 1];
    }
    ranking->ranks[place] = own;
    ranking->members[place] = member;
}

uint8_t ring_row_size(const struct epoch *epoch, const uint16_t *row)
{
    uint8_t size = epoch->replica_count;
    while (size > 0 && row[size - 1] == RING_NO_MEMBER)
        size--;
    return size;
}

uint16_t ring_preference_of_row(const struct epoch *epoch, uint32_t partition, const uint16_t *row,
                                uint16_t *ret_members, uint16_t limit)
{
    uint8_t owned = ring_row_size(epoch, row);
    uint16_t count = limit < owned ? limit : owned;
    memcpy(ret_members, row, count * sizeof(*row));
    if (count == limit)
        return count;
    uint64_t ranks[RING_MEMBERS_MAX];
    uint16_t wanted =
        limit - count < RING_MEMBERS_MAX ? (uint16_t)(limit - count) : RING_MEMBERS_MAX;
    struct ranking ranking = { ret_members + count, ranks, 0, wanted };
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state == MEMBER_ACTIVE && !contains(row, owned, i))
            rank(&ranking, i, stand_in_rank(epoch, partition, i));
    return (uint16_t)(count + ranking.count);
}

uint16_t ring_preference(const struct epoch *epoch, uint32_t partition, uint16_t *ret_members,
                         uint16_t limit)
{
    return ring_preference_of_row(epoch, partition, ring_row(epoch, partition), ret_members, limit);
}

uint8_t ring_owner_limit_of_row(const struct epoch *epoch, const uint16_t *row)
{
    uint8_t size = ring_row_size(epoch, row), count = size;
    if (size < epoch->replica_count)
        return size;
    for (uint16_t i = 0; i < epoch->member_count && count < RING_OWNERS_MAX; i++)
        count += epoch->members[i].state == MEMBER_ACTIVE && !contains(row, size, i);
    return count;
}

uint8_t ring_owner_limit(const struct epoch *epoch, uint32_t partition)
{
    return ring_owner_limit_of_row(epoch, ring_row(epoch, partition));
}

static uint16_t count_states(const struct epoch *epoch, unsigned states)
{
    uint16_t count = 0;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        count += (states >> epoch->members[i].state & 1) != 0;
    return count;
}

uint16_t ring_owner_count(const struct epoch *epoch)
{
    return count_states(epoch, 1u << MEMBER_ACTIVE | 1u << MEMBER_LEAVING);
}

uint16_t ring_present_count(const struct epoch *epoch)
{
    return count_states(epoch, 1u << MEMBER_ACTIVE | 1u << MEMBER_JOINING | 1u << MEMBER_LEAVING);
}

uint16_t ring_member_index(const struct epoch *epoch, const struct node_id *id)
{
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        const struct member *member = &epoch->members[i];
        if (member->state != MEMBER_GONE && memcmp(&member->id, id, sizeof(*id)) == 0)
            return i;
    }
    return RING_NO_MEMBER;
}

bool ring_name_valid(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    size_t size = strnlen(name, RING_NAME_MAX + 1);
    return size >= 1 && size <= RING_NAME_MAX && strspn(name, letters) == size;
}

bool ring_address_valid(const char *address)
{
    size_t size = strnlen(address, RING_ADDRESS_MAX + 1);
    for (size_t i = 0; i < size; i++)
        if (address[i] <= ' ' || address[i] > '~')
            return false;
    return size >= 1 && size <= RING_ADDRESS_MAX;
}
