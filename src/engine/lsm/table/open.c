/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/open.h"

#include <assert.h>
#include <stdlib.h>

/* --- the file ------------------------------------------------------------------------------ */

static kvorum_status compare_with_meta(const struct table_properties *properties,
                                       const struct lsm_table_meta *meta)
{
    const struct lsm_table_meta *own = &properties->meta;
    bool same = lsm_id_equal(&own->file, &meta->file) && own->number == meta->number &&
                own->entries == meta->entries && own->deletes == meta->deletes &&
                own->ranges == meta->ranges && own->sequence_min == meta->sequence_min &&
                own->sequence_max == meta->sequence_max && bytes_equal(own->lower, meta->lower) &&
                bytes_equal(own->upper, meta->upper);
    return same ? KVORUM_OK : KVORUM_CORRUPT;
}

static kvorum_status read_properties(struct disk_file *file, const struct lsm_id *store,
                                     const struct lsm_table_meta *meta, struct table_foot *ret_foot,
                                     struct table_properties *ret_properties,
                                     struct table_raw *ret_raw)
{
    struct table_foot foot;
    struct table_raw raw;
    kvorum_status status = table_file_foot(file, &foot);
    if (status != KVORUM_OK)
        return status;
    if (!lsm_id_equal(&foot.store, store))
        return KVORUM_FOREIGN;
    if (foot.size != meta->size || !lsm_id_equal(&foot.file, &meta->file))
        return KVORUM_CORRUPT;
    status = table_file_block(file, &foot, foot.properties, TABLE_PROPERTIES, 0, &raw);
    if (status != KVORUM_OK)
        return status;
    status = table_properties_decode(raw.raw, ret_properties);
    if (status == KVORUM_OK)
        status = compare_with_meta(ret_properties, meta);
    if (status == KVORUM_OK && (ret_properties->meta.ranges > 0) != (foot.ranges > 0))
        status = KVORUM_CORRUPT;
    if (status != KVORUM_OK) {
        table_raw_done(&raw);
        return status;
    }
    *ret_foot = foot;
    *ret_raw = raw;
    return KVORUM_OK;
}

kvorum_status table_open_file(struct disk *disk, const char *path, const struct lsm_id *store,
                              const struct lsm_table_meta *meta, unsigned flags,
                              struct disk_file **ret_file, struct table_foot *ret_foot,
                              struct table_properties *ret_properties,
                              struct table_raw *ret_properties_raw)
{
    struct disk_file *file = NULL;
    kvorum_status status = disk->ops->open(disk, path, DISK_READ | flags, &file);
    if (status == KVORUM_NOT_FOUND) /* it would read as "no such key" */
        return KVORUM_CORRUPT;
    if (status != KVORUM_OK)
        return status;
    status = read_properties(file, store, meta, ret_foot, ret_properties, ret_properties_raw);
    if (status != KVORUM_OK) {
        file->ops->close(file);
        return status;
    }
    *ret_file = file;
    return KVORUM_OK;
}

/* --- filter and index ------------------------------------------------------------------------ */

static kvorum_status load_filter(struct table_open *open)
{
    if (open->foot.filter == 0)
        return KVORUM_OK;
    kvorum_status status =
        table_file_block(open->file, &open->foot, open->foot.filter, TABLE_FILTER,
                         TABLE_FILTER_HEADER_SIZE, &open->filter_raw);
    if (status != KVORUM_OK)
        return status;
    open->memory_size += open->filter_raw.memory_size;
    return table_filter_parse(open->filter_raw.raw, &open->filter) ? KVORUM_OK : KVORUM_CORRUPT;
}

/* The blocks of entries fill the file from the head to where the properties say, without gaps. */
bool table_index_covers(const struct table_open *open, const struct table_properties *properties)
{
    const struct table_foot *foot = &open->foot;
    uint64_t next = foot->ranges != 0 ? foot->ranges : foot->filter;
    if (next == 0)
        next = foot->index;
    uint64_t end = open->index.offsets[open->index.count];
    return open->index.count == properties->blocks && end == properties->entries_end && end == next;
}

static kvorum_status load_index(struct table_open *open, const struct table_properties *properties)
{
    struct table_raw raw;
    kvorum_status status =
        table_file_block(open->file, &open->foot, open->foot.index, TABLE_INDEX, 0, &raw);
    if (status != KVORUM_OK)
        return status;
    status = table_index_parse(raw.raw, TABLE_HEAD_SIZE, &open->index);
    table_raw_done(&raw);
    if (status != KVORUM_OK)
        return status;
    if (!table_index_covers(open, properties))
        return KVORUM_CORRUPT;
    open->home = table_home_create(open->index.leaves);
    if (open->home == NULL)
        return KVORUM_NO_MEMORY;
    open->memory_size += open->index.memory_size;
    return KVORUM_OK;
}

/* Nobody can look at it any more. */
static void destroy(struct table_open *open)
{
    if (open->home != NULL)
        table_home_abandon(open->cache, open->home);
    table_index_done(&open->index);
    table_raw_done(&open->filter_raw);
    if (open->file != NULL)
        open->file->ops->close(open->file);
    free(open);
}

static kvorum_status load(struct lsm_table_inside *inside, struct table_open **ret_open)
{
    struct table_properties properties;
    struct table_raw raw;
    struct table_open *open = calloc(1, sizeof(*open));
    if (open == NULL)
        return KVORUM_NO_MEMORY;
    open->cache = inside->cache;
    open->memory_size = sizeof(*open);
    atomic_store(&open->references, 1);
    kvorum_status status =
        table_open_file(inside->disk, inside->path, &inside->store, &inside->table->meta,
                        DISK_RANDOM, &open->file, &open->foot, &properties, &raw);
    if (status == KVORUM_OK) {
        open->compression = properties.compression;
        status = load_filter(open);
        if (status == KVORUM_OK)
            status = load_index(open, &properties);
        table_raw_done(&raw);
    }
    if (status != KVORUM_OK) {
        destroy(open);
        return status;
    }
    *ret_open = open;
    return KVORUM_OK;
}

/* --- the ring of open tables --------------------------------------------------------------- */

void table_open_release(struct table_open *open)
{
    uint32_t references = atomic_fetch_sub(&open->references, 1);
    assert(references > 0);
    if (references == 1)
        destroy(open);
}

static void epoch_over(struct epoch_item *item)
{
    table_open_release((struct table_open *)item);
}

static void ring_add(struct lsm_cache *cache, struct lsm_table_inside *inside,
                     struct table_open *open)
{
    if (cache->hand == NULL) {
        inside->next = inside->previous = inside;
        cache->hand = inside;
    } else { /* behind the hand: it is looked at last */
        inside->next = cache->hand;
        inside->previous = cache->hand->previous;
        inside->previous->next = inside;
        cache->hand->previous = inside;
    }
    cache->open_count++;
    cache->table_memory += open->memory_size;
}

/* With tables_mutex.  Its open part is the caller's to retire. */
static struct table_open *ring_remove(struct lsm_cache *cache, struct lsm_table_inside *inside)
{
    struct table_open *open = atomic_load(&inside->open);
    if (cache->hand == inside)
        cache->hand = inside->next == inside ? NULL : inside->next;
    inside->next->previous = inside->previous;
    inside->previous->next = inside->next;
    inside->next = inside->previous = NULL;
    cache->open_count--;
    cache->table_memory -= open->memory_size;
    atomic_store(&inside->open, NULL);
    return open;
}

static bool over_limit(const struct lsm_cache *cache)
{
    return (cache->table_limit != 0 && cache->table_memory > cache->table_limit) ||
           (cache->open_limit != 0 && cache->open_count > cache->open_limit);
}

/* With tables_mutex: one that goes, never `keep`; NULL: none has to.  The limits hold for what is
 * still in use too, but for one table. */
static struct table_open *ring_evict(struct lsm_cache *cache, const struct lsm_table_inside *keep)
{
    if (!over_limit(cache) || cache->open_count < 2)
        return NULL;
    for (;;) {
        struct lsm_table_inside *inside = cache->hand;
        cache->hand = inside->next;
        struct table_open *open = atomic_load(&inside->open);
        if (inside == keep)
            continue;
        if (atomic_exchange_explicit(&open->referenced, 0, memory_order_relaxed) == 0)
            return ring_remove(cache, inside);
    }
}

static void make_known(struct lsm_table_inside *inside, struct table_open *open)
{
    struct lsm_cache *cache = inside->cache;
    struct table_open *victim;
    pthread_mutex_lock(&cache->tables_mutex);
    ring_add(cache, inside, open);
    atomic_store(&inside->open, open);
    while ((victim = ring_evict(cache, inside)) != NULL) {
        pthread_mutex_unlock(&cache->tables_mutex);
        victim->item.free = epoch_over;
        epoch_retire(cache->epoch, &victim->item);
        pthread_mutex_lock(&cache->tables_mutex);
    }
    pthread_mutex_unlock(&cache->tables_mutex);
}

kvorum_status table_open_slowly(struct lsm_table_inside *inside, struct table_open **ret_open)
{
    kvorum_status status = KVORUM_OK;
    pthread_mutex_lock(&inside->mutex);
    struct table_open *open = atomic_load(&inside->open); /* another thread may have been quicker */
    if (open == NULL) {
        status = load(inside, &open);
        if (status == KVORUM_OK)
            make_known(inside, open);
    }
    if (status == KVORUM_OK)
        *ret_open = open;
    pthread_mutex_unlock(&inside->mutex);
    return status;
}

void table_open_close(struct lsm_table_inside *inside)
{
    struct table_open *open = NULL;
    pthread_mutex_lock(&inside->cache->tables_mutex);
    if (atomic_load(&inside->open) != NULL)
        open = ring_remove(inside->cache, inside);
    pthread_mutex_unlock(&inside->cache->tables_mutex);
    if (open != NULL)
        table_open_release(open);
}
