/* SPDX-License-Identifier: Apache-2.0 */
/* A repair that somebody asked for, and the cancel of it, on their way to another shard: they come
 * from two shards, and either may come first. */
#include "tests/support/node_world.h"

#include "codec/peer.pb-c.h"
#include "codec/protobuf.h"
#include "node/repair/repair_internal.h"
#include "node/tasks/task.h"

enum { MEMBERS = 3, SHARD = 1, SHARDS = 3 };

/* Member 0 is shard 1 of three from now on. */
static struct world *begin(void)
{
    struct world *world = world_make(MEMBERS);
    static struct engine *stores[SHARDS];
    world->nodes[0] = node_destroy(world->nodes[0]);
    stores[SHARD] = world->stores[0];
    struct node_config config = {
        .epoch = &world->epoch,
        .self = 0,
        .shard = SHARD,
        .shard_count = SHARDS,
        .store_count = SHARDS,
        .stores = stores,
        .actor = 100,
        .clock = &world->clock,
        .net = &world->nets[0].net,
        .random_seed = 1,
        .gossip = quick_gossip(),
    };
    assert_int_equal(node_create(&config, &world->nodes[0]), KVORUM_OK);
    return world;
}

static void receive(struct world *world, uint16_t shard, uint8_t kind, const ProtobufCMessage *body)
{
    uint8_t packed[256];
    assert_true(protobuf_c_message_get_packed_size(body) <= sizeof(packed));
    struct message message = { .kind = kind,
                               .epoch = world->epoch.number,
                               .body = bytes_make(packed, protobuf_c_message_pack(body, packed)) };
    node_receive(world->nodes[0], (struct net_address){ 0, shard }, &message);
}

static void begin_asked_at(struct world *world, uint64_t asked_us)
{
    Peer__Repair asked = PEER__REPAIR__INIT;
    asked.kind = REPAIR_BEGIN;
    asked.type = protobuf_data(BYTES_LITERAL("default"));
    asked.asked_us = asked_us;
    receive(world, 2, MESSAGE_REPAIR, &asked.base);
}

static void cancel_asked_at(struct world *world, uint64_t asked_us)
{
    Peer__Tasks asked = PEER__TASKS__INIT;
    asked.ask = TASK_CANCEL;
    asked.kind = (char *)"repair";
    asked.asked_us = asked_us;
    receive(world, 0, MESSAGE_TASKS, &asked.base);
}

struct course {
    const char *name;
    uint64_t first, second; /* when they were asked for, in the order in which they come; a cancel
                               is an odd number */
    bool active;            /* in the end */
};

static const struct course courses[] = {
    { "a repair that is cancelled ends", 10, 21, false },
    { "a cancel that overtakes the repair it is about keeps it from beginning", 21, 10, false },
    { "a repair that was asked for after the cancel goes on, whichever comes first", 21, 30, true },
    { "a late cancel of an earlier repair leaves it alone", 30, 21, true },
};

static void check(const void *at)
{
    const struct course *course = at;
    struct world *world = begin();
    const uint64_t asked[] = { course->first, course->second };
    for (int i = 0; i < 2; i++)
        if (asked[i] % 2 == 1)
            cancel_asked_at(world, asked[i]);
        else
            begin_asked_at(world, asked[i]);
    assert_int_equal(world->nodes[0]->repair->demand.active, course->active);
    world_free(world);
}

int main(void)
{
    return RUN_ROWS("repair_cancel", courses, check);
}
