/* SPDX-License-Identifier: Apache-2.0 */
/* Values whose deadline comes, in stories. */
#include "tests/support/node_pets.h"

enum { OFFSET_MS = 500 };

static uint64_t wall_ms(struct world *world)
{
    return test_wall_ms(&world->clock);
}

static struct outcome put_until(struct world *world, uint16_t at, const char *key,
                                const char *value, uint64_t deadline_ms)
{
    struct operation operation = operation_on(OPERATION_PUT, key);
    operation.value = bytes_of_string(value);
    operation.deadline_ms = deadline_ms;
    operation.flags = OPERATION_OVERWRITE;
    return run(world, at, &operation);
}

static struct outcome touch(struct world *world, uint16_t at, const char *key, uint64_t deadline_ms,
                            uint32_t conditions)
{
    struct operation operation = operation_on(OPERATION_PUT, key);
    operation.flags = OPERATION_TOUCH | OPERATION_OVERWRITE | conditions;
    operation.deadline_ms = deadline_ms;
    return run(world, at, &operation);
}

static void set_ttl(struct world *world, uint32_t seconds)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.ttl_seconds = seconds;
    set_properties(world, 0, &properties);
}

struct stored {
    uint32_t objects, tombstones, entries;
};

static struct stored look(struct world *world, uint16_t member)
{
    struct stored stored = { 0 };
    struct engine_iterator *iterator;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    assert_int_equal(engine_iterate(world->stores[member], NULL, &iterator), KVORUM_OK);
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator)) {
        struct object object;
        stored.entries += iterator->key.data[0] == 'e';
        if (iterator->key.data[0] != 'o')
            continue;
        assert_int_equal(object_decode(iterator->value, &arena, &object), KVORUM_OK);
        stored.objects++;
        stored.tombstones += object_is_deleted(&object);
    }
    engine_iterator_close(iterator);
    arena_done(&arena);
    return stored;
}

static void a_value_is_there_until_its_deadline(void)
{
    struct world *world = world_make(3);
    uint64_t deadline_ms = wall_ms(world) + 2000;
    assert_int_equal(put_until(world, 0, "cat", "meow", deadline_ms).status, KVORUM_OK);
    pass(world, deadline_ms - wall_ms(world) - 100);
    assert_string_equal(get(world, 1, "cat").values, "meow");
    assert_int_equal(list(world, 1, LIST_KEYS).count, 1);
    pass(world, 100);
    assert_int_equal(get(world, 1, "cat").status, KVORUM_NOT_FOUND);
    assert_int_equal(list(world, 1, LIST_KEYS).count, 0);
    assert_int_equal(look(world, 0).tombstones, 0); /* some clock may not have come so far */
    world_free(world);
}

static void an_expired_value_is_dropped_everywhere_and_needs_no_repair(void)
{
    struct world *world = world_make(3);
    uint64_t deadline_ms = wall_ms(world) + 1000;
    put_until(world, 0, "cat", "meow", deadline_ms);
    put(world, 0, "dog", "woof", NULL);
    pass(world, 1000 + OFFSET_MS + 2000);
    for (uint16_t i = 0; i < 3; i++) {
        struct stored stored = look(world, i);
        assert_int_equal(stored.objects, 2);
        assert_int_equal(stored.tombstones, 1);
        assert_int_equal(stored.entries, 0);
        assert_int_equal(node_counters(world->nodes[i])->expired, 1);
    }
    assert_int_equal(get(world, 1, "cat").status, KVORUM_NOT_FOUND);
    assert_string_equal(get(world, 1, "dog").values, "woof");
    for (uint16_t i = 0; i < 3; i++)
        assert_int_equal(node_counters(world->nodes[i])->read_repairs, 0);
    world_free(world);
}

/* One replica has dropped it, another not yet: they agree, and nobody takes it back. */
static void a_replica_that_has_not_dropped_it_is_not_repaired(void)
{
    struct world *world = world_make(3);
    uint64_t deadline_ms = wall_ms(world) + 1000;
    put_until(world, 0, "cat", "meow", deadline_ms);
    restart(world, 2, (struct node_limits){ .clock_offset_ms = 50000 });
    pass(world, 5000);
    assert_int_equal(look(world, 0).tombstones, 1);
    assert_int_equal(look(world, 2).tombstones, 0);
    struct operation all = operation_on(OPERATION_GET, "cat");
    all.levels.r = LEVEL_ALL;
    for (uint16_t i = 0; i < 3; i++)
        assert_int_equal(run(world, i, &all).status, KVORUM_NOT_FOUND);
    for (uint16_t i = 0; i < 3; i++)
        assert_int_equal(node_counters(world->nodes[i])->read_repairs, 0);
    world_free(world);
}

static void a_hint_brings_the_same_deadline(void)
{
    struct world *world = world_make(5);
    uint16_t owner = owner_of(world, "cat", 0);
    uint64_t deadline_ms = wall_ms(world) + 8000;
    cut(world, owner);
    put_until(world, owner_of(world, "cat", 1), "cat", "meow", deadline_ms);
    pass(world, 4000);
    heal(world, owner);
    pass(world, 1500);
    for (uint16_t i = 0; i < 5; i++)
        if (i != owner)
            cut(world, i);
    struct operation alone = operation_on(OPERATION_GET, "cat");
    alone.levels.r = 1;
    assert_string_equal(run(world, owner, &alone).values, "meow");
    pass(world, deadline_ms - wall_ms(world));
    assert_int_equal(run(world, owner, &alone).status, KVORUM_NOT_FOUND);
    world_free(world);
}

static void a_bucket_gives_its_values_a_time(void)
{
    struct world *world = world_make(3);
    set_ttl(world, 2);
    put(world, 0, "cat", "meow", NULL);
    put_until(world, 0, "dog", "woof", NODE_NEVER);
    put_until(world, 0, "owl", "hoo", wall_ms(world) + 10000);
    pass(world, 2100);
    assert_int_equal(get(world, 1, "cat").status, KVORUM_NOT_FOUND);
    assert_string_equal(get(world, 1, "dog").values, "woof");
    assert_string_equal(get(world, 1, "owl").values, "hoo");
    set_ttl(world, 0); /* for those written from now on */
    put(world, 0, "cat", "meow", NULL);
    pass(world, 10000);
    assert_string_equal(get(world, 1, "cat").values, "meow");
    assert_int_equal(get(world, 1, "owl").status, KVORUM_NOT_FOUND);
    world_free(world);
}

static void what_is_touched_is_written_anew_with_another_deadline(void)
{
    struct world *world = world_make(5);
    uint64_t now_ms = wall_ms(world);
    assert_int_equal(touch(world, 0, "cat", now_ms + 9000, 0).status, KVORUM_NOT_FOUND);
    put_until(world, 0, "cat", "meow", now_ms + 2000);
    assert_int_equal(touch(world, 3, "cat", now_ms + 9000, OPERATION_IF_LASTS).status,
                     KVORUM_CONFLICT);
    assert_int_equal(touch(world, 3, "cat", now_ms + 9000, OPERATION_IF_EARLIER).status, KVORUM_OK);
    pass(world, 5000);
    assert_string_equal(get(world, 4, "cat").values, "meow");
    assert_int_equal(touch(world, 4, "cat", NODE_NEVER, OPERATION_IF_EXPIRES).status, KVORUM_OK);
    pass(world, 5000);
    assert_string_equal(get(world, 2, "cat").values, "meow");
    assert_int_equal(touch(world, 1, "cat", 1, 0).status, KVORUM_OK); /* long ago */
    assert_int_equal(get(world, 2, "cat").status, KVORUM_NOT_FOUND);
    world_free(world);
}

static void a_set_may_keep_the_deadline(void)
{
    struct world *world = world_make(3);
    uint64_t deadline_ms = wall_ms(world) + 2000;
    put_until(world, 0, "cat", "meow", deadline_ms);
    struct operation operation = operation_on(OPERATION_PUT, "cat");
    operation.value = BYTES_LITERAL("purr");
    operation.flags = OPERATION_OVERWRITE | OPERATION_KEEP_DEADLINE;
    assert_int_equal(run(world, 1, &operation).status, KVORUM_OK);
    assert_string_equal(get(world, 2, "cat").values, "purr");
    pass(world, deadline_ms - wall_ms(world));
    assert_int_equal(get(world, 2, "cat").status, KVORUM_NOT_FOUND);
    world_free(world);
}

/* An entry for a deadline that was replaced changes nothing. */
static void a_deadline_that_was_replaced_drops_nothing(void)
{
    struct world *world = world_make(3);
    put_until(world, 0, "cat", "meow", wall_ms(world) + 1000);
    put_until(world, 0, "cat", "purr", NODE_NEVER);
    pass(world, 5000);
    assert_string_equal(get(world, 1, "cat").values, "purr");
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(look(world, i).entries, 0);
        assert_int_equal(node_counters(world->nodes[i])->expired, 0);
    }
    world_free(world);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "a value is there until its deadline", a_value_is_there_until_its_deadline },
        { "an expired value is dropped everywhere, and needs no repair",
          an_expired_value_is_dropped_everywhere_and_needs_no_repair },
        { "a replica that has not dropped it is not repaired",
          a_replica_that_has_not_dropped_it_is_not_repaired },
        { "a hint brings the same deadline", a_hint_brings_the_same_deadline },
        { "a bucket gives its values a time", a_bucket_gives_its_values_a_time },
        { "what is touched is written anew with another deadline",
          what_is_touched_is_written_anew_with_another_deadline },
        { "a SET may keep the deadline", a_set_may_keep_the_deadline },
        { "a deadline that was replaced drops nothing",
          a_deadline_that_was_replaced_drops_nothing },
    };
    return RUN_TESTS("expiry", tests);
}
