/* SPDX-License-Identifier: Apache-2.0 */
/* What a member gives up that may hold what was collected, and what it keeps since nobody else has
 * it.  What rounds would have left behind is set by hand: fences, and floors of stamps. */
#include "tests/support/node_rot.h"

#include "node/collect/collect_internal.h"
#include "tests/support/node_pets.h"

#define ROUND (fence_of_epoch(1) + 77) /* stores that are new have promised what was before */

/* --- what is set by hand --------------------------------------------------------------------- */

/* All members but the first have taken part in a round that took something. */
static void collected_elsewhere(struct world *world)
{
    for (uint16_t i = 1; i < world->count; i++)
        for (uint32_t p = 0; p < PARTITIONS; p++)
            world->nodes[i]->collect->partitions[p].kept.fence =
                (struct fence){ .promised = ROUND, .committed = ROUND, .known = true };
}

/* The first one as well, and stamps up to that of `newest` were collected. */
static void collected_everywhere(struct world *world, uint64_t newest)
{
    collected_elsewhere(world);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        struct fence_record *kept = &world->nodes[0]->collect->partitions[p].kept;
        kept->fence = (struct fence){ .promised = ROUND, .committed = ROUND, .known = true };
        kept->stamp = newest;
    }
}

static uint64_t stamp_of_now(struct world *world)
{
    return hlc_now(&world->nodes[0]->hlc, clock_wall_ms(&world->clock));
}

static void set_n(struct world *world, int8_t n)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.levels.n = n;
    set_properties(world, 0, &properties);
}

/* Objects in the first member's store. */
static uint32_t count_objects(struct world *world)
{
    return count_stored(world, 0, 'o');
}

/* The first member hears of the round, in every partition. */
static void hear_everywhere(struct world *world)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        collect_hear(world->nodes[0], p, ROUND);
    settle(world);
}

static void all_are_read(struct world *world)
{
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(read_one(world, i).status, KVORUM_OK);
}

/* --- damage ---------------------------------------------------------------------------------- */

/* In a bucket of one replica: what stands beside the damage, in the same range of keys, is intact
 * and nobody else has it. */
static void the_only_replica_beside_damage(void)
{
    struct world *world = begin_empty(3);
    set_n(world, 1);
    put_keys(world, 'v');
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    put_keys(world, 'w'); /* newer, and in another table */
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    uint32_t before = count_objects(world);
    assert_true(before > 4);
    rot_of(PLACE_OF_FEW, OLDEST);
    open_again(world, 0);
    collected_everywhere(world, stamp_of_now(world));
    node_scrub(world->nodes[0]);
    pass(world, 30000);
    assert_true(counters(world)->scrub_mended > 0 && counters(world)->scrub_lost > 0);
    assert_int_equal(count_objects(world), before);
    node_scrub_accept(world->nodes[0]);
    all_are_read(world);
    end(world);
}

/* Written while nobody else took it. */
static void what_is_newer_than_all_that_went(void)
{
    struct world *world = begin(3);
    uint64_t floor = stamp_of_now(world);
    world->deaf_to_merges[1] = world->deaf_to_merges[2] = true;
    for (int i = 0; i < KEYS; i++) {
        struct operation operation = operation_on(OPERATION_PUT, key_of(i));
        operation.value = BYTES_LITERAL("newer");
        operation.levels.w = operation.levels.dw = 1;
        operation.levels.sloppy = 0;
        assert_int_equal(run(world, 0, &operation).status, KVORUM_OK);
    }
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    rot_of(PLACE, OLDEST);
    open_again(world, 0);
    collected_everywhere(world, floor);
    node_scrub(world->nodes[0]);
    pass(world, 5000);
    assert_true(counters(world)->scrub_mended > 0);
    assert_int_equal(count_objects(world), KEYS);
    world->deaf_to_merges[1] = world->deaf_to_merges[2] = false;
    pass(world, 60000);
    assert_int_equal(counters(world)->scrub_losses, 0);
    for (int i = 0; i < KEYS; i++)
        assert_string_equal(read_one(world, i).values, "newer");
    end(world);
}

static void damage_while_an_owner_is_away(void)
{
    struct world *world = begin(3);
    cut(world, 2);
    pass(world, 10000); /* it is known to be */
    collected_everywhere(world, stamp_of_now(world));
    rot(PLACE);
    node_scrub(world->nodes[0]);
    pass(world, 10000);
    assert_true(counters(world)->scrub_mended > 0);
    uint32_t kept = count_objects(world);
    assert_true(kept > KEYS / 2);
    assert_int_equal(counters(world)->fence_refills, 0);
    heal(world, 2);
    pass(world, 90000);
    assert_true(counters(world)->fence_refills > 0);
    assert_int_equal(counters(world)->scrub_losses, 0);
    assert_int_equal(count_objects(world), KEYS);
    end(world);
}

/* --- on the way ------------------------------------------------------------------------------ */

static struct move moves[PARTITIONS];

/* Of every partition, read from the old owners: from all three members to the other two, or, when
 * it `comes`, from those to all. */
static void move_every_partition(struct world *world, uint16_t member, bool comes)
{
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        uint16_t *row = world->epoch.table + (size_t)p * world->epoch.replica_count;
        uint16_t without[3], count = 0;
        for (uint16_t i = 0; i < 3; i++)
            if (row[i] != member)
                without[count++] = row[i];
        without[count] = RING_NO_MEMBER;
        moves[p] = (struct move){ p, MOVE_WRITE_BOTH_READ_OLD, 1, { 0 } };
        memcpy(moves[p].to, without, sizeof(without));
        if (!comes)
            continue;
        memcpy(row, without, sizeof(without));
        moves[p].to[count] = member;
    }
    world->epoch.moves = moves;
    world->epoch.move_count = PARTITIONS;
}

/* --- behind ---------------------------------------------------------------------------------- */

enum way { STAYS, LEAVES, COMES };

/* The first member, of what it is behind in. */
struct straggler {
    const char *name;
    bool only_replicas; /* of keys that nobody else owns */
    enum way way;       /* of every partition, when it hears of the round */
    bool gives_up;      /* what it has, to take it anew from the others */
};

static const struct straggler stragglers[] = {
    { "who is behind takes its copy anew from the others", false, STAYS, true },
    { "who is behind keeps what it alone owns", true, STAYS, false },
    { "who is behind in a partition that leaves it takes its copy anew, and can give it", false,
      LEAVES, true },
    { "who is behind keeps what it alone owned while that leaves it", true, LEAVES, false },
    { "who is behind in a partition that comes to it keeps what came", false, COMES, false },
};

static struct world *begin_straggling(const struct straggler *row)
{
    struct world *world = begin_empty(3);
    if (row->only_replicas)
        set_n(world, 1);
    put_keys(world, 'v');
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    if (row->way != STAYS)
        move_every_partition(world, 0, row->way == COMES);
    return world;
}

static void who_is_behind(const void *at)
{
    const struct straggler *row = at;
    struct world *world = begin_straggling(row);
    uint32_t before = count_objects(world);
    assert_true(row->only_replicas ? before > 4 : before == KEYS);
    collected_elsewhere(world);
    hear_everywhere(world);
    assert_int_equal(count_objects(world), row->gives_up ? 0 : before);
    pass(world, 60000);
    assert_int_equal(count_objects(world), before);
    if (row->gives_up)
        assert_int_equal(counters(world)->scrub_losses, 0);
    if (row->way == STAYS) {
        node_scrub_accept(world->nodes[0]);
        all_are_read(world);
    }
    end(world);
}

static void behind_while_an_owner_is_away(void)
{
    struct world *world = begin(3);
    cut(world, 2);
    pass(world, 10000);
    collected_elsewhere(world);
    hear_everywhere(world);
    assert_int_equal(count_objects(world), KEYS);
    assert_int_equal(counters(world)->fence_refills, 0);
    cut(world, 1); /* and alone it answers nothing */
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), KEYS);
    heal(world, 1);
    heal(world, 2);
    pass(world, 90000);
    assert_true(counters(world)->fence_refills > 0);
    assert_int_equal(count_objects(world), KEYS);
    cut_others(world);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), 0);
    end(world);
}

static void behind_and_taken_as_it_is(void)
{
    struct world *world = begin(3);
    cut_others(world);
    pass(world, 10000);
    hear_everywhere(world);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), KEYS);
    node_scrub_accept(world->nodes[0]);
    settle(world);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), 0);
    assert_int_equal(count_objects(world), KEYS);
    assert_int_equal(collect_committed(world->nodes[0], 0), ROUND);
    end(world);
}

/* --- in doubt -------------------------------------------------------------------------------- */

/* Every member has promised a round whose end it has not heard of, and forgotten what it named. */
static void doubt_everything(struct world *world)
{
    for (uint16_t i = 0; i < world->count; i++) {
        for (uint32_t p = 0; p < PARTITIONS; p++)
            world->nodes[i]->collect->partitions[p].kept.fence =
                (struct fence){ .promised = ROUND, .doubt = FENCE_ALL, .known = true };
        world->nodes[i]->collect->doubts = true;
        collect_wake(world->nodes[i], world->now_us);
    }
}

static int count_doubts(struct world *world)
{
    int count = 0;
    for (uint16_t i = 0; i < world->count; i++)
        for (uint32_t p = 0; p < PARTITIONS; p++)
            count += world->nodes[i]->collect->partitions[p].kept.fence.doubt != FENCE_SETTLED;
    return count;
}

static void a_doubt_while_the_partition_moves(void)
{
    struct world *world = begin(3);
    move_every_partition(world, 0, false);
    doubt_everything(world);
    assert_int_equal(count_doubts(world), 3 * PARTITIONS);
    pass(world, 60000);
    assert_int_equal(count_doubts(world), 0);
    end(world);
}

/* The first member takes its copy anew while the second, which lacks the newest writes, refuses
 * them for its doubt: each waits for the other, unless doubts are settled before the copy is
 * whole. */
static void a_doubt_while_a_copy_comes_anew(void)
{
    struct world *world = begin(3);
    world->deaf_to_merges[1] = true;
    put_keys(world, 'w');
    collected_elsewhere(world);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        world->nodes[1]->collect->partitions[p].kept.fence = (struct fence){
            .promised = ROUND + 1, .committed = ROUND, .doubt = FENCE_ALL, .known = true
        };
    hear_everywhere(world);
    assert_true(counters(world)->fence_refills > 0);
    cut(world, 1);
    world->deaf_to_merges[1] = false;
    pass(world, 10000); /* from the third member all came */
    assert_true(counters(world)->scrub_losses > 0);
    heal(world, 1);
    world->nodes[1]->collect->doubts = true;
    collect_wake(world->nodes[1], world->now_us);
    pass(world, 60000);
    assert_int_equal(count_doubts(world), 0);
    assert_int_equal(counters(world)->scrub_losses, 0);
    cut_others(world);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), 0);
    end(world);
}

static const struct named_test tests[] = {
    { "beside damage, what the only replica still holds stays", the_only_replica_beside_damage },
    { "beside damage, what is newer than all that was collected stays, and goes to the others",
      what_is_newer_than_all_that_went },
    { "damage costs no more than is damaged while another owner is away",
      damage_while_an_owner_is_away },
    { "who is behind keeps what it has until every other owner is there",
      behind_while_an_owner_is_away },
    { "a copy that is behind is taken as it is when an operator says so",
      behind_and_taken_as_it_is },
    { "a doubt about a round is settled while the partition moves",
      a_doubt_while_the_partition_moves },
    { "a doubt about a round is settled while a member takes its copy anew",
      a_doubt_while_a_copy_comes_anew },
};

int main(void)
{
    int failed = RUN_ROWS("collect, who is behind", stragglers, who_is_behind);
    return failed + RUN_TESTS("collect", tests);
}
