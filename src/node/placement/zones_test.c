/* SPDX-License-Identifier: Apache-2.0 */
/* Levels by zone, and who is asked first, in stories. */
#include "tests/support/node_pets.h"

#include "codec/peer.pb-c.h"

/* n1 and on stand in the zones that the letters name; then the table is planned again. */
static struct world *zoned_world(const char *letters)
{
    struct world *world = world_make((uint16_t)strlen(letters));
    for (uint16_t i = 0; i < world->count; i++)
        snprintf(world->epoch.members[i].zone, sizeof(world->epoch.members[i].zone), "%c",
                 letters[i]);
    struct ring_plan_input input = { world->epoch.members, world->count, PARTITIONS,
                                     world->epoch.replica_count, NULL };
    const char *why = NULL;
    assert_int_equal(ring_plan(&input, &world->arena, world->epoch.table, &why), KVORUM_OK);
    return world;
}

static char zone_of(const struct world *world, uint16_t member)
{
    return world->epoch.members[member].zone[0];
}

/* An owner of the key in the zone, or one that is none: the `skip`th; fails the test without. */
static uint16_t member_in(struct world *world, const char *key, char zone, bool owns, int skip)
{
    for (uint16_t place = 0; place < world->count; place++) {
        uint16_t member = owner_of(world, key, place);
        if (zone_of(world, member) == zone && (place < 3) == owns && skip-- == 0)
            return member;
    }
    fail_msg("zone %c has no such member", zone);
    return RING_NO_MEMBER;
}

static uint32_t level_of(const char *level)
{
    uint32_t value = 0;
    assert_true(quorum_level_parse(bytes_of_string(level), &value));
    return value;
}

static struct outcome put_with(struct world *world, uint16_t at, const char *w, int8_t sloppy)
{
    struct operation operation = operation_on(OPERATION_PUT, "cat");
    operation.value = BYTES_LITERAL("meow");
    operation.levels.w = level_of(w);
    operation.levels.sloppy = sloppy;
    return run(world, at, &operation);
}

static struct outcome get_with(struct world *world, uint16_t at, const char *r)
{
    struct operation operation = operation_on(OPERATION_GET, "cat");
    operation.levels.r = level_of(r);
    return run(world, at, &operation);
}

static void a_local_quorum_does_without_the_other_zones(void)
{
    struct world *world = zoned_world("aabbc");
    uint16_t here = member_in(world, "cat", 'a', true, 0);
    cut(world, member_in(world, "cat", 'b', true, 0));
    cut(world, member_in(world, "cat", 'c', true, 0));
    assert_int_equal(put_with(world, here, "quorum", 0).status, KVORUM_UNAVAILABLE);
    assert_int_equal(put_with(world, here, "local_quorum", 0).status, KVORUM_OK);
    assert_string_equal(get_with(world, here, "local_quorum").values, "meow");
    world_free(world);
}

static void a_local_quorum_is_written_from_a_node_of_the_zone_that_owns_nothing(void)
{
    struct world *world = zoned_world("aabbc");
    uint16_t here = member_in(world, "cat", 'a', false, 0);
    uint16_t owner = member_in(world, "cat", 'a', true, 0);
    cut(world, member_in(world, "cat", 'b', true, 0));
    cut(world, member_in(world, "cat", 'c', true, 0));
    assert_int_equal(put_with(world, here, "local_quorum", 0).status, KVORUM_OK);
    assert_string_equal(get_with(world, owner, "local_quorum").values, "meow");
    world_free(world);
}

static void a_local_quorum_never_goes_to_another_zone(void)
{
    struct world *world = zoned_world("aabbc");
    uint16_t here = member_in(world, "cat", 'a', false, 0);
    cut(world, member_in(world, "cat", 'a', true, 0));
    struct outcome refused = put_with(world, here, "local_quorum", -1);
    assert_int_equal(refused.status, KVORUM_UNAVAILABLE);
    assert_non_null(strstr(refused.reason, "zone a lacks 1 answer (0 of 1 replicas answered, 1 "
                                           "needed) (w=local_quorum)"));
    assert_int_equal(get_with(world, here, "local_quorum").status, KVORUM_UNAVAILABLE);
    assert_int_equal(put_with(world, here, "quorum", -1).status, KVORUM_OK);
    world_free(world);
}

static void every_zone_must_answer_and_the_missing_one_is_named(void)
{
    struct world *world = zoned_world("aabbc");
    uint16_t here = member_in(world, "cat", 'a', true, 0);
    assert_int_equal(put_with(world, here, "each_quorum", -1).status, KVORUM_OK);
    cut(world, member_in(world, "cat", 'c', true, 0));
    struct outcome refused = put_with(world, here, "each_quorum", -1);
    assert_int_equal(refused.status, KVORUM_UNAVAILABLE);
    assert_non_null(strstr(refused.reason, "zone c lacks 1 answer"));
    assert_null(strstr(refused.reason, "zone b"));
    struct outcome unread = get_with(world, here, "each_quorum");
    assert_int_equal(unread.status, KVORUM_UNAVAILABLE);
    assert_non_null(strstr(unread.reason, "(r=each_quorum)"));
    world_free(world);
}

static void what_each_zone_has_every_local_quorum_reads(void)
{
    struct world *world = zoned_world("aabbc");
    uint16_t here = member_in(world, "cat", 'a', true, 0);
    assert_int_equal(put_with(world, here, "each_quorum", -1).status, KVORUM_OK);
    for (uint16_t i = 0; i < world->count; i++)
        assert_string_equal(get_with(world, i, "local_quorum").values, "meow");
    world_free(world);
}

static void two_of_two_replicas_in_a_zone_are_its_majority(void)
{
    struct world *world = zoned_world("aab");
    assert_int_equal(put_with(world, 0, "local_quorum", -1).status, KVORUM_OK);
    assert_int_equal(put_with(world, 2, "local_quorum", -1).status, KVORUM_OK);
    cut(world, 1);
    struct outcome refused = put_with(world, 0, "local_quorum", -1);
    assert_int_equal(refused.status, KVORUM_UNAVAILABLE);
    assert_non_null(strstr(refused.reason, "of 2 replicas answered, 2 needed"));
    assert_int_equal(put_with(world, 2, "local_quorum", -1).status, KVORUM_OK);
    world_free(world);
}

static void a_zone_without_a_replica_has_no_local_quorum(void)
{
    struct world *world = zoned_world("abcde");
    uint16_t outside = owner_of(world, "cat", 3);
    struct outcome refused = put_with(world, outside, "local_quorum", -1);
    assert_int_equal(refused.status, KVORUM_QUORUM_IMPOSSIBLE);
    assert_non_null(strstr(refused.reason, "w=local_quorum cannot be met: none of the 3 replicas "
                                           "of pets/cat is in zone"));
    assert_int_equal(get_with(world, outside, "local_quorum").status, KVORUM_QUORUM_IMPOSSIBLE);
    assert_int_equal(put_with(world, outside, "each_quorum", -1).status, KVORUM_OK);
    assert_string_equal(get_with(world, outside, "each_quorum").values, "meow");
    world_free(world);
}

static void the_levels_of_a_bucket_may_be_of_zones(void)
{
    struct world *world = zoned_world("aabbc");
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.levels.w = LEVEL_EACH_QUORUM;
    properties.levels.r = LEVEL_LOCAL_QUORUM;
    set_properties(world, 0, &properties);
    uint16_t here = member_in(world, "cat", 'a', true, 0);
    assert_int_equal(put(world, here, "cat", "meow", NULL).status, KVORUM_OK);
    cut(world, member_in(world, "cat", 'c', true, 0));
    assert_int_equal(put(world, here, "cat", "hiss", NULL).status, KVORUM_UNAVAILABLE);
    assert_string_equal(get(world, here, "cat").values, "meow");
    world_free(world);
}

/* Gets that leave `here` with digest = false, by the bytes of the first that does. */
static uint16_t asked_in_full(struct world *world, uint16_t here)
{
    uint16_t found = RING_NO_MEMBER;
    struct operation operation = operation_on(OPERATION_GET, "cat");
    struct outcome outcome = { 0 };
    node_submit(world->nodes[here], &operation, note, &outcome);
    node_flush(world->nodes[here]);
    for (size_t i = world->head; i < world->tail; i++) {
        const struct parcel *parcel = &world->queue[i % QUEUE_MAX];
        Peer__Get *get =
            parcel->message.kind == MESSAGE_GET
                ? peer__get__unpack(NULL, parcel->message.body.size, parcel->message.body.data)
                : NULL;
        if (get != NULL && !get->digest) {
            assert_int_equal(found, RING_NO_MEMBER);
            found = parcel->to.member;
        }
        if (get != NULL)
            peer__get__free_unpacked(get, NULL);
    }
    settle(world);
    assert_true(outcome.answered);
    return found;
}

static void the_object_comes_from_the_nearest(void)
{
    struct world *world = zoned_world("aabbc");
    put(world, 0, "cat", "meow", NULL);
    for (uint16_t i = 0; i < world->count; i++) {
        uint16_t asked = asked_in_full(world, i);
        bool owns = false;
        for (uint16_t place = 0; place < 3; place++)
            owns |= owner_of(world, "cat", place) == i;
        if (owns)
            assert_int_equal(asked, RING_NO_MEMBER); /* it has it */
        else
            assert_int_equal(zone_of(world, asked), zone_of(world, i));
    }
    world_free(world);
}

static void a_read_of_the_nearest_repairs_the_others(void)
{
    struct world *world = zoned_world("aabbc");
    uint16_t here = member_in(world, "cat", 'a', true, 0);
    uint16_t far = member_in(world, "cat", 'c', true, 0);
    put(world, here, "cat", "one", NULL);
    cut(world, far);
    assert_int_equal(put_with(world, here, "local_quorum", 0).status, KVORUM_OK);
    heal(world, far);
    assert_string_equal(get_with(world, here, "local_quorum").values, "meow");
    settle(world);
    assert_string_equal(get_with(world, far, "local_quorum").values, "meow");
    world_free(world);
}

/* --- while the partition moves -------------------------------------------------------------- */

/* The replica of `from` is on its way to `to`; reads ask the old owners. */
static struct world *moving_world(const char *letters, uint16_t *ret_from, uint16_t *ret_to)
{
    struct world *world = zoned_world(letters);
    uint32_t partition = ring_partition_of_hash(
        &world->epoch, ring_hash(&world->epoch, BYTES_LITERAL("default"), BYTES_LITERAL("pets"),
                                 BYTES_LITERAL("cat")));
    static struct move move;
    move = (struct move){ partition, MOVE_WRITE_BOTH_READ_OLD, 1, { 0 } };
    uint16_t *row = world->epoch.table + partition * world->epoch.replica_count;
    row[0] = 0, row[1] = 1, row[2] = 2;
    memcpy(move.to, row, 3 * sizeof(*row));
    move.to[2] = 3;
    *ret_from = 2;
    *ret_to = 3;
    world->epoch.moves = &move;
    world->epoch.move_count = 1;
    return world;
}

static void a_move_needs_every_zone_of_the_old_and_of_the_new(void)
{
    uint16_t from, to;
    struct world *world = moving_world("abcd", &from, &to);
    assert_int_equal(put_with(world, 0, "each_quorum", 0).status, KVORUM_OK);
    cut(world, to);
    struct outcome refused = put_with(world, 0, "each_quorum", 0);
    assert_int_equal(refused.status, KVORUM_UNAVAILABLE);
    assert_non_null(strstr(refused.reason, "zone d lacks 1 answer (0 of 1 replicas answered, 1 "
                                           "needed) of the other owners, while the partition "
                                           "moves (w=each_quorum)"));
    assert_int_equal(put_with(world, 0, "local_quorum", 0).status, KVORUM_OK);
    world_free(world);
}

static void a_zone_that_loses_its_replica_needs_a_quorum_of_those_to_come(void)
{
    uint16_t from, to;
    struct world *world = moving_world("abcd", &from, &to);
    assert_int_equal(put_with(world, from, "local_quorum", 0).status, KVORUM_OK);
    cut(world, to);
    assert_int_equal(put_with(world, from, "local_quorum", 0).status, KVORUM_OK);
    cut(world, 1);
    assert_int_equal(put_with(world, from, "local_quorum", 0).status, KVORUM_UNAVAILABLE);
    world_free(world);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "a local quorum does without the other zones",
          a_local_quorum_does_without_the_other_zones },
        { "a local quorum is written from a node of the zone that owns nothing",
          a_local_quorum_is_written_from_a_node_of_the_zone_that_owns_nothing },
        { "a local quorum never goes to another zone", a_local_quorum_never_goes_to_another_zone },
        { "every zone must answer and the missing one is named",
          every_zone_must_answer_and_the_missing_one_is_named },
        { "what each zone has every local quorum reads",
          what_each_zone_has_every_local_quorum_reads },
        { "two of two replicas in a zone are its majority",
          two_of_two_replicas_in_a_zone_are_its_majority },
        { "a zone without a replica has no local quorum",
          a_zone_without_a_replica_has_no_local_quorum },
        { "the levels of a bucket may be of zones", the_levels_of_a_bucket_may_be_of_zones },
        { "the object comes from the nearest", the_object_comes_from_the_nearest },
        { "a read of the nearest repairs the others", a_read_of_the_nearest_repairs_the_others },
        { "a move needs every zone of the old and of the new",
          a_move_needs_every_zone_of_the_old_and_of_the_new },
        { "a zone that loses its replica needs a quorum of those to come",
          a_zone_that_loses_its_replica_needs_a_quorum_of_those_to_come },
    };
    return RUN_TESTS("zones", tests);
}
