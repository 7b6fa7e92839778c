/* SPDX-License-Identifier: Apache-2.0 */
/* A miss: one read of exactly the block, straight into the cache when it is stored as it is.  While
 * the cache is not full, the first miss in a region tells the disk that all of it will be read:
 *
 *      file   | region | region | region |    of 4 MiB, more in large files: REGIONS at most
 *                 ^ miss
 *
 *  The system brings it to memory of its own meanwhile, and what is asked for next is a copy away.
 *  Blocks that nobody asks for are not copied: memory touched for the first time is what a cold
 *  read costs most. */
#include "engine/lsm/table/open.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SCRATCH_SIZE = 16 * 1024,
    AT_ONCE = 128 * 1024, /* what is wanted now, before the rest of its region */
    REGION_SIZE_MIN = 4 * 1024 * 1024,
    REGIONS = 64 /* of a file: bits of `announced` */
};

static kvorum_status read_framed(struct table_open *open, size_t place, uint8_t *data,
                                 struct table_frame *ret_frame)
{
    uint64_t offset = open->index.offsets[place];
    size_t size = table_index_block_size(&open->index, place);
    kvorum_status status = table_file_read(open->file, offset, data, size);
    if (status != KVORUM_OK)
        return status;
    return table_frame_decode(&open->foot.file, offset, bytes_make(data, size), TABLE_ENTRIES,
                              ret_frame);
}

static kvorum_status finish(struct table_open *open, size_t place, struct lsm_block *block,
                            size_t raw_offset, size_t raw_size)
{
    block->raw_offset = (uint16_t)raw_offset;
    block->raw_size = (uint32_t)raw_size;
    if (!table_view_check(table_block_raw(block), raw_size))
        return KVORUM_CORRUPT;
    table_cache_publish(open->cache, block, open->home, place);
    return KVORUM_OK;
}

static kvorum_status load_stored(struct table_open *open, size_t place,
                                 struct lsm_block **ret_block)
{
    size_t size = table_index_block_size(&open->index, place);
    struct table_frame frame;
    struct lsm_block *block = table_cache_reserve(open->cache, size);
    if (block == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = read_framed(open, place, (uint8_t *)(block + 1), &frame);
    if (status == KVORUM_OK && frame.compression != LSM_STORED)
        status = KVORUM_CORRUPT; /* the properties say otherwise */
    if (status == KVORUM_OK)
        status = finish(open, place, block, sizeof(*block) + TABLE_FRAME_SIZE, frame.raw_size);
    if (status != KVORUM_OK) {
        table_cache_discard(block);
        return status;
    }
    *ret_block = block;
    return KVORUM_OK;
}

static kvorum_status unpack(struct lsm_cache *cache, const struct table_frame *frame,
                            const uint8_t *stored, uint8_t *ret_raw)
{
    if (frame->compression == LSM_STORED) {
        memcpy(ret_raw, stored, frame->raw_size);
        return KVORUM_OK;
    }
    struct table_decompressor decompressor = { 0 };
    if (frame->compression == LSM_ZSTD)
        decompressor = table_decompressor_take(cache);
    kvorum_status status =
        table_decompress(&decompressor, frame->compression, bytes_make(stored, frame->stored_size),
                         ret_raw, frame->raw_size);
    if (frame->compression == LSM_ZSTD)
        table_decompressor_give(cache, decompressor);
    return status;
}

static kvorum_status load_unpacking(struct table_open *open, size_t place, uint8_t *scratch,
                                    struct lsm_block **ret_block)
{
    struct table_frame frame;
    kvorum_status status = read_framed(open, place, scratch, &frame);
    if (status != KVORUM_OK)
        return status;
    struct lsm_block *block = table_cache_reserve(open->cache, frame.raw_size);
    if (block == NULL)
        return KVORUM_NO_MEMORY;
    status = unpack(open->cache, &frame, scratch + TABLE_FRAME_SIZE, (uint8_t *)(block + 1));
    if (status == KVORUM_OK)
        status = finish(open, place, block, sizeof(*block), frame.raw_size);
    if (status != KVORUM_OK) {
        table_cache_discard(block);
        return status;
    }
    *ret_block = block;
    return KVORUM_OK;
}

static kvorum_status load_compressed(struct table_open *open, size_t place,
                                     struct lsm_block **ret_block)
{
    uint8_t small[SCRATCH_SIZE];
    size_t size = table_index_block_size(&open->index, place);
    if (size <= sizeof(small))
        return load_unpacking(open, place, small, ret_block);
    uint8_t *scratch = malloc(size);
    if (scratch == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = load_unpacking(open, place, scratch, ret_block);
    free(scratch);
    return status;
}

/* --- announcements ------------------------------------------------------------------------- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The piece of `size` bytes around `offset`, as far as blocks of entries reach. */
static void announce_piece(struct table_open *open, uint64_t offset, uint64_t size)
{
    uint64_t first = offset / size * size;
    uint64_t end = smaller(first + size, open->index.offsets[open->index.count]);
    open->file->ops->will_read(open->file, first, end - first);
}

static uint64_t region_size(const struct table_open *open)
{
    uint64_t least = open->foot.size / REGIONS + 1;
    return least > REGION_SIZE_MIN ? least : REGION_SIZE_MIN;
}

/* Everything will be asked for sooner or later, and a disk takes little longer for a region than
 * for a block. */
static void announce_region(struct table_open *open, uint64_t offset)
{
    uint64_t size = region_size(open), bit = (uint64_t)1 << (offset / size);
    if ((atomic_load_explicit(&open->announced, memory_order_relaxed) & bit) != 0 ||
        (atomic_fetch_or_explicit(&open->announced, bit, memory_order_relaxed) & bit) != 0)
        return;
    announce_piece(open, offset, AT_ONCE);
    announce_piece(open, offset, size);
}

kvorum_status table_block_load(struct table_open *open, size_t place, struct lsm_block **ret_block)
{
    assert(place < open->index.count);
    table_count(&table_cache_counters(open->cache)->misses);
    if (open->file->ops->will_read != NULL && table_cache_has_room(open->cache))
        announce_region(open, open->index.offsets[place]);
    if (open->compression == LSM_STORED)
        return load_stored(open, place, ret_block);
    return load_compressed(open, place, ret_block);
}
