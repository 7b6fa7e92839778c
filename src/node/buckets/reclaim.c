/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting what earlier generations of dropped buckets left in the stores of this shard: bucket
 * after bucket, store after store, partition after partition.  In a partition the keys of one
 * generation stand together, so an engine that can is told to delete a range; from others they are
 * deleted one by one, a page at a time.  Nobody reads them any more, so it may take as long as it
 * likes.
 *
 *      'g'  type size u8  type  bucket       value: generation u64 (little-endian)
 *
 * in a store says that nothing of the bucket is left there before that generation. */
#include <endian.h>

#include "base/planted.h"
#include "cluster/handoff/throttle.h"
#include "node/buckets/drop.h"
#include "node/buckets/reclaim.h"
#include "node/internal.h"
#include "node/repair/repair.h"

enum {
    STEP_US = 2000,          /* between two pages or partitions */
    AGAIN_US = 1000 * 1000,  /* after an error */
    RATE_DEFAULT = 64 << 20, /* bytes a second */
    COMPACT_SIZE = 1 << 20,  /* a range that takes so much of the tables is compacted at once */
};

/* --- giving the room back --------------------------------------------------------------------- */

static void next_partition(struct node *node);

static void compact_done(struct node *node, struct reading *reading)
{
    node->reclaim->reading = false;
    node->counters.disk_errors += reading->status != KVORUM_OK; /* it will be compacted some day */
    reading_close(reading);
    next_partition(node);
}

/* --- deleting -------------------------------------------------------------------------------- */

static kvorum_status delete_found(struct node *node, const struct reclaim_page *page)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    kvorum_status status = KVORUM_OK;
    bool ranges = engine_can(page->store, ENGINE_RANGES);
    engine_batch_reset(node->batch);
    for (int i = 0; ranges && i < 2 && status == KVORUM_OK; i++)
        if (page->found[i])
            status = engine_batch_delete_range(node->batch, page->lower[i], page->upper[i]);
    for (uint32_t i = 0; i < page->count && status == KVORUM_OK; i++)
        status = engine_batch_delete(node->batch, page->keys[i]);
    if (status != KVORUM_OK || engine_batch_count(node->batch) == 0)
        return status;
    PROBE("reclaim: an earlier generation was deleted");
    status =
        replica_submit(node, page->store, node->batch, replica_durability(node, false), &nothing);
    if (status == KVORUM_OK)
        repair_forget_partition(node, page->partition);
    return status;
}

static bool put_marker(struct node *node, uint16_t store)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    const struct reclaim *reclaim = node->reclaim;
    struct bytes key = reclaim_marker_key(&node->scratch, buffer_bytes(&reclaim->type),
                                          buffer_bytes(&reclaim->bucket));
    uint64_t value = htole64(reclaim->generation);
    engine_batch_reset(node->batch);
    return key.data != NULL &&
           engine_batch_put(node->batch, key, bytes_make(&value, sizeof(value))) == KVORUM_OK &&
           replica_submit(node, node->config.stores[store], node->batch,
                          replica_durability(node, false), &nothing) == KVORUM_OK;
}

/* --- where it stands -------------------------------------------------------------------------- */

static void set_timer(struct node *node, uint64_t due_us)
{
    struct heap_item *timer = &node->reclaim->timer;
    heap_remove(&node->timers, timer);
    (void)heap_insert(&node->timers, timer, due_us);
}

static void next_store(struct node *node)
{
    struct reclaim *reclaim = node->reclaim;
    do
        reclaim->store++;
    while (reclaim->store < node->config.store_count &&
           node->config.stores[reclaim->store] == NULL);
    reclaim->partition = reclaim->store;
    reclaim->enters = true;
}

static void bucket_over(struct node *node)
{
    struct reclaim *reclaim = node->reclaim;
    struct drop_due done = { buffer_bytes(&reclaim->type), buffer_bytes(&reclaim->bucket),
                             reclaim->generation };
    reclaim->active = false;
    reclaim->buckets++;
    property_reclaimed(node, &done);
    node->counters.reclaims_due = property_count_due(node);
    PROBE("reclaim: a bucket's earlier generations are gone");
}

static void next_partition(struct node *node)
{
    struct reclaim *reclaim = node->reclaim;
    if (!reclaim->active) { /* it begins anew */
        set_timer(node, node->now_us + STEP_US);
        return;
    }
    reclaim->enters = false;
    reclaim->partition += node->config.store_count;
    reclaim->partitions++;
    if (reclaim->partition >= node->config.epoch->partition_count) {
        (void)put_marker(node, reclaim->store); /* without it, it looks again at the next start */
        next_store(node);
    }
    uint64_t free_us = throttle_free_us(&reclaim->throttle), soon_us = node->now_us + STEP_US;
    set_timer(node, free_us > soon_us ? free_us : soon_us);
}

static void page_done(struct node *node, struct reading *reading)
{
    struct reclaim_page *page = (struct reclaim_page *)reading;
    struct reclaim *reclaim = node->reclaim;
    kvorum_status status = reading->status;
    reclaim->reading = false;
    if (status == KVORUM_OK && !page->marked)
        status = delete_found(node, page);
    if (status != KVORUM_OK) {
        node->counters.disk_errors += status != KVORUM_OVERLOADED;
        reading_close(reading);
        set_timer(node, node->now_us + AGAIN_US);
        return;
    }
    reclaim->size += page->size;
    node->counters.reclaimed_size += page->size;
    throttle_spend(&reclaim->throttle, page->size, node->now_us);
    bool marked = page->marked, more = page->more;
    if (page->compacts && page->size >= COMPACT_SIZE && node->config.jobs != NULL) {
        reading->read = reclaim_compact;
        reading->done = compact_done;
        reclaim->reading = true;
        reading_submit(node, reading);
        return;
    }
    reading_close(reading);
    if (marked && reclaim->active) {
        reclaim->partitions += (node->config.epoch->partition_count - reclaim->partition +
                                node->config.store_count - 1) /
                               node->config.store_count;
        next_store(node);
        set_timer(node, node->now_us + STEP_US);
    } else if (more)
        set_timer(node, node->now_us + STEP_US);
    else
        next_partition(node);
}

/* --- steps ----------------------------------------------------------------------------------- */

static uint32_t count_partitions(const struct node *node)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < node->config.epoch->partition_count; p++)
        count += node->config.stores[p % node->config.store_count] != NULL;
    return count;
}

/* False: there is none. */
static bool begin_bucket(struct node *node)
{
    struct reclaim *reclaim = node->reclaim;
    struct drop_due due;
    if (!property_first_due(node, &due)) {
        reclaim->running = false;
        return false;
    }
    if (!reclaim->running) {
        reclaim->running = true;
        reclaim->runs++;
        reclaim->partitions = reclaim->size = 0;
        reclaim->total = 0;
    }
    buffer_reset(&reclaim->type);
    buffer_reset(&reclaim->bucket);
    buffer_append_bytes(&reclaim->type, due.type);
    buffer_append_bytes(&reclaim->bucket, due.bucket);
    if (reclaim->type.failed || reclaim->bucket.failed)
        return false;
    reclaim->generation = due.generation;
    reclaim->active = true;
    reclaim->total += count_partitions(node);
    reclaim->store = UINT16_MAX; /* next_store: the first */
    next_store(node);
    return true;
}

static void read_page(struct node *node)
{
    struct reclaim *reclaim = node->reclaim;
    struct reading *reading = reading_open(sizeof(struct reclaim_page));
    struct reclaim_page *page = (struct reclaim_page *)reading;
    bool fine = page != NULL && reclaim_set_bounds(page, reclaim, reclaim->partition);
    if (fine && reclaim->enters) {
        page->marker = reclaim_marker_key(&reading->arena, buffer_bytes(&reclaim->type),
                                          buffer_bytes(&reclaim->bucket));
        fine = page->marker.data != NULL;
    }
    if (!fine) {
        if (page != NULL)
            reading_close(reading);
        set_timer(node, node->now_us + AGAIN_US);
        return;
    }
    page->store = node->config.stores[reclaim->store];
    page->generation = reclaim->generation;
    page->partition = reclaim->partition;
    page->compacts = node->config.reclaim_compacts && engine_can(page->store, ENGINE_TABLES);
    reading->read = reclaim_page_read;
    reading->done = page_done;
    reclaim->reading = true;
    reading_begin(node, reading);
}

/* Shard 0 says what is on the disk of this node.  Where that was lost, or an older word came last,
 * nothing would ever be reclaimed here: it is asked until it says what lets us begin. */
static void wait_for_disk(struct node *node)
{
    struct reclaim *reclaim = node->reclaim;
    if (node->config.shard == 0 || reclaim->timer.place != 0 || property_count_due(node) == 0)
        return;
    reclaim->waits = true;
    set_timer(node, node->now_us + AGAIN_US);
}

void reclaim_tick(struct node *node)
{
    struct reclaim *reclaim = node->reclaim;
    bool waited = reclaim->waits;
    reclaim->waits = false;
    if (reclaim->reading || reclaim->paused)
        return;
    if (!node->ready) {
        set_timer(node, node->now_us + AGAIN_US);
        return;
    }
    if (reclaim->active && reclaim->store >= node->config.store_count)
        bucket_over(node);
    if (reclaim->active || begin_bucket(node)) {
        read_page(node);
        return;
    }
    if (waited && property_count_due(node) > 0) {
        PROBE("reclaim: shard 0 was asked what is on disk");
        property_pull(node);
    }
    wait_for_disk(node);
}

void reclaim_wake(struct node *node)
{
    struct reclaim *reclaim = node->reclaim;
    struct drop_due due;
    node->counters.reclaims_due = property_count_due(node);
    if (reclaim == NULL || reclaim->reading || reclaim->paused)
        return;
    if (!property_first_due(node, &due)) {
        wait_for_disk(node);
        return;
    }
    if (reclaim->timer.place != 0 && !reclaim->waits)
        return;
    reclaim->waits = false;
    set_timer(node, node->now_us + STEP_US);
}

/* A range that was deleted may have been lost with what was damaged, and older tables show again
 * what it had hidden. */
void reclaim_again(struct node *node, uint16_t store)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    struct engine *engine = node->config.stores[store];
    if (node->reclaim == NULL || !property_all_due(node) || !engine_can(engine, ENGINE_RANGES))
        return;
    engine_batch_reset(node->batch);
    if (engine_batch_delete_range(node->batch, BYTES_LITERAL("g"), BYTES_LITERAL("h")) == KVORUM_OK)
        (void)!replica_submit(node, engine, node->batch, replica_durability(node, false), &nothing);
    PROBE("reclaim: a store was mended, and all is looked at again");
    node->reclaim->active = false;
    reclaim_wake(node);
}

struct heap_item *reclaim_timer(struct node *node)
{
    return &node->reclaim->timer;
}

void reclaim_pause(struct node *node, bool on)
{
    struct reclaim *reclaim = node->reclaim;
    reclaim->paused = on;
    if (on)
        heap_remove(&node->timers, &reclaim->timer);
    else
        reclaim_wake(node);
}

void reclaim_limit(struct node *node, uint64_t rate)
{
    throttle_set(&node->reclaim->throttle, rate, node->now_us);
    if (node->reclaim->timer.place != 0)
        set_timer(node, node->now_us + STEP_US);
}

kvorum_status reclaim_open(struct node *node)
{
    struct reclaim *reclaim = node->reclaim = calloc(1, sizeof(*reclaim));
    if (reclaim == NULL)
        return KVORUM_NO_MEMORY;
    buffer_init(&reclaim->type, NODE_TYPE_SIZE_MAX + 1);
    buffer_init(&reclaim->bucket, NODE_BUCKET_SIZE_MAX + 1);
    throttle_set(&reclaim->throttle, RATE_DEFAULT, node->now_us);
    reclaim_wake(node);
    return KVORUM_OK;
}

void reclaim_close(struct node *node)
{
    struct reclaim *reclaim = node->reclaim;
    if (reclaim == NULL)
        return;
    heap_remove(&node->timers, &reclaim->timer);
    buffer_done(&reclaim->type);
    buffer_done(&reclaim->bucket);
    free(reclaim);
    node->reclaim = NULL;
}
