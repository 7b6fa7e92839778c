/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#include "base/random.h"
#include "tests/support/rows.h"

enum { VALUES = 2000 };

struct row {
    const char *name;
    unsigned bits; /* of the largest values */
    unsigned seed;
};

static const struct row rows[] = {
    { "values below 32 are exact", 5, 1 },
    { "latencies in microseconds", 20, 2 },
    { "sizes up to a GiB", 30, 3 },
    { "all of 64 bits", 64, 4 },
    { "a single value again and again", 0, 5 },
};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Model: the sorted values themselves. */
static void check_quantile(const struct histogram *histogram, const uint64_t *sorted,
                           unsigned permille)
{
    unsigned rank = (permille * VALUES + 999) / 1000;
    uint64_t exact = sorted[rank == 0 ? 0 : rank - 1];
    uint64_t found = histogram_quantile(histogram, permille / 1000.0);
    assert_true(found >= exact);
    assert_true(found - exact <= exact / 32);
}

static void check(const void *context)
{
    const struct row *row = context;
    static struct histogram whole, part, merged;
    histogram_init(&whole);
    histogram_init(&part);
    histogram_init(&merged);
    uint64_t values[VALUES];
    struct random random;
    random_init(&random, row->seed);
    for (int i = 0; i < VALUES; i++) {
        unsigned shift = 64 - (unsigned)random_below(&random, row->bits + 1);
        values[i] = shift == 64 ? 0 : random_next(&random) >> shift;
        histogram_add(&whole, values[i]);
        histogram_add(i % 3 == 0 ? &part : &merged, values[i]);
    }
    histogram_merge(&merged, &part);
    assert_memory_equal(&merged, &whole, sizeof(whole));
    qsort(values, VALUES, sizeof(values[0]), compare);
    assert_true(whole.min == values[0] && whole.max == values[VALUES - 1]);
    for (unsigned permille = 0; permille <= 1000; permille++)
        check_quantile(&whole, values, permille);
}

static void test_empty(void)
{
    static struct histogram empty, other;
    histogram_init(&empty);
    assert_true(histogram_quantile(&empty, 0.5) == 0);
    assert_true(histogram_mean(&empty) == 0);
    histogram_init(&other);
    histogram_add(&other, 7);
    histogram_merge(&other, &empty);
    assert_true(other.min == 7 && other.max == 7 && other.count == 1);
    histogram_merge(&empty, &other);
    assert_memory_equal(&empty, &other, sizeof(empty));
}

static void test_mean_and_bounds(void)
{
    static struct histogram histogram;
    histogram_init(&histogram);
    histogram_add(&histogram, 10);
    histogram_add(&histogram, 1000);
    assert_true(histogram_mean(&histogram) == 505);
    assert_true(histogram_quantile(&histogram, -1) == 10);
    assert_true(histogram_quantile(&histogram, 0.5) == 10);
    assert_true(histogram_quantile(&histogram, 0.51) == 1000);
    assert_true(histogram_quantile(&histogram, 2) == 1000);
}

static void test_saturation(void)
{
    static struct histogram histogram, twice;
    histogram_init(&histogram);
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, UINT64_MAX);
    assert_true(histogram.sum == UINT64_MAX);
    assert_true(histogram_quantile(&histogram, 1) == UINT64_MAX);
    histogram.buckets[HISTOGRAM_BUCKETS - 1] = UINT32_MAX - 1;
    twice = histogram;
    histogram_merge(&histogram, &twice);
    assert_true(histogram.buckets[HISTOGRAM_BUCKETS - 1] == UINT32_MAX);
}

static const struct named_test tests[] = {
    { "an empty histogram has no quantile and merges as nothing", test_empty },
    { "the mean is exact, a quantile outside 0..1 is the nearest", test_mean_and_bounds },
    { "counters stop at their maximum", test_saturation },
};

int main(void)
{
    int failed = RUN_ROWS("histogram quantiles", rows, check);
    return failed + RUN_TESTS("histogram", tests);
}
