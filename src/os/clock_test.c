/* SPDX-License-Identifier: Apache-2.0 */
#include "os/clock.h"

#include <time.h>

#include "tests/support/rows.h"

static void test_monotonic(void)
{
    struct os_clock os;
    os_clock_init(&os);
    uint64_t before = clock_monotonic_us(&os.clock);
    nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    uint64_t passed = clock_monotonic_us(&os.clock) - before;
    assert_in_range(passed, 2000, 60 * 1000 * 1000);
}

static void test_wall(void)
{
    struct os_clock os;
    os_clock_init(&os);
    uint64_t before = (uint64_t)time(NULL) - 1;
    assert_in_range(clock_wall_ms(&os.clock) / 1000, before, before + 60);
}

static void test_held(void)
{
    struct held_clock held;
    held_clock_init(&held);
    uint64_t first_us = clock_monotonic_us(&held.clock), first_ms = clock_wall_ms(&held.clock);
    nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
    assert_int_equal(clock_monotonic_us(&held.clock), first_us);
    assert_int_equal(clock_wall_ms(&held.clock), first_ms);
    held_clock_let_go(&held);
    assert_in_range(clock_monotonic_us(&held.clock), first_us + 3000, UINT64_MAX);
    assert_true(clock_wall_ms(&held.clock) > first_ms);
}

static const struct named_test tests[] = {
    { "monotonic time is in microseconds", test_monotonic },
    { "a held clock stands until it is let go", test_held },
    { "wall time is in milliseconds since 1970", test_wall },
};

int main(void)
{
    return RUN_TESTS("clock", tests);
}
