/* SPDX-License-Identifier: Apache-2.0 */
/* One node among members that are played: what it sends by which way, and what it tells the
 * process. */
#include "engine/memory/memory.h"
#include "node/internal.h"
#include "tests/support/rows.h"

#include <stdio.h>

enum { MEMBERS = 3, MORE = 5, MS = 1000, TOLD_MAX = 16 };

struct world {
    struct clock clock;
    struct net net;
    uint64_t now_us;
    struct member members[MORE];
    uint16_t table[1];
    struct epoch epoch, later;
    struct engine *store;
    struct node *node;
    unsigned datagrams, messages;
    bool no_datagrams, no_links;
    struct gossip_packet last; /* sent */
    enum liveness_state told[MORE];
    unsigned told_count;
    uint64_t reserve;
};

static uint64_t test_monotonic_us(struct clock *clock)
{
    return LIST_ENTRY(clock, struct world, clock)->now_us;
}

static uint64_t test_wall_ms(struct clock *clock)
{
    return 1700000000000ull + test_monotonic_us(clock) / 1000;
}

static void keep(struct world *world, struct bytes packet)
{
    assert_int_equal(gossip_decode(packet, &world->last), KVORUM_OK);
}

static bool test_send(struct net *net, struct net_address to, const struct message *message)
{
    struct world *world = LIST_ENTRY(net, struct world, net);
    (void)to;
    if (world->no_links || message->kind != MESSAGE_GOSSIP)
        return false;
    world->messages++;
    keep(world, message->body);
    return true;
}

static uint16_t test_shard_of(struct net *net, uint16_t member, uint32_t partition)
{
    (void)net;
    (void)member;
    (void)partition;
    return 0;
}

static bool test_send_datagram(struct net *net, uint16_t member, struct bytes datagram)
{
    struct world *world = LIST_ENTRY(net, struct world, net);
    (void)member;
    if (world->no_datagrams)
        return false;
    world->datagrams++;
    keep(world, datagram);
    return true;
}

static const struct clock_ops test_clock_ops = { test_monotonic_us, test_wall_ms };
static const struct net_ops test_net_ops = { .send = test_send,
                                             .shard_of = test_shard_of,
                                             .send_datagram = test_send_datagram };

static void note_liveness(void *context, uint16_t member, enum liveness_state state)
{
    struct world *world = context;
    world->told[member] = state;
    world->told_count++;
}

static void note_reserve(void *context, uint64_t limit)
{
    struct world *world = context;
    world->reserve = limit;
    node_incarnations_reserved(world->node, limit); /* also from inside */
}

static void open(struct world *world)
{
    memset(world, 0, sizeof(*world));
    world->clock.ops = &test_clock_ops;
    world->net.ops = &test_net_ops;
    world->now_us = 1000 * MS;
    for (unsigned i = 0; i < MORE; i++) {
        world->members[i].id.bytes[0] = (uint8_t)(i + 1);
        snprintf(world->members[i].name, sizeof(world->members[i].name), "n%u", i + 1);
    }
    world->epoch = (struct epoch){ .number = 4,
                                   .partition_count = 1,
                                   .replica_count = 1,
                                   .member_count = MEMBERS,
                                   .members = world->members,
                                   .table = world->table };
    world->later = world->epoch;
    world->later.number = 5;
    world->later.member_count = MORE;
    assert_int_equal(memory_open(NULL, &world->store), KVORUM_OK);
    const struct node_config config = { .epoch = &world->epoch,
                                        .shard_count = 1,
                                        .store_count = 1,
                                        .stores = &world->store,
                                        .actor = 1,
                                        .clock = &world->clock,
                                        .net = &world->net,
                                        .gossip = *swim_preset(SWIM_LAN),
                                        .incarnation_first = 7,
                                        .incarnation_limit = 8,
                                        .liveness_changed = note_liveness,
                                        .reserve_incarnations = note_reserve,
                                        .liveness_context = world };
    assert_int_equal(node_create(&config, &world->node), KVORUM_OK);
}

static void close(struct world *world)
{
    node_destroy(world->node);
    engine_close(world->store);
}

static struct gossip_packet packet_from(struct world *world, unsigned member, enum gossip_kind kind)
{
    static uint64_t counter;
    return (struct gossip_packet){ .kind = kind,
                                   .sender = world->members[member].id,
                                   .incarnation = 1,
                                   .counter = ++counter,
                                   .application = { .epoch = 4 } };
}

static void hear(struct world *world, const struct gossip_packet *packet)
{
    uint8_t data[GOSSIP_PACKET_MAX];
    struct buffer buffer = { .data = data, .capacity = sizeof(data), .limit = sizeof(data) };
    gossip_encode(packet, &buffer);
    node_receive_datagram(world->node, buffer_bytes(&buffer));
}

static void hear_over_link(struct world *world, uint16_t from, const struct gossip_packet *packet)
{
    uint8_t data[GOSSIP_PACKET_MAX];
    struct buffer buffer = { .data = data, .capacity = sizeof(data), .limit = sizeof(data) };
    gossip_encode(packet, &buffer);
    const struct message message = { .kind = MESSAGE_GOSSIP,
                                     .epoch = 99,
                                     .body = buffer_bytes(&buffer) };
    node_receive(world->node, (struct net_address){ from, 0 }, &message);
}

static void pass(struct world *world, unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 50) {
        world->now_us += 50 * MS;
        node_tick(world->node);
    }
}

/* --- the tests -------------------------------------------------------------------------------- */

static void test_datagrams_first(void)
{
    struct world world;
    open(&world);
    assert_true(world.datagrams > 0 && world.messages == 0);
    world.no_datagrams = true;
    pass(&world, 3000);
    assert_true(world.messages > 0);
    unsigned before = world.datagrams;
    world.no_datagrams = false;
    world.no_links = true;
    pass(&world, 60000); /* views would be compared over links */
    assert_true(world.datagrams > before);
    close(&world);
}

static void test_application(void)
{
    struct world world;
    open(&world);
    struct gossip_packet ping = packet_from(&world, 1, GOSSIP_PING);
    ping.subject = world.members[0].id;
    ping.application.settled = 3;
    ping.application.epoch = 6;
    hear(&world, &ping);
    assert_int_equal(world.last.kind, GOSSIP_ACK);
    assert_int_equal(world.last.application.epoch, 4);
    assert_int_equal(world.last.application.settled, 4);
    close(&world);
}

static void test_changes_are_told(void)
{
    struct world world;
    open(&world);
    struct gossip_packet news = packet_from(&world, 1, GOSSIP_NEWS);
    hear(&world, &news);
    assert_int_equal(world.told[1], LIVENESS_ALIVE);
    assert_int_equal(node_liveness(world.node, 1), LIVENESS_ALIVE);
    node_link_lost(world.node, 1, false);
    assert_int_equal(world.told[1], LIVENESS_SUSPECT);
    node_link_lost(world.node, 1, true);
    assert_int_equal(world.told[1], LIVENESS_DEAD);
    assert_int_equal(world.told_count, 3);
    close(&world);
}

static void test_nobody_speaks_for_another(void)
{
    struct world world;
    open(&world);
    struct gossip_packet news = packet_from(&world, 1, GOSSIP_NEWS);
    hear_over_link(&world, 2, &news);
    assert_int_equal(node_liveness(world.node, 1), LIVENESS_UNKNOWN);
    assert_int_equal(node_counters(world.node)->messages_bad, 1);
    hear_over_link(&world, 1, &news); /* whatever epoch the frame is of */
    assert_int_equal(node_liveness(world.node, 1), LIVENESS_ALIVE);
    node_receive_datagram(world.node, BYTES_LITERAL("nonsense"));
    assert_int_equal(node_counters(world.node)->messages_bad, 2);
    close(&world);
}

static void test_reservation(void)
{
    struct world world;
    open(&world);
    struct gossip_packet ping = packet_from(&world, 1, GOSSIP_PING);
    ping.subject = world.members[0].id;
    ping.statement_count = 1;
    ping.statements[0] =
        (struct gossip_statement){ world.members[0].id, 7, LIVENESS_SUSPECT, world.members[1].id };
    hear(&world, &ping); /* 8 is not ours before it is reserved */
    assert_true(world.reserve > 8);
    assert_int_equal(node_counters(world.node)->gossip_incarnation, 8);
    assert_int_equal(node_counters(world.node)->gossip_refutations, 1);
    close(&world);
}

static void test_members_changed(void)
{
    struct world world;
    open(&world);
    struct gossip_packet news = packet_from(&world, 1, GOSSIP_NEWS);
    hear(&world, &news);
    struct gossip_packet stranger = packet_from(&world, 3, GOSSIP_NEWS);
    hear(&world, &stranger);
    assert_int_equal(node_counters(world.node)->gossip_unlisted, 1);
    world.members[2].state = MEMBER_GONE;
    node_enter(world.node);
    assert_int_equal(gossip_members_changed(world.node, &world.later), KVORUM_OK);
    node_leave(world.node);
    assert_int_equal(node_epoch(world.node)->number, 5);
    assert_int_equal(node_liveness(world.node, 1), LIVENESS_ALIVE);
    assert_int_equal(node_liveness(world.node, 2), LIVENESS_DEAD);
    assert_int_equal(node_liveness(world.node, 3), LIVENESS_UNKNOWN);
    stranger.counter++;
    hear(&world, &stranger);
    assert_int_equal(node_liveness(world.node, 3), LIVENESS_ALIVE);
    pass(&world, 5000);
    close(&world);
}

static const struct named_test tests[] = {
    { "gossip goes by datagrams, and by links where there are none", test_datagrams_first },
    { "packets carry epoch and digests, and newer ones are told", test_application },
    { "what changed is told, once", test_changes_are_told },
    { "nobody speaks for another over his link, and nonsense is counted",
      test_nobody_speaks_for_another },
    { "an accusation is refuted once an incarnation is reserved", test_reservation },
    { "the epoch may list others", test_members_changed },
};

int main(void)
{
    return RUN_TESTS("gossip", tests);
}
