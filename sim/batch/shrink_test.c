/* SPDX-License-Identifier: Apache-2.0 */
/** Shrinking: of tapes that fail by a rule of ours, and of runs with planted bugs. */
#include "sim/batch/shrink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

#include "sim/batch/isolate.h"
#include "sim/bugs/bugs.h"

/* --- a rule of ours -------------------------------------------------------------------------- */

/* It fails while some client asks for 41 or more, and some fault is there. */
static bool rule(void *context, const struct tape *tape, uint64_t noise_seed, struct tape *ret_used)
{
    (void)noise_seed;
    uint64_t *most = context;
    const struct tape_stream *client = &tape->streams[STREAM_CLIENTS];
    bool fails = false;
    for (size_t i = 0; i < client->count; i++)
        fails = fails || client->choices[i] >= 41;
    fails = fails && tape->streams[STREAM_FAULTS].span_count > 0;
    *most = tape_count(tape) > *most ? tape_count(tape) : *most;
    if (fails) {
        tape_copy(tape, ret_used);
        tape_trim(ret_used);
    }
    return fails;
}

static bool always(void *context, const struct shrink *shrink)
{
    (void)context;
    (void)shrink;
    return true;
}

static void fill(struct tape *tape)
{
    static const enum stream streams[] = { STREAM_NOISE, STREAM_PLAN, STREAM_FAULTS,
                                           STREAM_CLIENTS };
    *tape = (struct tape){ 0 };
    for (size_t s = 0; s < sizeof(streams) / sizeof(*streams); s++) {
        for (uint64_t span = 0; span < (streams[s] == STREAM_NOISE ? 1 : 50); span++) {
            tape_begin_span(tape, streams[s]);
            for (uint64_t i = 0; i < 20; i++)
                tape_record(tape, streams[s], span * 1000 + i);
        }
    }
}

static void only_what_the_failure_needs_is_left(void **state)
{
    (void)state;
    uint64_t most = 0;
    struct shrink shrink = { .runs_max = 2000, .fails = rule, .go_on = always, .context = &most };
    fill(&shrink.best);
    shrink_run(&shrink);
    const struct tape_stream *client = &shrink.best.streams[STREAM_CLIENTS];
    assert_int_equal(0, shrink.best.streams[STREAM_NOISE].count);
    assert_int_equal(0, shrink.best.streams[STREAM_PLAN].count);
    assert_int_equal(1, shrink.best.streams[STREAM_FAULTS].span_count);
    assert_int_equal(0, shrink.best.streams[STREAM_FAULTS].count);
    assert_int_equal(1, client->span_count);
    assert_in_range(client->choices[client->count - 1], 41, 81); /* half of it would not fail */
    for (size_t i = 0; i + 1 < client->count; i++)
        assert_int_equal(0, client->choices[i]);
    assert_true(shrink.runs < 2000);
    tape_done(&shrink.best);
}

static void no_more_runs_than_allowed_are_made(void **state)
{
    (void)state;
    uint64_t most = 0;
    struct shrink shrink = { .runs_max = 7, .fails = rule, .go_on = always, .context = &most };
    fill(&shrink.best);
    shrink_run(&shrink);
    assert_int_equal(7, shrink.runs);
    tape_done(&shrink.best);
}

/* --- runs ------------------------------------------------------------------------------------ */

enum { SEEDS = 40, SECONDS = 20 };

static void assert_same_again(uint64_t seed, enum kind kind)
{
    struct tape first = { 0 }, second = { 0 };
    struct run_result a, b;
    struct run_options options = { .seed = seed, .kind = kind };
    options.ret_tape = &first;
    run(&options, &a);
    tape_trim(&first);
    options.seed = seed + 1000000; /* nothing comes from it */
    options.replay = &first;
    options.ret_tape = &second;
    run(&options, &b);
    if (a.trace_hash != b.trace_hash)
        fail_msg("seed %llu %s", (unsigned long long)seed, run_kinds[kind].option);
    assert_int_equal(a.asked, b.asked);
    tape_done(&first);
    tape_done(&second);
}

static void a_trimmed_tape_makes_the_run_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        assert_same_again(seed, seed % 4 == 0   ? KIND_STORES
                                : seed % 4 == 1 ? KIND_LIVENESS
                                : seed % 4 == 2 ? KIND_VOTERS
                                                : KIND_CLUSTERS);
}

struct case_run {
    struct run_options options;
    const char *checker;
    uint64_t asked;
};

static bool fails_alike(void *context, const struct tape *candidate, uint64_t noise_seed,
                        struct tape *ret_used)
{
    struct case_run *one = context;
    struct run_result result;
    one->options.replay = candidate;
    one->options.noise_seed = noise_seed;
    one->options.ret_tape = ret_used;
    isolate_run(&one->options, SECONDS, true, &result);
    bool alike =
        result.violation.checker != NULL && strcmp(result.violation.checker, one->checker) == 0;
    if (alike)
        one->asked = result.asked;
    else
        tape_done(ret_used);
    return alike;
}

/* From `seed` on.  All choices before, and those that are left. */
static void shrink_bug(enum planted_bug bug, enum kind kind, uint64_t seed, size_t ret_choices[2],
                       uint64_t *ret_asked)
{
    struct shrink shrink = { .runs_max = 400, .fails = fails_alike, .go_on = always };
    struct case_run one = { .options = { .seed = seed, .kind = kind, .ret_tape = &shrink.best } };
    struct run_result result;
    bug_plant(bug);
    for (uint64_t i = 0; i < 20; i++, one.options.seed++) {
        isolate_run(&one.options, SECONDS, true, &result);
        if (result.violation.checker != NULL)
            break;
        tape_done(&shrink.best);
    }
    assert_non_null(result.violation.checker);
    one.checker = result.violation.checker;
    one.asked = result.asked;
    shrink.context = &one;
    ret_choices[0] = tape_count(&shrink.best);
    shrink_run(&shrink);
    ret_choices[1] = tape_count(&shrink.best);
    *ret_asked = one.asked;
    bug_plant(PLANTED_NONE);
    tape_done(&shrink.best);
}

static void a_planted_bug_shrinks_to_a_few_operations(void **state)
{
    (void)state;
    size_t choices[2];
    uint64_t asked;
    shrink_bug(PLANTED_ACKNOWLEDGE_AND_FORGET, KIND_CLUSTERS, 1, choices, &asked);
    assert_true(choices[1] < choices[0] / 5);
    assert_true(asked <= 6);
}

static void a_bug_of_recoveries_shrinks(void **state)
{
    (void)state;
    size_t choices[2];
    uint64_t asked;
    shrink_bug(PLANTED_RECOVERY_IGNORES_VOTES, KIND_VOTERS, 20, choices, &asked);
    assert_true(choices[1] < choices[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_the_failure_needs_is_left),
        cmocka_unit_test(no_more_runs_than_allowed_are_made),
        cmocka_unit_test(a_trimmed_tape_makes_the_run_again),
        cmocka_unit_test(a_planted_bug_shrinks_to_a_few_operations),
        cmocka_unit_test(a_bug_of_recoveries_shrinks),
    };
    return cmocka_run_group_tests_name("shrinking", tests, NULL, NULL);
}
