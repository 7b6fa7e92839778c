/* SPDX-License-Identifier: Apache-2.0 */
/** Who knows of the bucket's last mode, as the checkers see it. */
#include "sim/acts/modes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

#include "sim/checkers/checkers.h"

enum { MEMBERS = 3, STORES = 2 };

struct fixture {
    struct world world;
    struct plan plan;
    struct cluster cluster;
    bool answered;
};

/* The last mode is the default one, and nothing goes wrong but what the test does. */
static void begin(struct fixture *f, bool memory)
{
    f->plan = (struct plan){
        .member_count = MEMBERS,
        .replica_count = MEMBERS,
        .partition_count = 8,
        .store_count = { STORES, STORES, STORES },
        .memory = memory,
        .sync = NODE_SYNC_ALWAYS,
        .jobs_latency_us = 100,
        .mode_changes = true,
        .network = { .delay_us = 100 },
    };
    quorum_levels_init(&f->plan.levels);
    f->plan.levels.n = MEMBERS;
    world_init(&f->world, 1);
    sizes_draw(&f->world, &f->plan.sizes);
    cluster_init(&f->cluster, &f->world, &f->plan);
    assert_true(world_run_until(&f->world, f->world.now_us + 2 * SIM_SECOND));
}

static void end(struct fixture *f)
{
    cluster_done(&f->cluster);
    world_done(&f->world);
}

static void on_answer(void *context, const struct answer *answer)
{
    struct fixture *f = context;
    f->answered = answer->status == KVORUM_OK;
}

static void decide(struct fixture *f, uint16_t member, bool siblings)
{
    struct bucket_properties properties;
    struct process *process = &f->cluster.processes[member];
    modes_properties(&f->plan, siblings, &properties);
    f->answered = false;
    process_enter(process);
    node_set_properties(process->shards[0].node, (struct bytes){ 0 }, BYTES_LITERAL(SIM_BUCKET),
                        &properties, false, on_answer, f);
    process_leave(process, 0);
    assert_true(world_run_until(&f->world, f->world.now_us + 2 * SIM_SECOND));
    assert_true(f->answered);
}

static void crash_and_start(struct fixture *f, uint16_t member)
{
    process_crash(&f->cluster.processes[member], false);
    process_start(&f->cluster.processes[member]);
    assert_true(f->cluster.processes[member].running);
}

static unsigned who_knows(struct fixture *f)
{
    unsigned members = 0;
    for (uint16_t i = 0; i < MEMBERS; i++)
        members |= (unsigned)mode_known(&f->cluster.processes[i], 0) << i;
    return members;
}

static bool keeps_siblings(struct fixture *f, uint16_t member)
{
    struct bucket_properties properties;
    node_properties(f->cluster.processes[member].shards[0].node, (struct bytes){ 0 },
                    BYTES_LITERAL(SIM_BUCKET), &properties);
    return properties.allow_mult == 1;
}

/* It is in the last mode by default before anybody chose that one: what it takes is written in the
 * mode of those who know of any decision, and rightly so. */
static void who_forgot_a_decision_does_not_know_the_next(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    decide(&f, 0, true);
    assert_true(keeps_siblings(&f, 1));
    crash_and_start(&f, 1);
    assert_false(keeps_siblings(&f, 1));
    assert_int_equal(0, who_knows(&f));
    end(&f);
}

static void all_know_what_was_answered(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    decide(&f, 0, true);
    assert_int_equal(0, who_knows(&f));
    decide(&f, 1, false);
    assert_int_equal(7, who_knows(&f));
    crash_and_start(&f, 2);
    assert_int_equal(3, who_knows(&f)); /* though its mode is the same */
    assert_true(world_run_until(&f.world, f.world.now_us + 2 * SIM_SECOND));
    assert_int_equal(7, who_knows(&f)); /* by gossip */
    check_all_told(&f.cluster);
    assert_null(f.world.violation.checker);
    end(&f);
}

static void a_disk_remembers_the_decision(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, false);
    decide(&f, 0, true);
    decide(&f, 1, false);
    crash_and_start(&f, 2);
    assert_int_equal(7, who_knows(&f));
    end(&f);
}

static void one_who_was_not_told_is_found(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, false);
    decide(&f, 0, true);
    check_told(&f.cluster, &f.cluster.processes[0]); /* of the last one, that nobody made */
    assert_string_equal("modes", f.world.violation.checker);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_forgot_a_decision_does_not_know_the_next),
        cmocka_unit_test(all_know_what_was_answered),
        cmocka_unit_test(a_disk_remembers_the_decision),
        cmocka_unit_test(one_who_was_not_told_is_found),
    };
    return cmocka_run_group_tests_name("sim modes", tests, NULL, NULL);
}
