/* SPDX-License-Identifier: Apache-2.0 */
/* Fences as they are kept beside the objects: docs/formats/fences.md. */
#include "base/planted.h"
#include "codec/varint.h"
#include "node/collect/collect_internal.h"
#include "node/records.h"

enum { KEY_SIZE = 4 };

static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
static const uint8_t base_key[] = { 'm', 'b' };
static const struct record_area fences = { "fences", "mf", "mg" };

/* --- on disk --------------------------------------------------------------------------------- */

static struct bytes record_key(uint32_t partition, uint8_t memory[KEY_SIZE])
{
    memory[0] = 'm';
    memory[1] = 'f';
    memory[2] = (uint8_t)(partition >> 8);
    memory[3] = (uint8_t)partition;
    return bytes_make(memory, KEY_SIZE);
}

kvorum_status collect_put(struct node *node, struct engine_batch *batch, uint32_t partition)
{
    uint8_t key[KEY_SIZE], record[FENCE_RECORD_SIZE];
    fence_record_encode(&collect_fenced(node, partition)->kept, record);
    return engine_batch_put(batch, record_key(partition, key), bytes_make(record, sizeof(record)));
}

kvorum_status collect_submit(struct node *node, uint32_t partition)
{
    engine_batch_reset(node->batch);
    kvorum_status status = collect_put(node, node->batch, partition);
    return status == KVORUM_OK ? replica_submit(node, placement_store(node, partition), node->batch,
                                                replica_durability(node, false), &nothing)
                               : status;
}

void collect_save(struct node *node, uint32_t partition)
{
    (void)!collect_submit(node, partition); /* in vain: it is heard again */
}

static kvorum_status load_fence(struct node *node, struct bytes key, struct bytes value,
                                void *context)
{
    uint32_t partition =
        key.size == KEY_SIZE ? (uint32_t)key.data[2] << 8 | key.data[3] : UINT32_MAX;
    struct fenced *fenced = collect_fenced(node, partition);
    struct fence_record read;
    (void)context;
    if (!fence_record_decode(value, &read))
        return KVORUM_CORRUPT;
    fence_restart(&read.fence);
    if (fenced != NULL)
        fenced->kept = read;
    return KVORUM_OK;
}

kvorum_status collect_is_empty(struct engine *store, bool nowait, struct bytes lower,
                               struct bytes upper, bool *ret_empty)
{
    struct engine_range range = { .lower = lower, .upper = upper };
    const struct engine_read how = { .nowait = nowait };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate_at(store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    *ret_empty = !iterator->valid;
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

struct base {
    uint64_t
        epoch; /* since which the store has been ours, with nothing in it at first; 0: it is older
                       than this record, or not the store that it was */
    bool rebuilt; /* salvaged, or a copy: deletions may have been lost, and nobody knows which */
    bool known;   /* there was a record of it */
};

static kvorum_status put_base(struct node *node, struct engine *store, uint64_t epoch,
                              const struct engine_stats *stats)
{
    const uint64_t record[] = { htole64(epoch), htole64(stats->store_id[0]),
                                htole64(stats->store_id[1]) };
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_put(node->batch, bytes_make(base_key, sizeof(base_key)),
                                            bytes_make(record, sizeof(record)));
    return status == KVORUM_OK
               ? replica_submit(node, store, node->batch, replica_durability(node, false), &nothing)
               : status;
}

static kvorum_status load_base(struct node *node, struct engine *store, struct base *ret)
{
    struct bytes key = bytes_make(base_key, sizeof(base_key)), value;
    struct engine_stats stats;
    bool empty = false;
    *ret = (struct base){ 0 };
    engine_stats(store, &stats);
    kvorum_status status = engine_get(store, key, &node->scratch, &value);
    if (status == KVORUM_OK) {
        struct reader reader = reader_of(value);
        ret->known = true;
        ret->epoch = read_u64(&reader);
        ret->rebuilt = read_u64(&reader) != stats.store_id[0];
        ret->rebuilt |= read_u64(&reader) != stats.store_id[1];
        if (!reader_finished(&reader))
            return KVORUM_CORRUPT;
        if (!ret->rebuilt)
            return KVORUM_OK;
        ret->epoch = 0;
        return put_base(node, store, 0, &stats);
    }
    if (status == KVORUM_NOT_FOUND)
        status = collect_is_empty(store, false, BYTES_LITERAL("o"), BYTES_LITERAL("p"), &empty);
    if (status != KVORUM_OK)
        return status;
    ret->epoch = empty ? node->config.epoch->number : 0;
    return put_base(node, store, ret->epoch, &stats);
}

/* It may hold what was collected: it has promised nothing. */
static kvorum_status distrust(struct node *node, uint32_t partition)
{
    struct fenced *fenced = collect_fenced(node, partition);
    uint64_t tenure = handoff_tenure(node, partition);
    PROBE("collect: a store was not the one that it was");
    fenced->kept.fence = (struct fence){ 0 };
    if (tenure > fenced->kept.lifted)
        fenced->kept.lifted = tenure;
    return collect_submit(node, partition);
}

void collect_lift(struct fenced *fenced, uint64_t since)
{
    if (since <= fenced->kept.lifted)
        return;
    fenced->kept.lifted = since;
    fence_lift(&fenced->kept.fence, fence_of_epoch(since));
}

kvorum_status collect_load(struct node *node, uint16_t number)
{
    struct engine *store = node->config.stores[number];
    struct base base;
    kvorum_status status = load_base(node, store, &base);
    if (status == KVORUM_UNSUPPORTED)
        return KVORUM_OK; /* no order of keys: nothing is collected there */
    node->collect->rebuilt |= base.rebuilt || (!base.known && base.epoch == 0);
    if (status == KVORUM_OK)
        status = records_load(node, store, &fences, load_fence, NULL);
    for (uint32_t p = number; p < node->collect->partition_count && status == KVORUM_OK;
         p += node->config.store_count) {
        struct fenced *fenced = &node->collect->partitions[p];
        if (base.rebuilt && fenced->kept.fence.promised > 0)
            status = distrust(node, p);
        collect_lift(fenced, base.epoch);
        collect_lift(fenced, handoff_tenure(node, p));
        (void)hlc_see(&node->hlc, fenced->kept.stamp, clock_wall_ms(node->config.clock));
    }
    return status;
}
