/* SPDX-License-Identifier: Apache-2.0 */
/* A block is put together where it will be written from:
 *
 *      data | ... framed blocks | frame | raw block | zeros | room to compress it into |
 *                                 ^ size
 */
#include "engine/lsm/table/output.h"

#include <assert.h>
#include <stdlib.h>

enum { PIECE_SIZE = 1024 * 1024, CAPACITY_MIN = PIECE_SIZE + 64 * 1024 };

static bool make_room(struct table_output *output, size_t size)
{
    if (output->capacity - output->size >= size)
        return true;
    size_t capacity = output->size + size;
    if (capacity < CAPACITY_MIN)
        capacity = CAPACITY_MIN;
    uint8_t *data = realloc(output->data, capacity);
    if (data == NULL)
        return false;
    output->data = data;
    output->capacity = capacity;
    return true;
}

static size_t padded(size_t raw_size)
{
    return (size_t)table_framed_size(raw_size);
}

uint8_t *table_output_reserve(struct table_output *output, size_t raw_size)
{
    size_t spare = 0;
    if (output->compressor.kind != LSM_STORED)
        spare = table_compressed_limit(raw_size);
    if (raw_size > TABLE_BLOCK_SIZE_MAX || !make_room(output, padded(raw_size) + spare))
        return NULL;
    return output->data + output->size + TABLE_FRAME_SIZE;
}

static kvorum_status write_out(struct table_output *output)
{
    kvorum_status status =
        output->file->ops->pwrite(output->file, output->data, output->size, output->written);
    if (status != KVORUM_OK)
        return status;
    output->written += output->size;
    output->size = 0;
    return KVORUM_OK;
}

static size_t compress_in_place(struct table_output *output, struct bytes raw)
{
    uint8_t *spare = output->data + output->size + padded(raw.size);
    size_t size = table_compress(&output->compressor, raw, spare);
    if (size > 0)
        memcpy(output->data + output->size + TABLE_FRAME_SIZE, spare, size);
    return size;
}

kvorum_status table_output_block(struct table_output *output, enum table_block_type type,
                                 size_t raw_size, bool compress, uint64_t *ret_framed_size)
{
    uint8_t *block = output->data + output->size;
    struct table_frame frame = { (uint32_t)raw_size, (uint32_t)raw_size, type, LSM_STORED };
    size_t size = 0;
    if (compress && output->compressor.kind != LSM_STORED)
        size = compress_in_place(output, bytes_make(block + TABLE_FRAME_SIZE, raw_size));
    if (size > 0) {
        frame.stored_size = (uint32_t)size;
        frame.compression = output->compressor.kind;
    }
    table_frame_encode(&output->id, table_output_end(output), &frame, block);
    uint64_t framed_size = table_framed_size(frame.stored_size);
    output->size += (size_t)framed_size;
    if (ret_framed_size != NULL)
        *ret_framed_size = framed_size;
    return output->size >= PIECE_SIZE ? write_out(output) : KVORUM_OK;
}

kvorum_status table_output_append(struct table_output *output, struct bytes bytes)
{
    if (!make_room(output, bytes.size))
        return KVORUM_NO_MEMORY;
    memcpy(output->data + output->size, bytes.data, bytes.size);
    output->size += bytes.size;
    return KVORUM_OK;
}

kvorum_status table_output_sync(struct table_output *output)
{
    kvorum_status status = output->size > 0 ? write_out(output) : KVORUM_OK;
    return status == KVORUM_OK ? output->file->ops->sync(output->file) : status;
}
