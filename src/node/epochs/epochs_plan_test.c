/* SPDX-License-Identifier: Apache-2.0 */
/* Plans made in a job, while the shard goes on: what they come to, and when they count no more. */
#include "tests/support/node_world.h"

enum { MEMBERS = 4 };

/* --- jobs ------------------------------------------------------------------------------------ */

static struct job *waiting;

static void keep_job(struct jobs *jobs, struct job *job)
{
    (void)jobs;
    assert_null(waiting);
    waiting = job;
}

static void do_job(void)
{
    struct job *job = waiting;
    assert_non_null(job);
    waiting = NULL;
    job->work(job);
    job->done(job);
}

static const struct jobs_ops jobs_ops = { .submit = keep_job };
static struct jobs jobs = { &jobs_ops };

/* --- plans ----------------------------------------------------------------------------------- */

struct told {
    bool told, filled;
    kvorum_status status;
    uint64_t epoch;
};

static void on_plan(void *context, const struct node_plan *plan)
{
    struct told *told = context;
    assert_false(told->told);
    *told = (struct told){ .told = true,
                           .filled = plan->filled,
                           .status = plan->status,
                           .epoch = plan->epoch == NULL ? 0 : plan->epoch->number };
}

/* Member 0 plans all but the smallest clusters beside its thread. */
static struct world *begin(uint64_t inline_max)
{
    struct world *world = world_make(MEMBERS);
    world->epoch.replicas_wanted = world->epoch.replica_count; /* as a record must have it */
    world->epoch.voter_count = 3;
    for (uint16_t i = 0; i < 3; i++)
        world->epoch.voters[i] = i;
    world->nodes[0] = node_destroy(world->nodes[0]);
    struct node_config config = {
        .epoch = &world->epoch,
        .self = 0,
        .shard_count = 1,
        .store_count = 1,
        .stores = &world->stores[0],
        .actor = 100,
        .clock = &world->clock,
        .net = &world->nets[0].net,
        .jobs = &jobs,
        .random_seed = 1,
        .gossip = quick_gossip(),
        .plan_inline_max = inline_max,
    };
    assert_int_equal(node_create(&config, &world->nodes[0]), KVORUM_OK);
    return world;
}

static void a_small_one_is_made_at_once(void)
{
    struct world *world = begin(0);
    struct told told = { 0 };
    node_plan(world->nodes[0], on_plan, &told);
    assert_true(told.told);
    assert_int_equal(told.epoch, 1);
    world_free(world);
}

static void a_large_one_is_made_beside(void)
{
    struct world *world = begin(1);
    struct told at_once = { 0 }, told = { 0 };
    node_plan(world->nodes[0], on_plan, &told);
    assert_false(told.told);
    do_job();
    assert_true(told.told);
    node_plan(world->nodes[1], on_plan, &at_once);
    assert_memory_equal(&told, &at_once, sizeof(told)); /* the same as at a member without jobs */
    world_free(world);
}

static void one_that_the_node_does_not_live_to_see(void)
{
    struct world *world = begin(1);
    struct told told = { 0 };
    node_plan(world->nodes[0], on_plan, &told);
    world->nodes[0] = node_destroy(world->nodes[0]);
    do_job();
    assert_true(told.told);
    assert_int_equal(told.status, KVORUM_UNAVAILABLE);
    world_free(world);
}

static const struct named_test tests[] = {
    { "a plan that is little work is made at once", a_small_one_is_made_at_once },
    { "a plan that is much work is made in a job, and is the same", a_large_one_is_made_beside },
    { "who asked for a plan is told also when the node ends before",
      one_that_the_node_does_not_live_to_see },
};

int main(void)
{
    return RUN_TESTS("epochs_plan", tests);
}
