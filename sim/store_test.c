/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

#include "sim/bugs.h"

enum { SEEDS = 1500, STEPS = 250 };

static uint64_t play(uint64_t seed, struct violation *ret_violation)
{
    struct world world;
    world_init(&world, seed);
    world.tracing = getenv("KVORUM_SIM_TRACE") != NULL;
    store_play(&world, STEPS);
    *ret_violation = world.violation;
    uint64_t hash = world.trace_hash;
    world_done(&world);
    return hash;
}

static void a_store_survives_crashes_at_every_operation(void **state)
{
    (void)state;
    const char *one = getenv("KVORUM_SIM_SEED");
    uint64_t first = one == NULL ? 0 : strtoull(one, NULL, 10);
    for (uint64_t seed = first; seed < first + (one == NULL ? SEEDS : 1); seed++) {
        struct violation violation;
        play(seed, &violation);
        if (violation.checker != NULL)
            fail_msg("seed %llu: %s (KVORUM_SIM_SEED=%llu KVORUM_SIM_TRACE=1 shows it)",
                     (unsigned long long)seed, violation.text, (unsigned long long)seed);
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
