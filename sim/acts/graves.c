/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/acts/graves.h"

#include <stdlib.h>

#include "base/planted.h"
#include "object/object.h"
#include "sim/clients/history.h"

enum { REST_S = 12, LIMIT_S = 240, ARENA_LIMIT = 1 << 26 };

static void set_all(struct cluster *cluster, enum node_collecting mode)
{
    for (uint16_t i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->processes[i];
        for (uint16_t shard = 0; process->running && shard < process->shard_count; shard++)
            node_collect(process->shards[shard].node, mode);
    }
}

bool graves_rest(struct cluster *cluster)
{
    if (cluster->plan->collect.age_ms == 0)
        return true;
    set_all(cluster, NODE_COLLECT_NOTHING);
    return world_run_until(cluster->world, cluster->world->now_us + REST_S * SIM_SECOND);
}

static bool owns(const struct cluster *cluster, uint16_t member, struct bytes key)
{
    const struct epoch *epoch = node_epoch(cluster->processes[member].shards[0].node);
    uint16_t owners[RING_OWNERS_MAX];
    uint32_t partition = (uint32_t)key.data[1] << 8 | key.data[2];
    uint16_t count = ring_preference(epoch, partition, owners, (uint16_t)cluster->plan->levels.n);
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] == member)
            return true;
    return false;
}

/* Those of owners: of what else is uncovered by rot a sweep may be under way. */
static uint32_t count_graves(const struct cluster *cluster, uint16_t member, struct engine *store)
{
    struct engine_range objects = { .lower = BYTES_LITERAL("o"), .upper = BYTES_LITERAL("p") };
    struct engine_iterator *iterator;
    struct arena arena;
    uint32_t count = 0;
    if (engine_iterate(store, &objects, &iterator) != KVORUM_OK)
        abort();
    arena_init(&arena, ARENA_LIMIT);
    for (engine_iterator_first(iterator); iterator->valid; engine_iterator_next(iterator)) {
        struct object object;
        arena_reset(&arena);
        bool left = object_decode(iterator->value, &arena, &object) == KVORUM_OK &&
                    object_is_deleted(&object) && owns(cluster, member, iterator->key);
        if (left)
            world_trace(cluster->world, "n%u has the tombstone of %.*s in partition %u", member,
                        SIM_KEY_SIZE - 1,
                        (const char *)iterator->key.data + iterator->key.size - (SIM_KEY_SIZE - 1),
                        iterator->key.data[1] << 8 | iterator->key.data[2]);
        count += left;
    }
    engine_iterator_close(iterator);
    arena_done(&arena);
    return count;
}

static uint32_t count_all(const struct cluster *cluster)
{
    uint32_t count = 0;
    for (uint16_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        for (uint16_t store = 0; process->running && store < process->store_count; store++)
            count += count_graves(cluster, i, process->stores[store]);
    }
    return count;
}

bool graves_vanish(struct cluster *cluster)
{
    struct world *world = cluster->world;
    uint64_t end_us = world->now_us + LIMIT_S * SIM_SECOND;
    uint32_t left = count_all(cluster);
    PROBE("graves: what was left was collected at the end");
    set_all(cluster, NODE_COLLECT_ALL);
    while (left > 0) {
        if (world->now_us >= end_us) {
            world_fail(world, "collected", "%u tombstones are left after %d s in a healthy cluster",
                       left, LIMIT_S);
            return false;
        }
        if (!world_run_until(world, world->now_us + SIM_SECOND))
            return false;
        left = count_all(cluster);
    }
    return graves_rest(cluster);
}
