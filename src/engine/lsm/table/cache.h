/* SPDX-License-Identifier: Apache-2.0 */
/** Blocks in memory, up to a limit of bytes.
 *
 *      home of a table     slots  [ | * | | * | ... ]        one for each of its blocks
 *                                   |     |
 *      segments   [block|block|....] [block|block|...] [block|..    current
 *                  oldest: next to go                           ^ cut here
 *
 *  A hit is a load of the slot, and a store of the reference bit when it was not set.
 *
 *  Memory is a fixed number of segments, cut from front to back; a full cache empties its oldest
 *  segment: blocks whose bit is set move to the current one (at most half a segment: where nearly
 *  everything is used again, moving more than that costs more than it saves), the others go.  Each
 *  miss empties a piece, so that none waits for a whole segment.  So
 *  blocks of any sizes share the memory without gaps, it is faulted in once and in huge pages, the
 *  limit holds exactly, and what an eviction costs is shared by all blocks of a segment: second
 *  chance over segments (Yang, Yue and Rashmi 2021, "Segcache"; Corbato 1968).
 *
 *  An emptied segment is cut again when no reader inside the epoch can look at it and no pin holds
 *  it.  Until then it counts, and when none is free a block lives outside for as long as the epoch
 *  of its reader (counted too).
 *
 *  Locks: the mutex for cutting and publishing, never while the disk is read. */
#ifndef ENGINE_LSM_TABLE_CACHE_H
#define ENGINE_LSM_TABLE_CACHE_H

#include "engine/lsm/table/block.h"
#include "engine/lsm/table/compress.h"
#include "engine/lsm/table/format.h"
#include "engine/lsm/table/index.h"
#include <assert.h>

struct table_segment {
    struct epoch_item item; /* first */
    struct lsm_cache *cache;
    struct table_segment *next; /* in the queue, or free */
    uint8_t *memory;
    size_t size, used;
    _Atomic uint32_t pins; /* one is the cache's, until the epoch is over */
    bool live;             /* blocks in it may be published */
    bool outside;          /* of one block, with memory of its own behind this struct */
};

/* Whose slots point to blocks.  It goes with the last block that knows it. */
struct table_home {
    struct table_leaf *leaves; /* the slots are in them */
    uint64_t references;       /* blocks, and the owner */
    bool dead;                 /* the owner and the slots are gone */
};

struct lsm_block {
    struct table_segment *segment;
    struct table_home *home; /* NULL: not published; cache's mutex */
    uint32_t place;          /* in the home's slots */
    uint32_t size;           /* of all of it, in its segment */
    uint32_t raw_size;
    uint16_t raw_offset; /* from here; the frame as read may stand before it */
    _Atomic uint8_t referenced;
};

static_assert(sizeof(struct lsm_block) == 32, "half a cache line before the block's columns");

static inline const uint8_t *table_block_raw(const struct lsm_block *block)
{
    return (const uint8_t *)block + block->raw_offset;
}

/** Bytes that a block with so much in it takes in the cache, about. */
static inline size_t table_cached_size(size_t raw_size)
{
    return sizeof(struct lsm_block) + TABLE_FRAME_SIZE + raw_size + TABLE_SLACK;
}

enum { TABLE_COUNTERS = 8, TABLE_DECOMPRESSORS = 8 };

/* What happens on every read is counted apart for each thread, about. */
struct table_counters {
    _Atomic uint64_t hits, misses, refusals;
    uint8_t apart[104];
};

struct lsm_table_inside;

/* The segment that is being emptied. */
struct table_victim {
    struct table_segment *segment; /* NULL: none */
    size_t at, kept;               /* bytes: behind us, and moved to the current segment */
};

struct lsm_cache {
    struct epoch *epoch;
    struct table_counters counters[TABLE_COUNTERS];

    pthread_mutex_t mutex;
    size_t segment_size, segment_limit; /* segments that fit below the limit */
    size_t segment_count;               /* whose memory is there */
    struct table_segment *segments;
    uint8_t **chunks;
    size_t chunk_size, chunk_count;
    uint8_t *chunk_next, *chunk_end; /* not yet cut into segments */
    struct table_segment *current, *oldest, **newest, *free;
    size_t retired_count; /* segments that wait for the epoch */
    struct table_victim victim;
    uint64_t live_size, outside_size; /* bytes of blocks */
    uint64_t limit;
    _Atomic uint64_t files_size; /* bytes of all tables that there are */

    pthread_mutex_t tables_mutex;  /* open.c's: which tables are open */
    struct lsm_table_inside *hand; /* ring of them */
    uint64_t table_limit, table_memory;
    size_t open_limit, open_count;

    pthread_mutex_t decompressors_mutex;
    struct table_decompressor decompressors[TABLE_DECOMPRESSORS];
    size_t decompressor_count;
};

/** A block of `data_size` bytes behind its head, and slack; not published.  NULL: no memory.
 *  Inside the epoch. */
struct lsm_block *table_cache_reserve(struct lsm_cache *cache, size_t data_size);
/** What is read now will stay and be asked for: more than a sixteenth of the limit was never used
 *  yet, and the tables are at most twice as large as the limit. */
bool table_cache_has_room(struct lsm_cache *cache);
/** The block was not filled. */
void table_cache_discard(struct lsm_block *block);
/** Put it into slot `place`, unless the home is dead or another block is there.  It holds inside
 *  the epoch in any case. */
void table_cache_publish(struct lsm_cache *cache, struct lsm_block *block, struct table_home *home,
                         size_t place);

/** `leaves` are the caller's.  NULL: no memory. */
struct table_home *table_home_create(struct table_leaf *leaves);
/** From now on nothing is published into the slots, which can be freed. */
void table_home_abandon(struct lsm_cache *cache, struct table_home *home);

static inline struct table_counters *table_cache_counters(struct lsm_cache *cache)
{
    uint64_t thread = (uint64_t)(uintptr_t)pthread_self() * 0x9e3779b97f4a7c15;
    return &cache->counters[thread >> 61];
}

/* Two threads that share a counter may lose a count: no read waits for it. */
static inline void table_count(_Atomic uint64_t *counter)
{
    uint64_t count = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, count + 1, memory_order_relaxed);
}

/** Ask for the memory of its head and first columns. */
static inline void table_block_ask(const struct lsm_block *block)
{
    __builtin_prefetch(block);
    __builtin_prefetch((const uint8_t *)block + 64);
    __builtin_prefetch((const uint8_t *)block + 128);
}

static inline void table_block_touch(struct lsm_block *block)
{
    if (atomic_load_explicit(&block->referenced, memory_order_relaxed) == 0)
        atomic_store_explicit(&block->referenced, 1, memory_order_relaxed);
}

struct table_decompressor table_decompressor_take(struct lsm_cache *cache);
void table_decompressor_give(struct lsm_cache *cache, struct table_decompressor decompressor);

#endif
