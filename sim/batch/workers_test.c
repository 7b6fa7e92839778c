/* SPDX-License-Identifier: Apache-2.0 */
/** Outcomes come in the order of the seeds, however many workers there are and whatever ends. */
#include "sim/batch/workers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/rows.h"

enum { FIRST = 7, RUNS = 40, DEADLY = 13, BROKEN = 20 };

/* Early seeds take longest; one stops at an assertion, one finds something. */
static void play(uint64_t seed, struct outcome *ret_outcome)
{
    usleep((useconds_t)(seed % 5 == 0 ? 5000 : 100));
    if (seed == DEADLY)
        _exit(1);
    ret_outcome->result.event_count = seed;
    if (seed == BROKEN)
        ret_outcome->result.violation.checker = "broken";
}

static void check_one(const struct outcome *outcome, uint64_t seed)
{
    const char *checker = outcome->result.violation.checker;
    if (seed == DEADLY) {
        assert_string_equal("assertion", checker);
        return;
    }
    assert_int_equal(seed, outcome->result.event_count);
    if (seed == BROKEN)
        assert_string_equal("broken", checker);
    else
        assert_null(checker);
}

static void check_order(unsigned count)
{
    static struct outcome outcome;
    struct workers *workers = workers_start(count, FIRST, play);
    for (uint64_t seed = FIRST; seed < FIRST + RUNS; seed++) {
        workers_next(workers, &outcome);
        check_one(&outcome, seed);
    }
    workers_stop(workers); /* with runs under way that nobody asks for */
}

static void one_worker_makes_all_runs(void)
{
    check_order(1);
}

static void several_workers_give_the_same(void)
{
    check_order(2);
    check_order(7);
}

static void there_is_a_worker_by_default(void)
{
    assert_in_range(workers_default(), 1, WORKERS_MAX);
}

static const struct named_test tests[] = {
    { "one worker makes all runs, in their order, and is replaced when it dies",
      one_worker_makes_all_runs },
    { "several workers give the same outcomes in the same order", several_workers_give_the_same },
    { "there is at least one worker by default", there_is_a_worker_by_default },
};

int main(void)
{
    return RUN_TESTS("workers", tests);
}
