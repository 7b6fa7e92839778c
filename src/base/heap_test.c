/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include "base/random.h"
#include "tests/support/rows.h"

enum { ITEMS = 300 };

static void test_equal_keys(void)
{
    struct heap heap;
    heap_init(&heap);
    struct heap_item items[ITEMS] = { 0 };
    for (int i = 0; i < ITEMS; i++)
        assert_true(heap_insert(&heap, &items[i], 5));
    for (int i = 0; i < ITEMS; i++) {
        assert_ptr_equal(heap_first(&heap), &items[i]);
        heap_remove(&heap, &items[i]);
    }
    assert_null(heap_first(&heap));
    heap_done(&heap);
}

static void test_remove_twice(void)
{
    struct heap heap;
    heap_init(&heap);
    struct heap_item item = { 0 };
    heap_remove(&heap, &item);
    assert_true(heap_insert(&heap, &item, 1));
    heap_remove(&heap, &item);
    heap_remove(&heap, &item);
    assert_int_equal(heap.count, 0);
    assert_true(heap_insert(&heap, &item, 2));
    assert_ptr_equal(heap_first(&heap), &item);
    heap_done(&heap);
}

/* Model: look at all items. */
static struct heap_item *slow_first(struct heap_item *items)
{
    struct heap_item *first = NULL;
    for (int i = 0; i < ITEMS; i++) {
        struct heap_item *item = &items[i];
        if (item->place == 0)
            continue;
        if (first == NULL || item->key < first->key ||
            (item->key == first->key && item->sequence < first->sequence))
            first = item;
    }
    return first;
}

static void test_against_model(void)
{
    struct heap heap;
    heap_init(&heap);
    struct heap_item items[ITEMS] = { 0 };
    struct random random;
    random_init(&random, 1);
    for (int step = 0; step < 20000; step++) {
        struct heap_item *item = &items[random_below(&random, ITEMS)];
        if (item->place != 0)
            heap_remove(&heap, item);
        else
            assert_true(heap_insert(&heap, item, random_below(&random, 50)));
        assert_ptr_equal(heap_first(&heap), slow_first(items));
    }
    heap_done(&heap);
}

static const struct named_test tests[] = {
    { "equal keys leave in the order they entered", test_equal_keys },
    { "an item that is in no heap may be removed, and comes back", test_remove_twice },
    { "the first item is the one a search finds", test_against_model },
};

int main(void)
{
    return RUN_TESTS("heap", tests);
}
