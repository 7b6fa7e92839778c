/* SPDX-License-Identifier: Apache-2.0 */
/** What worlds of nodes in tests have in common, whatever their network and their clock are: plain
 *  members, one shard and one memory store each. */
#ifndef TESTS_SUPPORT_NODE_PARTS_H
#define TESTS_SUPPORT_NODE_PARTS_H

#include "tests/support/rows.h"

#include <stdio.h>
#include <string.h>

#include "engine/memory/memory.h"
#include "node/node.h"

/* Their ids are 1, 2, ..., their names n1, n2, ..., all in one zone. */
static inline void plain_members(struct member *members, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        members[i].id.bytes[0] = (uint8_t)(i + 1);
        members[i].weight = RING_WEIGHT_DEFAULT;
        snprintf(members[i].name, sizeof(members[i].name), "n%d", i + 1);
        snprintf(members[i].zone, sizeof(members[i].zone), "default");
    }
}

/* The first epoch of these, as a cluster is founded; the table is the arena's. */
static inline struct epoch plain_epoch(struct arena *arena, struct member *members, uint16_t count,
                                       uint32_t partitions, uint8_t replicas)
{
    const char *why = NULL;
    const struct ring_plan_input input = { members, count, partitions, replicas, NULL };
    uint16_t *table = arena_allocate(arena, (size_t)partitions * replicas * sizeof(*table));
    assert_non_null(table);
    assert_int_equal(ring_plan(&input, arena, table, &why), KVORUM_OK);
    return (struct epoch){ .number = 1,
                           .hash_seed = 7,
                           .partition_count = partitions,
                           .replica_count = replicas,
                           .member_count = count,
                           .members = members,
                           .table = table };
}

static inline struct node_config plain_config(const struct epoch *epoch, uint16_t self,
                                              struct engine **store, struct clock *clock,
                                              struct net *net)
{
    return (struct node_config){ .epoch = epoch,
                                 .self = self,
                                 .shard_count = 1,
                                 .store_count = 1,
                                 .stores = store,
                                 .actor = 100 + self,
                                 .clock = clock,
                                 .net = net,
                                 .random_seed = 1000 + self };
}

/* Of a struct net. */
static inline uint16_t plain_shard_of(struct net *net, uint16_t member, uint32_t partition)
{
    (void)net;
    (void)member;
    (void)partition;
    return 0;
}

/* All that `message` points to goes to `memory`, which has room for it. */
static inline void keep_message(struct message *message, uint8_t *memory)
{
    struct bytes *parts[] = { &message->body, &message->tail };
    for (int i = 0; i < 2; i++) {
        if (parts[i]->size > 0)
            memcpy(memory, parts[i]->data, parts[i]->size);
        parts[i]->data = memory;
        memory += parts[i]->size;
    }
}

#endif
