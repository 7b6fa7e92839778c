/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of anti-entropy between two members: real node code over memory engines in one process,
 * real time, every frame counted.
 *
 *      bytes   10,000 keys a partition, objects of 1 KB, 0.1 % and 1 % of them different, in both
 *              directions: bytes of all frames of the repair / bytes of the objects that differ
 *      time    one key of a million (KVORUM_PROOF=1: of ten million) is missing at one member, in
 *              1,024 partitions, trees current: from asking for a repair until it is back
 *      write   what keeping the trees adds to a write of 1 KB over 1 KB */
#include "tests/support/node_parts.h"
#include "tests/support/slow.h"

#include <time.h>

#include "node/repair/repair_internal.h"

enum {
    MEMBERS = 2,
    BATCH_KEYS = 1000,
    VALUE_SIZE_MAX = 1024,
    BYTES_PARTITIONS = 4,
    BYTES_PROOF_PARTITIONS = 16,
    BYTES_KEYS = 10000, /* a partition */
    TIME_PARTITIONS = 1024,
    TIME_KEYS = 1000 * 1000,
    TIME_PROOF_KEYS = 10 * 1000 * 1000,
    WRITES = 300 * 1000,
    PATIENCE_S = 120,
};

#define RATIO_MAX 1.5
#define FIND_MAX_S 5.0
#define NOTE_MAX_NS 2000.0

struct parcel {
    struct list link;
    struct net_address from, to;
    struct message message;
    uint8_t memory[];
};

struct world;

struct test_net {
    struct net net;
    struct world *world;
    uint16_t member;
};

struct world {
    struct clock clock;
    struct epoch epoch;
    struct member members[MEMBERS];
    struct arena arena;
    struct test_net nets[MEMBERS];
    struct node *nodes[MEMBERS];
    struct engine *stores[MEMBERS];
    struct list queue;
    uint64_t repair_size; /* bytes of frames, but heartbeats and the like */
};

static bool is_proof(void)
{
    return getenv("KVORUM_PROOF") != NULL;
}

/* --- the world ------------------------------------------------------------------------------- */

static uint64_t real_us(struct clock *clock)
{
    struct timespec now;
    (void)clock;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t wall_ms(struct clock *clock)
{
    return 1700000000000ull + real_us(clock) / 1000;
}

static const struct clock_ops clock_ops = { real_us, wall_ms };

static bool counts(uint8_t kind)
{
    return kind == MESSAGE_REPAIR || kind == MESSAGE_REPAIR_ANSWER || kind == MESSAGE_MERGE ||
           kind == MESSAGE_MERGE_ANSWER;
}

static bool send(struct net *net, struct net_address to, const struct message *message)
{
    struct test_net *from = LIST_ENTRY(net, struct test_net, net);
    struct parcel *parcel = malloc(sizeof(*parcel) + message->body.size + message->tail.size);
    assert_non_null(parcel);
    *parcel = (struct parcel){ .from = { from->member, 0 }, .to = to, .message = *message };
    keep_message(&parcel->message, parcel->memory);
    list_append(&from->world->queue, &parcel->link);
    if (counts(message->kind))
        from->world->repair_size += FRAME_HEADER_SIZE + message->body.size + message->tail.size;
    return true;
}

static const struct net_ops net_ops = { .send = send, .shard_of = plain_shard_of };

static struct world *world_make(uint32_t partitions)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->clock.ops = &clock_ops;
    list_init(&world->queue);
    arena_init(&world->arena, 1 << 28);
    plain_members(world->members, MEMBERS);
    world->epoch = plain_epoch(&world->arena, world->members, MEMBERS, partitions, MEMBERS);
    for (uint16_t i = 0; i < MEMBERS; i++) {
        world->nets[i] = (struct test_net){ { &net_ops }, world, i };
        assert_int_equal(memory_open(NULL, &world->stores[i]), KVORUM_OK);
        struct node_config config =
            plain_config(&world->epoch, i, &world->stores[i], &world->clock, &world->nets[i].net);
        quorum_levels_init(&config.default_levels);
        config.default_levels.n = MEMBERS;
        assert_int_equal(node_create(&config, &world->nodes[i]), KVORUM_OK);
    }
    return world;
}

static void world_free(struct world *world)
{
    struct list *item;
    for (uint16_t i = 0; i < MEMBERS; i++) {
        node_destroy(world->nodes[i]);
        engine_close(world->stores[i]);
    }
    while ((item = list_take_first(&world->queue)) != NULL)
        free(LIST_ENTRY(item, struct parcel, link));
    arena_done(&world->arena);
    free(world);
}

static void run_once(struct world *world)
{
    uint64_t next_us = UINT64_MAX;
    for (uint16_t i = 0; i < MEMBERS; i++) {
        node_tick(world->nodes[i]);
        uint64_t own_us = node_next_deadline_us(world->nodes[i]);
        next_us = own_us < next_us ? own_us : next_us;
    }
    if (list_empty(&world->queue) && next_us > real_us(&world->clock) + 100) {
        struct timespec little = { .tv_nsec = 50 * 1000 };
        nanosleep(&little, NULL);
    }
    struct list *item;
    while ((item = list_take_first(&world->queue)) != NULL) {
        struct parcel *parcel = LIST_ENTRY(item, struct parcel, link);
        node_receive(world->nodes[parcel->to.member], parcel->from, &parcel->message);
        free(parcel);
    }
}

static void run_until(struct world *world, bool (*condition)(const struct world *world))
{
    uint64_t end_us = real_us(&world->clock) + PATIENCE_S * UINT64_C(1000000);
    while (!condition(world)) {
        assert_true(real_us(&world->clock) < end_us);
        run_once(world);
    }
}

/* --- objects --------------------------------------------------------------------------------- */

struct loader {
    struct world *world;
    struct engine_batch *batches[MEMBERS];
    struct arena arena;
    struct buffer encoding;
    uint32_t value_size;
};

/* What version `counter` of a key is, in loader->encoding. */
static void encode(struct loader *loader, uint32_t number, uint64_t counter)
{
    static uint8_t value[VALUE_SIZE_MAX];
    memset(value, (int)(number ^ counter), loader->value_size);
    struct dot dot = { 77, counter };
    struct sibling sibling = { .dot = dot,
                               .stamp = (1700000000000ull + counter) << 16,
                               .kept = true,
                               .value = bytes_make(value, loader->value_size) };
    struct object object = { .clock = { &dot, 1 }, .siblings = &sibling, .sibling_count = 1 };
    buffer_reset(&loader->encoding);
    object_encode(&object, &loader->encoding);
}

static void write_batch(struct loader *loader, uint16_t member)
{
    assert_int_equal(
        engine_write(loader->world->stores[member], loader->batches[member], ENGINE_NONE),
        KVORUM_OK);
    engine_batch_reset(loader->batches[member]);
}

static void load(struct loader *loader, uint16_t member, uint32_t number, uint64_t counter)
{
    struct key_address address;
    char name[16];
    snprintf(name, sizeof(name), "key%09u", number);
    encode(loader, number, counter);
    arena_reset(&loader->arena);
    assert_true(placement_address(loader->world->nodes[0], (struct bytes){ 0 },
                                  BYTES_LITERAL("figures"), bytes_of_string(name), &address));
    assert_int_equal(engine_batch_put(loader->batches[member], store_key(&loader->arena, &address),
                                      buffer_bytes(&loader->encoding)),
                     KVORUM_OK);
    if (engine_batch_count(loader->batches[member]) == BATCH_KEYS)
        write_batch(loader, member);
}

static void loader_init(struct loader *loader, struct world *world, uint32_t value_size)
{
    *loader = (struct loader){ .world = world, .value_size = value_size };
    arena_init(&loader->arena, 1 << 20);
    buffer_init(&loader->encoding, 1 << 20);
    for (uint16_t i = 0; i < MEMBERS; i++)
        loader->batches[i] = engine_batch_create();
}

static void loader_done(struct loader *loader)
{
    for (uint16_t i = 0; i < MEMBERS; i++) {
        write_batch(loader, i);
        engine_batch_destroy(loader->batches[i]);
    }
    arena_done(&loader->arena);
    buffer_done(&loader->encoding);
}

/* --- waiting --------------------------------------------------------------------------------- */

static bool trees_current(const struct world *world)
{
    bool all = true;
    for (uint16_t i = 0; i < MEMBERS; i++)
        for (uint32_t p = 0; p < world->epoch.partition_count; p++)
            all &= repair_tree_current(world->nodes[i], p, MEMBERS) != NULL;
    return all;
}

static bool repaired(const struct world *world)
{
    const struct node_counters *counters = node_counters(world->nodes[0]);
    return counters->repair_demand_done == counters->repair_demand_total;
}

static bool pushed_one(const struct world *world)
{
    return node_counters(world->nodes[0])->repair_pushed > 0;
}

/* --- figures --------------------------------------------------------------------------------- */

/* A third each: missing there, older there, older here. */
static uint64_t load_different(struct loader *loader, uint32_t key_count, uint32_t one_in)
{
    uint64_t size = 0;
    for (uint32_t key = 0; key < key_count; key++) {
        uint32_t kind = key % one_in == 0 ? 1 + key / one_in % 3 : 0;
        load(loader, 0, key, kind == 3 ? 1 : 2);
        if (kind != 0)
            size += loader->encoding.size;
        if (kind != 1)
            load(loader, 1, key, kind == 2 ? 1 : 2);
    }
    return size;
}

static double measure_bytes(uint32_t one_in)
{
    uint32_t partitions = is_proof() ? BYTES_PROOF_PARTITIONS : BYTES_PARTITIONS;
    struct world *world = world_make(partitions);
    struct loader loader;
    loader_init(&loader, world, 1000);
    uint64_t differing = load_different(&loader, partitions * BYTES_KEYS, one_in);
    loader_done(&loader);
    run_until(world, trees_current);
    world->repair_size = 0;
    node_repair(world->nodes[0], (struct bytes){ 0 }, (struct bytes){ 0 });
    run_until(world, repaired);
    const struct node_counters *counters = node_counters(world->nodes[0]);
    double ratio = (double)world->repair_size / (double)differing;
    print_message(
        "# %u partitions of %u objects of 1 KB, 1 in %u different: %llu differ, %llu "
        "fetched, %llu pushed; %llu bytes on the wire / %llu bytes = %.3f (at most %.1f)\n",
        partitions, BYTES_KEYS, one_in, (unsigned long long)counters->repair_keys_differing,
        (unsigned long long)counters->repair_fetched, (unsigned long long)counters->repair_pushed,
        (unsigned long long)world->repair_size, (unsigned long long)differing, ratio, RATIO_MAX);
    assert_int_equal(counters->repair_keys_differing,
                     (partitions * BYTES_KEYS + one_in - 1) / one_in);
    assert_int_equal(counters->repair_fetched + counters->repair_pushed,
                     counters->repair_keys_differing);
    assert_true(ratio <= RATIO_MAX);
    for (uint32_t p = 0; p < partitions; p++)
        assert_true(hash_tree_node(repair_tree_current(world->nodes[0], p, MEMBERS), 0, 0) ==
                    hash_tree_node(repair_tree_current(world->nodes[1], p, MEMBERS), 0, 0));
    world_free(world);
    return ratio;
}

static void test_bytes(void)
{
    double few = measure_bytes(1000), many = measure_bytes(100);
    printf(
        "# figure repair-bytes %.3f; partitions of %d objects of 1 KB, 0.1 %% and 1 %% different "
        "(%.3f, %.3f)\n",
        few > many ? few : many, BYTES_KEYS, few, many);
}

static void test_time(void)
{
    uint32_t keys = is_proof() ? TIME_PROOF_KEYS : TIME_KEYS;
    struct world *world = world_make(TIME_PARTITIONS);
    struct loader loader;
    loader_init(&loader, world, 16);
    for (uint32_t key = 0; key < keys; key++) {
        load(&loader, 0, key, 1);
        if (key != keys / 2)
            load(&loader, 1, key, 1);
    }
    loader_done(&loader);
    run_until(world, trees_current);
    uint64_t begin_us = real_us(&world->clock);
    node_repair(world->nodes[0], (struct bytes){ 0 }, (struct bytes){ 0 });
    run_until(world, pushed_one);
    double seconds = (double)(real_us(&world->clock) - begin_us) / 1e6;
    print_message(
        "# 1 of %u keys in %u partitions found and repaired in %.2f s, 3 s of them to let "
        "it settle (less than %.0f s)\n",
        keys, TIME_PARTITIONS, seconds, FIND_MAX_S);
    printf("# figure repair-find-s %.2f; 1 of %u keys in %u partitions, 3 s of them to let it "
           "settle\n",
           seconds, keys, TIME_PARTITIONS);
    assert_true(seconds < FIND_MAX_S * slowness());
    run_until(world, repaired);
    assert_int_equal(node_counters(world->nodes[0])->repair_keys_differing, 1);
    world_free(world);
}

/* What replica.c adds to a write for the trees' sake: two digests, and the note. */
static void test_write(void)
{
    struct world *world = world_make(TIME_PARTITIONS);
    struct node *node = world->nodes[0];
    struct loader loader;
    struct key_address address;
    loader_init(&loader, world, 1000);
    encode(&loader, 1, 1);
    run_until(world, trees_current);
    assert_true(placement_address(node, (struct bytes){ 0 }, BYTES_LITERAL("figures"),
                                  BYTES_LITERAL("key000000001"), &address));
    struct bytes key = store_key(&loader.arena, &address);
    uint64_t begin_us = real_us(&world->clock);
    for (uint32_t i = 0; i < WRITES; i++) {
        loader.encoding.data[loader.encoding.size - 1] = (uint8_t)i;
        uint64_t before = repair_digest(node, address.partition, buffer_bytes(&loader.encoding));
        uint64_t after = repair_digest(node, address.partition, buffer_bytes(&loader.encoding));
        repair_note(node, address.partition, key, before, after);
    }
    double ns = (double)(real_us(&world->clock) - begin_us) * 1000 / WRITES;
    print_message("# the trees add %.0f ns to a write of 1 KB over 1 KB\n", ns);
    assert_true(ns < NOTE_MAX_NS * slowness());
    loader_done(&loader);
    world_free(world);
}

static const struct named_test tests[] = {
    { "a repair sends little more than what differs", test_bytes },
    { "one missing key among many is found within seconds", test_time },
    { "keeping the trees costs a write little", test_write },
};

int main(void)
{
    return RUN_TESTS("repair figures", tests);
}
