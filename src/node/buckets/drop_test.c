/* SPDX-License-Identifier: Apache-2.0 */
/* Dropping buckets, in stories one can read.  Late messages, faults and shards are the simulator's
 * business (sim/acts/drops.h). */
#include "tests/support/node_pets.h"

#include <endian.h>

#include "codec/protobuf.h"
#include "node/internal.h"

static struct outcome drop_bucket(struct world *world, uint16_t at)
{
    struct outcome outcome = { 0 };
    node_drop_bucket(world->nodes[at], (struct bytes){ 0 }, BYTES_LITERAL("pets"), note, &outcome);
    settle(world);
    for (int i = 0; i < 200 && !outcome.answered; i++)
        pass(world, 100);
    assert_true(outcome.answered);
    return outcome;
}

static uint64_t generation_at(struct world *world, uint16_t at)
{
    return properties_at(world, at).generation;
}

/* Of all generations. */
static uint32_t objects_at(struct world *world, uint16_t at)
{
    return count_stored(world, at, 'o');
}

static void fill(struct world *world, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(put(world, i % world->count, key, key, NULL).status, KVORUM_OK);
    }
}

/* --- stories --------------------------------------------------------------------------------- */

static void nothing_of_before_is_read_or_listed_anywhere(void)
{
    struct world *world = world_make(5);
    fill(world, 40);
    assert_int_equal(list(world, 1, LIST_KEYS).count, 40);
    assert_int_equal(drop_bucket(world, 3).status, KVORUM_OK);
    for (uint16_t at = 0; at < 5; at++) {
        assert_int_equal(get(world, at, "k7").status, KVORUM_NOT_FOUND);
        assert_int_equal(list(world, at, LIST_KEYS).count, 0);
        assert_int_equal(list(world, at, LIST_BUCKETS).count, 0);
    }
    world_free(world);
}

static void the_bucket_can_be_used_at_once(void)
{
    struct world *world = world_make(3);
    put(world, 0, "cat", "meow", NULL);
    assert_int_equal(drop_bucket(world, 0).status, KVORUM_OK);
    assert_int_equal(put(world, 1, "cat", "purr", NULL).status, KVORUM_OK);
    for (uint16_t at = 0; at < 3; at++)
        assert_string_equal(get(world, at, "cat").values, "purr");
    assert_int_equal(list(world, 2, LIST_KEYS).count, 1);
    assert_int_equal(list(world, 2, LIST_BUCKETS).count, 1);
    world_free(world);
}

static void what_is_dropped_is_reclaimed_and_nothing_else(void)
{
    struct world *world = world_make(3);
    fill(world, 30);
    assert_int_equal(objects_at(world, 1), 30);
    assert_int_equal(drop_bucket(world, 0).status, KVORUM_OK);
    put(world, 0, "k1", "new", NULL);
    pass(world, 5000);
    for (uint16_t at = 0; at < 3; at++)
        assert_int_equal(objects_at(world, at), 1);
    assert_string_equal(get(world, 2, "k1").values, "new");
    assert_int_equal(drop_bucket(world, 2).status, KVORUM_OK);
    pass(world, 5000);
    for (uint16_t at = 0; at < 3; at++)
        assert_int_equal(objects_at(world, at), 0);
    world_free(world);
}

static void properties_stay_and_a_reset_keeps_the_generation(void)
{
    struct world *world = world_make(3);
    allow_siblings(world);
    assert_int_equal(drop_bucket(world, 1).status, KVORUM_OK);
    assert_int_equal(properties_at(world, 2).allow_mult, 1);
    uint64_t generation = generation_at(world, 2);
    assert_true(generation != 0);
    reset_properties(world, 0);
    for (uint16_t at = 0; at < 3; at++)
        assert_true(generation_at(world, at) == generation);
    world_free(world);
}

static void a_member_that_was_away_shows_nothing_old_once_it_asked_another(void)
{
    struct world *world = world_make(5);
    uint16_t away = owner_of(world, "cat", 0), here = owner_of(world, "cat", 1);
    put(world, here, "cat", "meow", NULL);
    cut(world, away);
    pass(world, 10000);
    assert_int_equal(drop_bucket(world, here).status, KVORUM_OK);
    assert_true(generation_at(world, away) == 0);
    world->down[away] = false; /* and no packet of gossip has come yet */
    struct outcome stale = get(world, away, "cat");
    assert_string_equal(stale.values, "");
    assert_int_equal(get(world, away, "cat").status, KVORUM_NOT_FOUND);
    assert_true(generation_at(world, away) == generation_at(world, here));
    pass(world, 5000);
    assert_int_equal(objects_at(world, away), 0);
    world_free(world);
}

static void a_write_through_a_member_that_was_away_is_refused_once(void)
{
    struct world *world = world_make(3);
    cut(world, 2);
    pass(world, 10000);
    assert_int_equal(drop_bucket(world, 0).status, KVORUM_OK);
    world->down[2] = false;
    assert_int_equal(put(world, 2, "cat", "lost", NULL).status, KVORUM_UNAVAILABLE);
    assert_int_equal(put(world, 2, "cat", "kept", NULL).status, KVORUM_OK);
    assert_string_equal(get(world, 0, "cat").values, "kept");
    world_free(world);
}

static void a_hint_of_before_is_forgotten(void)
{
    struct world *world = world_make(5);
    uint16_t owner = owner_of(world, "cat", 0), here = owner_of(world, "cat", 1);
    cut(world, owner);
    pass(world, 10000);
    assert_int_equal(put(world, here, "cat", "meow", NULL).status, KVORUM_OK);
    assert_int_equal(drop_bucket(world, here).status, KVORUM_OK);
    heal(world, owner);
    pass(world, 20000);
    struct node_hints hints;
    for (uint16_t at = 0; at < 5; at++) {
        assert_string_equal(get(world, at, "cat").values, "");
        assert_int_equal(objects_at(world, at), 0);
        node_hints(world->nodes[at], owner, &hints);
        assert_int_equal(hints.count, 0);
    }
    world_free(world);
}

static void without_a_majority_nothing_is_dropped(void)
{
    struct world *world = world_make(5);
    put(world, 0, "cat", "meow", NULL);
    cut(world, 2);
    cut(world, 3);
    cut(world, 4);
    pass(world, 10000);
    struct outcome refused = drop_bucket(world, 0);
    assert_int_equal(refused.status, KVORUM_UNAVAILABLE);
    assert_non_null(strstr(refused.reason, "nothing was dropped"));
    assert_true(generation_at(world, 0) == 0 && generation_at(world, 1) == 0);
    heal(world, 2);
    heal(world, 3);
    heal(world, 4);
    assert_string_equal(get(world, 4, "cat").values, "meow");
    world_free(world);
}

static void a_context_of_before_covers_nothing_that_is_written_now(void)
{
    struct world *world = world_make(3);
    allow_siblings(world);
    put(world, 0, "cat", "one", NULL);
    struct outcome seen = get(world, 0, "cat");
    put(world, 0, "cat", "two", &seen);
    seen = get(world, 0, "cat");
    assert_int_equal(drop_bucket(world, 0).status, KVORUM_OK);
    put(world, 0, "cat", "three", NULL);
    put(world, 0, "cat", "four", &seen);
    struct outcome both = get(world, 1, "cat");
    assert_true(are_siblings(&both, "three", "four"));
    world_free(world);
}

static void the_generation_outlives_a_restart(void)
{
    struct world *world = world_make(3);
    put(world, 0, "cat", "meow", NULL);
    assert_int_equal(drop_bucket(world, 0).status, KVORUM_OK);
    uint64_t generation = generation_at(world, 0);
    for (uint16_t at = 0; at < 3; at++)
        restart(world, at, (struct node_limits){ 0 });
    settle(world);
    for (uint16_t at = 0; at < 3; at++)
        assert_true(generation_at(world, at) == generation);
    assert_int_equal(get(world, 1, "cat").status, KVORUM_NOT_FOUND);
    world_free(world);
}

static void two_drops_at_once_both_end_and_the_later_generation_stays(void)
{
    struct world *world = world_make(3);
    struct outcome first = { 0 }, second = { 0 };
    put(world, 0, "cat", "meow", NULL);
    node_drop_bucket(world->nodes[0], (struct bytes){ 0 }, BYTES_LITERAL("pets"), note, &first);
    node_drop_bucket(world->nodes[1], (struct bytes){ 0 }, BYTES_LITERAL("pets"), note, &second);
    settle(world);
    for (int i = 0; i < 100 && !(first.answered && second.answered); i++)
        pass(world, 100);
    assert_int_equal(first.status, KVORUM_OK);
    assert_int_equal(second.status, KVORUM_OK);
    assert_true(generation_at(world, 0) == generation_at(world, 1) &&
                generation_at(world, 0) == generation_at(world, 2));
    assert_int_equal(delete_key(world, 2, "cat").status, KVORUM_NOT_FOUND);
    world_free(world);
}

/* As node 0 would, whose clock is ahead. */
static void ask_for_promise(struct world *world, uint16_t at, uint64_t generation)
{
    uint8_t body[64];
    Peer__Drop ask = PEER__DROP__INIT;
    ask.ask = 2;
    ask.type = protobuf_data(BYTES_LITERAL("default"));
    ask.bucket = protobuf_data(BYTES_LITERAL("pets"));
    ask.generation = generation;
    assert_true(protobuf_c_message_get_packed_size(&ask.base) <= sizeof(body));
    const struct message message = {
        MESSAGE_DROP, 7, 1, bytes_make(body, protobuf_c_message_pack(&ask.base, body)), { 0 }
    };
    node_receive(world->nodes[at], (struct net_address){ 0, 0 }, &message);
    settle(world);
}

static void a_drop_goes_above_one_that_was_promised_before_a_restart(void)
{
    struct world *world = world_make(3);
    put(world, 1, "cat", "meow", NULL);
    assert_int_equal(drop_bucket(world, 1).status, KVORUM_OK);
    uint64_t promised = generation_at(world, 1) + (UINT64_C(1) << 30);
    ask_for_promise(world, 1, promised);
    ask_for_promise(world, 2, promised);
    struct bytes kept;
    assert_int_equal(engine_get(world->stores[2], BYTES_LITERAL("qp"), &world->arena, &kept),
                     KVORUM_OK);
    uint64_t little = htole64(promised);
    assert_true(bytes_equal(kept, bytes_make(&little, sizeof(little))));
    for (uint16_t at = 0; at < 3; at++)
        restart(world, at, (struct node_limits){ 0 });
    pass(world, 1000);
    cut(world, 0); /* it was about to decide that, and comes back some day */
    pass(world, 10000);
    assert_int_equal(drop_bucket(world, 1).status, KVORUM_OK);
    assert_true(generation_at(world, 1) > promised && generation_at(world, 2) > promised);
    world_free(world);
}

/* The record of the properties was still on its way to another store. */
static void a_start_knows_the_generation_of_the_objects_that_it_has(void)
{
    struct world *world = world_make(3);
    assert_int_equal(drop_bucket(world, 0).status, KVORUM_OK);
    assert_int_equal(put(world, 0, "cat", "meow", NULL).status, KVORUM_OK);
    uint64_t generation = generation_at(world, 0), little = htole64(generation);
    for (uint16_t at = 0; at < 3; at++) {
        struct engine_batch *batch = engine_batch_create();
        assert_non_null(batch);
        assert_int_equal(engine_batch_delete(batch, BYTES_LITERAL("p\7defaultpets")), KVORUM_OK);
        if (at == 2)
            assert_int_equal(engine_batch_put(batch, BYTES_LITERAL("qg\7defaultpets"),
                                              bytes_make(&little, sizeof(little))),
                             KVORUM_OK);
        assert_int_equal(engine_write(world->stores[at], batch, ENGINE_SYNC), KVORUM_OK);
        engine_batch_destroy(batch);
        restart(world, at, (struct node_limits){ 0 });
        assert_true(generation_at(world, at) == (at == 2 ? generation : 0));
    }
    pass(world, 5000);
    for (uint16_t at = 0; at < 3; at++) {
        assert_true(generation_at(world, at) == generation);
        assert_string_equal(get(world, at, "cat").values, "meow");
    }
    world_free(world);
}

static void a_name_that_is_none_is_refused(void)
{
    struct world *world = world_make(1);
    struct outcome outcome = { 0 };
    node_drop_bucket(world->nodes[0], (struct bytes){ 0 }, (struct bytes){ 0 }, note, &outcome);
    assert_int_equal(outcome.status, KVORUM_INVALID);
    world_free(world);
}

static struct bytes golden(const char *name, uint8_t memory[64])
{
    char path[64];
    snprintf(path, sizeof(path), "tests/golden/keys/%s.bin", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(memory, 1, 64, file);
    fclose(file);
    return bytes_make(memory, size);
}

static void overrides_with_a_generation_are_these_bytes(void)
{
    uint8_t memory[64];
    struct bytes known = golden("overrides", memory);
    struct bucket_properties properties, read;
    bucket_properties_init(&properties);
    properties.levels.n = 3;
    properties.allow_mult = 1;
    properties.generation = UINT64_C(0x0102030405060708);
    struct buffer made, bare, again;
    buffer_init(&made, 1024);
    buffer_init(&bare, 1024);
    buffer_init(&again, 1024);
    bucket_properties_encode(&properties, &made);
    assert_true(bytes_equal(buffer_bytes(&made), known));
    assert_int_equal(bucket_properties_decode(known, &read), KVORUM_OK);
    assert_true(read.generation == properties.generation && read.levels.n == 3);
    assert_int_equal(bucket_properties_with_generation(known, 0, &bare), KVORUM_OK);
    assert_int_equal(bare.size, 4);
    buffer_append(&bare, "\x20\x05", 2); /* of a later release */
    assert_int_equal(bucket_properties_with_generation(buffer_bytes(&bare), 7, &again), KVORUM_OK);
    static const uint8_t kept[] = { 1, 3, 11, 1, 15, 0, 16, 7, 0x20, 5 };
    assert_true(bytes_equal(buffer_bytes(&again), bytes_make(kept, sizeof(kept))));
    buffer_done(&made);
    buffer_done(&bare);
    buffer_done(&again);
}

static void a_key_of_a_store_keeps_its_generation(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct key_address address = { BYTES_LITERAL("default"), BYTES_LITERAL("pets"),
                                   BYTES_LITERAL("cat"), 5, UINT64_C(0x0102030405060708) };
    struct bytes key = store_key(&arena, &address);
    uint8_t memory[64];
    struct bytes known = golden("dropped", memory);
    assert_true(bytes_equal(key, known));
    struct key_address parsed;
    assert_true(store_key_parse(key, &parsed));
    assert_true(parsed.generation == address.generation && parsed.partition == 5);
    assert_true(bytes_equal(parsed.bucket, address.bucket) && bytes_equal(parsed.key, address.key));
    address.generation = 0;
    assert_false(store_key_parse(bytes_make(known.data, 20), &parsed)); /* in the generation */
    known = golden("first", memory);
    assert_true(bytes_equal(store_key(&arena, &address), known));
    assert_true(store_key_parse(known, &parsed));
    assert_true(parsed.generation == 0 && bytes_equal(parsed.key, address.key));
    arena_done(&arena);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "nothing of before is read or listed anywhere",
          nothing_of_before_is_read_or_listed_anywhere },
        { "the bucket can be used at once", the_bucket_can_be_used_at_once },
        { "what is dropped is reclaimed, and nothing else",
          what_is_dropped_is_reclaimed_and_nothing_else },
        { "properties stay, and a reset keeps the generation",
          properties_stay_and_a_reset_keeps_the_generation },
        { "a member that was away shows nothing old once it asked another",
          a_member_that_was_away_shows_nothing_old_once_it_asked_another },
        { "a write through a member that was away is refused once",
          a_write_through_a_member_that_was_away_is_refused_once },
        { "a hint of before is forgotten", a_hint_of_before_is_forgotten },
        { "without a majority nothing is dropped", without_a_majority_nothing_is_dropped },
        { "a context of before covers nothing that is written now",
          a_context_of_before_covers_nothing_that_is_written_now },
        { "the generation outlives a restart", the_generation_outlives_a_restart },
        { "two drops at once both end, and the later generation stays",
          two_drops_at_once_both_end_and_the_later_generation_stays },
        { "a drop goes above one that was promised before a restart",
          a_drop_goes_above_one_that_was_promised_before_a_restart },
        { "a start knows the generation of the objects that it has",
          a_start_knows_the_generation_of_the_objects_that_it_has },
        { "a name that is none is refused", a_name_that_is_none_is_refused },
        { "a key of a store keeps its generation", a_key_of_a_store_keeps_its_generation },
        { "overrides with a generation are these bytes",
          overrides_with_a_generation_are_these_bytes },
    };
    return RUN_TESTS("drop", tests);
}
