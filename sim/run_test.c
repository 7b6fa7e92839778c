/* SPDX-License-Identifier: Apache-2.0 */
/** Whole clusters: a batch of seeds finds nothing wrong, and a seed is always the same run. */
#include "sim/run.h"

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

/* Of two replicas one was left out: the target of the mark was the third owner by then (the first
 * two); a full store kept marks, and what was asked again brought more (the third). */
static void what_a_mark_stands_for_reaches_its_owners(void **state)
{
    (void)state;
    static const uint64_t seeds[] = { 10004, 10287, 10727 };
    for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
        struct run_options options = { .seed = seeds[i], .kind = KIND_HANDOFF };
        struct run_result result;
        run_well(&options, &result);
    }
}

/* A comparison took marks for there that it could not see at once; the suspicions that came of them
 * kept the store so busy that none was ever seen at once (the first three).  The order that a
 * member gave itself counted as a suspicion that was put again (the fourth).  While one owner's
 * store was behind, the others were given the same orders again, and followed them (the last). */
static void marks_come_to_an_end(void **state)
{
    (void)state;
    static const struct run_options all[] = { { .seed = 31993 },
                                              { .seed = 8940 },
                                              { .seed = 10298, .kind = KIND_COLLECT },
                                              { .seed = 51061, .kind = KIND_HANDOFF },
                                              { .seed = 51798, .kind = KIND_DROPS } };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        struct run_result result;
        run_well(&all[i], &result);
    }
}

/* A compaction was making a table of which a bit flipped before anybody was shown it; the scrub
 * that was asked for then was over before it was installed. */
static void a_scrub_finds_what_was_being_written_when_it_began(void **state)
{
    (void)state;
    struct run_options options = { .seed = 30044 };
    struct run_result result;
    run_well(&options, &result);
}

/* A read that met a newer epoch began again, in the generation of that moment, and saw what was
 * written in it: that is as it should be (the first).  An object was on disk before the generation
 * that it was of, and power failed (the second).  An older word on what is on disk came behind a
 * newer one, and a shard reclaimed nothing (the third). */
static void what_is_dropped_stays_dropped(void **state)
{
    (void)state;
    static const uint64_t seeds[] = { 60615, 924, 63266 };
    for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
        struct run_options options = { .seed = seeds[i], .kind = KIND_DROPS };
        struct run_result result;
        run_well(&options, &result);
    }
}

/* A move waited for a leaver that owed a hint, and whoever should have taken that for the move to
 * end: it was in doubt about a round of collecting (the first), or behind what was collected (the
 * second).  Or the move waited for a stream from one who was behind (the third). */
static void a_move_does_not_wait_for_what_waits_for_it(void **state)
{
    (void)state;
    static const uint64_t seeds[] = { 51270, 70180, 105199 };
    for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
        struct run_options options = { .seed = seeds[i], .kind = KIND_COLLECT };
        struct run_result result;
        run_well(&options, &result);
    }
}

/* A disk went back to a copy of the life that went on, and forgot votes: nobody could know. */
static void no_epoch_is_decided_twice_where_a_disk_is_put_back(void **state)
{
    (void)state;
    static const struct run_options runs[] = {
        { .seed = 7187, .kind = KIND_COLLECT },
        { .seed = 61744, .kind = KIND_YESTERDAY },
        { .seed = 62335, .kind = KIND_YESTERDAY },
    };
    for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
        struct run_result result;
        run_well(&runs[i], &result);
    }
}

/* n=1 in memory: the new owner is the coordinator, whose store acknowledges before it returns. */
static void a_put_that_goes_on_at_a_store_that_commits_at_once_ends_once(void **state)
{
    (void)state;
    const struct run_options options = { .seed = 7000007, .operation_count = 1500 };
    struct run_result result;
    run_well(&options, &result);
}

/* Its disk was full when a scrub found a damaged segment of its log: it is not whole by that. */
static void a_disk_with_damage_that_cannot_be_mended_is_not_whole(void **state)
{
    (void)state;
    const struct run_options options = { .seed = 7200194,
                                         .kind = KIND_DECAY,
                                         .operation_count = 1500 };
    struct run_result result;
    run_well(&options, &result);
}

/* The record that a bucket has one replica stood in the damage that took its keys. */
static void what_nobody_else_has_is_known_to_be_lost_after_a_restart(void **state)
{
    (void)state;
    const struct run_options options = { .seed = 7300017,
                                         .kind = KIND_DECAY,
                                         .operation_count = 1500 };
    struct run_result result;
    run_well(&options, &result);
}

/* Only one member knew that an epoch was decided, and its disk was put back; the voters who had
 * accepted it were never asked again (the first).  Who had proposed an epoch in which a member goes
 * was gone with the others' answers: that member left when all seemed settled (the second). */
static void voters_finish_what_they_accepted(void **state)
{
    (void)state;
    static const struct run_options runs[] = { { .seed = 63956, .kind = KIND_COLLECT },
                                               { .seed = 70311 } };
    for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
        struct run_result result;
        run_well(&runs[i], &result);
    }
}

/* A member's disk said that it is none any more, and nobody else had that epoch yet: it had decided
 * it itself, left, and told nobody. */
static void who_decided_that_it_goes_may_crash_at_once(void **state)
{
    (void)state;
    static const struct run_options runs[] = { { .seed = 103662, .kind = KIND_COLLECT },
                                               { .seed = 103713, .kind = KIND_COLLECT },
                                               { .seed = 107970, .kind = KIND_COLLECT } };
    for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
        struct run_result result;
        run_well(&runs[i], &result);
    }
}

/* A delete by a clock that was a minute ahead hid later puts, and was collected. */
static void a_collected_delete_may_have_hidden_later_puts(void **state)
{
    (void)state;
    struct run_options options = { .seed = 102969, .kind = KIND_COLLECT };
    struct run_result result;
    run_well(&options, &result);
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
        cmocka_unit_test(what_a_mark_stands_for_reaches_its_owners),
        cmocka_unit_test(marks_come_to_an_end),
        cmocka_unit_test(a_scrub_finds_what_was_being_written_when_it_began),
        cmocka_unit_test(what_is_dropped_stays_dropped),
        cmocka_unit_test(a_move_does_not_wait_for_what_waits_for_it),
        cmocka_unit_test(no_epoch_is_decided_twice_where_a_disk_is_put_back),
        cmocka_unit_test(a_put_that_goes_on_at_a_store_that_commits_at_once_ends_once),
        cmocka_unit_test(a_disk_with_damage_that_cannot_be_mended_is_not_whole),
        cmocka_unit_test(what_nobody_else_has_is_known_to_be_lost_after_a_restart),
        cmocka_unit_test(voters_finish_what_they_accepted),
        cmocka_unit_test(who_decided_that_it_goes_may_crash_at_once),
        cmocka_unit_test(a_collected_delete_may_have_hidden_later_puts),
        cmocka_unit_test(the_same_seed_is_the_same_run),
        cmocka_unit_test(another_seed_is_another_run),
    };
    return cmocka_run_group_tests_name("sim run", tests, NULL, NULL);
}
