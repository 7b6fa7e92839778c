/* SPDX-License-Identifier: Apache-2.0 */
/** Small clusters of real nodes over memory engines, a queue for a network and a hand-moved clock:
 *  what the stories of node's tests are played on.  Chance, crashes and disks are the simulator's
 *  business.  Included by one file a program. */
#ifndef TESTS_SUPPORT_NODE_WORLD_H
#define TESTS_SUPPORT_NODE_WORLD_H

#include "tests/support/node_parts.h"

#include "base/list.h"

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
    bool (*work)(void); /* does what jobs were submitted; false: none were.  NULL: there are none */
    bool down[NODES_MAX], deaf_to_properties[NODES_MAX], deaf_to_merges[NODES_MAX];
    struct parcel queue[QUEUE_MAX];
    size_t head, tail;
};

/* --- the world ------------------------------------------------------------------------------ */

static inline struct world *world_of_clock(struct clock *clock)
{
    return LIST_ENTRY(clock, struct world, clock);
}

static inline uint64_t test_monotonic_us(struct clock *clock)
{
    return world_of_clock(clock)->now_us;
}

static inline uint64_t test_wall_ms(struct clock *clock)
{
    return 1700000000000ull + world_of_clock(clock)->now_us / 1000;
}

static const struct clock_ops test_clock_ops = { test_monotonic_us, test_wall_ms };

static inline bool test_send(struct net *net, struct net_address to, const struct message *message)
{
    struct test_net *from = LIST_ENTRY(net, struct test_net, net);
    struct world *world = from->world;
    if (world->down[to.member])
        return false;
    if (world->deaf_to_properties[to.member] && message->kind == MESSAGE_PROPERTIES)
        return true;
    if (world->deaf_to_merges[to.member] && message->kind == MESSAGE_MERGE)
        return true;
    assert_true(world->tail - world->head < QUEUE_MAX);
    struct parcel *parcel = &world->queue[world->tail++ % QUEUE_MAX];
    parcel->from = (struct net_address){ from->member, 0 };
    parcel->to = to;
    parcel->message = *message;
    parcel->memory = malloc(message->body.size + message->tail.size + 1);
    keep_message(&parcel->message, parcel->memory);
    return true;
}

static const struct net_ops test_net_ops = { .send = test_send, .shard_of = plain_shard_of };

/* Nothing that is under way will arrive, and the senders are told. */
static inline void give_back(struct world *world)
{
    for (size_t end = world->tail; world->head < end; world->head++) {
        struct parcel *parcel = &world->queue[world->head % QUEUE_MAX];
        node_unsent(world->nodes[parcel->from.member], parcel->to.member, &parcel->message);
        free(parcel->memory);
    }
}

/* Deliver everything that is under way. */
static inline void settle(struct world *world)
{
    for (bool busy = true; busy;) {
        busy = false;
        for (uint16_t i = 0; i < world->count; i++)
            if (world->nodes[i] != NULL)
                node_flush(world->nodes[i]);
        busy = world->work != NULL && world->work();
        while (world->head < world->tail) {
            struct parcel *parcel = &world->queue[world->head++ % QUEUE_MAX];
            if (!world->down[parcel->to.member] && !world->down[parcel->from.member])
                node_receive(world->nodes[parcel->to.member], parcel->from, &parcel->message);
            free(parcel->memory);
            busy = true;
        }
    }
}

static inline void pass(struct world *world, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 100) {
        world->now_us += 100 * 1000;
        for (uint16_t n = 0; n < world->count; n++)
            if (!world->down[n])
                node_tick(world->nodes[n]);
        settle(world);
    }
}

static inline void make_epoch(struct world *world, uint16_t count)
{
    struct member *members = calloc(count, sizeof(*members));
    uint8_t replicas = count < 3 ? (uint8_t)count : 3;
    plain_members(members, count);
    for (uint16_t i = 0; i < count; i++)
        snprintf(members[i].address, sizeof(members[i].address), "127.0.0.1:%d", 9000 + i);
    world->epoch = plain_epoch(&world->arena, members, count, PARTITIONS, replicas);
}

/* Time passes in steps of 100 ms. */
static inline struct swim_config quick_gossip(void)
{
    struct swim_config quick = *swim_preset(SWIM_LOCAL);
    quick.probe_interval_us = 300 * 1000;
    quick.probe_timeout_us = 250 * 1000;
    quick.gossip_interval_us = 100 * 1000;
    return quick;
}

static inline struct world *world_make(uint16_t count)
{
    struct world *world = calloc(1, sizeof(*world));
    world->clock.ops = &test_clock_ops;
    world->now_us = 1000 * 1000;
    world->count = count;
    arena_init(&world->arena, 1 << 26);
    make_epoch(world, count);
    for (uint16_t i = 0; i < count; i++) {
        world->nets[i] = (struct test_net){ { &test_net_ops }, world, i };
        assert_int_equal(memory_open(NULL, &world->stores[i]), KVORUM_OK);
        struct node_config config =
            plain_config(&world->epoch, i, &world->stores[i], &world->clock, &world->nets[i].net);
        config.gossip = quick_gossip();
        assert_int_equal(node_create(&config, &world->nodes[i]), KVORUM_OK);
    }
    pass(world, 1000); /* everybody has heard of everybody */
    return world;
}

static inline void world_free(struct world *world)
{
    for (uint16_t i = 0; i < world->count; i++) {
        node_destroy(world->nodes[i]);
        engine_close(world->stores[i]);
    }
    while (world->head < world->tail)
        free(world->queue[world->head++ % QUEUE_MAX].memory);
    arena_done(&world->arena);
    free(world->epoch.members);
    free(world);
}

/* The node stops hearing and being heard; its memory stays. */
static inline void cut(struct world *world, uint16_t member)
{
    world->down[member] = true;
    for (uint16_t i = 0; i < world->count; i++)
        if (i != member && !world->down[i])
            node_link_lost(world->nodes[i], member, true);
    settle(world);
}

static inline void heal(struct world *world, uint16_t member)
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

static inline void note_object(struct outcome *outcome, const struct object *object)
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

static inline void note(void *context, const struct answer *answer)
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

static inline struct operation operation_on(enum operation_kind kind, const char *key)
{
    struct operation operation = { .kind = kind,
                                   .bucket = BYTES_LITERAL("pets"),
                                   .key = bytes_of_string(key) };
    quorum_levels_init(&operation.levels);
    return operation;
}

static inline struct outcome run(struct world *world, uint16_t at,
                                 const struct operation *operation)
{
    struct outcome outcome = { 0 };
    node_submit(world->nodes[at], operation, note, &outcome);
    settle(world);
    for (int i = 0; i < 200 && !outcome.answered; i++)
        pass(world, 100);
    assert_true(outcome.answered);
    return outcome;
}

static inline struct outcome put(struct world *world, uint16_t at, const char *key,
                                 const char *value, const struct outcome *seen)
{
    struct operation operation = operation_on(OPERATION_PUT, key);
    operation.value = bytes_of_string(value);
    if (seen != NULL)
        operation.context = bytes_make(seen->context, seen->context_size);
    return run(world, at, &operation);
}

static inline struct outcome get(struct world *world, uint16_t at, const char *key)
{
    struct operation operation = operation_on(OPERATION_GET, key);
    return run(world, at, &operation);
}

static inline void allow_siblings(struct world *world)
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

static inline uint16_t owner_of(struct world *world, const char *key, uint16_t place)
{
    uint32_t partition = ring_partition_of_hash(
        &world->epoch, ring_hash(&world->epoch, BYTES_LITERAL("default"), BYTES_LITERAL("pets"),
                                 bytes_of_string(key)));
    uint16_t members[NODES_MAX];
    ring_preference(&world->epoch, partition, members, NODES_MAX);
    return members[place];
}

/* The node begins another life on the same store. */
static inline void restart(struct world *world, uint16_t member, struct node_limits limits)
{
    world->nodes[member] = node_destroy(world->nodes[member]);
    struct node_config config = plain_config(&world->epoch, member, &world->stores[member],
                                             &world->clock, &world->nets[member].net);
    config.actor = 200 + member;
    config.random_seed = 2000 + member;
    config.gossip = quick_gossip();
    config.limits = limits;
    assert_int_equal(node_create(&config, &world->nodes[member]), KVORUM_OK);
}

#endif
