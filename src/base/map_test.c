/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/random.h"
#include "tests/support/rows.h"

enum { KEYS = 1000 };

static void test_empty(void)
{
    struct map map;
    map_init(&map);
    assert_null(map_find(&map, 0));
    assert_null(map_remove(&map, 0));
    assert_null(map_any(&map));
    map_done(&map);
}

/* Model: one flag a key.  Keys are spread over 64 bits, 0 and UINT64_MAX among them. */
static uint64_t key_of(unsigned i)
{
    return i % 2 == 0 ? i / 2 : UINT64_MAX - i / 2 * 0x100000001ull;
}

static void test_against_model(void)
{
    struct map map;
    map_init(&map);
    struct map_item items[KEYS];
    bool present[KEYS] = { 0 };
    size_t count = 0;
    struct random random;
    random_init(&random, 1);
    for (int step = 0; step < 50000; step++) {
        unsigned i = (unsigned)random_below(&random, KEYS);
        assert_ptr_equal(map_find(&map, key_of(i)), present[i] ? &items[i] : NULL);
        if (present[i])
            assert_ptr_equal(map_remove(&map, key_of(i)), &items[i]);
        else
            assert_true(map_insert(&map, &items[i], key_of(i)));
        present[i] = !present[i];
        count += present[i] ? 1 : (size_t)-1;
        assert_int_equal(map.count, count);
    }
    map_done(&map);
}

static void insert_all(struct map *map, struct map_item *items, unsigned first, unsigned step)
{
    for (unsigned n = 0, i = first; n < KEYS; n++, i = (i + step) % KEYS)
        assert_true(map_insert(map, &items[i], key_of(i)));
}

static void test_iteration_order(void)
{
    struct map_item items[KEYS], others[KEYS], extra[3 * KEYS];
    struct map map, other;
    map_init(&map);
    map_init(&other);
    for (unsigned i = 0; i < 3 * KEYS; i++)
        assert_true(map_insert(&other, &extra[i], 1000000 + i));
    for (unsigned i = 0; i < 3 * KEYS; i++)
        assert_non_null(map_remove(&other, 1000000 + i));
    insert_all(&map, items, 0, 1);
    insert_all(&other, others, 500, 7);
    assert_true(map.bucket_count != other.bucket_count);
    struct map_item *a = map_any(&map), *b = map_any(&other);
    for (unsigned n = 0; n < KEYS; n++) {
        assert_true(a->key == b->key);
        a = map_next(&map, a);
        b = map_next(&other, b);
    }
    assert_true(a == NULL && b == NULL);
    map_done(&map);
    map_done(&other);
}

static void test_emptying(void)
{
    struct map_item items[KEYS];
    struct map map;
    map_init(&map);
    for (int round = 0; round < 2; round++) {
        insert_all(&map, items, 0, 1);
        unsigned removed = 0;
        for (struct map_item *item; (item = map_any(&map)) != NULL; removed++)
            assert_ptr_equal(map_remove(&map, item->key), item);
        assert_int_equal(removed, KEYS);
    }
    map_done(&map);
}

static const struct named_test tests[] = {
    { "an empty map has no item", test_empty },
    { "a map finds what was inserted and not removed", test_against_model },
    { "iteration depends on the keys, not on history", test_iteration_order },
    { "any item at a time, a map can be emptied", test_emptying },
};

int main(void)
{
    return RUN_TESTS("map", tests);
}
