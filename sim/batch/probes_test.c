/* SPDX-License-Identifier: Apache-2.0 */
/** Which probes a batch must have fired: not few runs, not those of another kind. */
#include "sim/batch/probes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

#include "sim/run/run.h"

struct missing {
    unsigned count, unknown;
    bool frame;
};

static void note(void *context, const char *name, bool exists)
{
    struct missing *missing = context;
    missing->count++;
    missing->unknown += !exists;
    missing->frame = missing->frame || strcmp(name, "network: frame doubled") == 0;
}

static void tally_what_fired(struct probe_tally *tally)
{
    struct probe_counts counts;
    probes_take(&counts);
    probes_tally_run(tally, &counts);
}

static struct missing check(const struct probe_tally *tally, enum kind kind)
{
    struct missing missing = { 0 };
    probes_check(tally, kind, note, &missing);
    return missing;
}

static void a_small_batch_owes_nothing(void **state)
{
    (void)state;
    static struct probe_tally tally;
    tally.runs = 10;
    assert_int_equal(0, check(&tally, KIND_CLUSTERS).count);
}

static void a_probe_that_never_fired_in_many_runs_is_missing(void **state)
{
    (void)state;
    static struct probe_tally tally;
    tally_what_fired(&tally); /* nothing has run in this process yet */
    tally.runs = 1000;
    assert_true(check(&tally, KIND_CLUSTERS).frame);
    assert_int_equal(0, check(&tally, KIND_CLUSTERS).unknown); /* the list is of this program */
    assert_int_equal(0, check(&tally, KIND_STORES).unknown);
    assert_int_equal(0, check(&tally, KIND_LIVENESS).unknown);
    assert_false(check(&tally, KIND_STORES).frame);
}

static void one_that_fired_is_not(void **state)
{
    (void)state;
    static struct probe_tally tally;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct run_options options = { .seed = seed };
        struct run_result result;
        run(&options, &result);
        tally_what_fired(&tally);
    }
    assert_int_equal(30, tally.runs);
    tally.runs = 1000;
    assert_false(check(&tally, KIND_CLUSTERS).frame);
    for (size_t i = 0; i < tally.count; i++)
        assert_true(tally.list[i].runs <= 30 && tally.list[i].runs <= tally.list[i].fired);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_batch_owes_nothing),
        cmocka_unit_test(a_probe_that_never_fired_in_many_runs_is_missing),
        cmocka_unit_test(one_that_fired_is_not),
    };
    return cmocka_run_group_tests_name("probes", tests, NULL, NULL);
}
