/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/cache.h"

#include "base/poison.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    SEGMENTS_WANTED = 64,
    SEGMENT_SIZE_MIN = 16 * 1024,
    SEGMENT_SIZE_MAX = 1024 * 1024,
    HUGE_PAGE_SIZE = 2 * 1024 * 1024,
    LINE_SIZE = 64,
    EVICT_AHEAD = 4, /* bytes emptied for each that is cut: a segment is free before it is needed */
};

/* --- pins and the end of a segment ------------------------------------------------------------ */

static void add_free(struct lsm_cache *cache, struct table_segment *segment)
{
    POISON_BYTES(segment->memory, segment->size);
    segment->next = cache->free;
    cache->free = segment;
}

static void segment_free(struct table_segment *segment)
{
    struct lsm_cache *cache = segment->cache;
    pthread_mutex_lock(&cache->mutex);
    if (segment->outside) {
        cache->outside_size -= segment->size;
    } else {
        cache->live_size -= segment->used;
        add_free(cache, segment);
    }
    pthread_mutex_unlock(&cache->mutex);
    if (segment->outside)
        free(segment);
}

static void segment_unpin(struct table_segment *segment)
{
    uint32_t pins = atomic_fetch_sub(&segment->pins, 1);
    assert(pins > 0);
    if (pins == 1)
        segment_free(segment);
}

void lsm_block_pin(struct lsm_block *block)
{
    uint32_t pins = atomic_fetch_add(&block->segment->pins, 1);
    assert(pins > 0 && pins < UINT32_MAX);
}

void lsm_block_unpin(struct lsm_block *block)
{
    segment_unpin(block->segment);
}

/* No reader can be looking at it any more. */
static void epoch_over(struct epoch_item *item)
{
    struct table_segment *segment = (struct table_segment *)item;
    struct lsm_cache *cache = segment->cache;
    if (!segment->outside) {
        pthread_mutex_lock(&cache->mutex);
        cache->retired_count--;
        pthread_mutex_unlock(&cache->mutex);
    }
    segment_unpin(segment);
}

/* --- memory -------------------------------------------------------------------------------- */

/* All chunks but a small cache's only one are of whole huge pages. */
static uint8_t *chunk_create(struct lsm_cache *cache)
{
    size_t alignment = cache->chunk_size % HUGE_PAGE_SIZE == 0 ? HUGE_PAGE_SIZE : LINE_SIZE;
    uint8_t *chunk = aligned_alloc(alignment, cache->chunk_size);
    if (chunk == NULL)
        return NULL;
    if (alignment == HUGE_PAGE_SIZE) /* a hint: without huge pages all is well, only slower */
        (void)madvise(chunk, cache->chunk_size, MADV_HUGEPAGE);
    cache->chunks[cache->chunk_count++] = chunk;
    return chunk;
}

static void make_segment(struct lsm_cache *cache)
{
    if (cache->chunk_next == cache->chunk_end) {
        cache->chunk_next = chunk_create(cache);
        cache->chunk_end = cache->chunk_next == NULL ? NULL : cache->chunk_next + cache->chunk_size;
    }
    if (cache->chunk_next == NULL)
        return;
    struct table_segment *segment = &cache->segments[cache->segment_count++];
    *segment = (struct table_segment){ .item = { .free = epoch_over },
                                       .cache = cache,
                                       .memory = cache->chunk_next,
                                       .size = cache->segment_size };
    cache->chunk_next += cache->segment_size;
    add_free(cache, segment);
}

static struct table_segment *take_free(struct lsm_cache *cache)
{
    if (cache->free == NULL && cache->segment_count < cache->segment_limit)
        make_segment(cache);
    struct table_segment *segment = cache->free;
    if (segment == NULL)
        return NULL;
    cache->free = segment->next;
    segment->next = NULL;
    segment->used = 0;
    segment->live = true;
    atomic_store(&segment->pins, 1);
    return segment;
}

/* Cut a block from the current segment, or from a free one that becomes it. */
static struct lsm_block *cut(struct lsm_cache *cache, size_t size)
{
    struct table_segment *segment = cache->current;
    if (segment == NULL || segment->size - segment->used < size) {
        struct table_segment *fresh = size > cache->segment_size ? NULL : take_free(cache);
        if (fresh == NULL)
            return NULL;
        if (segment != NULL) {
            *cache->newest = segment;
            cache->newest = &segment->next;
        }
        cache->current = segment = fresh;
    }
    struct lsm_block *block = (struct lsm_block *)(segment->memory + segment->used);
    UNPOISON_BYTES(block, size);
    *block = (struct lsm_block){ .segment = segment, .size = (uint32_t)size };
    segment->used += size;
    cache->live_size += size;
    return block;
}

/* --- eviction ------------------------------------------------------------------------------ */

static void home_unreference(struct table_home *home)
{
    if (--home->references == 0)
        free(home);
}

/* A copy of it takes its place. */
static bool keep_block(struct lsm_cache *cache, struct lsm_block *block)
{
    struct lsm_block *copy = cut(cache, block->size);
    if (copy == NULL)
        return false;
    copy->home = block->home;
    copy->place = block->place;
    copy->raw_size = block->raw_size;
    copy->raw_offset = block->raw_offset;
    memcpy(copy + 1, block + 1, block->size - sizeof(*block));
    atomic_store(table_leaf_slot(block->home->leaves, block->place), copy);
    block->home = NULL;
    return true;
}

/* Returns the bytes that were kept. */
static size_t evict_block(struct lsm_cache *cache, struct lsm_block *block, bool may_keep)
{
    struct table_home *home = block->home;
    if (home == NULL)
        return 0;
    if (!home->dead) {
        bool used = atomic_load_explicit(&block->referenced, memory_order_relaxed) != 0;
        if (used && may_keep && keep_block(cache, block))
            return block->size;
        atomic_store(table_leaf_slot(home->leaves, block->place), NULL);
    }
    block->home = NULL;
    home_unreference(home);
    return 0;
}

/* With the mutex: is memory short, and nothing on its way back? */
static bool eviction_due(const struct lsm_cache *cache)
{
    return cache->free == NULL && cache->segment_count >= cache->segment_limit &&
           cache->retired_count == 0 && cache->victim.segment == NULL && cache->oldest != NULL;
}

/* With the mutex: take the oldest segment out of the queue. */
static void begin_eviction(struct lsm_cache *cache)
{
    struct table_segment *segment = cache->oldest;
    cache->oldest = segment->next;
    if (cache->oldest == NULL)
        cache->newest = &cache->oldest;
    segment->live = false;
    cache->victim = (struct table_victim){ .segment = segment };
}

/* With the mutex: empty a piece of the victim, `size` bytes at least.  Returns the victim when
 * nothing is left in it: it is to be retired. */
static struct table_segment *evict_piece(struct lsm_cache *cache, size_t size)
{
    struct table_victim *victim = &cache->victim;
    struct table_segment *segment = victim->segment;
    size_t end = victim->at + size < segment->used ? victim->at + size : segment->used;
    while (victim->at < end) {
        struct lsm_block *block = (struct lsm_block *)(segment->memory + victim->at);
        bool may_keep = victim->kept + block->size <= segment->size / 2;
        victim->kept += evict_block(cache, block, may_keep);
        victim->at += block->size;
    }
    if (victim->at < segment->used)
        return NULL;
    victim->segment = NULL;
    cache->retired_count++;
    return segment;
}

/* --- blocks -------------------------------------------------------------------------------- */

/* A block without a place in the cache.  It is retired at once when it is published. */
static struct lsm_block *reserve_outside(struct lsm_cache *cache, size_t size)
{
    struct table_segment *segment = malloc(sizeof(*segment) + size);
    if (segment == NULL)
        return NULL;
    *segment = (struct table_segment){ .item = { .free = epoch_over },
                                       .cache = cache,
                                       .memory = (uint8_t *)(segment + 1),
                                       .size = size,
                                       .pins = 1,
                                       .outside = true };
    struct lsm_block *block = (struct lsm_block *)segment->memory;
    *block = (struct lsm_block){ .segment = segment, .size = (uint32_t)size };
    pthread_mutex_lock(&cache->mutex);
    cache->outside_size += size;
    pthread_mutex_unlock(&cache->mutex);
    return block;
}

struct lsm_block *table_cache_reserve(struct lsm_cache *cache, size_t data_size)
{
    size_t size = sizeof(struct lsm_block) + data_size + TABLE_SLACK;
    size = (size + LINE_SIZE - 1) / LINE_SIZE * LINE_SIZE;
    struct table_segment *emptied = NULL;
    pthread_mutex_lock(&cache->mutex);
    struct lsm_block *block = cut(cache, size);
    if (size <= cache->segment_size && eviction_due(cache))
        begin_eviction(cache);
    if (cache->victim.segment != NULL)
        emptied = evict_piece(cache, size * EVICT_AHEAD);
    pthread_mutex_unlock(&cache->mutex);
    if (emptied != NULL)
        epoch_retire(cache->epoch, &emptied->item);
    if (block == NULL)
        block = reserve_outside(cache, size);
    return block;
}

bool table_cache_has_room(struct lsm_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    bool room = cache->segment_count + cache->segment_limit / 16 + 1 < cache->segment_limit;
    pthread_mutex_unlock(&cache->mutex);
    return room && atomic_load(&cache->files_size) <= 2 * cache->limit;
}

void table_cache_discard(struct lsm_block *block)
{
    if (block->segment->outside)
        segment_unpin(block->segment); /* nobody else ever saw it */
}

void table_cache_publish(struct lsm_cache *cache, struct lsm_block *block, struct table_home *home,
                         size_t place)
{
    if (block->segment->outside) {
        epoch_retire(cache->epoch, &block->segment->item);
        return;
    }
    pthread_mutex_lock(&cache->mutex);
    if (block->segment->live && !home->dead) {
        _Atomic(struct lsm_block *) *slot = table_leaf_slot(home->leaves, place);
        if (atomic_load_explicit(slot, memory_order_relaxed) == NULL) {
            block->home = home;
            block->place = (uint32_t)place;
            home->references++;
            atomic_store(slot, block);
        }
    }
    pthread_mutex_unlock(&cache->mutex);
}

struct table_home *table_home_create(struct table_leaf *leaves)
{
    struct table_home *home = malloc(sizeof(*home));
    if (home != NULL)
        *home = (struct table_home){ .leaves = leaves, .references = 1 };
    return home;
}

void table_home_abandon(struct lsm_cache *cache, struct table_home *home)
{
    pthread_mutex_lock(&cache->mutex);
    home->dead = true;
    home_unreference(home);
    pthread_mutex_unlock(&cache->mutex);
}

/* --- decompressors ------------------------------------------------------------------------- */

struct table_decompressor table_decompressor_take(struct lsm_cache *cache)
{
    struct table_decompressor decompressor = { 0 };
    pthread_mutex_lock(&cache->decompressors_mutex);
    if (cache->decompressor_count > 0)
        decompressor = cache->decompressors[--cache->decompressor_count];
    pthread_mutex_unlock(&cache->decompressors_mutex);
    return decompressor;
}

void table_decompressor_give(struct lsm_cache *cache, struct table_decompressor decompressor)
{
    bool kept = false;
    pthread_mutex_lock(&cache->decompressors_mutex);
    if (decompressor.state != NULL && cache->decompressor_count < TABLE_DECOMPRESSORS) {
        cache->decompressors[cache->decompressor_count++] = decompressor;
        kept = true;
    }
    pthread_mutex_unlock(&cache->decompressors_mutex);
    if (!kept)
        table_decompressor_done(&decompressor);
}

/* --- the whole ----------------------------------------------------------------------------- */

/* The limit in equal segments: many, so that one is little; not too small, so that few blocks are
 * larger than one. */
static bool plan_segments(struct lsm_cache *cache, uint64_t limit)
{
    uint64_t size = limit / SEGMENTS_WANTED / SEGMENT_SIZE_MIN * SEGMENT_SIZE_MIN;
    if (size < SEGMENT_SIZE_MIN)
        size = SEGMENT_SIZE_MIN;
    while ((size & (size - 1)) != 0) /* a power of two divides huge pages */
        size &= size - 1;
    cache->segment_size = size < SEGMENT_SIZE_MAX ? (size_t)size : SEGMENT_SIZE_MAX;
    cache->segment_limit = (size_t)(limit / cache->segment_size);
    cache->chunk_size = cache->segment_limit * cache->segment_size;
    if (cache->chunk_size > HUGE_PAGE_SIZE)
        cache->chunk_size = HUGE_PAGE_SIZE;
    size_t chunks = 1;
    if (cache->chunk_size > 0)
        chunks += cache->segment_limit * cache->segment_size / cache->chunk_size;
    cache->segments = calloc(cache->segment_limit + 1, sizeof(*cache->segments));
    cache->chunks = calloc(chunks, sizeof(*cache->chunks));
    return cache->segments != NULL && cache->chunks != NULL;
}

kvorum_status lsm_cache_create(struct epoch *epoch, uint64_t block_limit, uint64_t table_limit,
                               size_t open_limit, struct lsm_cache **ret_cache)
{
    struct lsm_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return KVORUM_NO_MEMORY;
    cache->epoch = epoch;
    cache->limit = block_limit;
    cache->newest = &cache->oldest;
    cache->table_limit = table_limit;
    cache->open_limit = open_limit;
    pthread_mutex_init(&cache->mutex, NULL);
    pthread_mutex_init(&cache->tables_mutex, NULL);
    pthread_mutex_init(&cache->decompressors_mutex, NULL);
    if (!plan_segments(cache, block_limit)) {
        lsm_cache_destroy(cache);
        return KVORUM_NO_MEMORY;
    }
    *ret_cache = cache;
    return KVORUM_OK;
}

/* Blocks that are still in a slot's reach belong to tables, which are gone. */
static void free_homes(struct table_segment *segment)
{
    for (size_t at = 0; at < segment->used;) {
        struct lsm_block *block = (struct lsm_block *)(segment->memory + at);
        if (block->home != NULL) {
            assert(block->home->dead);
            home_unreference(block->home);
        }
        at += block->size;
    }
}

void lsm_cache_destroy(struct lsm_cache *cache)
{
    if (cache == NULL)
        return;
    epoch_poll(cache->epoch);
    assert(cache->retired_count == 0 && cache->outside_size == 0 && cache->open_count == 0);
    if (cache->victim.segment != NULL)
        free_homes(cache->victim.segment);
    if (cache->current != NULL)
        *cache->newest = cache->current;
    for (struct table_segment *s = cache->oldest; s != NULL; s = s->next)
        free_homes(s);
    for (size_t i = 0; i < cache->chunk_count; i++) {
        UNPOISON_BYTES(cache->chunks[i], cache->chunk_size);
        free(cache->chunks[i]);
    }
    for (size_t i = 0; i < cache->decompressor_count; i++)
        table_decompressor_done(&cache->decompressors[i]);
    free(cache->segments);
    free(cache->chunks);
    pthread_mutex_destroy(&cache->mutex);
    pthread_mutex_destroy(&cache->tables_mutex);
    pthread_mutex_destroy(&cache->decompressors_mutex);
    free(cache);
}

void lsm_cache_stats(const struct lsm_cache *cache, struct engine_stats *ret_stats)
{
    struct lsm_cache *locked = (struct lsm_cache *)cache; /* its mutexes only */
    for (int i = 0; i < TABLE_COUNTERS; i++) {
        const struct table_counters *counters = &cache->counters[i];
        ret_stats->cache_hits += atomic_load_explicit(&counters->hits, memory_order_relaxed);
        ret_stats->cache_misses += atomic_load_explicit(&counters->misses, memory_order_relaxed);
        ret_stats->filter_refusals +=
            atomic_load_explicit(&counters->refusals, memory_order_relaxed);
    }
    pthread_mutex_lock(&locked->mutex);
    ret_stats->cache_size = cache->live_size + cache->outside_size;
    ret_stats->cache_limit = cache->limit;
    pthread_mutex_unlock(&locked->mutex);
    pthread_mutex_lock(&locked->tables_mutex);
    ret_stats->table_memory_size = cache->table_memory;
    pthread_mutex_unlock(&locked->tables_mutex);
}
