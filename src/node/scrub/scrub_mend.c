/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged tables of a store written anew, once what is lost with them is on disk. */
#include "base/planted.h"
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/handoff/handoff.h"
#include "node/hints/hints.h"
#include "node/scrub/scrub_internal.h"

enum { MEND_AGAIN_US = 1000 * 1000, URGENT_US = 10 * 1000 * 1000 };

struct mending {
    struct reading reading; /* first */
    struct engine *engine;
    uint16_t store;
    struct engine_range *ranges;
    size_t count;
    uint64_t mended;
    struct scrub_reports reports;
};

static kvorum_status mending_read(struct reading *reading, bool nowait)
{
    struct mending *mending = (struct mending *)reading;
    if (nowait)
        return KVORUM_WOULD_BLOCK;
    return engine_mend(mending->engine, mending->ranges, mending->count, scrub_report,
                       &mending->reports, &mending->mended);
}

static void forget_trees(struct node *node, const struct loss *loss)
{
    for (uint32_t p = loss->store; p < node->repair->partition_count;
         p += node->config.store_count) {
        struct repair_partition *partition = node->repair->partitions[p];
        const uint8_t lower[] = { 'o', (uint8_t)(p >> 8), (uint8_t)p };
        uint8_t upper[] = { 'o', (uint8_t)((p + 1) >> 8), (uint8_t)(p + 1) };
        upper[0] += p == UINT16_MAX;
        if (partition != NULL && scrub_loss_meets(loss, bytes_make(lower, 3), bytes_make(upper, 3)))
            repair_partition_drop(node, partition);
    }
}

static void on_mended(struct node *node, uint16_t store)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next, *next; item != losses; item = next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        next = item->next;
        if (loss->store != store || !loss->taken)
            continue;
        loss->taken = false;
        if (!loss->harmless &&
            hints_on_lost(node, store, loss->lower, loss->upper, !loss->inherited) != KVORUM_OK)
            continue; /* it is gone through once more */
        loss->mended = true;
        loss->mended_us = node->now_us;
        if (!PLANTED(DAMAGE_DROPPED))
            forget_trees(node, loss);
        if (loss->harmless || PLANTED(DAMAGE_DROPPED))
            scrub_loss_over(node, loss);
        else {
            collect_on_mended(node, store, loss->lower, loss->upper);
            hints_on_mended(node, loss->lower, loss->upper);
            handoff_on_mended(node, store, loss->lower, loss->upper);
            scrub_refill(node, loss);
        }
    }
    reclaim_again(node, store);
}

static void mending_done(struct node *node, struct reading *reading)
{
    struct mending *mending = (struct mending *)reading;
    struct scrub *scrub = node->scrub;
    uint16_t store = mending->store;
    kvorum_status status = reading->status;
    scrub->mending[store] = false;
    scrub->mend_us[store] = node->now_us + MEND_AGAIN_US;
    node->counters.scrub_mended += mending->mended;
    bool more = mending->reports.damages > 0 && scrub_take_reports(node, store, &mending->reports);
    if (status == KVORUM_OK)
        on_mended(node, store);
    else if (!more)
        log_warn(node->config.log, "a damaged store could not be mended; it will be tried again",
                 LOG_U64("store", store), LOG_STATUS(status));
    reading_close(reading);
    if (more)
        scrub->mend_us[store] = 0;
    scrub_wake(node, more ? node->now_us : scrub->mend_us[store]);
}

/* The ranges as they are now on disk: a loss that is widened meanwhile is not taken any more. */
static bool copy_ranges(struct node *node, struct mending *mending)
{
    struct list *losses = &node->scrub->losses;
    struct arena *arena = &mending->reading.arena;
    mending->ranges =
        arena_allocate(arena, (node->scrub->loss_count + 1) * sizeof(*mending->ranges));
    if (mending->ranges == NULL)
        return false;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        const struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store != mending->store || !loss->taken)
            continue;
        struct engine_range *range = &mending->ranges[mending->count++];
        *range = (struct engine_range){ 0 };
        if (!arena_copy(arena, loss->lower, &range->lower) ||
            !arena_copy(arena, loss->upper, &range->upper))
            return false;
    }
    return true;
}

static void mending_begin(struct node *node, uint16_t store)
{
    struct reading *reading = reading_open(sizeof(struct mending));
    struct mending *mending = (struct mending *)reading;
    if (reading != NULL) {
        mending->engine = node->config.stores[store];
        mending->store = store;
        reading->job.urgency = JOB_LENGTHY;
        reading->read = mending_read;
        reading->done = mending_done;
    }
    if (reading == NULL || !scrub_reports_open(&mending->reports, &reading->arena) ||
        !copy_ranges(node, mending)) {
        if (reading != NULL)
            reading_close(reading);
        node->scrub->mending[store] = false;
        node->scrub->mend_us[store] = node->now_us + MEND_AGAIN_US;
        return;
    }
    reading_start(node, reading);
}

void scrub_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status)
{
    uint16_t store = (uint16_t)plan->request_id;
    if (status == KVORUM_OK) {
        mending_begin(node, store);
        return;
    }
    node->scrub->mending[store] = false;
    node->scrub->mend_us[store] = node->now_us + MEND_AGAIN_US;
}

static bool has_unmended(struct node *node, uint16_t store)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        const struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store == store && !loss->mended)
            return true;
    }
    return false;
}

/* Compactions stand still on a damaged table, until the store is so far behind that it refuses all
 * writes: also the one without which it cannot be mended. */
static kvorum_status submit(struct node *node, uint16_t store, const struct commit_plan *plan)
{
    struct scrub *scrub = node->scrub;
    struct engine *engine = node->config.stores[store];
    kvorum_status status = replica_submit(node, engine, node->batch, ENGINE_SYNC, plan);
    if (status == KVORUM_OK || node->now_us < scrub->urgent_us)
        return status;
    scrub->urgent_us = node->now_us + URGENT_US; /* what it takes has to stay small */
    engine_batch_set_urgent(node->batch);
    return replica_submit(node, engine, node->batch, ENGINE_SYNC, plan);
}

void scrub_mend(struct node *node, uint16_t store)
{
    struct scrub *scrub = node->scrub;
    struct commit_plan plan = { .kind = COMMIT_LOSS, .request_id = store };
    if (scrub->mending[store] || node->now_us < scrub->mend_us[store] ||
        node->config.stores[store] == NULL || !has_unmended(node, store))
        return;
    kvorum_status status = scrub_fill_batch(node, store);
    scrub->mending[store] = true; /* it may be stored before the call returns */
    if (status == KVORUM_OK)
        status = submit(node, store, &plan);
    if (status == KVORUM_OK)
        return;
    scrub->mending[store] = false;
    scrub->mend_us[store] = node->now_us + MEND_AGAIN_US;
    scrub_wake(node, scrub->mend_us[store]);
}
