/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/throttle.h"

#include "base/random.h"
#include "tests/support/rows.h"

enum { SECOND_US = 1000 * 1000 };

/* Takes pages whenever it may, for 100 s; returns the bytes. */
static uint64_t take(struct throttle *throttle, struct random *random, uint64_t page_max)
{
    uint64_t now_us = 7 * SECOND_US, taken = 0;
    throttle_set(throttle, throttle->rate, now_us);
    for (uint64_t end_us = now_us + 100 * SECOND_US; now_us < end_us;) {
        uint64_t size = 1 + random_below(random, page_max);
        throttle_spend(throttle, size, now_us);
        taken += size;
        uint64_t free_us = throttle_free_us(throttle);
        now_us = free_us > now_us ? free_us : now_us + 1;
        if (random_below(random, 50) == 0)
            now_us += random_below(random, 10 * 1000); /* late, as timers are */
    }
    return taken;
}

static void test_rate(void)
{
    struct random random;
    random_init(&random, 5);
    for (uint64_t rate = 1000; rate <= 1000 * 1000 * 1000; rate *= 10) {
        struct throttle throttle = { .rate = rate };
        uint64_t page = rate / 20 + 1, taken = take(&throttle, &random, page);
        assert_true(taken <= 100 * rate + rate / 10 + page);
        assert_true(taken >= 99 * rate);
    }
}

static void test_debt(void)
{
    struct throttle throttle = { 0 };
    throttle_set(&throttle, 1000, 5 * SECOND_US);
    throttle_spend(&throttle, 2500, 5 * SECOND_US);
    assert_true(throttle_free_us(&throttle) == 5 * SECOND_US + 2500 * 1000);
}

static void test_pause(void)
{
    struct throttle throttle = { 0 };
    throttle_set(&throttle, 1000, 0);
    throttle_spend(&throttle, 1000, 100 * SECOND_US);
    assert_true(throttle_free_us(&throttle) > 100 * SECOND_US + 900 * 1000);
}

static void test_none(void)
{
    struct throttle throttle = { 0 };
    throttle_spend(&throttle, UINT64_MAX, 1);
    assert_true(throttle_free_us(&throttle) == 0);
}

static void test_change(void)
{
    struct throttle throttle = { 0 };
    throttle_set(&throttle, 1, 0);
    throttle_spend(&throttle, 1000 * 1000, 0);
    throttle_set(&throttle, 1000, 3);
    assert_true(throttle_free_us(&throttle) == 3);
}

static const struct named_test tests[] = {
    { "over 100 s it keeps its rate within a per cent, down and up", test_rate },
    { "a page larger than a second is paid for after it", test_debt },
    { "a pause does not end in a burst", test_pause },
    { "without a limit nothing waits", test_none },
    { "a new limit forgets old debts", test_change },
};

int main(void)
{
    return RUN_TESTS("throttle", tests);
}
