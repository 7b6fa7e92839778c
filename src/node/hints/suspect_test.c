/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of dropped hints that come while others are being followed. */
#include "tests/support/node_world.h"

#include "node/hints/suspect_internal.h"

enum { MEMBERS = 3, MARKED = 0, TARGET = 2, PARTITION = 5 };

static void put_mark(struct world *world)
{
    struct node *node = world->nodes[MARKED];
    node_enter(node);
    engine_batch_reset(node->batch);
    assert_int_equal(hints_put_mark(node, node->batch, &world->epoch.members[TARGET].id, PARTITION,
                                    HINT_MARK_SUSPICION),
                     KVORUM_OK);
    assert_int_equal(engine_write(world->stores[MARKED], node->batch, ENGINE_NONE), KVORUM_OK);
    node_leave(node);
}

static bool has_mark(struct world *world)
{
    struct node *node = world->nodes[MARKED];
    struct engine_view view;
    node_enter(node);
    struct bytes key = hint_mark_key(&node->scratch, &world->epoch.members[TARGET].id, PARTITION,
                                     HINT_MARK_SUSPICION);
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
    put_mark(world);
    node_enter(world->nodes[MARKED]);
    suspect_hand_over(world->nodes[MARKED], TARGET, PARTITION);
    node_leave(world->nodes[MARKED]);
    assert_true(has_mark(world));
    return world;
}

static void handed_over(void)
{
    struct world *world = begin();
    settle(world);
    assert_false(has_mark(world));
    world_free(world);
}

/* An owner that was asked may have compared already, without what the second hint was for. */
static void renewed(void)
{
    struct world *world = begin();
    put_mark(world);
    settle(world);
    assert_true(has_mark(world));
    pass(world, 20000);
    assert_false(has_mark(world));
    world_free(world);
}

static const struct named_test tests[] = {
    { "a mark goes when all owners have it", handed_over },
    { "a mark that was put again while owners were asked stays until they were asked again",
      renewed },
};

int main(void)
{
    return RUN_TESTS("suspect", tests);
}
