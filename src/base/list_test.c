/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include "tests/support/rows.h"

struct element {
    int number;
    struct list link;
};

static void test_queue(void)
{
    struct list head;
    list_init(&head);
    assert_true(list_empty(&head) && list_first(&head) == NULL);
    struct element elements[3];
    for (int i = 0; i < 3; i++) {
        elements[i].number = i;
        list_append(&head, &elements[i].link);
    }
    list_remove(&elements[1].link);
    list_remove(&elements[1].link);
    assert_int_equal(LIST_ENTRY(list_first(&head), struct element, link)->number, 0);
    list_remove(&elements[0].link);
    assert_int_equal(LIST_ENTRY(list_first(&head), struct element, link)->number, 2);
    list_append(&head, &elements[1].link);
    list_remove(&elements[2].link);
    assert_ptr_equal(list_first(&head), &elements[1].link);
}

static void test_take_first(void)
{
    struct list head, items[2];
    list_init(&head);
    assert_null(list_take_first(&head));
    list_append(&head, &items[0]);
    list_append(&head, &items[1]);
    assert_ptr_equal(list_take_first(&head), &items[0]);
    assert_true(list_empty(&items[0]));
    assert_true(head.next == &items[1] && head.previous == &items[1]);
    assert_true(items[1].next == &head && items[1].previous == &head);
    assert_ptr_equal(list_take_first(&head), &items[1]);
    assert_true(list_empty(&head) && head.previous == &head && list_empty(&items[1]));
    assert_null(list_take_first(&head));
}

static const struct named_test tests[] = {
    { "elements leave in order, wherever they are, and twice", test_queue },
    { "the first is taken until none is left", test_take_first },
};

int main(void)
{
    return RUN_TESTS("list", tests);
}
