/* SPDX-License-Identifier: Apache-2.0 */
/* The filter: no key is refused that was added, and the others as rarely as theory says. */
#include "engine/lsm/table/filter.h"

#include "base/random.h"
#include "engine/lsm/table/hashes.h"
#include "tests/support/rows.h"

struct row {
    const char *name;
    uint64_t keys;
    unsigned bits;
    double rate_max; /* of a blocked filter of 512-bit lines, and a fifth more for chance */
};

static const struct row rows[] = {
    { "one key", 1, 10, 0.001 },
    { "4 bits a key", 200000, 4, 0.19 },
    { "8 bits a key", 200000, 8, 0.031 },
    { "10 bits a key", 200000, 10, 0.0125 },
    { "16 bits a key", 200000, 16, 0.0014 },
};

static void check(const void *context)
{
    enum { QUESTIONS = 1000000 };
    const struct row *row = context;
    struct table_hashes hashes = { 0 };
    struct table_filter filter;
    struct random random;
    uint64_t size = table_filter_size(row->keys, row->bits), passed = 0;
    uint8_t *raw = malloc(size);
    random_init(&random, row->bits);
    for (uint64_t i = 0; i < row->keys; i++)
        assert_true(table_hashes_add(&hashes, random_next(&random)));
    table_hashes_filter(&hashes, row->bits, raw, size);
    assert_true(table_filter_parse(bytes_make(raw, size), &filter));
    random_init(&random, row->bits);
    for (uint64_t i = 0; i < row->keys; i++)
        assert_true(table_filter_may_have(&filter, random_next(&random)));
    for (int i = 0; i < QUESTIONS; i++)
        passed += table_filter_may_have(&filter, random_next(&random));
    print_message("# %s: %.4f %% false positives\n", row->name, 100.0 * (double)passed / QUESTIONS);
    assert_true((double)passed / QUESTIONS <= row->rate_max);
    for (uint64_t cut = 1; cut < 64; cut++)
        assert_false(table_filter_parse(bytes_make(raw, size - cut), &filter));
    raw[3] = 1;
    assert_false(table_filter_parse(bytes_make(raw, size), &filter));
    table_hashes_done(&hashes);
    free(raw);
}

int main(void)
{
    return RUN_ROWS("table filter", rows, check);
}
