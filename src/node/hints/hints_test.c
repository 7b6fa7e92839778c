/* SPDX-License-Identifier: Apache-2.0 */
/* What is owed to members that were away, in stories. */
#include "tests/support/node_world.h"

#include "node/collect/collect_internal.h"
#include "node/handoff/handoff.h"
#include "node/hints/hints.h"

static const struct bytes everything = { 0 };

static bool holds(struct world *world, uint16_t member, char kind)
{
    struct engine_iterator *iterator;
    struct engine_range range = { everything, everything, true };
    bool found = false;
    assert_int_equal(engine_iterate(world->stores[member], &range, &iterator), KVORUM_OK);
    for (engine_iterator_first(iterator); iterator->valid && !found; engine_iterator_next(iterator))
        found = iterator->key.data[0] == (uint8_t)kind;
    engine_iterator_close(iterator);
    return found;
}

/* `count` keys with one first owner; each is written while that one is away.  Returns the one that
 * stands in for it. */
static uint16_t write_around(struct world *world, uint16_t *ret_owner, int count)
{
    uint16_t owner = *ret_owner = owner_of(world, "cat", 0), stand_in = owner_of(world, "cat", 3);
    cut(world, owner);
    for (int i = 0; i < count; i++)
        assert_int_equal(put(world, owner_of(world, "cat", 1), "cat", "meow", NULL).status,
                         KVORUM_OK);
    return stand_in;
}

static void a_key_written_often_is_one_hint(void)
{
    struct world *world = world_make(5);
    uint16_t owner, stand_in = write_around(world, &owner, 10);
    struct node_hints hints;
    node_hints(world->nodes[stand_in], owner, &hints);
    assert_int_equal(hints.count, 1);
    assert_true(hints.size > 0 && hints.size < 100);
    assert_true(hints.oldest_ms > 1700000000000ull);
    heal(world, owner);
    node_hints(world->nodes[stand_in], owner, &hints);
    assert_int_equal(hints.count, 0);
    assert_int_equal(hints.oldest_ms, 0);
    assert_false(holds(world, stand_in, 'o'));
    assert_false(holds(world, stand_in, 'h'));
    assert_false(holds(world, stand_in, 'i'));
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_waiting_size, 0);
    world_free(world);
}

static void hints_are_counted_again_after_a_restart(void)
{
    struct world *world = world_make(5);
    uint16_t owner, stand_in = write_around(world, &owner, 1);
    struct node_hints before, after;
    node_hints(world->nodes[stand_in], owner, &before);
    restart(world, stand_in, (struct node_limits){ 0 });
    node_hints(world->nodes[stand_in], owner, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    heal(world, owner);
    pass(world, 3000);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_delivered, 1);
    world_free(world);
}

static void markers_of_an_older_release_are_delivered(void)
{
    struct world *world = world_make(5);
    uint16_t owner, stand_in = write_around(world, &owner, 1);
    struct engine_batch *batch = engine_batch_create();
    struct engine_iterator *iterator;
    struct engine_range range = { BYTES_LITERAL("h"), BYTES_LITERAL("j"), false };
    assert_int_equal(engine_iterate(world->stores[stand_in], &range, &iterator), KVORUM_OK);
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator)) {
        kvorum_status status = iterator->key.data[0] == 'h'
                                   ? engine_batch_put(batch, iterator->key, everything)
                                   : engine_batch_delete(batch, iterator->key);
        assert_int_equal(status, KVORUM_OK);
    }
    engine_iterator_close(iterator);
    world->nodes[stand_in] = node_destroy(world->nodes[stand_in]);
    assert_int_equal(engine_write(world->stores[stand_in], batch, ENGINE_NONE), KVORUM_OK);
    engine_batch_destroy(batch);
    restart(world, stand_in, (struct node_limits){ 0 });
    heal(world, owner);
    pass(world, 3000);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_delivered, 1);
    assert_false(holds(world, stand_in, 'h'));
    world_free(world);
}

static void over_the_quota_a_mark_takes_the_place_of_a_hint(void)
{
    struct world *world = world_make(5);
    uint16_t owner = owner_of(world, "cat", 0), other = owner_of(world, "cat", 1);
    for (uint16_t i = 0; i < world->count; i++)
        restart(world, i, (struct node_limits){ .hints = 1, .hints_size = 10 }); /* none fits */
    pass(world, 1000);
    cut(world, owner);
    assert_int_equal(put(world, other, "cat", "meow", NULL).status, KVORUM_OK);
    uint64_t refused = 0;
    for (uint16_t i = 0; i < world->count; i++) {
        refused += node_counters(world->nodes[i])->hints_refused;
        assert_false(holds(world, i, 'i'));
    }
    assert_true(refused > 0);
    assert_true(holds(world, other, 'j'));
    heal(world, owner);
    pass(world, 20000);
    for (uint16_t i = 0; i < world->count; i++)
        assert_false(holds(world, i, 'j'));
    for (uint16_t i = 0; i < world->count; i++)
        if (i != owner)
            cut(world, i);
    struct operation alone = operation_on(OPERATION_GET, "cat");
    alone.levels.r = 1;
    assert_string_equal(run(world, owner, &alone).values, "meow");
    world_free(world);
}

static uint32_t partition_of(struct world *world, const char *key)
{
    return ring_partition_of_hash(&world->epoch,
                                  ring_hash(&world->epoch, BYTES_LITERAL("default"),
                                            BYTES_LITERAL("pets"), bytes_of_string(key)));
}

/* The planner's table, with one owner of the key's partition replaced. */
static uint16_t replace_owner(struct world *world, const char *key, uint16_t owner)
{
    uint16_t newcomer = owner_of(world, key, 4);
    uint32_t partition = partition_of(world, key);
    for (uint8_t i = 0; i < 3; i++)
        if (world->epoch.table[partition * 3 + i] == owner)
            world->epoch.table[partition * 3 + i] = newcomer;
    world->epoch.number++;
    return newcomer;
}

static void a_hint_for_one_who_owns_no_more_goes_to_the_owners(void)
{
    struct world *world = world_make(5);
    uint16_t owner, stand_in = write_around(world, &owner, 1);
    uint16_t newcomer = replace_owner(world, "cat", owner);
    pass(world, 5000);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_rerouted, 1);
    assert_true(holds(world, newcomer, 'o'));
    assert_false(holds(world, stand_in, 'o'));
    heal(world, owner);
    pass(world, 5000);
    assert_false(holds(world, owner, 'o'));
    world_free(world);
}

/* The next epoch may wait for it: its holder may be leaving. */
static void a_hint_that_the_owners_queues_had_no_room_for_goes_there_later(void)
{
    struct world *world = world_make(5);
    uint16_t owner, stand_in = write_around(world, &owner, 1);
    struct hints *hints = world->nodes[stand_in]->hints;
    uint64_t room = hints->quota.count;
    hints->quota.count = 0;
    uint16_t newcomer = replace_owner(world, "cat", owner);
    pass(world, 5000);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_rerouted, 0);
    hints->quota.count = room;
    pass(world, 30000);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_rerouted, 1);
    assert_true(holds(world, newcomer, 'o'));
    assert_false(holds(world, stand_in, 'o') || holds(world, stand_in, 'i'));
    world_free(world);
}

static void a_hint_past_the_horizon_is_destroyed_and_compared(void)
{
    struct world *world = world_make(5);
    uint16_t stand_in = owner_of(world, "cat", 3), owner;
    restart(world, stand_in, (struct node_limits){ .hint_horizon_ms = 5000 });
    pass(world, 1000);
    assert_int_equal(write_around(world, &owner, 1), stand_in);
    pass(world, 6000);
    heal(world, owner);
    pass(world, 20000);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_delivered, 0);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_destroyed, 1);
    assert_false(holds(world, stand_in, 'o'));
    assert_true(holds(world, owner, 'o')); /* from the other owners */
    world_free(world);
}

static void a_write_that_an_owner_did_not_answer_is_owed_to_it(void)
{
    struct world *world = world_make(3);
    world->deaf_to_merges[2] = true;
    struct operation operation = operation_on(OPERATION_PUT, "cat");
    operation.value = BYTES_LITERAL("meow");
    operation.levels.sloppy = 0;
    assert_int_equal(run(world, 0, &operation).status, KVORUM_OK);
    pass(world, 11000);
    struct node_hints hints;
    node_hints(world->nodes[0], 2, &hints);
    assert_int_equal(hints.count, 1);
    world->deaf_to_merges[2] = false;
    pass(world, 20000);
    node_hints(world->nodes[0], 2, &hints);
    assert_int_equal(hints.count, 0);
    assert_true(holds(world, 2, 'o'));
    assert_true(holds(world, 0, 'o')); /* an owner keeps it */
    world_free(world);
}

/* The key's partition goes from its first owner to one who had nothing to do with it; reads ask the
 * new owners.  The end of the move may wait for the hint: its holder may be leaving. */
static void begin_move(struct world *world, const char *key, struct move *ret_move)
{
    uint32_t partition = partition_of(world, key);
    *ret_move = (struct move){ partition, MOVE_WRITE_BOTH_READ_NEW, 1, { 0 } };
    memcpy(ret_move->to, ring_row(&world->epoch, partition), 3 * sizeof(*ret_move->to));
    ret_move->to[0] = owner_of(world, key, 4);
    world->epoch.moves = ret_move;
    world->epoch.move_count = 1;
}

/* The owner's fence as given; everybody else's too when `all`. */
static void set_fences(struct world *world, uint16_t owner, bool all, struct fence fence)
{
    uint32_t partition = partition_of(world, "cat");
    for (uint16_t i = 0; i < world->count; i++)
        if ((i == owner) != all)
            world->nodes[i]->collect->partitions[partition].kept.fence = fence;
}

static void comes_within_ten_seconds(struct world *world, uint16_t stand_in, uint16_t owner)
{
    struct node_hints hints;
    node_hints(world->nodes[stand_in], owner, &hints);
    assert_int_equal(hints.count, 1);
    heal(world, owner);
    pass(world, 10000);
    node_hints(world->nodes[stand_in], owner, &hints);
    assert_int_equal(hints.count, 0);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_delivered, 1);
    assert_true(holds(world, owner, 'o'));
}

/* It refuses what is older than a round whose end it has not heard of. */
static void a_hint_for_one_in_doubt_comes_while_the_partition_moves(void)
{
    struct world *world = world_make(5);
    uint16_t owner, stand_in = write_around(world, &owner, 1);
    struct move move;
    begin_move(world, "cat", &move);
    set_fences(
        world, owner, false,
        (struct fence){ .promised = fence_of_epoch(1) + 1, .doubt = FENCE_ALL, .known = true });
    world->nodes[owner]->collect->doubts = true;
    collect_wake(world->nodes[owner], world->now_us);
    comes_within_ten_seconds(world, stand_in, owner);
    world_free(world);
}

/* It takes nothing before it gave up what it has. */
static void a_hint_for_one_who_is_behind_comes_while_the_partition_moves(void)
{
    struct world *world = world_make(5);
    uint64_t round = fence_of_epoch(1) + 1;
    uint16_t owner = owner_of(world, "cat", 0);
    assert_int_equal(put(world, owner, "cat", "purr", NULL).status, KVORUM_OK);
    uint16_t stand_in = write_around(world, &owner, 1);
    struct move move;
    begin_move(world, "cat", &move);
    set_fences(world, owner, true,
               (struct fence){ .promised = round, .committed = round, .known = true });
    comes_within_ten_seconds(world, stand_in, owner);
    world_free(world);
}

/* What a member holds of the given kinds, as a batch. */
static struct engine_batch *remember(struct world *world, uint16_t member, const char *kinds)
{
    struct engine_batch *batch = engine_batch_create();
    struct engine_iterator *iterator;
    struct engine_range range = { everything, everything, false };
    assert_int_equal(engine_iterate(world->stores[member], &range, &iterator), KVORUM_OK);
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator))
        if (strchr(kinds, iterator->key.data[0]) != NULL)
            assert_int_equal(engine_batch_put(batch, iterator->key, iterator->value), KVORUM_OK);
    engine_iterator_close(iterator);
    assert_true(engine_batch_count(batch) > 0);
    return batch;
}

/* A hint was delivered and forgotten; then damage takes deletions along, so that what was there of
 * these kinds is there again.  Returns how often the hint was delivered. */
static uint64_t uncover(const char *kinds)
{
    const struct bytes lower = BYTES_LITERAL("h"), upper = BYTES_LITERAL("p");
    struct world *world = world_make(5);
    uint16_t owner, stand_in = write_around(world, &owner, 1);
    struct engine_batch *batch = remember(world, stand_in, kinds);
    heal(world, owner);
    pass(world, 10000);
    assert_false(holds(world, stand_in, 'i') || holds(world, stand_in, 'o'));
    assert_int_equal(engine_write(world->stores[stand_in], batch, ENGINE_NONE), KVORUM_OK);
    engine_batch_destroy(batch);
    hints_on_mended(world->nodes[stand_in], lower, upper);
    handoff_on_mended(world->nodes[stand_in], 0, lower, upper);
    pass(world, 10000);
    for (const char *kind = "hio"; *kind != 0; kind++)
        assert_false(holds(world, stand_in, *kind));
    uint64_t delivered = node_counters(world->nodes[stand_in])->hints_delivered;
    world_free(world);
    return delivered;
}

static void a_hint_that_came_back_with_damage_goes_again(void)
{
    assert_int_equal(uncover("hio"), 2);
}

static void an_index_that_came_back_without_its_place_goes_again(void)
{
    assert_int_equal(uncover("ho"), 2);
}

static void a_place_that_came_back_without_its_index_goes_again(void)
{
    assert_int_equal(uncover("io"), 2);
}

static void halves_of_a_hint_that_came_back_without_its_object_go(void)
{
    assert_int_equal(uncover("h"), 1);
    assert_int_equal(uncover("i"), 1);
    assert_int_equal(uncover("hi"), 1);
}

static void an_object_that_came_back_with_damage_goes(void)
{
    assert_int_equal(uncover("o"), 1);
}

static void take_away(struct world *world, uint16_t member, char kind)
{
    struct engine_batch *batch = engine_batch_create();
    struct engine_iterator *iterator;
    struct engine_range range = { everything, everything, true };
    assert_int_equal(engine_iterate(world->stores[member], &range, &iterator), KVORUM_OK);
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator))
        if (iterator->key.data[0] == (uint8_t)kind)
            assert_int_equal(engine_batch_delete(batch, iterator->key), KVORUM_OK);
    engine_iterator_close(iterator);
    assert_int_equal(engine_batch_count(batch), 1);
    assert_int_equal(engine_write(world->stores[member], batch, ENGINE_NONE), KVORUM_OK);
    engine_batch_destroy(batch);
}

/* Half of a hint rots while its target is away: it is delivered, and all of it goes. */
static void lose_half(char kind)
{
    const struct bytes lower = BYTES_LITERAL("h"), upper = BYTES_LITERAL("j");
    struct world *world = world_make(5);
    uint16_t owner, stand_in = write_around(world, &owner, 1);
    take_away(world, stand_in, kind);
    hints_on_mended(world->nodes[stand_in], lower, upper);
    handoff_on_mended(world->nodes[stand_in], 0, lower, upper);
    pass(world, 1000);
    assert_true(holds(world, stand_in, 'h') && holds(world, stand_in, 'i'));
    assert_true(holds(world, stand_in, 'o'));
    heal(world, owner);
    pass(world, 10000);
    for (const char *left = "hio"; *left != 0; left++)
        assert_false(holds(world, stand_in, *left));
    struct node_hints hints;
    node_hints(world->nodes[stand_in], owner, &hints);
    assert_int_equal(hints.count, 0);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_delivered, 1);
    world_free(world);
}

static void a_hint_whose_place_rots_is_delivered(void)
{
    lose_half('i');
}

static void a_hint_whose_index_rots_is_delivered(void)
{
    lose_half('h');
}

int main(void)
{
    static const struct named_test tests[] = {
        { "a key written often is one hint", a_key_written_often_is_one_hint },
        { "hints are counted again after a restart", hints_are_counted_again_after_a_restart },
        { "markers of an older release are delivered", markers_of_an_older_release_are_delivered },
        { "over the quota a mark takes the place of a hint",
          over_the_quota_a_mark_takes_the_place_of_a_hint },
        { "a hint for one who owns no more goes to the owners",
          a_hint_for_one_who_owns_no_more_goes_to_the_owners },
        { "a hint that the owners' queues had no room for goes there later, in the same epoch",
          a_hint_that_the_owners_queues_had_no_room_for_goes_there_later },
        { "a hint past the horizon is destroyed, and the partition compared",
          a_hint_past_the_horizon_is_destroyed_and_compared },
        { "a write that an owner did not answer is owed to it",
          a_write_that_an_owner_did_not_answer_is_owed_to_it },
        { "a hint for one in doubt about a round comes while the partition moves",
          a_hint_for_one_in_doubt_comes_while_the_partition_moves },
        { "a hint for one who is behind comes while the partition moves",
          a_hint_for_one_who_is_behind_comes_while_the_partition_moves },
        { "a hint that came back with damage is delivered, and goes again",
          a_hint_that_came_back_with_damage_goes_again },
        { "an index that came back without its place in the queue goes again",
          an_index_that_came_back_without_its_place_goes_again },
        { "a place in the queue that came back without its index goes again",
          a_place_that_came_back_without_its_index_goes_again },
        { "halves of a hint that came back without its object go",
          halves_of_a_hint_that_came_back_without_its_object_go },
        { "an object that came back with damage, and is owed to nobody, goes",
          an_object_that_came_back_with_damage_goes },
        { "a hint whose place in the queue rots is delivered",
          a_hint_whose_place_rots_is_delivered },
        { "a hint whose index rots is delivered", a_hint_whose_index_rots_is_delivered },
    };
    return RUN_TESTS("hints", tests);
}
