/* SPDX-License-Identifier: Apache-2.0 */
/* What a cluster of 100 members says when nobody asks it for anything: real node code over memory
 * engines in one process and one thread, virtual time, every frame and datagram counted, without
 * the headers of TCP, UDP and IP.  Gossip, hints, comparisons of replicas (empty ones: trees that
 * are equal cost the same whatever is below them), and properties.  After all have come to know
 * each other, 5 minutes; with KVORUM_PROOF=1 a whole pass of anti-entropy, which is an hour. */
#include "tests/support/node_parts.h"

#include "base/list.h"
#include "codec/frame.h"

enum {
    MEMBERS = 100,
    PARTITIONS = RING_PARTITIONS_DEFAULT,
    REPLICAS = 3,
    DELAY_US = 500,
    SIGNATURE_SIZE = 16, /* server/signature.h adds it to a datagram */
    SECOND = 1000 * 1000,
};

#define BYTES_A_SECOND_MAX 1000.0

struct parcel {
    struct list link;
    uint64_t due_us;
    struct net_address from, to;
    bool is_datagram;
    struct message message;
    struct bytes datagram;
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
    uint64_t now_us;
    struct epoch epoch;
    struct member members[MEMBERS];
    struct arena arena;
    struct test_net nets[MEMBERS];
    struct node *nodes[MEMBERS];
    struct engine *stores[MEMBERS];
    uint64_t due_us[MEMBERS];
    struct list queue; /* by due time, since all take the same */
    uint64_t frame_bytes, datagram_bytes;
};

static uint64_t now_us(struct clock *clock)
{
    return LIST_ENTRY(clock, struct world, clock)->now_us;
}

static uint64_t wall_ms(struct clock *clock)
{
    return 1700000000000ull + now_us(clock) / 1000;
}

static const struct clock_ops clock_ops = { now_us, wall_ms };

static struct parcel *make_parcel(struct test_net *from, struct net_address to, size_t size)
{
    struct parcel *parcel = malloc(sizeof(*parcel) + size);
    assert_non_null(parcel);
    *parcel = (struct parcel){ .from = { from->member, 0 }, .to = to };
    parcel->due_us = from->world->now_us + DELAY_US;
    list_init(&parcel->link);
    list_append(&from->world->queue, &parcel->link);
    return parcel;
}

static bool send(struct net *net, struct net_address to, const struct message *message)
{
    struct test_net *from = LIST_ENTRY(net, struct test_net, net);
    size_t size = message->body.size + message->tail.size;
    struct parcel *parcel = make_parcel(from, to, size);
    parcel->message = *message;
    keep_message(&parcel->message, parcel->memory);
    if (to.member != from->member)
        from->world->frame_bytes += FRAME_HEADER_SIZE + size;
    return true;
}

static bool send_datagram(struct net *net, uint16_t member, struct bytes datagram)
{
    struct test_net *from = LIST_ENTRY(net, struct test_net, net);
    struct parcel *parcel = make_parcel(from, (struct net_address){ member, 0 }, datagram.size);
    parcel->is_datagram = true;
    memcpy(parcel->memory, datagram.data, datagram.size);
    parcel->datagram = bytes_make(parcel->memory, datagram.size);
    from->world->datagram_bytes += datagram.size + SIGNATURE_SIZE;
    return true;
}

static const struct net_ops net_ops = { send, plain_shard_of, send_datagram };

static void make_epoch(struct world *world)
{
    plain_members(world->members, MEMBERS);
    for (uint16_t i = 0; i < MEMBERS; i++)
        snprintf(world->members[i].zone, sizeof(world->members[i].zone), "z%d", i % REPLICAS);
    world->epoch = plain_epoch(&world->arena, world->members, MEMBERS, PARTITIONS, REPLICAS);
    world->epoch.replicas_wanted = REPLICAS;
    world->epoch.voter_count =
        ring_choose_voters(world->members, MEMBERS, NULL, 0, world->epoch.voters);
}

static struct world *world_make(void)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->clock.ops = &clock_ops;
    world->now_us = SECOND;
    list_init(&world->queue);
    arena_init(&world->arena, 1 << 26);
    make_epoch(world);
    for (uint16_t i = 0; i < MEMBERS; i++) {
        world->nets[i] = (struct test_net){ { &net_ops }, world, i };
        assert_int_equal(memory_open(NULL, &world->stores[i]), KVORUM_OK);
        struct node_config config =
            plain_config(&world->epoch, i, &world->stores[i], &world->clock, &world->nets[i].net);
        quorum_levels_init(&config.default_levels);
        config.default_levels.n = REPLICAS;
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

static void deliver(struct world *world)
{
    struct parcel *parcel = LIST_ENTRY(list_take_first(&world->queue), struct parcel, link);
    uint16_t to = parcel->to.member;
    world->now_us = parcel->due_us;
    if (parcel->is_datagram)
        node_receive_datagram(world->nodes[to], parcel->datagram);
    else
        node_receive(world->nodes[to], parcel->from, &parcel->message);
    node_flush(world->nodes[to]);
    world->due_us[to] = node_next_deadline_us(world->nodes[to]);
    free(parcel);
}

static void step(struct world *world)
{
    uint16_t next = 0;
    for (uint16_t i = 1; i < MEMBERS; i++)
        next = world->due_us[i] < world->due_us[next] ? i : next;
    if (!list_empty(&world->queue) &&
        LIST_ENTRY(world->queue.next, struct parcel, link)->due_us <= world->due_us[next]) {
        deliver(world);
        return;
    }
    if (world->due_us[next] > world->now_us)
        world->now_us = world->due_us[next];
    node_tick(world->nodes[next]);
    node_flush(world->nodes[next]);
    world->due_us[next] = node_next_deadline_us(world->nodes[next]);
}

static void pass(struct world *world, uint64_t duration_us)
{
    for (uint64_t end_us = world->now_us + duration_us; world->now_us < end_us;)
        step(world);
}

static bool all_see_all(const struct world *world)
{
    for (uint16_t i = 0; i < MEMBERS; i++)
        for (uint16_t j = 0; j < MEMBERS; j++)
            if (node_liveness(world->nodes[i], j) != LIVENESS_ALIVE)
                return false;
    return true;
}

static void an_idle_cluster_says_little(void **state)
{
    (void)state;
    bool proof = getenv("KVORUM_PROOF") != NULL;
    struct world *world = world_make();
    pass(world, 60ull * SECOND);
    assert_true(all_see_all(world));
    uint64_t start_us = world->now_us;
    world->frame_bytes = world->datagram_bytes = 0;
    pass(world, (proof ? 3600ull : 300ull) * SECOND);
    assert_true(all_see_all(world));
    double seconds = (double)(world->now_us - start_us) / SECOND;
    double gossip = (double)world->datagram_bytes / seconds / MEMBERS;
    double frames = (double)world->frame_bytes / seconds / MEMBERS;
    printf("# figure idle-bytes %.0f bytes/s a node, %.0f of them gossip's datagrams; %d members, "
           "%.0f simulated s\n",
           gossip + frames, gossip, MEMBERS, seconds);
    assert_true(gossip + frames < BYTES_A_SECOND_MAX);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(an_idle_cluster_says_little) };
    return cmocka_run_group_tests_name("idle figures", tests, NULL, NULL);
}
