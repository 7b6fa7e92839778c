/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

#include "sim/bugs/bugs.h"

enum { SEEDS = 1500 };

static uint64_t play(uint64_t seed, struct violation *ret_violation)
{
    const struct run_options options = { .seed = seed, .kind = KIND_STORES };
    struct run_result result;
    run(&options, &result);
    *ret_violation = result.violation;
    return result.trace_hash;
}

static void a_store_survives_crashes_at_every_operation(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct violation violation;
        play(seed, &violation);
        if (violation.checker != NULL)
            fail_msg("%s (kvorum-sim --store --seed %llu --runs 1 --trace shows it)",
                     violation.text, (unsigned long long)seed);
    }
}

static void the_same_seed_plays_the_same(void **state)
{
    (void)state;
    struct violation violation;
    for (uint64_t seed = 0; seed < 20; seed++)
        assert_true(play(seed, &violation) == play(seed, &violation));
}

static void a_log_tail_without_checksum_is_caught(void **state)
{
    (void)state;
    struct violation violation = { 0 };
    bug_plant(PLANTED_LOG_TAIL_UNCHECKED);
    for (uint64_t seed = 0; violation.checker == NULL && seed < SEEDS; seed++)
        play(seed, &violation);
    bug_plant(PLANTED_NONE);
    assert_non_null(violation.checker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_survives_crashes_at_every_operation),
        cmocka_unit_test(the_same_seed_plays_the_same),
        cmocka_unit_test(a_log_tail_without_checksum_is_caught),
    };
    return cmocka_run_group_tests_name("sim store", tests, NULL, NULL);
}
