/* SPDX-License-Identifier: Apache-2.0 */
/** Memory that is given back all at once: one arena a request, reset at its end.
 *
 *      newest block               older and large ones
 *      +-----------+------+       +--------------------+
 *      | allocated | free | ----> | allocated          | ---->
 *      +-----------+------+       +--------------------+
 *
 *  Blocks double from 1 KiB to 1 MiB; reset keeps the largest of at most 64 KiB, so requests of one
 *  size soon allocate nothing.
 *
 *  An arena never holds more than its limit; beyond it allocation returns NULL, which callers
 *  answer with KVORUM_NO_MEMORY.  Free space is poisoned under AddressSanitizer.  Thread: one at a
 *  time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bytes.h"
#include "base/poison.h"

struct arena_block;

struct arena {
    struct arena_block *block; /* newest, from which allocations are cut */
    uint8_t *next, *end;       /* free part of the newest block */
    size_t held_size;          /* bytes in all blocks */
    size_t limit;
};

/** Empty arena that may hold `limit` bytes; holds no memory until the first allocation. */
void arena_init(struct arena *arena, size_t limit);
/** Give everything back to the system. */
void arena_done(struct arena *arena);
/** Forget all allocations, keeping one block of at most 64 KiB for the next use. */
void arena_reset(struct arena *arena);

void *arena_allocate_slowly(struct arena *arena, size_t size); /* for arena_allocate only */

/** `size` bytes, 8-aligned, not cleared; NULL at the limit or out of memory, else never NULL. */
static inline void *arena_allocate(struct arena *arena, size_t size)
{
    size += size == 0;
    size_t left = (uintptr_t)arena->end - (uintptr_t)arena->next; /* a multiple of 8 */
    if (size > left)
        return arena_allocate_slowly(arena, size);
    void *memory = arena->next;
    arena->next += (size + 7) & ~(size_t)7;
    UNPOISON_BYTES(memory, size);
    return memory;
}

/** The same, cleared. */
void *arena_allocate_zero(struct arena *arena, size_t size);
/** Copy `source`.  False at the limit or out of memory, and *ret is then empty. */
bool arena_copy(struct arena *arena, struct bytes source, struct bytes *ret);
/** NUL-terminated text; NULL at the limit. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define arena_new(arena, type) ((type *)arena_allocate_zero((arena), sizeof(type)))

#endif
