/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/hint_pace.h"

#include "tests/support/rows.h"

static const struct hint_pace_config config = {
    .window = 2, .rate = 1000, .pause_min_us = 1000, .pause_max_us = 8000
};

enum { SECOND = 1000 * 1000 };

static void send(struct hint_pace *pace, uint64_t size)
{
    hint_pace_begin(pace);
    hint_pace_spend(pace, size);
}

static void the_window_closes(void)
{
    struct hint_pace pace = { 0 };
    struct random random;
    random_init(&random, 1);
    assert_true(hint_pace_admits(&pace, &config, SECOND));
    send(&pace, 1);
    assert_true(hint_pace_admits(&pace, &config, SECOND));
    send(&pace, 1);
    assert_false(hint_pace_admits(&pace, &config, SECOND));
    hint_pace_end(&pace, &config, HINT_OUTCOME_DONE, SECOND, &random);
    assert_true(hint_pace_admits(&pace, &config, SECOND));
}

static void bytes_cost_time(void)
{
    struct hint_pace pace = { 0 };
    assert_true(hint_pace_admits(&pace, &config, SECOND));
    send(&pace, 3000); /* larger than a second earns: sent, and then paid for */
    assert_false(hint_pace_admits(&pace, &config, SECOND));
    uint64_t next = hint_pace_next_us(&pace, &config, SECOND);
    assert_in_range(next, 3 * SECOND, 3 * SECOND + 2000);
    /* Looking often earns no less than looking once. */
    for (uint64_t now = SECOND; now < next; now += 10000)
        assert_false(hint_pace_admits(&pace, &config, now));
    assert_true(hint_pace_admits(&pace, &config, next + 10000));
}

static void no_more_than_a_second_is_saved_up(void)
{
    struct hint_pace pace = { 0 };
    assert_true(hint_pace_admits(&pace, &config, SECOND));
    assert_true(hint_pace_admits(&pace, &config, 100 * (uint64_t)SECOND));
    assert_int_equal(pace.credit, 1000);
}

static void pauses_double_and_vary(void)
{
    struct random random;
    random_init(&random, 7);
    struct hint_pace pace = { 0 };
    uint64_t now = SECOND, least[] = { 500, 1000, 2000, 4000, 4000, 4000 };
    for (size_t i = 0; i < 6; i++) {
        send(&pace, 1);
        hint_pace_end(&pace, &config, HINT_OUTCOME_FAILED, now, &random);
        assert_in_range(pace.resume_us - now, least[i], 2 * least[i]);
        assert_false(hint_pace_admits(&pace, &config, pace.resume_us - 1));
        now = pace.resume_us;
    }
    send(&pace, 1);
    hint_pace_end(&pace, &config, HINT_OUTCOME_DONE, now, &random);
    assert_int_equal(pace.failures, 0);
    assert_true(hint_pace_admits(&pace, &config, now + SECOND));
}

static void a_window_that_fails_together_counts_once(void)
{
    struct random random;
    random_init(&random, 7);
    struct hint_pace pace = { 0 };
    send(&pace, 1);
    send(&pace, 1);
    hint_pace_end(&pace, &config, HINT_OUTCOME_FAILED, SECOND, &random);
    hint_pace_end(&pace, &config, HINT_OUTCOME_FAILED, SECOND + 1, &random);
    assert_int_equal(pace.failures, 1);
    assert_int_equal(pace.in_flight, 0);
}

static void who_comes_back_is_tried_soon(void)
{
    struct random random;
    random_init(&random, 7);
    struct hint_pace pace = { .failures = 9, .resume_us = 1000 * (uint64_t)SECOND };
    hint_pace_revive(&pace, &config, SECOND, &random);
    assert_in_range(pace.resume_us, SECOND, SECOND + 1000);
    assert_int_equal(pace.failures, 0);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "the window closes", the_window_closes },
        { "bytes cost time", bytes_cost_time },
        { "no more than a second's bytes are saved up", no_more_than_a_second_is_saved_up },
        { "pauses double up to a limit, and vary", pauses_double_and_vary },
        { "a window that fails together counts once", a_window_that_fails_together_counts_once },
        { "who comes back is tried soon", who_comes_back_is_tried_soon },
    };
    return RUN_TESTS("the pace of hints", tests);
}
