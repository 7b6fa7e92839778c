/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/ring/ring.h"

#include "tests/support/rows.h"

#include <stdio.h>

#define HASH_CAT UINT64_C(0x43f26803c343617)
#define HASH_LARGE UINT64_C(0x4e39c0cb3a747aa4)

enum { MEMBERS = 40, PARTITIONS = 256 };

static struct member members[MEMBERS];
static uint16_t table[PARTITIONS * 3];
static struct epoch epoch = {
    .hash_seed = 42,
    .partition_count = PARTITIONS,
    .replica_count = 3,
    .member_count = MEMBERS,
    .members = members,
    .table = table,
};

static int set_up(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < MEMBERS; i++) {
        members[i].id.bytes[0] = (uint8_t)(3 * i);
        members[i].weight = 100;
    }
    struct arena arena;
    const char *why;
    arena_init(&arena, 1 << 20);
    struct ring_plan_input input = { members, MEMBERS, PARTITIONS, 3, NULL };
    kvorum_status status = ring_plan(&input, &arena, table, &why);
    arena_done(&arena);
    return status != KVORUM_OK;
}

static void owners_come_first_then_everybody_once(void **state)
{
    (void)state;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        uint16_t list[MEMBERS + 5];
        bool seen[MEMBERS] = { 0 };
        assert_int_equal(ring_preference(&epoch, p, list, MEMBERS + 5), MEMBERS);
        assert_memory_equal(list, &table[p * 3], 3 * sizeof(*list));
        for (uint16_t i = 0; i < MEMBERS; i++) {
            assert_false(seen[list[i]]);
            seen[list[i]] = true;
        }
    }
}

static void a_shorter_list_is_the_beginning_of_a_longer(void **state)
{
    (void)state;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        uint16_t all[MEMBERS], some[MEMBERS];
        ring_preference(&epoch, p, all, MEMBERS);
        for (uint16_t limit = 0; limit <= MEMBERS; limit++) {
            assert_int_equal(ring_preference(&epoch, p, some, limit), limit);
            assert_memory_equal(all, some, limit * sizeof(*all));
        }
    }
}

/* Who stands in must not change because somebody else joined. */
static void the_order_of_stand_ins_outlives_other_members(void **state)
{
    (void)state;
    struct epoch smaller = epoch;
    smaller.member_count = MEMBERS - 1;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        uint16_t all[MEMBERS], fewer[MEMBERS], kept = 0;
        ring_preference(&epoch, p, all, MEMBERS);
        uint16_t count = ring_preference(&smaller, p, fewer, MEMBERS);
        bool owned = table[p * 3] == MEMBERS - 1 || table[p * 3 + 1] == MEMBERS - 1 ||
                     table[p * 3 + 2] == MEMBERS - 1;
        for (uint16_t i = 0; !owned && i < MEMBERS; i++)
            if (all[i] != MEMBERS - 1)
                assert_int_equal(fewer[kept++], all[i]);
        assert_true(owned || kept == count);
    }
}

/* The work of one that fails goes to many. */
static void stand_ins_differ_from_partition_to_partition(void **state)
{
    (void)state;
    uint16_t first[MEMBERS] = { 0 };
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        uint16_t list[4];
        ring_preference(&epoch, p, list, 4);
        first[list[3]]++;
    }
    for (uint16_t m = 0; m < MEMBERS; m++)
        assert_in_range(first[m], 1, 20);
}

static void members_are_found_by_id(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < MEMBERS; i++) {
        struct node_id id = members[i].id;
        assert_int_equal(ring_member_index(&epoch, &id), i);
        id.bytes[15] = 1;
        assert_int_equal(ring_member_index(&epoch, &id), RING_NO_MEMBER);
    }
}

static void partitions_are_the_top_bits(void **state)
{
    (void)state;
    struct epoch ring = { .partition_count = 1 };
    assert_int_equal(ring_partition_of_hash(&ring, UINT64_MAX), 0);
    ring.partition_count = 2;
    assert_int_equal(ring_partition_of_hash(&ring, UINT64_C(1) << 63), 1);
    assert_int_equal(ring_partition_of_hash(&ring, (UINT64_C(1) << 63) - 1), 0);
    ring.partition_count = RING_PARTITIONS_MAX;
    assert_int_equal(ring_partition_of_hash(&ring, UINT64_C(0x1234567812345678)), 0x1234);
    assert_int_equal(ring_partition_of_hash(&ring, UINT64_MAX), RING_PARTITIONS_MAX - 1);
}

/* A key must be found again after an upgrade: these numbers never change. */
static void hashes_never_change(void **state)
{
    (void)state;
    static uint8_t large[1000];
    struct bytes t = BYTES_LITERAL("default"), b = BYTES_LITERAL("pets"), k = BYTES_LITERAL("cat");
    assert_int_equal(ring_hash(&epoch, t, b, k), HASH_CAT);
    assert_int_equal(ring_hash(&epoch, t, b, bytes_make(large, sizeof(large))), HASH_LARGE);
}

static void what_is_type_bucket_and_key_matters(void **state)
{
    (void)state;
    struct bytes a = BYTES_LITERAL("a"), ab = BYTES_LITERAL("ab"), b = BYTES_LITERAL("b");
    struct bytes none = { 0 };
    uint64_t hashes[] = { ring_hash(&epoch, a, a, b), ring_hash(&epoch, a, ab, none),
                          ring_hash(&epoch, ab, a, none), ring_hash(&epoch, none, a, ab),
                          ring_hash(&epoch, none, none, none) };
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(hashes[i] != hashes[j]);
}

static void keys_spread_over_partitions(void **state)
{
    (void)state;
    uint32_t held[PARTITIONS] = { 0 };
    for (uint32_t i = 0; i < PARTITIONS * 100; i++) {
        char key[16];
        int size = snprintf(key, sizeof(key), "user%u", i);
        uint64_t hash = ring_hash(&epoch, BYTES_LITERAL("default"), BYTES_LITERAL("b"),
                                  bytes_make(key, (size_t)size));
        held[ring_partition_of_hash(&epoch, hash)]++;
    }
    for (uint32_t p = 0; p < PARTITIONS; p++)
        assert_in_range(held[p], 50, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners_come_first_then_everybody_once),
        cmocka_unit_test(a_shorter_list_is_the_beginning_of_a_longer),
        cmocka_unit_test(the_order_of_stand_ins_outlives_other_members),
        cmocka_unit_test(stand_ins_differ_from_partition_to_partition),
        cmocka_unit_test(members_are_found_by_id),
        cmocka_unit_test(partitions_are_the_top_bits),
        cmocka_unit_test(hashes_never_change),
        cmocka_unit_test(what_is_type_bucket_and_key_matters),
        cmocka_unit_test(keys_spread_over_partitions),
    };
    return cmocka_run_group_tests_name("preference", tests, set_up, NULL);
}
