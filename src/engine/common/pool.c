/* SPDX-License-Identifier: Apache-2.0 */
/* Size classes: every 16 bytes up to 1 KiB, then eight steps a doubling up to POOL_BLOCK_MAX, so a
 * block wastes at most an eighth.  Cost: a pop, or a bump of a pointer. */
#include "engine/common/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    GRAIN = 16,
    SMALL_MAX = 1024,
    SMALL_CLASSES = SMALL_MAX / GRAIN,
    CHUNK_SIZE_MIN = 64 * 1024,
    CHUNK_SIZE_MAX = 8 * 1024 * 1024,
    HUGE_PAGE_SIZE = 2 * 1024 * 1024,
};

struct pool_block {
    struct pool_block *next;
};

struct chunk {
    struct list list;
    size_t size;
    uint64_t unused; /* keeps what follows 16-aligned */
};

static_assert(sizeof(struct chunk) % GRAIN == 0, "blocks stay aligned");

static size_t round_up(size_t size, size_t step)
{
    return (size + step - 1) / step * step;
}

/* Step between classes around `size`: an eighth of the power of two below it. */
static size_t class_step(size_t size)
{
    return ((size_t)1 << (63 - __builtin_clzll(size - 1))) / 8;
}

static unsigned class_of(size_t block_size)
{
    if (block_size <= SMALL_MAX)
        return (unsigned)(block_size / GRAIN) - 1;
    unsigned doubling = 63 - (unsigned)__builtin_clzll(block_size - 1) - 10;
    size_t base = (size_t)SMALL_MAX << doubling;
    return SMALL_CLASSES + doubling * 8 + (unsigned)((block_size - base) / (base / 8)) - 1;
}

size_t pool_block_size(size_t size)
{
    if (size <= SMALL_MAX)
        return size == 0 ? GRAIN : round_up(size, GRAIN);
    if (size > POOL_BLOCK_MAX)
        return round_up(size + sizeof(struct chunk), GRAIN);
    return round_up(size, class_step(size));
}

void pool_init(struct pool *pool)
{
    *pool = (struct pool){ .chunk_size = CHUNK_SIZE_MIN };
    list_init(&pool->chunks);
}

void pool_spares_init(struct pool_spares *spares, uint64_t limit)
{
    *spares = (struct pool_spares){ .limit = limit };
    pthread_mutex_init(&spares->mutex, NULL);
    list_init(&spares->chunks);
}

void pool_spares_done(struct pool_spares *spares)
{
    struct list *item;
    while ((item = list_take_first(&spares->chunks)) != NULL)
        free(LIST_ENTRY(item, struct chunk, list));
    pthread_mutex_destroy(&spares->mutex);
}

static bool spare_give(struct pool_spares *spares, struct chunk *chunk)
{
    if (spares == NULL || chunk->size != CHUNK_SIZE_MAX)
        return false;
    pthread_mutex_lock(&spares->mutex);
    bool kept = spares->size + chunk->size <= spares->limit;
    if (kept) {
        list_append(&spares->chunks, &chunk->list);
        spares->size += chunk->size;
    }
    pthread_mutex_unlock(&spares->mutex);
    return kept;
}

static struct chunk *spare_take(struct pool_spares *spares, size_t size)
{
    if (spares == NULL || size > CHUNK_SIZE_MAX)
        return NULL;
    pthread_mutex_lock(&spares->mutex);
    struct list *item = list_take_first(&spares->chunks);
    if (item != NULL)
        spares->size -= CHUNK_SIZE_MAX;
    pthread_mutex_unlock(&spares->mutex);
    return item == NULL ? NULL : LIST_ENTRY(item, struct chunk, list);
}

void pool_done(struct pool *pool)
{
    struct list *item;
    while ((item = list_take_first(&pool->chunks)) != NULL) {
        struct chunk *chunk = LIST_ENTRY(item, struct chunk, list);
        if (!spare_give(pool->spares, chunk))
            free(chunk);
    }
    pool_init(pool);
}

static struct chunk *chunk_create(struct pool *pool, size_t size)
{
    struct chunk *chunk = spare_take(pool->spares, size);
    if (chunk != NULL) {
        size = chunk->size;
    } else if (size >= HUGE_PAGE_SIZE) {
        size = round_up(size, HUGE_PAGE_SIZE);
        chunk = aligned_alloc(HUGE_PAGE_SIZE, size);
        if (chunk != NULL) /* a hint: without huge pages all is well, only slower */
            (void)madvise(chunk, size, MADV_HUGEPAGE);
    } else {
        chunk = malloc(size);
    }
    if (chunk == NULL)
        return NULL;
    chunk->size = size;
    list_append(&pool->chunks, &chunk->list);
    pool->held_size += size;
    return chunk;
}

bool pool_reserve(struct pool *pool, size_t size)
{
    if ((size_t)(pool->end - pool->next) >= size)
        return true;
    size_t wanted = size + sizeof(struct chunk);
    struct chunk *chunk = chunk_create(pool, wanted > pool->chunk_size ? wanted : pool->chunk_size);
    if (chunk == NULL)
        return false;
    pool->next = (uint8_t *)(chunk + 1);
    pool->end = (uint8_t *)chunk + chunk->size;
    if (pool->chunk_size < CHUNK_SIZE_MAX)
        pool->chunk_size *= 2;
    return true;
}

static void *allocate_large(struct pool *pool, size_t size)
{
    size_t block_size = pool_block_size(size);
    struct chunk *chunk = malloc(block_size);
    if (chunk == NULL)
        return NULL;
    chunk->size = block_size;
    list_append(&pool->chunks, &chunk->list);
    pool->held_size += block_size;
    pool->used_size += block_size;
    return chunk + 1;
}

static void free_large(struct pool *pool, void *block)
{
    struct chunk *chunk = (struct chunk *)block - 1;
    list_remove(&chunk->list);
    pool->held_size -= chunk->size;
    pool->used_size -= chunk->size;
    free(chunk);
}

void *pool_cut(struct pool *pool, size_t size)
{
    size_t block_size = round_up(size, GRAIN);
    if (!pool_reserve(pool, block_size))
        return NULL;
    uint8_t *block = pool->next;
    pool->next += block_size;
    pool->used_size += block_size;
    return block;
}

void *pool_allocate(struct pool *pool, size_t size)
{
    if (size > POOL_BLOCK_MAX)
        return allocate_large(pool, size);
    size_t block_size = pool_block_size(size);
    unsigned class = class_of(block_size);
    struct pool_block *block = pool->free[class];
    if (block != NULL) {
        pool->free[class] = block->next;
    } else {
        if (!pool_reserve(pool, block_size))
            return NULL;
        block = (struct pool_block *)pool->next;
        pool->next += block_size;
    }
    pool->used_size += block_size;
    return block;
}

void pool_free(struct pool *pool, void *block, size_t size)
{
    if (size > POOL_BLOCK_MAX) {
        free_large(pool, block);
        return;
    }
    size_t block_size = pool_block_size(size);
    unsigned class = class_of(block_size);
    struct pool_block *freed = block;
    freed->next = pool->free[class];
    pool->free[class] = freed;
    assert(pool->used_size >= block_size);
    pool->used_size -= block_size;
}
