/* SPDX-License-Identifier: Apache-2.0 */
/* Who stands in for an owner gives the object away and forgets it; so nothing here tells one of its
 * writes from the next, but the actor that each of them has. */
#include "tests/support/node_pets.h"

#include "node/collect/collect_internal.h"

enum { AHEAD_MS = 2 * 60 * 60 * 1000 };

/* Siblings, and one replica: the next in the row coordinates while the owner is away. */
static struct world *begin(void)
{
    struct world *world = world_make(5);
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.allow_mult = 1;
    properties.levels.n = 1;
    set_properties(world, 0, &properties);
    return world;
}

/* Written by a stand-in, handed over, and forgotten. */
static void put_while_the_owner_is_away(struct world *world, const char *value)
{
    uint16_t owner = owner_of(world, "cat", 0), stand_in = owner_of(world, "cat", 1);
    uint64_t delivered = node_counters(world->nodes[stand_in])->hints_delivered;
    struct outcome outcome = put(world, stand_in, "cat", value, NULL);
    assert_int_equal(outcome.status, KVORUM_OK);
    assert_int_equal(outcome.stand_ins, 1);
    heal(world, owner);
    pass(world, 3000);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_delivered, delivered + 1);
    assert_int_equal(count_stored(world, stand_in, 'o'), 0);
}

static void both_are_there(struct world *world)
{
    struct outcome seen = get(world, owner_of(world, "cat", 0), "cat");
    assert_int_equal(seen.status, KVORUM_OK);
    assert_true(are_siblings(&seen, "one", "two"));
    world_free(world);
}

static void writes_of_a_stand_in_whose_clock_is_behind_the_floor(void)
{
    struct world *world = begin();
    uint16_t owner = owner_of(world, "cat", 0), stand_in = owner_of(world, "cat", 1);
    struct collect *collect = world->nodes[stand_in]->collect;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        collect->partitions[p].kept.stamp = (clock_wall_ms(&world->clock) + AHEAD_MS)
                                            << HLC_COUNTER_BITS;
    cut(world, owner);
    put_while_the_owner_is_away(world, "one");
    cut(world, owner);
    put_while_the_owner_is_away(world, "two");
    both_are_there(world);
}

/* As if the wall clock had been put back between two lives, and the second had taken up the actor
 * of the first. */
static void writes_of_a_stand_in_that_took_up_an_actor(void)
{
    struct world *world = begin();
    uint16_t owner = owner_of(world, "cat", 0), stand_in = owner_of(world, "cat", 1);
    uint64_t actor = node_actor(world->nodes[stand_in]);
    uint64_t ahead = (clock_wall_ms(&world->clock) + AHEAD_MS) << HLC_COUNTER_BITS;
    cut(world, owner);
    world->nodes[stand_in]->hlc.last = ahead;
    put_while_the_owner_is_away(world, "one");
    restart(world, stand_in, (struct node_limits){ 0 });
    pass(world, 3000);
    cut(world, owner);
    world->nodes[stand_in]->config.actor = actor;
    world->nodes[stand_in]->hlc.last = ahead;
    put_while_the_owner_is_away(world, "two");
    both_are_there(world);
}

static const struct named_test tests[] = {
    { "two writes that a stand-in took while its clock was behind the floor of stamps both stay",
      writes_of_a_stand_in_whose_clock_is_behind_the_floor },
    { "two writes of a stand-in both stay that were made at one time, in lives under one actor",
      writes_of_a_stand_in_that_took_up_an_actor },
};

int main(void)
{
    return RUN_TESTS("stand-in", tests);
}
