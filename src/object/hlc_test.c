/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rows.h"

#include <stdbool.h>

#include "base/random.h"
#include "object/hlc.h"

#define AT(ms, counter) (((uint64_t)(ms) << HLC_COUNTER_BITS) + (counter))
#define WALL_MAX (((uint64_t)1 << 47) - 1)

struct row {
    const char *name;
    uint64_t last, wall_ms, stamp; /* stamp 0: hlc_now; else what hlc_see is told */
    uint64_t expected_last;
    bool adopted;
};

static const struct row rows[] = {
    { "a stamp is the wall clock", 0, 1000, 0, AT(1000, 0), true },
    { "within a millisecond the counter grows", AT(1000, 5), 1000, 0, AT(1000, 6), true },
    { "a wall clock that went back does not", AT(1000, 5), 400, 0, AT(1000, 6), true },
    { "a later millisecond starts a counter of its own", AT(1000, 5), 1001, 0, AT(1001, 0), true },
    { "a full counter carries into the milliseconds", AT(1000, 65535), 1000, 0, AT(1001, 0), true },
    { "a wall clock of nonsense is held below the end", 0, UINT64_MAX, 0, AT(WALL_MAX, 0), true },
    { "and stamps go on there", AT(WALL_MAX, 9), UINT64_MAX, 0, AT(WALL_MAX, 10), true },

    { "a later stamp is adopted", AT(1000, 5), 1000, AT(1001, 3), AT(1001, 3), true },
    { "an older one changes nothing", AT(1000, 5), 1000, AT(999, 3), AT(1000, 5), true },
    { "a minute ahead is adopted", AT(1000, 0), 1000, AT(61000, 65535), AT(61000, 65535), true },
    { "more than a minute ahead is not", AT(1000, 0), 1000, AT(61001, 0), AT(1000, 0), false },
    { "own stamps are no surprise after the wall went back", AT(900000, 0), 1000, AT(900000, 0),
      AT(900000, 0), true },
    { "the largest stamp is not adopted even at the end of time", AT(WALL_MAX, 0), UINT64_MAX,
      UINT64_MAX, AT(WALL_MAX, 0), false },
};

static void check(const void *context)
{
    const struct row *row = context;
    struct hlc hlc = { row->last };
    if (row->stamp == 0)
        assert_true(hlc_now(&hlc, row->wall_ms) == row->expected_last);
    else
        assert_int_equal(hlc_see(&hlc, row->stamp, row->wall_ms), row->adopted);
    assert_true(hlc.last == row->expected_last);
}

/* Two nodes with wild wall clocks tell each other their stamps. */
static void stamps_grow_and_stay_near_the_wall(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, 7);
    struct hlc nodes[2] = { { 0 }, { 0 } };
    uint64_t wall_ms = 1000000, highest_ms = 0;
    for (int i = 0; i < 100000; i++) {
        struct hlc *node = &nodes[random_below(&random, 2)], *other = &nodes[node == nodes];
        uint64_t before = node->last, seen = other->last;
        wall_ms += random_below(&random, 3) - (random_chance(&random, 1, 4) ? 2 : 0);
        highest_ms = wall_ms > highest_ms ? wall_ms : highest_ms;
        bool adopted = hlc_see(node, seen, wall_ms);
        uint64_t stamp = hlc_now(node, wall_ms);
        assert_true(adopted && stamp > before && stamp > seen);
        assert_true(hlc_wall_ms(stamp) <= highest_ms + 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(stamps_grow_and_stay_near_the_wall) };
    int failed = RUN_ROWS("hlc", rows, check);
    return failed + cmocka_run_group_tests_name("hlc over time", tests, NULL, NULL);
}
