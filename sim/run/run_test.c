/* SPDX-License-Identifier: Apache-2.0 */
/** Whole clusters: a batch of seeds finds nothing wrong, and a seed is always the same run. */
#include "sim/run/run.h"

#include "tests/support/slow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

enum { SEEDS = 1500, SEEDS_TWICE = 60, SEEDS_LIVENESS = 400, SEEDS_VOTERS = 1000 };

/* A sanitizer looks at every access of a run: it needs fewer of them. */
static uint64_t as_many_as_time_allows(uint64_t seeds)
{
    return (uint64_t)((double)seeds / slowness());
}

static void run_well(const struct run_options *options, struct run_result *ret_result)
{
    run(options, ret_result);
    if (ret_result->violation.checker != NULL)
        fail_msg("%s: %s\n%s\nreplay: kvorum-sim --seed %llu --runs 1 --trace %s",
                 ret_result->violation.checker, ret_result->violation.text, ret_result->plan,
                 (unsigned long long)options->seed, run_kinds[options->kind].option);
}

static void nothing_is_wrong(void **state)
{
    (void)state;
    uint64_t acknowledged = 0, seeds = as_many_as_time_allows(SEEDS);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct run_options options = { .seed = seed };
        struct run_result result;
        run_well(&options, &result);
        acknowledged += result.acknowledged;
    }
    assert_true(acknowledged > 20 * seeds); /* clusters that refuse everything prove nothing */
}

static void every_core_serves_alone(void **state)
{
    (void)state;
    uint64_t seeds = as_many_as_time_allows(SEEDS_LIVENESS);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct run_options options = { .seed = seed, .kind = KIND_LIVENESS };
        struct run_result result;
        run_well(&options, &result);
    }
}

/* The first four were stuck: one who was none in a recovery that had been begun ended it, left, and
 * told nobody; one who had accepted it waited for an epoch that it would never adopt; those who had
 * were behind one who was none in it, and could not ask (the fourth). */
static void who_is_left_goes_on_without_most_voters(void **state)
{
    (void)state;
    static const uint64_t known[] = { 290, 1273, 4252, 410730 };
    uint64_t seeds = as_many_as_time_allows(SEEDS_VOTERS);
    for (uint64_t i = 0; i < 4 + seeds; i++) {
        struct run_options options = { .seed = i < 4 ? known[i] : i - 3, .kind = KIND_VOTERS };
        struct run_result result;
        run_well(&options, &result);
    }
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    uint64_t seeds = as_many_as_time_allows(SEEDS_TWICE);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct run_options options = { .seed = seed };
        struct run_result first, second;
        run(&options, &first);
        run(&options, &second);
        assert_true(first.trace_hash == second.trace_hash);
        assert_true(first.event_count == second.event_count);
    }
}

static void another_seed_is_another_run(void **state)
{
    (void)state;
    struct run_options options = { .seed = 1 };
    struct run_result first, second;
    run(&options, &first);
    options.seed = 2;
    run(&options, &second);
    assert_false(first.trace_hash == second.trace_hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wrong),
        cmocka_unit_test(every_core_serves_alone),
        cmocka_unit_test(who_is_left_goes_on_without_most_voters),
        cmocka_unit_test(the_same_seed_is_the_same_run),
        cmocka_unit_test(another_seed_is_another_run),
    };
    return cmocka_run_group_tests_name("sim run", tests, NULL, NULL);
}
