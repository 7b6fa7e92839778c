/* SPDX-License-Identifier: Apache-2.0 */
/* Tables as the engine knows them, and point reads of one key. */
#include "engine/lsm/table/table.h"

#include "engine/lsm/merge/ranges.h"
#include "engine/lsm/table/get.h"

#include <assert.h>
#include <stdlib.h>

/* --- life ---------------------------------------------------------------------------------- */

kvorum_status lsm_table_create(struct disk *disk, const char *path, const struct lsm_id *store,
                               const struct lsm_table_meta *meta, struct lsm_cache *cache,
                               struct lsm_table **ret_table)
{
    struct lsm_table *table = calloc(1, sizeof(*table));
    struct lsm_table_inside *inside = calloc(1, sizeof(*inside));
    char *copy = strdup(path);
    if (table == NULL || inside == NULL || copy == NULL) {
        free(table);
        free(inside);
        free(copy);
        return KVORUM_NO_MEMORY;
    }
    table->meta = *meta;
    table->inside = inside;
    atomic_store(&table->references, 1);
    inside->table = table;
    inside->cache = cache;
    inside->disk = disk;
    inside->path = copy;
    inside->store = *store;
    pthread_mutex_init(&inside->mutex, NULL);
    atomic_fetch_add(&cache->files_size, meta->size);
    *ret_table = table;
    return KVORUM_OK;
}

void lsm_table_reference(struct lsm_table *table)
{
    uint32_t references = atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    assert(references > 0 && references < UINT32_MAX);
}

/* No reader can be looking at it any more. */
static void epoch_over(struct epoch_item *item)
{
    struct lsm_table_inside *inside = (struct lsm_table_inside *)item;
    struct lsm_table *table = inside->table;
    table_open_close(inside);
    if (atomic_load(&table->obsolete)) {
        /* What stays is a file that no manifest names: the next open removes it. */
        (void)!inside->disk->ops->remove(inside->disk, inside->path);
    }
    atomic_fetch_sub(&inside->cache->files_size, table->meta.size);
    lsm_ranges_destroy(table->ranges);
    free(table->shares);
    pthread_mutex_destroy(&inside->mutex);
    free((void *)table->meta.lower.data);
    free(inside->path);
    free(inside);
    free(table);
}

void lsm_table_release(struct lsm_table *table)
{
    uint32_t references = atomic_fetch_sub(&table->references, 1);
    assert(references > 0);
    if (references > 1)
        return;
    table->inside->item = (struct epoch_item){ .free = epoch_over, .heavy = true };
    epoch_retire(table->inside->cache->epoch, &table->inside->item);
}

/* --- point reads --------------------------------------------------------------------------- */

kvorum_status table_get_block(struct table_open *open, size_t place, bool nowait,
                              struct lsm_block **ret_block)
{
    struct lsm_block *block = atomic_load(table_slot(open, place));
    if (block == NULL)
        return nowait ? KVORUM_WOULD_BLOCK : table_block_load(open, place, ret_block);
    table_block_ask(block);
    table_block_touch(block);
    table_count(&table_cache_counters(open->cache)->hits);
    *ret_block = block;
    return KVORUM_OK;
}

static kvorum_status search_block(struct lsm_block *block, struct lsm_search *search)
{
    struct table_view view = table_view_of(table_block_raw(block), block->raw_size);
    size_t index;
    struct bytes value;
    kvorum_status status =
        table_block_find(&view, search->key, search->hash, search->sequence, &index, &value);
    if (status != KVORUM_OK)
        return status;
    uint64_t tag = table_tag(&view, index);
    search->found = (struct lsm_entry){ { 0 }, value, tag >> 2, (enum lsm_kind)(tag & 3) };
    search->block = block;
    return KVORUM_OK;
}

/* The versions of a key may go on in the next block; then it is the separator between them. */
kvorum_status table_get_from(struct table_open *open, size_t place, struct lsm_search *search)
{
    for (; place < open->index.count; place++) {
        struct lsm_block *block;
        kvorum_status status = table_get_block(open, place, search->nowait, &block);
        if (status == KVORUM_OK)
            status = search_block(block, search);
        if (status != KVORUM_NOT_FOUND ||
            !bytes_equal(table_index_separator(&open->index, place), search->key))
            return status;
    }
    return KVORUM_NOT_FOUND;
}

/* A table that had nearly every key it was asked for (the lowest level) is likely to have the next
 * one: then the search of the index begins while the filter's line is on its way from memory. */
static bool has_most(struct table_open *open)
{
    return atomic_load_explicit(&open->passes, memory_order_relaxed) == TABLE_PASSES_MAX;
}

static void note_pass(struct table_open *open, bool passed)
{
    uint8_t passes = atomic_load_explicit(&open->passes, memory_order_relaxed), next;
    if (passed)
        next = passes < TABLE_PASSES_MAX ? passes + 1 : passes;
    else
        next = passes / 2;
    if (next != passes) /* mostly it stays, and no other processor's copy is taken away */
        atomic_store_explicit(&open->passes, next, memory_order_relaxed);
}

kvorum_status lsm_table_get(struct lsm_table *table, struct lsm_search *search)
{
    struct table_open *open;
    struct table_probe probe = { 0 };
    kvorum_status status = table_open(table, search->nowait, &open);
    if (status != KVORUM_OK)
        return status;
    bool likely = has_most(open);
    if (likely && open->filter.lines != NULL)
        __builtin_prefetch(table_filter_line(&open->filter, search->hash));
    if (likely)
        probe = table_index_ask(&open->index, search->key);
    bool passed = table_filter_may_have(&open->filter, search->hash);
    note_pass(open, passed);
    if (!passed) {
        table_count(&table_cache_counters(open->cache)->refusals);
        return KVORUM_NOT_FOUND;
    }
    if (!likely)
        probe = table_index_ask(&open->index, search->key);
    return table_get_from(open, table_index_find_at(&open->index, probe, search->key), search);
}

/* --- ranges -------------------------------------------------------------------------------- */

kvorum_status lsm_table_read_ranges(struct lsm_table *table,
                                    kvorum_status (*visit)(void *context,
                                                           const struct lsm_range *range),
                                    void *context)
{
    struct table_open *open;
    struct table_raw raw;
    if (table->meta.ranges == 0)
        return KVORUM_OK;
    kvorum_status status = table_open(table, false, &open);
    if (status == KVORUM_OK)
        status =
            table_file_block(open->file, &open->foot, open->foot.ranges, TABLE_RANGES, 0, &raw);
    if (status != KVORUM_OK)
        return status;
    status = table_ranges_visit(raw.raw, table->meta.ranges, visit, context);
    table_raw_done(&raw);
    return status;
}

/* --- sizes --------------------------------------------------------------------------------- */

uint64_t lsm_table_range_size(struct lsm_table *table, struct bytes lower, struct bytes upper)
{
    struct table_open *open;
    if (!lsm_intervals_meet(lower, upper, table->meta.lower, table->meta.upper))
        return 0;
    if (table_open(table, false, &open) != KVORUM_OK)
        return table->meta.size;
    const struct table_index *index = &open->index;
    size_t begin = lower.size == 0 ? 0 : table_index_find(index, lower);
    size_t end = upper.size == 0 ? index->count : table_index_find(index, upper) + 1;
    if (end > index->count)
        end = index->count;
    return begin < end ? index->offsets[end] - index->offsets[begin] : 0;
}

size_t lsm_table_split(struct lsm_table *table, size_t count, struct bytes *ret_keys)
{
    struct table_open *open;
    if (count < 2 || table_open(table, false, &open) != KVORUM_OK)
        return 0;
    size_t keys = 0, last = open->index.count; /* none yet */
    for (size_t i = 1; i < count; i++) {
        size_t place = open->index.count * i / count;
        if (place == 0 || place == last)
            continue;
        ret_keys[keys] = table_index_separator(&open->index, place - 1);
        if (keys == 0 || bytes_compare(ret_keys[keys - 1], ret_keys[keys]) < 0)
            keys++;
        last = place;
    }
    return keys;
}
