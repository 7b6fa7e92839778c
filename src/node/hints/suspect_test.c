/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of dropped hints that come while others are being followed. */
#include "tests/support/node_world.h"

#include "node/hints/suspect_internal.h"

enum { MEMBERS = 3, MARKED = 0, TARGET = 2, PARTITION = 5 };

static void put_mark(struct world *world, uint32_t partition, enum hint_mark mark)
{
    struct node *node = world->nodes[MARKED];
    node_enter(node);
    engine_batch_reset(node->batch);
    assert_int_equal(
        hints_put_mark(node, node->batch, &world->epoch.members[TARGET].id, partition, mark),
        KVORUM_OK);
    assert_int_equal(engine_write(world->stores[MARKED], node->batch, ENGINE_NONE), KVORUM_OK);
    node_leave(node);
}

static bool has_mark(struct world *world, uint32_t partition, enum hint_mark mark)
{
    struct node *node = world->nodes[MARKED];
    struct engine_view view;
    node_enter(node);
    struct bytes key =
        hint_mark_key(&node->scratch, &world->epoch.members[TARGET].id, partition, mark);
    kvorum_status status = engine_view(world->stores[MARKED], key, &view);
    node_leave(node);
    if (status == KVORUM_OK)
        engine_release(&view);
    return status == KVORUM_OK;
}

/* The owners are asked, and nobody has heard of it yet. */
static struct world *begin(void)
{
    struct world *world = world_make(MEMBERS);
    put_mark(world, PARTITION, HINT_MARK_SUSPICION);
    node_enter(world->nodes[MARKED]);
    suspect_hand_over(world->nodes[MARKED], TARGET, PARTITION);
    node_leave(world->nodes[MARKED]);
    assert_true(has_mark(world, PARTITION, HINT_MARK_SUSPICION));
    return world;
}

static void handed_over(void)
{
    struct world *world = begin();
    settle(world);
    assert_false(has_mark(world, PARTITION, HINT_MARK_SUSPICION));
    world_free(world);
}

/* An owner that was asked may have compared already, without what the second hint was for. */
static void renewed(void)
{
    struct world *world = begin();
    put_mark(world, PARTITION, HINT_MARK_SUSPICION);
    settle(world);
    assert_true(has_mark(world, PARTITION, HINT_MARK_SUSPICION));
    pass(world, 20000);
    assert_false(has_mark(world, PARTITION, HINT_MARK_SUSPICION));
    world_free(world);
}

/* --- marks that the disk must be read for ---------------------------------------------------- */

static struct job *first_job;

static void queue_job(struct jobs *jobs, struct job *job)
{
    (void)jobs;
    job->next = first_job;
    first_job = job;
}

static bool do_jobs(void)
{
    struct job *job = first_job;
    if (job == NULL)
        return false;
    first_job = job->next;
    job->work(job);
    job->done(job);
    return true;
}

static const struct jobs_ops jobs_ops = { .submit = queue_job };
static struct jobs jobs = { &jobs_ops };
static struct engine_ops cold_ops;
static kvorum_status (*warm_get)(struct engine *engine, struct bytes key,
                                 const struct engine_read *read, struct engine_view *ret_view);

static kvorum_status cold_get(struct engine *engine, struct bytes key,
                              const struct engine_read *read, struct engine_view *ret_view)
{
    return read->nowait ? KVORUM_WOULD_BLOCK : warm_get(engine, key, read, ret_view);
}

static void cool_down(struct world *world)
{
    struct node *node = world->nodes[MARKED];
    cold_ops = *world->stores[MARKED]->ops;
    warm_get = cold_ops.get;
    cold_ops.get = cold_get;
    world->stores[MARKED]->ops = &cold_ops;
    node->config.jobs = &jobs;
    world->work = do_jobs;
}

/* A bucket has one replica, and TARGET is not its owner in the partition that is returned. */
static uint32_t begin_cold(struct world **ret_world)
{
    struct world *world = *ret_world = world_make(MEMBERS);
    struct bucket_properties properties;
    struct outcome outcome = { 0 };
    bucket_properties_init(&properties);
    properties.levels.n = properties.levels.r = properties.levels.w = 1;
    properties.levels.dw = properties.levels.pr = properties.levels.pw = 0;
    node_set_properties(world->nodes[MARKED], (struct bytes){ 0 }, BYTES_LITERAL("pets"),
                        &properties, false, note, &outcome);
    pass(world, 1000);
    assert_int_equal(outcome.status, KVORUM_OK);
    cool_down(world);
    uint32_t partition = 0;
    while (ring_row(&world->epoch, partition)[0] == TARGET)
        partition++;
    return partition;
}

static void compare(struct world *world, uint32_t partition)
{
    node_enter(world->nodes[MARKED]);
    hints_compared(world->nodes[MARKED], partition, TARGET);
    node_leave(world->nodes[MARKED]);
}

/* It was suspected of lacking what a mark of TARGET stood for. */
static bool is_suspected(struct world *world, uint32_t partition)
{
    struct node_hints hints;
    node_hints(world->nodes[MARKED], ring_row(&world->epoch, partition)[0], &hints);
    return hints.marks > 0;
}

/* The comparison may be for another mark, or for none: there are marks of TARGET elsewhere. */
static void not_there(void)
{
    struct world *world;
    uint32_t partition = begin_cold(&world);
    put_mark(world, partition + 1, HINT_MARK_ORDER);
    compare(world, partition);
    settle(world);
    assert_false(is_suspected(world, partition));
    world_free(world);
}

static void on_disk(void)
{
    struct world *world;
    uint32_t partition = begin_cold(&world);
    put_mark(world, partition, HINT_MARK_ORDER);
    compare(world, partition);
    compare(world, partition);
    assert_false(is_suspected(world, partition));
    settle(world);
    assert_true(is_suspected(world, partition));
    assert_false(has_mark(world, partition, HINT_MARK_ORDER));
    assert_int_equal(node_counters(world->nodes[MARKED])->hint_marks_settled, 1);
    world_free(world);
}

static void put_meanwhile(void)
{
    struct world *world;
    uint32_t partition = begin_cold(&world);
    put_mark(world, partition, HINT_MARK_ORDER);
    compare(world, partition);
    put_mark(world, partition, HINT_MARK_ORDER);
    settle(world);
    assert_true(has_mark(world, partition, HINT_MARK_ORDER));
    world_free(world);
}

static const struct named_test tests[] = {
    { "a mark goes when all owners have it", handed_over },
    { "a mark that was put again while owners were asked stays until they were asked again",
      renewed },
    { "a comparison settles no mark that is not there, though the disk must be read to know",
      not_there },
    { "a mark that is on the disk goes once, and on to the owners of buckets with fewer replicas",
      on_disk },
    { "a mark that was put again while the disk was read stays", put_meanwhile },
};

int main(void)
{
    return RUN_TESTS("suspect", tests);
}
