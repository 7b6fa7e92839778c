/* SPDX-License-Identifier: Apache-2.0 */
/* Small clusters of real nodes over memory engines, a queue for a network and a hand-moved clock:
 * the rules of node/ in stories one can read.  Chance, crashes and disks are the simulator's
 * business. */
#include "tests/support/rows.h"

#include <stdio.h>

#include "base/list.h"
#include "engine/memory/memory.h"
#include "node/node.h"

enum { NODES_MAX = 5, QUEUE_MAX = 4096, PARTITIONS = 16 };

struct parcel {
    struct net_address from, to;
    struct message message;
    uint8_t *memory;
};

struct world;

struct test_net {
    struct net net;
    struct world *world;
    uint16_t member;
};

struct world {
    struct clock clock;
    uint64_t now_us;
    struct epoch epoch;
    struct arena arena;
    uint16_t count;
    struct test_net nets[NODES_MAX];
    struct node *nodes[NODES_MAX];
    struct engine *stores[NODES_MAX];
    bool down[NODES_MAX], deaf_to_properties[NODES_MAX];
    struct parcel queue[QUEUE_MAX];
    size_t head, tail;
};

/* --- the world ------------------------------------------------------------------------------ */

static struct world *world_of_clock(struct clock *clock)
{
    return LIST_ENTRY(clock, struct world, clock);
}

static uint64_t test_monotonic_us(struct clock *clock)
{
    return world_of_clock(clock)->now_us;
}

static uint64_t test_wall_ms(struct clock *clock)
{
    return 1700000000000ull + world_of_clock(clock)->now_us / 1000;
}

static const struct clock_ops test_clock_ops = { test_monotonic_us, test_wall_ms };

static struct bytes copy_to(uint8_t **at, struct bytes bytes)
{
    struct bytes copy = { *at, bytes.size };
    if (bytes.size > 0)
        memcpy(*at, bytes.data, bytes.size);
    *at += bytes.size;
    return copy;
}

static bool test_send(struct net *net, struct net_address to, const struct message *message)
{
    struct test_net *from = LIST_ENTRY(net, struct test_net, net);
    struct world *world = from->world;
    if (world->down[to.member])
        return false;
    if (world->deaf_to_properties[to.member] && message->kind == MESSAGE_PROPERTIES)
        return true;
    assert_true(world->tail - world->head < QUEUE_MAX);
    struct parcel *parcel = &world->queue[world->tail++ % QUEUE_MAX];
    parcel->from = (struct net_address){ from->member, 0 };
    parcel->to = to;
    parcel->message = *message;
    parcel->memory = malloc(message->body.size + message->tail.size + 1);
    uint8_t *at = parcel->memory;
    parcel->message.body = copy_to(&at, message->body);
    parcel->message.tail = copy_to(&at, message->tail);
    return true;
}

static uint16_t test_shard_of(struct net *net, uint16_t member, uint32_t partition)
{
    (void)net;
    (void)member;
    (void)partition;
    return 0;
}

static const struct net_ops test_net_ops = { test_send, test_shard_of };

/* Nothing that is under way will arrive, and the senders are told. */
static void give_back(struct world *world)
{
    for (size_t end = world->tail; world->head < end; world->head++) {
        struct parcel *parcel = &world->queue[world->head % QUEUE_MAX];
        node_unsent(world->nodes[parcel->from.member], parcel->to.member, &parcel->message);
        free(parcel->memory);
    }
}

/* Deliver everything that is under way. */
static void settle(struct world *world)
{
    for (bool busy = true; busy;) {
        busy = false;
        for (uint16_t i = 0; i < world->count; i++)
            if (world->nodes[i] != NULL)
                node_flush(world->nodes[i]);
        while (world->head < world->tail) {
            struct parcel *parcel = &world->queue[world->head++ % QUEUE_MAX];
            if (!world->down[parcel->to.member] && !world->down[parcel->from.member])
                node_receive(world->nodes[parcel->to.member], parcel->from, &parcel->message);
            free(parcel->memory);
            busy = true;
        }
    }
}

static void pass(struct world *world, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 100) {
        world->now_us += 100 * 1000;
        for (uint16_t n = 0; n < world->count; n++)
            if (!world->down[n])
                node_tick(world->nodes[n]);
        settle(world);
    }
}

static void make_epoch(struct world *world, uint16_t count)
{
    struct member *members = calloc(count, sizeof(*members));
    for (uint16_t i = 0; i < count; i++) {
        members[i].id.bytes[0] = (uint8_t)(i + 1);
        snprintf(members[i].name, sizeof(members[i].name), "n%d", i + 1);
        snprintf(members[i].zone, sizeof(members[i].zone), "default");
        snprintf(members[i].address, sizeof(members[i].address), "127.0.0.1:%d", 9000 + i);
        members[i].weight = RING_WEIGHT_DEFAULT;
    }
    uint8_t replicas = count < 3 ? (uint8_t)count : 3;
    world->epoch = (struct epoch){ .number = 1,
                                   .hash_seed = 7,
                                   .partition_count = PARTITIONS,
                                   .replica_count = replicas,
                                   .member_count = count,
                                   .members = members };
    world->epoch.table = calloc(PARTITIONS * replicas, sizeof(uint16_t));
    struct ring_plan_input input = { members, count, PARTITIONS, replicas, NULL };
    const char *why = NULL;
    assert_int_equal(ring_plan(&input, &world->arena, world->epoch.table, &why), KVORUM_OK);
}

static struct world *world_make(uint16_t count)
{
    struct swim_config quick = *swim_preset(SWIM_LOCAL);
    quick.probe_interval_us = 300 * 1000;
    quick.probe_timeout_us = 250 * 1000; /* time passes in steps of 100 ms */
    quick.gossip_interval_us = 100 * 1000;
    struct world *world = calloc(1, sizeof(*world));
    world->clock.ops = &test_clock_ops;
    world->now_us = 1000 * 1000;
    world->count = count;
    arena_init(&world->arena, 1 << 26);
    make_epoch(world, count);
    for (uint16_t i = 0; i < count; i++) {
        world->nets[i] = (struct test_net){ { &test_net_ops }, world, i };
        assert_int_equal(memory_open(NULL, &world->stores[i]), KVORUM_OK);
        struct node_config config = {
            .epoch = &world->epoch,
            .self = i,
            .shard_count = 1,
            .store_count = 1,
            .stores = &world->stores[i],
            .actor = 100 + i,
            .clock = &world->clock,
            .net = &world->nets[i].net,
            .random_seed = 1000 + i,
            .gossip = quick,
        };
        assert_int_equal(node_create(&config, &world->nodes[i]), KVORUM_OK);
    }
    pass(world, 1000); /* everybody has heard of everybody */
    return world;
}

static void world_free(struct world *world)
{
    for (uint16_t i = 0; i < world->count; i++) {
        node_destroy(world->nodes[i]);
        engine_close(world->stores[i]);
    }
    while (world->head < world->tail)
        free(world->queue[world->head++ % QUEUE_MAX].memory);
    arena_done(&world->arena);
    free(world->epoch.members);
    free(world->epoch.table);
    free(world);
}

/* The node stops hearing and being heard; its memory stays. */
static void cut(struct world *world, uint16_t member)
{
    world->down[member] = true;
    for (uint16_t i = 0; i < world->count; i++)
        if (i != member && !world->down[i])
            node_link_lost(world->nodes[i], member, true);
    settle(world);
}

static void heal(struct world *world, uint16_t member)
{
    world->down[member] = false;
    pass(world, 2000);
}

/* --- operations ----------------------------------------------------------------------------- */

struct outcome {
    bool answered;
    kvorum_status status;
    char values[256]; /* of live siblings, joined by "|" */
    uint8_t context[1024];
    size_t context_size;
    uint8_t answered_count, stand_ins;
    char reason[512];
};

static void note_object(struct outcome *outcome, const struct object *object)
{
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        if (sibling->tombstone)
            continue;
        size_t used = strlen(outcome->values);
        snprintf(outcome->values + used, sizeof(outcome->values) - used, "%s%.*s",
                 used > 0 ? "|" : "", (int)sibling->value.size, (const char *)sibling->value.data);
    }
}

static void note(void *context, const struct answer *answer)
{
    struct outcome *outcome = context;
    assert_false(outcome->answered);
    *outcome = (struct outcome){ .answered = true, .status = answer->status };
    outcome->answered_count = answer->answered;
    outcome->stand_ins = answer->stand_ins;
    snprintf(outcome->reason, sizeof(outcome->reason), "%s", answer->reason);
    if (answer->object != NULL)
        note_object(outcome, answer->object);
    struct buffer buffer;
    buffer_init(&buffer, sizeof(outcome->context));
    answer_context(answer, &buffer);
    assert_false(buffer.failed);
    if (buffer.size > 0)
        memcpy(outcome->context, buffer.data, buffer.size);
    outcome->context_size = buffer.size;
    buffer_done(&buffer);
}

static struct operation operation_on(enum operation_kind kind, const char *key)
{
    struct operation operation = { .kind = kind,
                                   .bucket = BYTES_LITERAL("pets"),
                                   .key = bytes_of_string(key) };
    quorum_levels_init(&operation.levels);
    return operation;
}

static struct outcome run(struct world *world, uint16_t at, const struct operation *operation)
{
    struct outcome outcome = { 0 };
    node_submit(world->nodes[at], operation, note, &outcome);
    settle(world);
    for (int i = 0; i < 200 && !outcome.answered; i++)
        pass(world, 100);
    assert_true(outcome.answered);
    return outcome;
}

static struct outcome put(struct world *world, uint16_t at, const char *key, const char *value,
                          const struct outcome *seen)
{
    struct operation operation = operation_on(OPERATION_PUT, key);
    operation.value = bytes_of_string(value);
    if (seen != NULL)
        operation.context = bytes_make(seen->context, seen->context_size);
    return run(world, at, &operation);
}

static struct outcome get(struct world *world, uint16_t at, const char *key)
{
    struct operation operation = operation_on(OPERATION_GET, key);
    return run(world, at, &operation);
}

static void allow_siblings(struct world *world)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.allow_mult = 1;
    struct outcome outcome = { 0 };
    node_set_properties(world->nodes[0], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &properties,
                        false, note, &outcome);
    settle(world);
    assert_true(outcome.answered);
    assert_int_equal(outcome.status, KVORUM_OK);
}

static uint16_t owner_of(struct world *world, const char *key, uint16_t place)
{
    uint32_t partition = ring_partition_of_hash(
        &world->epoch, ring_hash(&world->epoch, BYTES_LITERAL("default"), BYTES_LITERAL("pets"),
                                 bytes_of_string(key)));
    uint16_t members[NODES_MAX];
    ring_preference(&world->epoch, partition, members, NODES_MAX);
    return members[place];
}

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
    assert_true(strcmp(seen.values, "one|two") == 0 || strcmp(seen.values, "two|one") == 0);
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
    assert_true(strcmp(both.values, "two|three") == 0 || strcmp(both.values, "three|two") == 0);
    world_free(world);
}

static void deleted_is_not_found_and_absent_keys_say_so(void)
{
    struct world *world = world_make(3);
    put(world, 0, "cat", "meow", NULL);
    struct operation operation = operation_on(OPERATION_DELETE, "cat");
    assert_int_equal(run(world, 1, &operation).status, KVORUM_OK);
    assert_int_equal(get(world, 2, "cat").status, KVORUM_NOT_FOUND);
    assert_int_equal(run(world, 2, &operation).status, KVORUM_NOT_FOUND);
    put(world, 1, "cat", "back", NULL);
    assert_string_equal(get(world, 0, "cat").values, "back");
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
    assert_int_equal(stats.live_entries, 0);
    engine_stats(world->stores[away], &stats);
    assert_int_equal(stats.live_entries, 1);
    world_free(world);
}

static void reading_repairs_an_owner_that_missed_a_write(void)
{
    struct world *world = world_make(3);
    put(world, 0, "cat", "one", NULL);
    cut(world, 2);
    put(world, 0, "cat", "two", NULL);
    heal(world, 2);
    struct operation all = operation_on(OPERATION_GET, "cat");
    all.levels.r = LEVEL_ALL;
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

struct listed {
    struct node *node;
    uint64_t id;
    uint32_t count, pages;
    uint64_t counted;
    bool last;
    kvorum_status status;
};

static void note_page(void *context, const struct list_page *page)
{
    struct listed *listed = context;
    assert_false(listed->last);
    listed->count += page->count;
    listed->counted = page->counted;
    listed->pages++;
    listed->last = page->last;
    listed->status = page->status;
    if (!page->last && listed->id != 0)
        node_list_next(listed->node, listed->id);
}

static struct listed list(struct world *world, uint16_t at, enum list_kind kind)
{
    struct listed listed = { .node = world->nodes[at] };
    struct bytes bucket = kind == LIST_BUCKETS ? (struct bytes){ 0 } : BYTES_LITERAL("pets");
    listed.id =
        node_list(world->nodes[at], kind, (struct bytes){ 0 }, bucket, 0, note_page, &listed);
    for (int i = 0; i < 10000 && !listed.last; i++) {
        node_list_next(world->nodes[at], listed.id);
        settle(world);
    }
    assert_true(listed.last);
    return listed;
}

static void listing_finds_every_key_once(void)
{
    struct world *world = world_make(5);
    for (int i = 0; i < 3000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        put(world, i % 5, key, "v", NULL);
    }
    struct operation operation = operation_on(OPERATION_DELETE, "k7");
    run(world, 0, &operation);
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
    struct bucket_properties seen;
    node_properties(world->nodes[3], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &seen);
    assert_int_equal(seen.allow_mult, 1);
    node_properties(world->nodes[4], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &seen);
    assert_int_equal(seen.allow_mult, 0);
    heal(world, 4);
    node_properties(world->nodes[4], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &seen);
    assert_int_equal(seen.allow_mult, 1);
    struct outcome outcome = { 0 };
    node_set_properties(world->nodes[1], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &seen, true,
                        note, &outcome);
    settle(world);
    assert_int_equal(outcome.status, KVORUM_OK);
    node_properties(world->nodes[0], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &seen);
    assert_int_equal(seen.allow_mult, 0);
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
    struct bucket_properties known;
    node_properties(world->nodes[2], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &known);
    assert_int_equal(known.allow_mult, 0);
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
    struct bucket_properties none;
    bucket_properties_init(&none);
    struct outcome reset = { 0 };
    node_set_properties(world->nodes[1], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &none, true,
                        note, &reset);
    settle(world);
    assert_int_equal(reset.status, KVORUM_OK);
    assert_string_equal(get(world, 0, "cat").values, "second"); /* the later one */
    put(world, 2, "cat", "third", NULL);
    assert_string_equal(get(world, 0, "cat").values, "third");
    allow_siblings(world); /* what was given up is gone */
    assert_string_equal(get(world, 0, "cat").values, "third");
    world_free(world);
}

/* Silence is no confirmation: the change is answered when the silent one is known to be dead. */
static void a_change_waits_for_a_member_that_may_be_alive(void)
{
    struct world *world = world_make(3);
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.allow_mult = 1;
    struct outcome outcome = { 0 };
    world->down[2] = true;
    node_set_properties(world->nodes[0], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &properties,
                        false, note, &outcome);
    settle(world);
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
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.allow_mult = 1;
    struct outcome outcome = { 0 };
    world->deaf_to_properties[2] = true;
    node_set_properties(world->nodes[0], (struct bytes){ 0 }, BYTES_LITERAL("pets"), &properties,
                        false, note, &outcome);
    pass(world, 3000);
    assert_false(outcome.answered);
    pass(world, 1000);
    assert_int_equal(outcome.status, KVORUM_TIMEOUT);
    assert_non_null(strstr(outcome.reason, "n3 may be alive and has not confirmed it"));
    world_free(world);
}

/* The net took the messages and gave them back: nothing can have been written there. */
static void a_write_that_never_left_was_not_written(void)
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
    assert_true(forwarded.answered);
    assert_int_equal(forwarded.status, KVORUM_UNAVAILABLE);
    assert_non_null(strstr(forwarded.reason, "not written: node n"));
    settle(world);
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
        { "a write that never left was not written", a_write_that_never_left_was_not_written },
        { "properties reach everybody, late-comers too, and can be reset",
          properties_reach_everybody_and_can_be_reset },
        { "too many siblings are refused", too_many_siblings_are_refused },
        { "damaged messages are counted and harmless", damaged_messages_are_counted_and_harmless },
    };
    return RUN_TESTS("node", tests);
}
