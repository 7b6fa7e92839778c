/* SPDX-License-Identifier: Apache-2.0 */
/** A member whose directory is not the one it had: empty, new, or its own of yesterday. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

#include "base/planted.h"
#include "sim/checkers/checkers.h"
#include "sim/clients/workload.h"

enum { MEMBERS = 3, CAPACITY = 64 };

struct fixture {
    struct world world;
    struct plan plan;
    struct cluster cluster;
    struct history history;
    struct workload workload;
};

static void begin(struct fixture *f)
{
    f->plan = (struct plan){
        .member_count = MEMBERS,
        .replica_count = MEMBERS,
        .partition_count = 8,
        .store_count = { 1, 1, 1 },
        .sync = NODE_SYNC_ALWAYS,
        .jobs_latency_us = 100,
        .siblings = true,
        .key_count = 2,
        .client_count = 1,
        .timeout_ms = 1000,
        .network = { .delay_us = 100 },
    };
    quorum_levels_init(&f->plan.levels);
    f->plan.levels.n = MEMBERS;
    f->plan.levels.r = f->plan.levels.w = f->plan.levels.dw = 2;
    world_init(&f->world, 1);
    sizes_draw(&f->world, &f->plan.sizes);
    cluster_init(&f->cluster, &f->world, &f->plan);
    history_init(&f->history, &f->world, true, f->plan.key_count, CAPACITY);
    workload_init(&f->workload, &f->cluster, &f->history);
    assert_true(world_run_until(&f->world, f->world.now_us + 2 * SIM_SECOND));
}

static void end(struct fixture *f)
{
    workload_done(&f->workload);
    cluster_done(&f->cluster);
    history_done(&f->history);
    world_done(&f->world);
}

static void pass(struct fixture *f)
{
    world_run_until(&f->world, f->world.now_us + 4 * SIM_SECOND);
}

static struct record *ask(struct fixture *f, enum action action, uint16_t member)
{
    bool done = false;
    struct record *record = workload_ask(&f->workload, action, 0, &f->cluster.processes[member],
                                         &f->plan.levels, &done);
    while (!done && world_step(&f->world))
        ;
    return record;
}

static void copy_disk(struct fixture *f, uint16_t member, struct sim_disk *ret_copy)
{
    sim_disk_copy_synced(&f->cluster.processes[member].disk, ret_copy);
}

/* --- an empty directory ---------------------------------------------------------------------- */

static void an_empty_directory_is_nobody_until_it_is_joined(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct process *process = &f.cluster.processes[2];
    struct node_id old = process->identity.node;
    assert_int_equal(KVORUM_OK, ask(&f, ACTION_PUT_BLIND, 0)->status);
    process_crash(process, false);
    process_wipe(process);
    assert_null(f.world.violation.checker); /* it was not taken for the member */
    assert_memory_not_equal(&old, &process->identity.node, sizeof(old));
    assert_false(identity_has_cluster(&process->identity));
    pass(&f);
    assert_int_equal(KVORUM_OK, ask(&f, ACTION_GET, 1)->status); /* the others serve */
    end(&f);
}

static kvorum_status open_copy(struct sim_disk *disk)
{
    struct identity_options options = {
        .create = true, .store_count = 1, .engine = "lsm", .fresh_id = { { 9 } }
    };
    struct identity identity;
    struct arena arena;
    struct epoch epoch;
    const char *why;
    arena_init(&arena, 1 << 20);
    kvorum_status status = identity_open(&disk->base, &options, &identity, &why);
    if (status == KVORUM_OK)
        status = identity_load_epoch(&disk->base, &identity, &arena, &epoch, &why);
    arena_done(&arena);
    return status;
}

static void a_directory_without_its_identity_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_disk copy;
    begin(&f);
    copy_disk(&f, 1, &copy);
    assert_int_equal(KVORUM_OK, copy.base.ops->remove(&copy.base, "identity"));
    assert_int_equal(KVORUM_FOREIGN, open_copy(&copy));
    sim_disk_done(&copy);
    end(&f);
}

/* Somebody copied the cluster's layout into a new directory, to bring a lost member back. */
static void a_new_directory_with_the_old_layout_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_disk empty;
    begin(&f);
    sim_disk_init(&empty, NULL);
    assert_int_equal(KVORUM_NOT_FOUND, open_copy(&empty)); /* waits */
    struct identity no_cluster = { .store_count = 1, .life = { 1, { 1 }, 1, 0 }, .engine = "lsm" };
    assert_int_equal(KVORUM_OK, identity_save_epoch(&empty.base, &no_cluster, &f.cluster.epoch));
    assert_int_equal(KVORUM_OK, empty.base.ops->remove(&empty.base, "identity"));
    assert_int_equal(KVORUM_FOREIGN, open_copy(&empty));
    sim_disk_done(&empty);
    end(&f);
}

/* --- yesterday's disk ------------------------------------------------------------------------ */

/* A backup is put back under a member.  What it acknowledged since is lost with it; but what it
 * writes now must not go under the names of what it forgot, or the others would drop one of two. */
static void put_back(struct fixture *f, bool clean)
{
    struct sim_disk yesterday;
    struct process *process = &f->cluster.processes[0];
    begin(f);
    assert_int_equal(KVORUM_OK, ask(f, ACTION_PUT_BLIND, 0)->status);
    if (clean)
        process_stop(process);
    copy_disk(f, 0, &yesterday);
    if (clean)
        process_start(process);
    else {
        process_crash(process, false);
        process_start(process);
    }
    pass(f);
    assert_int_equal(KVORUM_OK, ask(f, ACTION_PUT_OVERWRITE, 0)->status);
    pass(f);
    process_crash(process, false);
    process_put_back(process, &yesterday);
    process_start(process);
    assert_true(process->running);
}

static void yesterdays_disk_gives_no_dot_again(bool clean, bool at_once)
{
    struct fixture f;
    put_back(&f, clean);
    if (!at_once)
        pass(&f);
    kvorum_status status = ask(&f, ACTION_PUT_OVERWRITE, 0)->status;
    assert_true(status == KVORUM_OK || at_once); /* it may not be ready */
    pass(&f);
    assert_null(f.world.violation.checker);
    end(&f);
}

static void yesterdays_disk_gives_no_dot_again_after_a_clean_stop(void **state)
{
    (void)state;
    yesterdays_disk_gives_no_dot_again(true, false);
}

static void yesterdays_disk_gives_no_dot_again_at_once_after_a_clean_stop(void **state)
{
    (void)state;
    yesterdays_disk_gives_no_dot_again(true, true);
}

static void yesterdays_disk_gives_no_dot_again_after_a_crash(void **state)
{
    (void)state;
    yesterdays_disk_gives_no_dot_again(false, false);
}

static void the_checker_sees_a_dot_given_again(void **state)
{
    (void)state;
    struct fixture f;
    planted_bug_active = PLANTED_ACTOR_UNASKED;
    put_back(&f, true);
    pass(&f);
    ask(&f, ACTION_PUT_OVERWRITE, 0);
    pass(&f);
    planted_bug_active = PLANTED_NONE;
    assert_non_null(f.world.violation.checker);
    assert_string_equal("dots", f.world.violation.checker);
    end(&f);
}

static uint64_t actor_of(const struct fixture *f, uint16_t member)
{
    return node_actor(f->cluster.processes[member].shards[0].node);
}

static void after_a_clean_stop_the_actor_is_the_old_one_once_all_agree(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint64_t actor = actor_of(&f, 0);
    process_stop(&f.cluster.processes[0]);
    process_start(&f.cluster.processes[0]);
    assert_true(actor_of(&f, 0) != actor);
    pass(&f);
    assert_true(actor_of(&f, 0) == actor);
    end(&f);
}

static void while_somebody_is_away_the_actor_is_a_new_one(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint64_t actor = actor_of(&f, 0);
    process_stop(&f.cluster.processes[2]);
    process_stop(&f.cluster.processes[0]);
    process_start(&f.cluster.processes[0]);
    pass(&f);
    pass(&f);
    assert_true(actor_of(&f, 0) != actor);
    process_start(&f.cluster.processes[2]);
    pass(&f);
    assert_true(actor_of(&f, 0) == actor);
    end(&f);
}

static void yesterdays_disk_finds_out_and_is_above_what_it_forgot(void **state)
{
    (void)state;
    struct fixture f;
    put_back(&f, true);
    const struct identity *identity = &f.cluster.processes[0].identity;
    uint64_t number = identity->life.number;
    pass(&f);
    assert_int_equal(identity->life.number, number + 1); /* it had come as what the others know */
    assert_int_equal(identity->life.votes_from, 3);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_directory_is_nobody_until_it_is_joined),
        cmocka_unit_test(a_directory_without_its_identity_is_refused),
        cmocka_unit_test(a_new_directory_with_the_old_layout_is_refused),
        cmocka_unit_test(yesterdays_disk_gives_no_dot_again_after_a_clean_stop),
        cmocka_unit_test(yesterdays_disk_gives_no_dot_again_at_once_after_a_clean_stop),
        cmocka_unit_test(yesterdays_disk_gives_no_dot_again_after_a_crash),
        cmocka_unit_test(the_checker_sees_a_dot_given_again),
        cmocka_unit_test(after_a_clean_stop_the_actor_is_the_old_one_once_all_agree),
        cmocka_unit_test(while_somebody_is_away_the_actor_is_a_new_one),
        cmocka_unit_test(yesterdays_disk_finds_out_and_is_above_what_it_forgot),
    };
    return cmocka_run_group_tests_name("sim identity", tests, NULL, NULL);
}
