/* SPDX-License-Identifier: Apache-2.0 */
/* From a key to its partition, and from a partition to members in order of preference. */
#include <string.h>

#include "base/hash.h"
#include "cluster/ring/ring.h"

enum { SHORT_NAME_SIZE = 512 };

static uint8_t *put_part(uint8_t *at, struct bytes part)
{
    if (part.size > 0)
        memcpy(at, part.data, part.size);
    return at + part.size;
}

/* Hashed: type size u16, bucket size u16 (little-endian), type, bucket, key; so that no two addresses
 * look alike.  Nearly all fit on the stack and are hashed in one go. */
uint64_t ring_hash(const struct epoch *epoch, struct bytes type, struct bytes bucket,
                   struct bytes key)
{
    uint8_t memory[SHORT_NAME_SIZE];
    uint8_t sizes[4] = { (uint8_t)type.size, (uint8_t)(type.size >> 8), (uint8_t)bucket.size,
                         (uint8_t)(bucket.size >> 8) };
    if (sizeof(sizes) + type.size + bucket.size + key.size <= sizeof(memory)) {
        uint8_t *end = put_part(memory, bytes_make(sizes, sizeof(sizes)));
        end = put_part(put_part(put_part(end, type), bucket), key);
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

/* The member with the smallest rank above (rank, member), or RING_NO_MEMBER. */
static uint16_t next_by_rank(const struct epoch *epoch, uint32_t partition, const uint16_t *owners,
                             uint8_t owner_count, bool first, uint64_t *rank, uint16_t last)
{
    uint16_t best = RING_NO_MEMBER;
    uint64_t best_rank = 0;
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        if (contains(owners, owner_count, i))
            continue;
        uint64_t own = stand_in_rank(epoch, partition, i);
        bool after = first || own > *rank || (own == *rank && i > last);
        if (after && (best == RING_NO_MEMBER || own < best_rank)) {
            best = i;
            best_rank = own;
        }
    }
    *rank = best_rank;
    return best;
}

uint16_t ring_preference(const struct epoch *epoch, uint32_t partition, uint16_t *ret_members,
                         uint16_t limit)
{
    const uint16_t *owners = epoch->table + (size_t)partition * epoch->replica_count;
    uint16_t count = 0;
    while (count < limit && count < epoch->replica_count) {
        ret_members[count] = owners[count];
        count++;
    }
    uint64_t rank = 0;
    bool first = true;
    while (count < limit && count < epoch->member_count) {
        uint16_t last = first ? 0 : ret_members[count - 1];
        uint16_t member =
            next_by_rank(epoch, partition, owners, epoch->replica_count, first, &rank, last);
        if (member == RING_NO_MEMBER)
            break;
        ret_members[count++] = member;
        first = false;
    }
    return count;
}

uint16_t ring_member_index(const struct epoch *epoch, const struct node_id *id)
{
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (memcmp(&epoch->members[i].id, id, sizeof(*id)) == 0)
            return i;
    return RING_NO_MEMBER;
}

bool ring_name_valid(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    size_t size = strnlen(name, RING_NAME_MAX + 1);
    return size >= 1 && size <= RING_NAME_MAX && strspn(name, letters) == size;
}
