/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FIRST_BLOCK_SIZE = 1024,
    LARGEST_BLOCK_SIZE = 1024 * 1024, /* single allocations may be larger */
    KEPT_BLOCK_SIZE = 64 * 1024,
};

struct arena_block {
    struct arena_block *next; /* older */
    size_t size;              /* of the whole block, this header included; a multiple of 8 */
};

static_assert(sizeof(struct arena_block) % 8 == 0, "payload follows the header 8-aligned");

static uint8_t *payload(struct arena_block *block)
{
    return (uint8_t *)(block + 1);
}

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){ .limit = limit };
}

void arena_done(struct arena *arena)
{
    while (arena->block != NULL) {
        struct arena_block *block = arena->block;
        arena->block = block->next;
        free(block);
    }
    arena_init(arena, arena->limit);
}

static void use_block(struct arena *arena, struct arena_block *block)
{
    arena->block = block;
    arena->next = payload(block);
    arena->end = (uint8_t *)block + block->size;
}

/* The largest block worth keeping, taken out of the chain: a request that needs as much as the last
 * one then finds it in one piece. */
static struct arena_block *take_block_to_keep(struct arena *arena)
{
    struct arena_block **best = NULL;
    for (struct arena_block **link = &arena->block; *link != NULL; link = &(*link)->next) {
        if ((*link)->size <= KEPT_BLOCK_SIZE && (best == NULL || (*link)->size > (*best)->size))
            best = link;
    }
    if (best == NULL)
        return NULL;
    struct arena_block *kept = *best;
    *best = kept->next;
    kept->next = NULL;
    return kept;
}

void arena_reset(struct arena *arena)
{
    /* Nearly always there is one block; that is told without touching its memory, which may have
     * left the cache. */
    size_t size = (size_t)((uintptr_t)arena->end - (uintptr_t)arena->block);
    if (size == arena->held_size && size <= KEPT_BLOCK_SIZE) {
        if (size > 0) {
            arena->next = payload(arena->block);
            POISON_BYTES(arena->next, size - sizeof(*arena->block));
        }
        return;
    }
    struct arena_block *kept = take_block_to_keep(arena);
    arena_done(arena);
    if (kept == NULL)
        return;
    use_block(arena, kept);
    arena->held_size = kept->size;
    POISON_BYTES(payload(kept), kept->size - sizeof(*kept));
}

/* A block with room for `need` bytes (header included), of the size that growth wants if the limit
 * lets it. */
static struct arena_block *add_block(struct arena *arena, size_t need, size_t want)
{
    size_t left = (arena->limit - arena->held_size) & ~(size_t)7;
    if (need > left)
        return NULL;
    size_t size = want < need ? need : want;
    if (size > left)
        size = left;
    struct arena_block *block = malloc(size);
    if (block == NULL)
        return NULL;
    block->size = size;
    arena->held_size += size;
    POISON_BYTES(payload(block), size - sizeof(*block));
    return block;
}

void *arena_allocate_slowly(struct arena *arena, size_t size)
{
    if (size > arena->limit)
        return NULL;
    size_t want = arena->block == NULL ? FIRST_BLOCK_SIZE : arena->block->size * 2;
    if (want > LARGEST_BLOCK_SIZE)
        want = LARGEST_BLOCK_SIZE;
    size_t need = sizeof(struct arena_block) + ((size + 7) & ~(size_t)7);
    struct arena_block *block = add_block(arena, need, want);
    if (block == NULL)
        return NULL;
    if (need >= want && arena->block != NULL) { /* filled at once: go on using the newest one */
        block->next = arena->block->next;
        arena->block->next = block;
        UNPOISON_BYTES(payload(block), size);
        return payload(block);
    }
    block->next = arena->block;
    use_block(arena, block);
    return arena_allocate(arena, size);
}

void *arena_allocate_zero(struct arena *arena, size_t size)
{
    void *memory = arena_allocate(arena, size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

bool arena_copy(struct arena *arena, struct bytes source, struct bytes *ret)
{
    *ret = (struct bytes){ 0 };
    if (source.size == 0)
        return true;
    void *memory = arena_allocate(arena, source.size);
    if (memory == NULL)
        return false;
    memcpy(memory, source.data, source.size);
    *ret = bytes_make(memory, source.size);
    return true;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return NULL;
    char *text = arena_allocate(arena, (size_t)length + 1);
    if (text == NULL)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}
