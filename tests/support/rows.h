/* SPDX-License-Identifier: Apache-2.0 */
/** Table tests: an array of rows whose first member is `const char *name` (a sentence) becomes one
 *  cmocka test a row.
 *
 *      static const struct row rows[] = { { "an empty key is refused", ... }, ... };
 *      static void check(const struct row *row) { ... assert_... }
 *      int main(void) { return RUN_ROWS("batch", rows, check); }
 */
#ifndef TESTS_SUPPORT_ROWS_H
#define TESTS_SUPPORT_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

struct rows_case {
    void (*check)(const void *row);
    const void *row;
};

static inline void rows_run_one(void **state)
{
    const struct rows_case *one = *state;
    one->check(one->row);
}

static inline int rows_run(const char *group, const void *rows, size_t row_size, size_t count,
                           void (*check)(const void *row))
{
    struct CMUnitTest *tests = calloc(count, sizeof(*tests));
    struct rows_case *cases = calloc(count, sizeof(*cases));
    if (tests == NULL || cases == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        const char *row = (const char *)rows + i * row_size;
        cases[i] = (struct rows_case){ check, row };
        tests[i] =
            (struct CMUnitTest){ *(const char *const *)row, rows_run_one, NULL, NULL, &cases[i] };
    }
    int failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
    free(tests);
    free(cases);
    return failed;
}

/* `check` takes `const void *` and casts it: function pointers are never cast. */
#define RUN_ROWS(group, rows, check)                                                               \
    rows_run((group), (rows), sizeof((rows)[0]), sizeof(rows) / sizeof((rows)[0]), (check))

/** Tests that are functions, named by sentences all the same:
 *
 *      static const struct named_test tests[] = { { "an empty map is empty", test_empty }, ... };
 *      int main(void) { return RUN_TESTS("map", tests); }
 */
struct named_test {
    const char *name;
    void (*run)(void);
};

static inline void rows_run_named(const void *row)
{
    ((const struct named_test *)row)->run();
}

#define RUN_TESTS(group, tests) RUN_ROWS((group), (tests), rows_run_named)

#endif
