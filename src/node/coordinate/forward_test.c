/* SPDX-License-Identifier: Apache-2.0 */
/* Who coordinates a write when the first to be asked cannot, in stories. */
#include "tests/support/node_world.h"

/* --- disks that failed ---------------------------------------------------------------------- */

static struct engine_ops poisoned_ops;

static kvorum_status refuse(struct engine *engine, const struct engine_batch *batch,
                            enum engine_durability durability, struct engine_commit *commit)
{
    (void)engine;
    (void)batch;
    (void)durability;
    (void)commit;
    return KVORUM_POISONED;
}

/* As after a failed write of its log: it reads, and takes nothing. */
static void poison(struct world *world, uint16_t member)
{
    struct engine *store = world->stores[member];
    poisoned_ops = *store->ops;
    poisoned_ops.submit = refuse;
    store->ops = &poisoned_ops;
}

/* No owner of it. */
static uint16_t outsider(struct world *world, const char *key)
{
    return owner_of(world, key, 3);
}

/* --- stories -------------------------------------------------------------------------------- */

static void who_forwards_passes_over_an_owner_that_takes_no_writes(void)
{
    struct world *world = world_make(5);
    uint16_t other = outsider(world, "cat");
    poison(world, owner_of(world, "cat", 0));
    assert_int_equal(put(world, other, "cat", "v", NULL).status, KVORUM_OK);
    assert_string_equal(get(world, other, "cat").values, "v");
    poison(world, owner_of(world, "cat", 1));
    assert_int_equal(put(world, other, "cat", "w", NULL).status, KVORUM_OK);
    assert_string_equal(get(world, other, "cat").values, "w");
    world_free(world);
}

static void an_owner_that_takes_no_writes_lets_another_coordinate(void)
{
    struct world *world = world_make(5);
    uint16_t owner = owner_of(world, "cat", 0);
    poison(world, owner);
    assert_int_equal(put(world, owner, "cat", "v", NULL).status, KVORUM_OK);
    assert_string_equal(get(world, owner, "cat").values, "v");
    world_free(world);
}

static void one_that_takes_no_writes_counts_as_absent(void)
{
    struct world *world = world_make(5);
    uint16_t owner = owner_of(world, "cat", 1), other = outsider(world, "cat");
    struct operation operation = operation_on(OPERATION_PUT, "cat");
    operation.value = BYTES_LITERAL("v");
    operation.levels.w = 3;
    poison(world, owner);
    struct outcome sloppy = run(world, other, &operation);
    assert_int_equal(sloppy.status, KVORUM_OK);
    assert_int_equal(sloppy.stand_ins, 1);
    operation.levels.sloppy = 0;
    assert_int_equal(run(world, other, &operation).status, KVORUM_TIMEOUT);
    world_free(world);
}

static void where_nobody_takes_it_the_client_is_told_who_said_so(void)
{
    struct world *world = world_make(5);
    uint16_t other = outsider(world, "cat");
    struct operation operation = operation_on(OPERATION_PUT, "cat");
    operation.value = BYTES_LITERAL("v");
    operation.levels.sloppy = 0;
    for (uint16_t place = 0; place < 3; place++)
        poison(world, owner_of(world, "cat", place));
    struct outcome outcome = run(world, other, &operation);
    assert_int_equal(outcome.status, KVORUM_POISONED);
    assert_non_null(
        strstr(outcome.reason, "no owner of pets/cat can coordinate the write; node n"));
    assert_int_equal(get(world, other, "cat").status, KVORUM_NOT_FOUND);
    world_free(world);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "who forwards passes over an owner that takes no writes",
          who_forwards_passes_over_an_owner_that_takes_no_writes },
        { "an owner that takes no writes lets another coordinate",
          an_owner_that_takes_no_writes_lets_another_coordinate },
        { "one that takes no writes counts as absent", one_that_takes_no_writes_counts_as_absent },
        { "where nobody takes it the client is told who said so",
          where_nobody_takes_it_the_client_is_told_who_said_so },
    };
    return RUN_TESTS("forward", tests);
}
