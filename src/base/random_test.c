/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include "tests/support/rows.h"

static void test_reference(void)
{
    /* the first outputs of xoshiro256** from the state 1, 2, 3, 4 */
    static const uint64_t expected[] = { 11520, 0, 1509978240, 1215971899390074240 };
    struct random random = { { 1, 2, 3, 4 } };
    for (int i = 0; i < 4; i++)
        assert_true(random_next(&random) == expected[i]);
}

static void test_seeds(void)
{
    struct random a, b, c;
    random_init(&a, 0);
    random_init(&b, 0);
    random_init(&c, 1);
    /* splitmix64 from the seed 0 */
    assert_true(a.state[0] == 0xe220a8397b1dcdafull);
    for (int i = 0; i < 100; i++) {
        uint64_t next = random_next(&a);
        assert_true(next == random_next(&b) && next != random_next(&c));
    }
}

static void test_below(void)
{
    struct random random;
    random_init(&random, 7);
    unsigned counts[6] = { 0 };
    for (int i = 0; i < 60000; i++)
        counts[random_below(&random, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(counts[i], 9500, 10500);
    for (int i = 0; i < 100; i++) {
        assert_true(random_below(&random, 1) == 0);
        assert_true(random_below(&random, 3ull << 62) < 3ull << 62);
    }
}

static void test_chance(void)
{
    struct random random;
    random_init(&random, 7);
    unsigned count = 0;
    for (int i = 0; i < 10000; i++) {
        count += random_chance(&random, 1, 4);
        assert_false(random_chance(&random, 0, 1));
        assert_true(random_chance(&random, 1, 1));
    }
    assert_in_range(count, 2300, 2700);
}

static void test_unit(void)
{
    struct random random;
    random_init(&random, 7);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double unit = random_unit(&random);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
    }
    assert_true(sum > 4900 && sum < 5100);
}

static void test_fork(void)
{
    struct random parent, twin;
    random_init(&parent, 7);
    random_init(&twin, 7);
    struct random child = random_fork(&parent), other = random_fork(&twin);
    random_next(&parent);
    for (int i = 0; i < 10; i++)
        assert_true(random_next(&child) == random_next(&other));
    assert_true(random_next(&child) != random_next(&parent));
}

static const struct named_test tests[] = {
    { "the generator is xoshiro256**", test_reference },
    { "equal seeds give equal runs, others do not", test_seeds },
    { "below the limit all are equally likely", test_below },
    { "a chance is met as often as it says", test_chance },
    { "the unit interval is half open", test_unit },
    { "a fork does not depend on its parent's later use", test_fork },
};

int main(void)
{
    return RUN_TESTS("random", tests);
}
