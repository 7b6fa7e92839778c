/* SPDX-License-Identifier: Apache-2.0 */
/* Fences as they are asked for, by whoever reads, sends or stores an object. */
#include "node/collect/collect_internal.h"

#include "base/planted.h"

struct fenced *collect_fenced(const struct node *node, uint32_t partition)
{
    const struct collect *collect = node->collect;
    if (partition >= collect->partition_count || !collect->partitions[partition].ours)
        return NULL;
    return &collect->partitions[partition];
}

/* --- open, close ----------------------------------------------------------------------------- */

struct heap_item *collect_timer(struct node *node)
{
    return &node->collect->timer;
}

void collect_wake(struct node *node, uint64_t due_us)
{
    struct heap_item *timer = &node->collect->timer;
    if (timer->place != 0) {
        if (timer->key <= due_us)
            return;
        heap_remove(&node->timers, timer);
    }
    (void)heap_insert(&node->timers, timer, due_us);
}

kvorum_status collect_open(struct node *node)
{
    struct collect *collect = node->collect = calloc(1, sizeof(*collect));
    if (collect == NULL)
        return KVORUM_NO_MEMORY;
    collect->partition_count = node->config.epoch->partition_count;
    collect->partitions = calloc(collect->partition_count, sizeof(*collect->partitions));
    buffer_init(&collect->after, ENGINE_KEY_SIZE_MAX);
    if (collect->partitions == NULL)
        return KVORUM_NO_MEMORY;
    for (uint32_t p = 0; p < collect->partition_count; p++) /* asked for several times a write */
        collect->partitions[p].ours = placement_store(node, p) != NULL;
    kvorum_status status = KVORUM_OK;
    for (uint16_t i = 0; i < node->config.store_count && status == KVORUM_OK; i++)
        if (node->config.stores[i] != NULL)
            status = collect_load(node, i);
    for (uint32_t p = 0; p < collect->partition_count && status == KVORUM_OK; p++) {
        collect->doubts |= collect->partitions[p].kept.fence.doubt != FENCE_SETTLED;
        if (collect->partitions[p].kept.refilling && !collect_doubt(node, p))
            status = KVORUM_NO_MEMORY;
    }
    if (collect->doubts)
        collect_wake(node, node->now_us + COLLECT_SETTLE_US);
    if (status == KVORUM_OK && node->config.collect.age_ms > 0)
        collect_wake(node, node->now_us + node->config.collect.interval_us);
    return status;
}

void collect_free_turn(struct collect_turn *turn)
{
    if (turn == NULL)
        return;
    arena_done(&turn->arena);
    free(turn);
}

void collect_close(struct node *node)
{
    struct collect *collect = node->collect;
    if (collect == NULL)
        return;
    collect_round_free(node);
    for (uint32_t p = 0; collect->partitions != NULL && p < collect->partition_count; p++) {
        collect_free_turn(collect->partitions[p].turn);
        collect_free_turn(collect->partitions[p].named);
    }
    if (collect->timer.place != 0)
        heap_remove(&node->timers, &collect->timer);
    buffer_done(&collect->after);
    free(collect->partitions);
    free(collect);
    node->collect = NULL;
}

/* --- asking ---------------------------------------------------------------------------------- */

uint64_t collect_promised(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL ? 0 : fenced->kept.fence.promised;
}

uint64_t collect_committed(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL ? 0 : fenced->kept.fence.committed;
}

bool collect_is_rebuilt(const struct node *node)
{
    return node->collect->rebuilt;
}

uint32_t collect_drops(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL ? 0 : fenced->drops;
}

uint64_t collect_counter_floor(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL || PLANTED(COLLECT_NO_FLOOR) ? 0 : fenced->kept.counter;
}

uint64_t collect_stamp_floor(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL || PLANTED(COLLECT_NO_FLOOR) ? 0 : fenced->kept.stamp;
}

uint64_t collect_salt(const struct node *node, uint32_t partition)
{
    const struct fenced *fenced = collect_fenced(node, partition);
    return fenced == NULL ? 0 : fenced->kept.salt;
}

struct grave *collect_find(const struct collect_turn *turn, struct bytes key)
{
    size_t low = 0, high = turn == NULL ? 0 : turn->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = bytes_compare(turn->graves[middle].key, key);
        if (order == 0)
            return &turn->graves[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool is_named(const struct fenced *fenced, struct bytes key)
{
    bool promised = fenced->turn != NULL && fenced->turn->number != 0;
    return collect_find(fenced->named, key) != NULL ||
           (promised && collect_find(fenced->turn, key) != NULL);
}

bool collect_is_current(struct node *node, const struct key_address *address, uint64_t under)
{
    const struct fenced *fenced = collect_fenced(node, address->partition);
    if (fenced == NULL)
        return true;
    bool named = false;
    if (fenced->kept.fence.doubt == FENCE_NAMED) {
        struct bytes key = store_key(&node->scratch, address);
        named = key.data == NULL || is_named(fenced, key);
    }
    return fence_admits(&fenced->kept.fence, under, named);
}

bool collect_admits(struct node *node, const struct key_address *address, uint64_t under)
{
    struct fenced *fenced = collect_fenced(node, address->partition);
    if (!collect_is_current(node, address, under)) {
        PROBE("collect: an object was refused that is older than what was collected");
        node->counters.fence_refusals++;
        return false;
    }
    if (fenced != NULL && fence_take(&fenced->kept.fence, under)) {
        PROBE("collect: a newcomer has promised no more than who gave to it");
        return collect_submit(node, address->partition) == KVORUM_OK;
    }
    return true;
}

void collect_note(struct node *node, uint32_t partition, struct bytes key)
{
    const struct fenced *fenced = node->collect == NULL ? NULL : collect_fenced(node, partition);
    struct grave *grave = fenced == NULL ? NULL : collect_find(fenced->turn, key);
    if (grave != NULL)
        grave->changed = true;
}

void collect_on_tenure(struct node *node, uint32_t partition, uint64_t session)
{
    struct fenced *fenced = collect_fenced(node, partition);
    if (fenced == NULL || session <= fenced->kept.lifted)
        return;
    collect_lift(fenced, session);
    collect_save(node, partition);
}

void collect_see_stamp(struct node *node, uint32_t partition, uint64_t stamp)
{
    struct fenced *fenced = collect_fenced(node, partition);
    if (fenced == NULL || stamp <= fenced->kept.stamp)
        return;
    fenced->kept.stamp = stamp;
    (void)hlc_see(&node->hlc, stamp, clock_wall_ms(node->config.clock));
    collect_save(node, partition);
}
