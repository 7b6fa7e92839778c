/* SPDX-License-Identifier: Apache-2.0 */
/* Epoch records of a peer or a disk: what is accepted of the format we write encodes to the very
 * same bytes, and everything one can ask of it has an answer.  The checksum is put right first, or nothing would
 * get past it. */
#include "cluster/ring/ring.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_LIMIT = 1 << 24, SURVEY_LIMIT = 1 << 12 };

static void sign(uint8_t *record, size_t size)
{
    if (size < 8)
        return;
    uint64_t sum = hash64(bytes_make(record, size - 8), 0);
    for (int i = 0; i < 8; i++)
        record[size - 8 + (size_t)i] = (uint8_t)(sum >> (8 * i));
}

static void encode_again(const struct epoch *epoch, struct bytes original)
{
    struct buffer buffer;
    buffer_init(&buffer, 2 * original.size);
    epoch_encode(epoch, &buffer);
    assert(!buffer.failed);
    assert(original.data[3] == '1' || bytes_equal(buffer_bytes(&buffer), original));
    buffer_done(&buffer);
}

static void ask(const struct epoch *epoch)
{
    uint16_t members[RING_MEMBERS_MAX], nodes, zones;
    uint64_t hash = ring_hash(epoch, BYTES_LITERAL("t"), BYTES_LITERAL("b"), BYTES_LITERAL("k"));
    uint32_t partition = ring_partition_of_hash(epoch, hash);
    assert(partition < epoch->partition_count);
    uint16_t count = ring_preference(epoch, partition, members, RING_MEMBERS_MAX);
    uint8_t limit = ring_owner_limit(epoch, partition);
    assert(limit >= 1 && limit <= count && count <= ring_present_count(epoch));
    for (uint16_t i = 0; i < count; i++)
        assert(epoch->members[members[i]].state != MEMBER_GONE);
    if (epoch->partition_count > SURVEY_LIMIT || ring_owner_count(epoch) == 0)
        return;
    assert(ring_imbalance(epoch) >= 0);
    ring_survives(epoch, epoch->replica_count, &nodes, &zones);
    assert(nodes <= RING_REPLICAS_MAX && zones <= nodes);
}

static void check(struct bytes bytes)
{
    struct arena arena;
    struct epoch epoch;
    arena_init(&arena, ARENA_LIMIT);
    if (epoch_decode(bytes, &arena, &epoch) == KVORUM_OK) {
        encode_again(&epoch, bytes);
        ask(&epoch);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(bytes_make(data, size));
    uint8_t *copy = malloc(size + 1);
    assert(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    sign(copy, size);
    check(bytes_make(copy, size));
    free(copy);
    return 0;
}
