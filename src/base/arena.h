/* SPDX-License-Identifier: Apache-2.0 */
/** Memory that is given back all at once: one arena a request, reset at its end.
 *
 *      block (kept by reset)      blocks of growing size, freed by reset
 *      +-----------+------+       +----------------------+
 *      | allocated | free | <---- | allocated     | free |
 *      +-----------+------+       +----------------------+
 *
 *  An arena never holds more than its limit; beyond it allocation returns NULL, which callers answer
 *  with KVORUM_NO_MEMORY.  Free space is poisoned under AddressSanitizer.  Thread: one at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bytes.h"

struct arena_block;

struct arena {
    struct arena_block *block; /* newest; the chain ends at the one that reset keeps */
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

/** `size` bytes, 8-aligned, not cleared; NULL at the limit or out of memory.  Size 0 is not NULL. */
void *arena_allocate(struct arena *arena, size_t size);
/** The same, cleared. */
void *arena_allocate_zero(struct arena *arena, size_t size);
/** Copy `source`; on failure ret->data is NULL although source.size > 0. */
bool arena_copy(struct arena *arena, struct bytes source, struct bytes *ret);
/** NUL-terminated text; NULL at the limit. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define arena_new(arena, type) ((type *)arena_allocate_zero((arena), sizeof(type)))

#endif
