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

static const struct named_test tests[] = {
    { "elements leave in order, wherever they are, and twice", test_queue },
};

int main(void)
{
    return RUN_TESTS("list", tests);
}
