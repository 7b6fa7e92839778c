/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of node/ in stories one can read; those of hints are in hints_test.c. */
#include "tests/support/node_pets.h"

/* --- stories -------------------------------------------------------------------------------- */

static void written_here_read_there(void)
{
    struct world *world = world_make(5);
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(put(world, i % 5, key, key, NULL).status, KVORUM_OK);
        struct outcome seen = get(world, (i + 2) % 5, key);
        assert_int_equal(seen.status, KVORUM_OK);
        assert_string_equal(seen.values, key);
    }
    world_free(world);
}

static void one_node_is_a_cluster(void)
{
    struct world *world = world_make(1);
    assert_int_equal(put(world, 0, "cat", "meow", NULL).status, KVORUM_OK);
    assert_string_equal(get(world, 0, "cat").values, "meow");
    assert_int_equal(get(world, 0, "dog").status, KVORUM_NOT_FOUND);
    world_free(world);
}

static void last_write_wins_by_default(void)
{
    struct world *world = world_make(3);
    put(world, 0, "cat", "one", NULL);
    put(world, 1, "cat", "two", NULL);
    assert_string_equal(get(world, 2, "cat").values, "two");
    world_free(world);
}

static void blind_writes_become_siblings_and_a_context_resolves_them(void)
{
    struct world *world = world_make(3);
    allow_siblings(world);
    put(world, 0, "cat", "one", NULL);
    put(world, 1, "cat", "two", NULL);
    struct outcome seen = get(world, 2, "cat");
    assert_true(are_siblings(&seen, "one", "two"));
    put(world, 2, "cat", "three", &seen);
    assert_string_equal(get(world, 0, "cat").values, "three");
    world_free(world);
}

static void a_stale_context_makes_a_sibling(void)
{
    struct world *world = world_make(3);
    allow_siblings(world);
    put(world, 0, "cat", "one", NULL);
    struct outcome seen = get(world, 0, "cat");
    put(world, 1, "cat", "two", &seen);
    put(world, 2, "cat", "three", &seen);
    struct outcome both = get(world, 0, "cat");
    assert_true(are_siblings(&both, "two", "three"));
    world_free(world);
}

static void deleted_is_not_found_and_absent_keys_say_so(void)
{
    struct world *world = world_make(3);
    put(world, 0, "cat", "meow", NULL);
    assert_int_equal(delete_key(world, 1, "cat").status, KVORUM_OK);
    assert_int_equal(get(world, 2, "cat").status, KVORUM_NOT_FOUND);
    assert_int_equal(delete_key(world, 2, "cat").status, KVORUM_NOT_FOUND);
    put(world, 1, "cat", "back", NULL);
    assert_string_equal(get(world, 0, "cat").values, "back");
    world_free(world);
}

static void a_delete_tells_what_it_left_if_asked(void)
{
    struct world *world = world_make(3);
    struct operation operation = operation_on(OPERATION_DELETE, "cat");
    put(world, 0, "cat", "meow", NULL);
    assert_true(run(world, 1, &operation).context_size == 0);
    put(world, 0, "cat", "back", NULL);
    operation.flags = OPERATION_RETURN_BODY;
    for (uint16_t at = 0; at < 3; at++) { /* the last two find nothing to delete */
        struct outcome left = run(world, at, &operation);
        assert_true((left.status == KVORUM_OK) == (at == 0) && left.context_size > 0);
        assert_string_equal(left.values, "");
    }
    world_free(world);
}

static void conditions_are_checked(void)
{
    struct world *world = world_make(3);
    struct operation fresh = operation_on(OPERATION_PUT, "cat");
    fresh.value = BYTES_LITERAL("meow");
    fresh.flags = OPERATION_IF_NONE_MATCH;
    assert_int_equal(run(world, 0, &fresh).status, KVORUM_OK);
    assert_int_equal(run(world, 1, &fresh).status, KVORUM_CONFLICT);
    struct outcome seen = get(world, 2, "cat");
    struct operation match = fresh;
    match.flags = OPERATION_IF_MATCH;
    match.context = bytes_make(seen.context, seen.context_size);
    match.value = BYTES_LITERAL("purr");
    assert_int_equal(run(world, 0, &match).status, KVORUM_OK);
    assert_int_equal(run(world, 0, &match).status, KVORUM_CONFLICT);
    assert_string_equal(get(world, 1, "cat").values, "purr");
    world_free(world);
}

static void one_owner_away_changes_nothing(void)
{
    struct world *world = world_make(5);
    put(world, 0, "cat", "one", NULL);
    uint16_t away = owner_of(world, "cat", 0);
    uint16_t here = (away + 1) % 5;
    cut(world, away);
    assert_string_equal(get(world, here, "cat").values, "one");
    assert_int_equal(put(world, here, "cat", "two", NULL).status, KVORUM_OK);
    assert_string_equal(get(world, here, "cat").values, "two");
    world_free(world);
}

static void strict_quorums_count_owners_only(void)
{
    struct world *world = world_make(5);
    uint16_t first = owner_of(world, "cat", 0), second = owner_of(world, "cat", 1);
    uint16_t here = owner_of(world, "cat", 2);
    cut(world, first);
    cut(world, second);
    struct operation operation = operation_on(OPERATION_PUT, "cat");
    operation.value = BYTES_LITERAL("meow");
    operation.levels.sloppy = 0;
    struct outcome refused = run(world, here, &operation);
    assert_int_equal(refused.status, KVORUM_UNAVAILABLE);
    assert_non_null(strstr(refused.reason, "cannot write pets/cat"));
    assert_int_equal(get(world, here, "cat").status, KVORUM_NOT_FOUND);
    operation.levels.sloppy = 1;
    struct outcome taken = run(world, here, &operation);
    assert_int_equal(taken.status, KVORUM_OK);
    assert_true(taken.stand_ins > 0);
    world_free(world);
}

static void a_hint_reaches_its_owner_and_is_forgotten(void)
{
    struct world *world = world_make(5);
    uint16_t away = owner_of(world, "cat", 0), here = owner_of(world, "cat", 1);
    uint16_t stand_in = owner_of(world, "cat", 3);
    cut(world, away);
    assert_int_equal(put(world, here, "cat", "meow", NULL).status, KVORUM_OK);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_stored, 1);
    heal(world, away);
    pass(world, 3000);
    assert_int_equal(node_counters(world->nodes[stand_in])->hints_delivered, 1);
    struct engine_stats stats;
    engine_stats(world->stores[stand_in], &stats);
    assert_int_equal(stats.live_entries, 1); /* the record of the store itself */
    engine_stats(world->stores[away], &stats);
    assert_int_equal(stats.live_entries, 2);
    world_free(world);
}

static void reading_repairs_an_owner_that_missed_a_write(void)
{
    struct world *world = world_make(3);
    put(world, 0, "cat", "one", NULL);
    world->deaf_to_merges[2] = true; /* as if the frame was lost, and so are hints */
    put(world, 0, "cat", "two", NULL);
    struct operation all = operation_on(OPERATION_GET, "cat");
    all.levels.r = LEVEL_ALL;
    assert_string_equal(run(world, 1, &all).values, "two");
    world->deaf_to_merges[2] = false;
    assert_string_equal(run(world, 1, &all).values, "two");
    assert_true(node_counters(world->nodes[1])->read_repairs > 0);
    cut(world, 0);
    cut(world, 1);
    struct operation alone = operation_on(OPERATION_GET, "cat");
    alone.levels.r = 1;
    assert_string_equal(run(world, 2, &alone).values, "two");
    world_free(world);
}

static void impossible_levels_are_refused_at_once(void)
{
    struct world *world = world_make(3);
    struct operation operation = operation_on(OPERATION_GET, "cat");
    operation.levels.r = 4;
    struct outcome refused = run(world, 0, &operation);
    assert_int_equal(refused.status, KVORUM_QUORUM_IMPOSSIBLE);
    world_free(world);
}

static void limits_have_names(void)
{
    struct world *world = world_make(1);
    struct operation operation = operation_on(OPERATION_GET, "");
    assert_int_equal(run(world, 0, &operation).status, KVORUM_INVALID);
    char *long_key = malloc(NODE_KEY_SIZE_MAX + 2);
    memset(long_key, 'k', NODE_KEY_SIZE_MAX + 1);
    long_key[NODE_KEY_SIZE_MAX + 1] = 0;
    operation = operation_on(OPERATION_GET, long_key);
    assert_int_equal(run(world, 0, &operation).status, KVORUM_TOO_LARGE);
    long_key[NODE_KEY_SIZE_MAX] = 0;
    assert_int_equal(put(world, 0, long_key, "v", NULL).status, KVORUM_OK);
    assert_string_equal(get(world, 0, long_key).values, "v");
    free(long_key);
    world_free(world);
}

static void listing_finds_every_key_once(void)
{
    struct world *world = world_make(5);
    for (int i = 0; i < 3000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        put(world, i % 5, key, "v", NULL);
    }
    delete_key(world, 0, "k7");
    assert_int_equal(list(world, 0, LIST_KEYS).count, 2999);
    assert_int_equal(list(world, 1, LIST_COUNT).counted, 2999);
    assert_int_equal(list(world, 2, LIST_BUCKETS).count, 1);
    cut(world, 3);
    assert_int_equal(list(world, 4, LIST_KEYS).count, 2999);
    world_free(world);
}

static void properties_reach_everybody_and_can_be_reset(void)
{
    struct world *world = world_make(5);
    cut(world, 4);
    allow_siblings(world);
    assert_int_equal(properties_at(world, 3).allow_mult, 1);
    assert_int_equal(properties_at(world, 4).allow_mult, 0);
    heal(world, 4);
    assert_int_equal(properties_at(world, 4).allow_mult, 1);
    reset_properties(world, 1);
    assert_int_equal(properties_at(world, 0).allow_mult, 0);
    world_free(world);
}

static bool has_value(const struct outcome *seen, const char *value)
{
    return strstr(seen->values, value) != NULL;
}

/* n3 was away when the bucket began to keep siblings, and takes part before it hears of that. */
static void a_member_that_was_away_drops_no_siblings(void)
{
    struct world *world = world_make(3);
    cut(world, 2);
    allow_siblings(world);
    put(world, 0, "cat", "first", NULL);
    put(world, 1, "cat", "second", NULL);
    world->down[2] = false;
    put(world, 2, "cat", "third", NULL);
    put(world, 2, "cat", "fourth", NULL);
    assert_int_equal(properties_at(world, 2).allow_mult, 0);
    for (uint16_t at = 0; at < 3; at++) {
        struct outcome seen = get(world, at, "cat");
        assert_true(has_value(&seen, "first") && has_value(&seen, "second"));
        assert_true(has_value(&seen, "fourth"));
    }
    heal(world, 2);
    put(world, 2, "cat", "fifth", NULL);
    struct outcome seen = get(world, 0, "cat");
    assert_true(has_value(&seen, "fourth") && has_value(&seen, "fifth"));
    assert_int_equal(put(world, 1, "cat", "all", &seen).status, KVORUM_OK);
    assert_string_equal(get(world, 2, "cat").values, "all");
    world_free(world);
}

static void siblings_are_given_up_where_the_last_write_is_to_win_again(void)
{
    struct world *world = world_make(3);
    allow_siblings(world);
    put(world, 0, "cat", "first", NULL);
    put(world, 1, "cat", "second", NULL);
    reset_properties(world, 1);
    assert_string_equal(get(world, 0, "cat").values, "second"); /* the later one */
    put(world, 2, "cat", "third", NULL);
    assert_string_equal(get(world, 0, "cat").values, "third");
    allow_siblings(world); /* what was given up is gone */
    assert_string_equal(get(world, 0, "cat").values, "third");
    world_free(world);
}

static void ask_for_siblings(struct world *world, struct outcome *outcome)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.allow_mult = 1;
    ask_properties(world, 0, &properties, false, outcome);
}

/* Silence is no confirmation: the change is answered when the silent one is known to be dead. */
static void a_change_waits_for_a_member_that_may_be_alive(void)
{
    struct world *world = world_make(3);
    struct outcome outcome;
    world->down[2] = true;
    ask_for_siblings(world, &outcome);
    node_link_lost(world->nodes[0], 2, false);
    pass(world, 1000);
    assert_false(outcome.answered);
    pass(world, 2500);
    assert_true(outcome.answered);
    assert_int_equal(outcome.status, KVORUM_OK);
    world_free(world);
}

static void a_change_that_is_not_confirmed_is_of_unknown_outcome(void)
{
    struct world *world = world_make(3);
    struct outcome outcome;
    world->deaf_to_properties[2] = true;
    ask_for_siblings(world, &outcome);
    pass(world, 3000);
    assert_false(outcome.answered);
    pass(world, 1000);
    assert_int_equal(outcome.status, KVORUM_TIMEOUT);
    assert_non_null(strstr(outcome.reason, "n3 may be alive and has not confirmed it"));
    world_free(world);
}

/* The net took the messages and gave them back: nothing can have been written there, so another may
 * coordinate it. */
static void a_write_that_never_left_goes_to_another(void)
{
    struct world *world = world_make(5);
    uint16_t owner = owner_of(world, "cat", 0), other = 0;
    for (uint16_t place = 0; place < 3; place++)
        other += owner_of(world, "cat", place) == other;
    for (uint16_t place = 0; place < 3; place++)
        other += owner_of(world, "cat", place) == other;
    for (uint16_t place = 0; place < 3; place++)
        assert_int_not_equal(owner_of(world, "cat", place), other);
    struct operation operation = operation_on(OPERATION_PUT, "cat");
    operation.value = BYTES_LITERAL("v");
    struct outcome forwarded = { 0 }, owned = { 0 };
    node_submit(world->nodes[other], &operation, note, &forwarded);
    node_submit(world->nodes[owner], &operation, note, &owned);
    give_back(world);
    assert_false(forwarded.answered);
    settle(world);
    assert_int_equal(forwarded.status, KVORUM_OK);
    assert_true(owned.answered); /* others stood in for the owners that were not reached */
    assert_int_equal(owned.status, KVORUM_OK);
    assert_true(owned.stand_ins > 0);
    world_free(world);
}

static void too_many_siblings_are_refused(void)
{
    struct world *world = world_make(1);
    allow_siblings(world);
    for (int i = 0; i < 100; i++)
        assert_int_equal(put(world, 0, "cat", "v", NULL).status, KVORUM_OK);
    assert_int_equal(put(world, 0, "cat", "v", NULL).status, KVORUM_TOO_MANY_SIBLINGS);
    struct outcome seen = get(world, 0, "cat");
    assert_int_equal(put(world, 0, "cat", "one", &seen).status, KVORUM_OK);
    assert_string_equal(get(world, 0, "cat").values, "one");
    world_free(world);
}

static void damaged_messages_are_counted_and_harmless(void)
{
    struct world *world = world_make(2);
    struct net_address from = { 1, 0 };
    static const uint8_t junk[] = { 0xff, 0x03, 0x80, 0x12, 0x00 };
    for (int kind = 0; kind < 256; kind++)
        for (size_t size = 0; size <= sizeof(junk); size++) {
            struct message message = { (uint8_t)kind, 5, 1, { junk, size }, { junk, size } };
            node_receive(world->nodes[0], from, &message);
        }
    settle(world);
    assert_true(node_counters(world->nodes[0])->messages_bad > 0);
    assert_int_equal(put(world, 0, "cat", "meow", NULL).status, KVORUM_OK);
    world_free(world);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "what is written at one node is read at another", written_here_read_there },
        { "one node is a cluster", one_node_is_a_cluster },
        { "the last write wins by default", last_write_wins_by_default },
        { "blind writes become siblings, a context resolves them",
          blind_writes_become_siblings_and_a_context_resolves_them },
        { "a stale context makes a sibling", a_stale_context_makes_a_sibling },
        { "deleted is not found, and can be written again",
          deleted_is_not_found_and_absent_keys_say_so },
        { "a delete tells what it left, if asked", a_delete_tells_what_it_left_if_asked },
        { "if-none-match and if-match are checked", conditions_are_checked },
        { "one owner away changes nothing", one_owner_away_changes_nothing },
        { "strict quorums count owners only", strict_quorums_count_owners_only },
        { "a hint reaches its owner and is forgotten", a_hint_reaches_its_owner_and_is_forgotten },
        { "reading repairs an owner that missed a write",
          reading_repairs_an_owner_that_missed_a_write },
        { "impossible levels are refused at once", impossible_levels_are_refused_at_once },
        { "limits have names", limits_have_names },
        { "listing finds every key once, also around a dead node", listing_finds_every_key_once },
        { "a member that was away drops no siblings", a_member_that_was_away_drops_no_siblings },
        { "siblings are given up where the last write is to win again",
          siblings_are_given_up_where_the_last_write_is_to_win_again },
        { "a change waits for a member that may be alive",
          a_change_waits_for_a_member_that_may_be_alive },
        { "a change that is not confirmed is of unknown outcome",
          a_change_that_is_not_confirmed_is_of_unknown_outcome },
        { "a write that never left goes to another", a_write_that_never_left_goes_to_another },
        { "properties reach everybody, late-comers too, and can be reset",
          properties_reach_everybody_and_can_be_reset },
        { "too many siblings are refused", too_many_siblings_are_refused },
        { "damaged messages are counted and harmless", damaged_messages_are_counted_and_harmless },
    };
    return RUN_TESTS("node", tests);
}
