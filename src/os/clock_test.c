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

static const struct named_test tests[] = {
    { "monotonic time is in microseconds", test_monotonic },
    { "wall time is in milliseconds since 1970", test_wall },
};

int main(void)
{
    return RUN_TESTS("clock", tests);
}
