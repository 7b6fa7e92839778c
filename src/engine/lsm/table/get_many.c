/* SPDX-License-Identifier: Apache-2.0 */
/* Point reads of many keys, step by step over all of them, so that the memory that the next step
 * looks at is on its way while the others are served. */
#include "engine/lsm/table/get.h"

enum { BATCH = 32 };

struct batch {
    struct table_open *open;
    struct lsm_search *const *searches;
    kvorum_status *statuses;
    size_t count;
    size_t left; /* searches that the filter let through */
    uint8_t which[BATCH];
    uint32_t places[BATCH];
    struct lsm_block *blocks[BATCH];
};

static void ask_filter(struct batch *batch)
{
    const struct table_filter *filter = &batch->open->filter;
    if (filter->lines != NULL)
        for (size_t i = 0; i < batch->count; i++)
            __builtin_prefetch(table_filter_line(filter, batch->searches[i]->hash));
    for (size_t i = 0; i < batch->count; i++) {
        batch->statuses[i] = KVORUM_NOT_FOUND;
        if (table_filter_may_have(filter, batch->searches[i]->hash))
            batch->which[batch->left++] = (uint8_t)i;
        else
            table_count(&table_cache_counters(batch->open->cache)->refusals);
    }
}

static void find_places(struct batch *batch)
{
    const struct table_index *index = &batch->open->index;
    struct table_probe probes[BATCH];
    for (size_t i = 0; i < batch->left; i++)
        probes[i] = table_index_ask(index, batch->searches[batch->which[i]]->key);
    for (size_t i = 0; i < batch->left; i++) {
        struct bytes key = batch->searches[batch->which[i]]->key;
        batch->places[i] = (uint32_t)table_index_find_at(index, probes[i], key);
    }
}

static void find_blocks(struct batch *batch)
{
    for (size_t i = 0; i < batch->left; i++) {
        batch->blocks[i] = NULL;
        if (batch->places[i] < batch->open->index.count)
            batch->blocks[i] = atomic_load(table_slot(batch->open, batch->places[i]));
        if (batch->blocks[i] == NULL)
            continue;
        table_block_ask(batch->blocks[i]);
    }
}

static void find_entries(struct batch *batch)
{
    for (size_t i = 0; i < batch->left; i++) {
        struct lsm_block *block = batch->blocks[i];
        if (block == NULL)
            continue;
        struct table_view view = table_view_of(table_block_raw(block), block->raw_size);
        table_block_prefetch(&view, batch->searches[batch->which[i]]->hash);
    }
}

static void get_batch(struct batch *batch)
{
    ask_filter(batch);
    find_places(batch);
    find_blocks(batch);
    find_entries(batch);
    for (size_t i = 0; i < batch->left; i++) {
        size_t which = batch->which[i];
        batch->statuses[which] =
            table_get_from(batch->open, batch->places[i], batch->searches[which]);
    }
}

void lsm_table_get_many(struct lsm_table *table, struct lsm_search *const *searches, size_t count,
                        kvorum_status *ret_statuses)
{
    bool nowait = true;
    for (size_t i = 0; i < count; i++)
        nowait = nowait && searches[i]->nowait;
    struct table_open *open;
    kvorum_status status = table_open(table, nowait, &open);
    for (size_t at = 0; at < count; at += BATCH) {
        size_t size = count - at < BATCH ? count - at : BATCH;
        for (size_t i = 0; i < size && status != KVORUM_OK; i++)
            ret_statuses[at + i] = status;
        if (status != KVORUM_OK)
            continue;
        struct batch batch = {
            .open = open, .searches = searches + at, .statuses = ret_statuses + at, .count = size
        };
        get_batch(&batch);
    }
}
