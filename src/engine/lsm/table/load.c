/* SPDX-License-Identifier: Apache-2.0 */
/* A miss: one read of exactly the block, straight into the cache when it is stored as it is; or,
 * while the cache is not full, of the blocks around it too:
 *
 *      region   | chunk | chunk | chunk | chunk |    of 4 * 256 blocks: the first miss in one tells
 *                           ^ miss                   the disk that all of it will be read
 *
 *  and each miss reads its chunk, into the cache.  Meanwhile the disk has something to do. */
#include "engine/lsm/table/open.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SCRATCH_SIZE = 16 * 1024,
    NEIGHBOURS = 256,
    REGION_CHUNKS = 4,
    CHUNK_SIZE_MAX = 2048 * 1024
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

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

/* --- neighbours ---------------------------------------------------------------------------- */

/* One block of a chunk that was read: into its slot, if that is still empty.  What is wrong with a
 * neighbour is told to who asks for it. */
static void adopt(struct table_open *open, size_t place, const uint8_t *framed, size_t size)
{
    struct table_frame frame;
    uint64_t offset = open->index.offsets[place];
    if (atomic_load(table_slot(open, place)) != NULL ||
        table_frame_decode(&open->foot.file, offset, bytes_make(framed, size), TABLE_ENTRIES,
                           &frame) != KVORUM_OK)
        return;
    struct lsm_block *block = table_cache_reserve(open->cache, frame.raw_size);
    if (block == NULL)
        return;
    kvorum_status status =
        unpack(open->cache, &frame, framed + TABLE_FRAME_SIZE, (uint8_t *)(block + 1));
    if (status == KVORUM_OK)
        status = finish(open, place, block, sizeof(*block), frame.raw_size);
    if (status != KVORUM_OK)
        table_cache_discard(block);
}

/* Was any of its chunks read before?  A look at the first block of each will do for a hint. */
static bool region_known(struct table_open *open, size_t first, size_t end)
{
    for (; first < end; first += NEIGHBOURS)
        if (atomic_load(table_slot(open, first)) != NULL)
            return true;
    return false;
}

/* What is wanted at once comes first: the rest of its region must not stand before it. */
static void announce_region(struct table_open *open, size_t chunk)
{
    const uint64_t *offsets = open->index.offsets;
    size_t width = NEIGHBOURS * REGION_CHUNKS, first = chunk / width * width;
    size_t end = smaller(first + width, open->index.count);
    if (open->file->ops->will_read == NULL || region_known(open, first, end))
        return;
    size_t chunk_end = smaller(chunk + NEIGHBOURS, end);
    open->file->ops->will_read(open->file, offsets[chunk], offsets[chunk_end] - offsets[chunk]);
    open->file->ops->will_read(open->file, offsets[first], offsets[end] - offsets[first]);
}

/* While the cache has room for (nearly) everything, a miss brings its neighbours along: one read of
 * the disk costs little more for many blocks than for one, and they would be asked for one by one.
 * A larger store reads what it needs and no more. */
static void load_neighbours(struct table_open *open, size_t place)
{
    size_t first = place / NEIGHBOURS * NEIGHBOURS;
    size_t end = smaller(first + NEIGHBOURS, open->index.count);
    uint64_t begin = open->index.offsets[first], size = open->index.offsets[end] - begin;
    uint8_t *chunk = size <= CHUNK_SIZE_MAX ? malloc(size + TABLE_SLACK) : NULL;
    if (chunk == NULL)
        return;
    announce_region(open, first);
    if (table_file_read(open->file, begin, chunk, size) == KVORUM_OK)
        for (size_t i = first; i < end && table_cache_has_room(open->cache); i++)
            adopt(open, i, chunk + (open->index.offsets[i] - begin),
                  table_index_block_size(&open->index, i));
    free(chunk);
}

kvorum_status table_block_load(struct table_open *open, size_t place, struct lsm_block **ret_block)
{
    assert(place < open->index.count);
    table_count(&table_cache_counters(open->cache)->misses);
    if (table_cache_has_room(open->cache)) {
        load_neighbours(open, place);
        *ret_block = atomic_load(table_slot(open, place));
        if (*ret_block != NULL)
            return KVORUM_OK;
    }
    if (open->compression == LSM_STORED)
        return load_stored(open, place, ret_block);
    return load_compressed(open, place, ret_block);
}
