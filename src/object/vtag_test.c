/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rows.h"

#include <string.h>

#include "object/object.h"

struct row {
    const char *name;
    struct dot dot;
    const char *expected;
};

static const struct row rows[] = {
    { "the smallest", { 0, 1 }, "0000000000000000000001" },
    { "one digit more", { 0, 62 }, "0000000000000000000010" },
    { "the last digit", { 0, 61 }, "000000000000000000000z" },
    { "the largest", { UINT64_MAX, UINT64_MAX }, "7n42DGM5Tflk9n8mt7Fhc7" },
};

static void check(const void *context)
{
    const struct row *row = context;
    char text[VTAG_SIZE];
    vtag_of_dot(row->dot, text);
    assert_string_equal(text, row->expected);
}

static void clocks_have_names_of_their_own(void **state)
{
    (void)state;
    struct dot entries[] = { { 1, 1 }, { 2, 1 } };
    char text[4][VTAG_SIZE];
    vtag_of_clock(&(struct clock_vector){ entries, 2 }, text[0]);
    vtag_of_clock(&(struct clock_vector){ entries, 1 }, text[1]);
    vtag_of_clock(&(struct clock_vector){ NULL, 0 }, text[2]);
    entries[1].counter = 2;
    vtag_of_clock(&(struct clock_vector){ entries, 2 }, text[3]);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(strlen(text[i]), VTAG_SIZE - 1);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(text[i], text[j]);
    }
    entries[1].counter = 1;
    vtag_of_clock(&(struct clock_vector){ entries, 2 }, text[3]);
    assert_string_equal(text[0], text[3]);
}

/* ETags are compared across nodes and releases. */
static void the_name_of_a_clock_never_changes(void **state)
{
    (void)state;
    struct dot entries[] = { { 0x0102030405060708, 9 }, { UINT64_MAX, 1 } };
    char text[VTAG_SIZE];
    vtag_of_clock(&(struct clock_vector){ entries, 2 }, text);
    assert_string_equal(text, "0bu1qdznfvHfuVJyo8vbH0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_have_names_of_their_own),
        cmocka_unit_test(the_name_of_a_clock_never_changes),
    };
    int failed = RUN_ROWS("vtag of a dot", rows, check);
    return failed + cmocka_run_group_tests_name("vtag of a clock", tests, NULL, NULL);
}
