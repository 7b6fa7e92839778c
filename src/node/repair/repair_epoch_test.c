/* SPDX-License-Identifier: Apache-2.0 */
/* Anti-entropy is between owners of one epoch: pairs, questions and open exchanges. */
#include "tests/support/node_world.h"

#include "codec/peer.pb-c.h"
#include "node/repair/repair_internal.h"

enum { MEMBERS = 4, OWNERS = 3, TIME_MS = 5000 };

static uint16_t *row_of(struct world *world, uint32_t partition)
{
    return world->epoch.table + (size_t)partition * world->epoch.replica_count;
}

static uint16_t stranger_of(struct world *world, uint32_t partition)
{
    uint16_t members[MEMBERS];
    assert_int_equal(ring_preference(&world->epoch, partition, members, MEMBERS), MEMBERS);
    return members[OWNERS];
}

static void ask(struct world *world, uint32_t partition, uint16_t from, uint16_t to)
{
    uint8_t body[64];
    uint32_t root = 0;
    Peer__Repair question = PEER__REPAIR__INIT;
    question.kind = REPAIR_NODES;
    question.partition = partition;
    question.n = OWNERS;
    question.n_nodes = 1;
    question.nodes = &root;
    assert_true(peer__repair__get_packed_size(&question) <= sizeof(body));
    struct message message = { .kind = MESSAGE_REPAIR,
                               .epoch = world->epoch.number,
                               .request_id = 1,
                               .body = bytes_make(body, peer__repair__pack(&question, body)) };
    node_receive(world->nodes[to], (struct net_address){ from, 0 }, &message);
    settle(world);
}

static void only_owners_are_answered(void)
{
    struct world *world = world_make(MEMBERS);
    const uint16_t *row = row_of(world, 0);
    const struct node_counters *counters = node_counters(world->nodes[row[0]]);
    pass(world, TIME_MS);
    uint64_t bad = counters->messages_bad;
    ask(world, 0, row[1], row[0]);
    assert_int_equal(counters->messages_bad, bad);
    ask(world, 0, stranger_of(world, 0), row[0]);
    assert_int_equal(counters->messages_bad, bad + 1);
    world_free(world);
}

static void who_is_no_owner_answers_nobody(void)
{
    struct world *world = world_make(MEMBERS);
    uint16_t stranger = stranger_of(world, 0);
    const struct node_counters *counters = node_counters(world->nodes[stranger]);
    pass(world, TIME_MS);
    uint64_t bad = counters->messages_bad;
    ask(world, 0, row_of(world, 0)[0], stranger);
    assert_int_equal(counters->messages_bad, bad + 1);
    world_free(world);
}

/* Its pairs are of two, though the list of preference goes on. */
static void a_row_that_is_not_full_has_no_further_owners(void)
{
    struct world *world = world_make(MEMBERS);
    uint64_t owned = 0;
    pass(world, TIME_MS);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        uint16_t *row = row_of(world, p);
        row[OWNERS - 1] = RING_NO_MEMBER;
        owned += row[0] == 0 || row[1] == 0;
    }
    node_repair(world->nodes[0], (struct bytes){ 0 }, (struct bytes){ 0 });
    assert_int_equal(node_counters(world->nodes[0])->repair_demand_total, owned);
    world_free(world);
}

/* Returns its id. */
static uint64_t open_exchange(struct world *world, uint32_t partition)
{
    struct node *node = world->nodes[row_of(world, partition)[0]];
    uint64_t id = node->next_id;
    node_enter(node);
    assert_true(exchange_open(node, partition, row_of(world, partition)[1], OWNERS, 0));
    node_leave(node);
    return id;
}

/* As if an epoch of number 2 had been adopted, in which this has changed. */
static bool outlives(struct world *world, uint64_t id, uint32_t changed, uint16_t taken)
{
    struct node *node = world->nodes[row_of(world, 0)[0]];
    if (changed < PARTITIONS)
        node->epochs->row_since[changed] = 2;
    if (taken != RING_NO_MEMBER)
        node->epochs->slot_since[taken] = 2;
    node_enter(node);
    repair_on_adopted(node, 1);
    node_leave(node);
    return exchange_find(node, id) != NULL;
}

static void an_exchange_ends_when_its_partition_changes(void)
{
    struct world *world = world_make(MEMBERS);
    uint64_t id = open_exchange(world, 0);
    assert_true(outlives(world, id, 1, RING_NO_MEMBER));
    assert_false(outlives(world, id, 0, RING_NO_MEMBER));
    world_free(world);
}

static void an_exchange_ends_when_its_slot_is_taken(void)
{
    struct world *world = world_make(MEMBERS);
    uint64_t id = open_exchange(world, 0);
    assert_true(outlives(world, id, PARTITIONS, stranger_of(world, 0)));
    assert_false(outlives(world, id, PARTITIONS, row_of(world, 0)[1]));
    world_free(world);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "only owners are answered", only_owners_are_answered },
        { "who is no owner answers nobody", who_is_no_owner_answers_nobody },
        { "a row that is not full has no further owners",
          a_row_that_is_not_full_has_no_further_owners },
        { "an exchange ends when its partition changes",
          an_exchange_ends_when_its_partition_changes },
        { "an exchange ends when its slot is taken", an_exchange_ends_when_its_slot_is_taken },
    };
    return RUN_TESTS("anti-entropy and epochs", tests);
}
