/* SPDX-License-Identifier: Apache-2.0 */
/** Who is lost is removed at the end as soon as somebody can be asked. */
#include "sim/acts/epochs.h"

#include "tests/support/rows.h"

enum { MEMBERS = 5, LOST = 4, SEEDS = 8 };

#define REMOVED_WITHIN_US (40 * SIM_SECOND) /* of three questions, each to one who may be drawn */

struct fixture {
    struct world world;
    struct plan plan;
    struct cluster cluster;
    struct epoch_changes changes;
};

/* All is well but for one, who lost his power for good. */
static void begin(struct fixture *f, uint64_t seed, uint64_t epoch_us)
{
    *f = (struct fixture){ 0 };
    f->plan = (struct plan){
        .member_count = MEMBERS,
        .epoch_us = epoch_us,
        .departures = true,
        .losses_max = 1,
        .replica_count = 3,
        .partition_count = 8,
        .store_count = { 1, 1, 1, 1, 1 },
        .sync = NODE_SYNC_ALWAYS,
        .jobs_latency_us = 100,
        .network = { .delay_us = 100 },
    };
    quorum_levels_init(&f->plan.levels);
    f->plan.levels.n = f->plan.replica_count;
    world_init(&f->world, seed);
    sizes_draw(&f->world, &f->plan.sizes);
    cluster_init(&f->cluster, &f->world, &f->plan);
    epoch_changes_init(&f->changes, &f->cluster);
    assert_true(world_run_until(&f->world, f->world.now_us + 2 * SIM_SECOND));
    f->cluster.processes[LOST].held_down = true;
    process_crash(&f->cluster.processes[LOST], false);
    f->changes.departures.lost = LOST;
}

static void end(struct fixture *f)
{
    assert_null(f->world.violation.checker);
    epoch_changes_done(&f->changes);
    cluster_done(&f->cluster);
    world_done(&f->world);
}

static void heal(struct fixture *f)
{
    epoch_changes_begin(&f->changes);
    epoch_changes_end(&f->changes);
}

static void pass_time(struct fixture *f, uint64_t duration_us)
{
    assert_true(world_run_until(&f->world, f->world.now_us + duration_us));
}

static bool is_removed(const struct fixture *f)
{
    return epoch_book_gone(&f->cluster.book, LOST);
}

/* Of five one cannot be asked, so some question in the middle meets him under one of the seeds. */
static void questions_to_one_who_is_down_are_put_again(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed, SIM_SECOND / 3);
        heal(&f);
        pass_time(&f, 10 * SIM_SECOND); /* an answer that nobody gives is waited for longer */
        assert_true(is_removed(&f));
        end(&f);
    }
}

static void no_question_is_passed_over(void)
{
    struct fixture f;
    begin(&f, 1, SIM_SECOND / 3);
    for (uint16_t i = 0; i < MEMBERS; i++)
        if (f.cluster.processes[i].running)
            process_stop(&f.cluster.processes[i]);
    for (uint16_t i = 0; i < MEMBERS; i++)
        world_cancel(&f.world, &f.cluster.processes[i].restart);
    heal(&f);
    pass_time(&f, 60 * SIM_SECOND);
    assert_int_equal(0, f.changes.asked);
    assert_int_equal(0, f.changes.step);
    end(&f);
}

static void a_long_pause_is_not_waited_for(void)
{
    struct fixture f;
    begin(&f, 1, 1000 * SIM_SECOND);
    heal(&f);
    pass_time(&f, REMOVED_WITHIN_US);
    assert_true(is_removed(&f));
    assert_true(departures_settled(&f.changes.departures));
    end(&f);
}

static const struct named_test tests[] = {
    { "who insists on a removal asks somebody else at once when one cannot be asked",
      questions_to_one_who_is_down_are_put_again },
    { "while nobody can be asked, no question is passed over", no_question_is_passed_over },
    { "a rare long pause between two changes is not waited for", a_long_pause_is_not_waited_for },
};

int main(void)
{
    return RUN_TESTS("sim epochs", tests);
}
