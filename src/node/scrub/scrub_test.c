/* SPDX-License-Identifier: Apache-2.0 */
/* Damage in a store, from where somebody meets it to where it is refilled or given up: small
 * clusters of which one member has an lsm store on a disk that rots. */
#include "tests/support/node_pets.h"
#include "tests/support/node_rot.h"

/* The end of a story: member 0 has all keys, and no doubt. */
static void nothing_is_lost(struct world *world)
{
    assert_int_equal(counters(world)->scrub_losses, 0);
    cut_others(world);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), 0);
    end(world);
}

/* Of which member 2 never hears. */
static void put_behind_its_back(struct world *world, const char *value)
{
    world->deaf_to_merges[2] = true;
    for (int i = 0; i < KEYS; i++) {
        struct operation operation = operation_on(OPERATION_PUT, key_of(i));
        operation.value = bytes_of_string(value);
        operation.levels.sloppy = 0;
        assert_int_equal(run(world, 0, &operation).status, KVORUM_OK);
    }
}

/* --- stories --------------------------------------------------------------------------------- */

static void a_read_meets_damage(void)
{
    struct world *world = begin_damaged(3);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(read_one(world, i).status, KVORUM_OK); /* from the others */
    assert_true(counters(world)->scrub_damaged + counters(world)->scrub_losses > 0);
    pass(world, 30000);
    assert_true(counters(world)->scrub_mended > 0 && counters(world)->scrub_refilled > 0);
    nothing_is_lost(world);
}

/* Nobody reads, and no pass is due for days. */
static void a_compaction_meets_damage(void)
{
    struct world *world = begin_damaged(3);
    for (int i = 0; i < 12; i++) { /* until level 0 is due */
        assert_int_equal(put(world, 1, key_of(i), "new", NULL).status, KVORUM_OK);
        assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
        do_jobs();
    }
    pass(world, 30000);
    assert_true(counters(world)->scrub_passes > 0 && counters(world)->scrub_mended > 0);
    assert_int_equal(counters(world)->scrub_losses, 0);
    end(world);
}

static void a_lost_range_is_not_absent(void)
{
    struct world *world = begin_damaged(3);
    cut_others(world);
    scrub(world, 10000);
    assert_true(counters(world)->scrub_mended > 0);
    assert_true(counters(world)->scrub_losses > 0);
    assert_true(count_alone(world, KVORUM_UNAVAILABLE) > 0); /* and none NOT_FOUND */
    open_again(world, 0);                                    /* nor after a restart */
    assert_true(count_alone(world, KVORUM_UNAVAILABLE) > 0);
    heal_others(world);
    pass(world, 60000);
    nothing_is_lost(world);
}

/* Member 2 was away when the keys were written, and never gets what is owed to it. */
static void every_owner_is_asked(void)
{
    struct world *world = begin_empty(3);
    char value[VALUE_SIZE + 1] = { 0 };
    memset(value, 'v', VALUE_SIZE);
    put_behind_its_back(world, value);
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    rot(PLACE);
    cut(world, 1);
    open_again(world, 0);
    scrub(world, 30000);
    assert_true(counters(world)->scrub_mended > 0 && counters(world)->scrub_losses > 0);
    cut(world, 2);
    assert_true(count_alone(world, KVORUM_UNAVAILABLE) > 0);
    heal(world, 2);
    heal(world, 1);
    pass(world, 60000);
    nothing_is_lost(world);
}

/* Two of four members have a partition whose third copy is still to be made. */
static void those_who_own_nothing_yet_are_not_asked(void)
{
    struct world *world = begin(4);
    struct epoch *epoch = &world->epoch;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        uint16_t *row = &epoch->table[p * epoch->replica_count];
        if (row[0] != 0)
            row[1] = 0;
        row[2] = RING_NO_MEMBER;
    }
    rot(PLACE);
    open_again(world, 0);
    scrub(world, 60000);
    assert_true(counters(world)->scrub_mended > 0 && counters(world)->scrub_refilled > 0);
    assert_int_equal(counters(world)->scrub_losses, 0);
    end(world);
}

/* Which of its own records were there nobody knows: all of the store is compared. */
static void a_start_on_damage(void)
{
    struct world *world = begin(3);
    struct engine_batch *batch = engine_batch_create();
    assert_int_equal(engine_batch_put(batch, BYTES_LITERAL("wa"), BYTES_LITERAL("12345678")),
                     KVORUM_OK);
    assert_int_equal(engine_write(world->stores[0], batch, ENGINE_SYNC), KVORUM_OK);
    engine_batch_destroy(batch);
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    rot(100);
    cut_others(world);
    open_again(world, 0);
    assert_true(counters(world)->scrub_mended > 0);
    assert_int_equal(counters(world)->scrub_losses, 1);
    assert_int_equal(count_alone(world, KVORUM_UNAVAILABLE), KEYS);
    heal_others(world);
    pass(world, 60000);
    nothing_is_lost(world);
}

static void the_only_replica_is_lost(void)
{
    struct world *world = begin_damaged(1);
    scrub(world, 10000);
    assert_int_equal(counters(world)->scrub_lost, 1);
    int lost = count_alone(world, KVORUM_CORRUPT);
    assert_true(lost > 0 && lost < KEYS);
    open_again(world, 0);
    pass(world, 10000);
    assert_int_equal(counters(world)->scrub_lost, 1);
    assert_int_equal(count_alone(world, KVORUM_CORRUPT), lost);
    node_scrub_accept(world->nodes[0]);
    settle(world);
    assert_int_equal(counters(world)->scrub_losses, 0);
    assert_int_equal(counters(world)->scrub_accepted, 1);
    assert_true(count_alone(world, KVORUM_NOT_FOUND) > 0);
    open_again(world, 0);
    assert_int_equal(counters(world)->scrub_losses, 0);
    end(world);
}

static void accepting_waits_for_those_who_may_have_it(void)
{
    struct world *world = begin_damaged(3);
    cut_others(world);
    scrub(world, 10000);
    uint64_t losses = counters(world)->scrub_losses;
    assert_true(losses > 0);
    node_scrub_accept(world->nodes[0]);
    assert_int_equal(counters(world)->scrub_losses, losses);
    assert_int_equal(counters(world)->scrub_accepted, 0);
    end(world);
}

/* --- hints ----------------------------------------------------------------------------------- */

/* Member 0 owes all keys to member 2, who is away, and has the hints in one table. */
static struct world *begin_owing(void)
{
    struct world *world = begin_empty(3);
    put_behind_its_back(world, "owed");
    pass(world, 11000);
    assert_int_equal(count_stored(world, 0, 'i'), KEYS);
    cut(world, 2);
    world->deaf_to_merges[2] = false;
    assert_int_equal(engine_flush(world->stores[0]), KVORUM_OK);
    return world;
}

static void the_debts_are_paid(struct world *world)
{
    assert_true(count_stored(world, 0, 'j') > 0);
    heal(world, 2);
    pass(world, 60000);
    assert_int_equal(count_stored(world, 2, 'o'), KEYS);
    assert_int_equal(count_stored(world, 0, 'j'), 0);
    end(world);
}

static void hints_that_rot_leave_marks(void)
{
    struct world *world = begin_owing();
    rot(PLACE_OF_HINTS);
    scrub(world, 10000);
    assert_true(counters(world)->scrub_mended > 0);
    assert_int_equal(count_stored(world, 0, 'h'), KEYS); /* the other halves are in other blocks */
    assert_int_equal(count_stored(world, 0, 'i'), KEYS);
    the_debts_are_paid(world);
}

static void a_start_on_hints_that_rotted(void)
{
    struct world *world = begin_owing();
    rot(PLACE_OF_HINTS);
    open_again(world, 0);
    pass(world, 10000);
    assert_true(counters(world)->scrub_mended > 0);
    the_debts_are_paid(world);
}

/* The hint is there, and the object that it is about is not: where this member is no owner, nobody
 * brings it back. */
static void a_hint_whose_object_is_lost(void)
{
    struct world *world = begin_owing();
    struct engine_batch *batch = engine_batch_create();
    struct engine_range objects = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    rot(PLACE_OF_HINTS); /* anything, so that the store is known to have lost something */
    scrub(world, 10000);
    assert_int_equal(engine_batch_delete_range(batch, objects.lower, objects.upper), KVORUM_OK);
    assert_int_equal(engine_batch_delete_range(batch, BYTES_LITERAL("j"), BYTES_LITERAL("k")),
                     KVORUM_OK);
    assert_int_equal(engine_write(world->stores[0], batch, ENGINE_SYNC), KVORUM_OK);
    engine_batch_destroy(batch);
    heal(world, 2);
    pass(world, 60000);
    assert_int_equal(count_stored(world, 0, 'i'), 0);
    assert_int_equal(counters(world)->hints_delivered, 0);
    assert_true(counters(world)->hints_destroyed > 0);
    assert_int_equal(count_stored(world, 2, 'o'), KEYS); /* from member 1 */
    end(world);
}

/* A store has lost something, and of its hints the places in the queue. */
static void a_start_on_halves_of_hints(void)
{
    struct world *world = begin_owing();
    struct engine_batch *batch = engine_batch_create();
    rot(PLACE_OF_HINTS);
    scrub(world, 10000);
    assert_int_equal(engine_batch_delete_range(batch, BYTES_LITERAL("i"), BYTES_LITERAL("k")),
                     KVORUM_OK);
    assert_int_equal(engine_write(world->stores[0], batch, ENGINE_SYNC), KVORUM_OK);
    engine_batch_destroy(batch);
    int halves = count_stored(world, 0, 'h');
    assert_true(halves > 0);
    open_again(world, 0);
    heal(world, 2);
    pass(world, 20000);
    assert_int_equal(count_stored(world, 0, 'h'), 0);
    assert_int_equal(count_stored(world, 0, 'i'), 0);
    assert_int_equal(counters(world)->hints_delivered, halves);
    end(world);
}

static void the_last_pass_is_remembered(void)
{
    struct world *world = begin(1);
    assert_int_equal(node_scrub_last_ms(world->nodes[0]), 0);
    scrub(world, 5000);
    uint64_t last_ms = node_scrub_last_ms(world->nodes[0]);
    assert_true(last_ms > 1700000000000ull);
    open_again(world, 0);
    assert_int_equal(node_scrub_last_ms(world->nodes[0]), last_ms);
    end(world);
}

/* --- what cannot be written anew ------------------------------------------------------------- */

static void damage(const char *path)
{
    const struct fault_name *name = fault_find(&disk.now.names, path);
    assert_non_null(name);
    struct fault_bytes *bytes = fault_disk_bytes(&disk, name->inode);
    uint8_t byte = bytes->data[bytes->size / 2] ^ 1;
    fault_write(bytes, bytes->size / 2, &byte, 1);
}

/* A pass met damage beside the tables, and the disk had no room for that file. */
static struct world *begin_unmended(void)
{
    struct world *world = begin(3);
    damage("s/FORMAT");
    disk.space_limit = 1;
    scrub(world, 5000);
    return world;
}

static void what_cannot_be_written_anew_is_counted(void)
{
    struct world *world = begin_unmended();
    assert_int_equal(counters(world)->scrub_passes, 1);
    assert_int_equal(counters(world)->scrub_unmended, 1);
    assert_int_equal(counters(world)->scrub_mended, 0);
    scrub(world, 5000);
    assert_int_equal(counters(world)->scrub_passes, 2);
    assert_int_equal(counters(world)->scrub_unmended, 1); /* as of the last pass, not of all */
    end(world);
}

static void what_could_not_be_written_anew_is_tried_again(void)
{
    struct world *world = begin_unmended();
    disk.space_limit = 0;
    pass(world, 9 * 60 * 1000);
    assert_int_equal(counters(world)->scrub_passes, 1);
    pass(world, 2 * 60 * 1000);
    assert_int_equal(counters(world)->scrub_passes, 2);
    assert_int_equal(counters(world)->scrub_mended, 1);
    assert_int_equal(counters(world)->scrub_unmended, 0);
    end(world);
}

static void what_was_written_anew_is_not_waited_for(void)
{
    struct world *world = begin(3);
    damage("s/FORMAT");
    scrub(world, 5000);
    assert_int_equal(counters(world)->scrub_mended, 1);
    assert_int_equal(counters(world)->scrub_unmended, 0);
    pass(world, 11 * 60 * 1000);
    assert_int_equal(counters(world)->scrub_passes, 1); /* the next one is days away */
    end(world);
}

static const struct named_test tests[] = {
    { "a read that meets damage is answered by others, and what it met is refilled",
      a_read_meets_damage },
    { "what a compaction meets is found by a pass at once, and refilled",
      a_compaction_meets_damage },
    { "a replica does not say that a key is absent that it may have lost",
      a_lost_range_is_not_absent },
    { "a loss is over when every other owner was asked, for one alone may have it",
      every_owner_is_asked },
    { "those who own nothing yet are not asked", those_who_own_nothing_yet_are_not_asked },
    { "a node starts on a store whose own records are damaged, and answers when all were asked",
      a_start_on_damage },
    { "what the only replica lost is an error until it is given up", the_only_replica_is_lost },
    { "nothing is given up that another owner may have",
      accepting_waits_for_those_who_may_have_it },
    { "hints of which half rotted are whole again, and leave marks", hints_that_rot_leave_marks },
    { "a node starts on hints that rotted, and they leave marks", a_start_on_hints_that_rotted },
    { "a node starts on hints without their places in the queue, and delivers them",
      a_start_on_halves_of_hints },
    { "a hint whose object may be lost leaves a mark", a_hint_whose_object_is_lost },
    { "damage that cannot be written anew is counted as of the last pass",
      what_cannot_be_written_anew_is_counted },
    { "it is looked at again ten minutes later, and then no more is counted",
      what_could_not_be_written_anew_is_tried_again },
    { "after damage that was written anew the next pass comes when it is due",
      what_was_written_anew_is_not_waited_for },
    { "when the last pass ended outlives a restart", the_last_pass_is_remembered },
};

int main(void)
{
    return RUN_TESTS("scrub", tests);
}
