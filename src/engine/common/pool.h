/* SPDX-License-Identifier: Apache-2.0 */
/** Memory of one engine: large chunks cut into blocks, freed blocks kept by size class for reuse.
 *
 *      chunk 64 KiB .. 8 MiB (2 MiB-aligned and huge-paged once large)
 *      +-------+-------+-----+-------+------------------+
 *      | block | block | ... | block | next ........ end|      free[class] -> block -> block
 *      +-------+-------+-----+-------+------------------+
 *
 *  Fresh memory costs a page fault, so nothing returns to the system before pool_done (and with
 *  `spares` not even then), except blocks above POOL_BLOCK_MAX, which are chunks of their own.  A
 *  class never lends to another.
 *  Thread: one at a time. */
#ifndef ENGINE_COMMON_POOL_H
#define ENGINE_COMMON_POOL_H

#include "base/list.h"
#include <pthread.h>
#include <stdint.h>

/** Chunks that pools left behind, for the next ones: what was touched once costs no page fault.
 *  Shared by pools of any thread. */
struct pool_spares {
    pthread_mutex_t mutex;
    struct list chunks; /* of the largest size */
    uint64_t size, limit;
};

enum { POOL_BLOCK_MAX = 256 * 1024, POOL_CLASSES = 64 + 8 * 8 };

struct pool {
    struct list chunks;
    uint8_t *next, *end;        /* uncut part of the newest chunk */
    size_t chunk_size;          /* of the next chunk */
    uint64_t used_size;         /* in blocks handed out */
    uint64_t held_size;         /* in chunks */
    struct pool_spares *spares; /* NULL: none.  Set after pool_init */
    struct pool_block *free[POOL_CLASSES];
};

void pool_spares_init(struct pool_spares *spares, uint64_t limit);
void pool_spares_done(struct pool_spares *spares);

void pool_init(struct pool *pool);
void pool_done(struct pool *pool);
/** Bytes a block for `size` bytes really takes. */
size_t pool_block_size(size_t size);
/** 16-aligned, not cleared; NULL: no memory. */
void *pool_allocate(struct pool *pool, size_t size);
/** Memory for ever, of any size, out of the chunks. */
void *pool_cut(struct pool *pool, size_t size);
/** `size` as it was asked for. */
void pool_free(struct pool *pool, void *block, size_t size);
/** From now on blocks of together `size` bytes (by pool_block_size; above POOL_BLOCK_MAX: only
 *  cuts) cannot fail.  False: no memory. */
bool pool_reserve(struct pool *pool, size_t size);

#endif
