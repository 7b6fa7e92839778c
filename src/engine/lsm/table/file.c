/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/file.h"

#include "codec/varint.h"
#include "engine/lsm/table/memory.h"

#include <assert.h>

enum { LINE_SIZE = 64 };

kvorum_status table_file_read(struct disk_file *file, uint64_t offset, uint8_t *data, uint64_t size)
{
    size_t got = 0;
    kvorum_status status = file->ops->pread(file, data, size, offset, &got);
    if (status != KVORUM_OK)
        return status;
    return got == size ? KVORUM_OK : KVORUM_CORRUPT;
}

/* --- foot ---------------------------------------------------------------------------------- */

/* A file without a foot: one of ours that was cut or damaged, or none of ours? */
static kvorum_status judge_by_head(struct disk_file *file)
{
    uint8_t bytes[TABLE_HEAD_SIZE];
    struct table_head head;
    size_t got = 0;
    kvorum_status status = file->ops->pread(file, bytes, sizeof(bytes), 0, &got);
    if (status == KVORUM_OK)
        status = table_head_decode(bytes_make(bytes, got), &head);
    return status == KVORUM_OK ? KVORUM_CORRUPT : status;
}

kvorum_status table_file_foot(struct disk_file *file, struct table_foot *ret_foot)
{
    uint8_t bytes[TABLE_FOOT_SIZE];
    uint64_t size = 0;
    struct table_foot foot;
    kvorum_status status = file->ops->size(file, &size);
    if (status != KVORUM_OK)
        return status;
    if (size < TABLE_HEAD_SIZE + TABLE_FOOT_SIZE)
        return judge_by_head(file);
    status = table_file_read(file, size - TABLE_FOOT_SIZE, bytes, TABLE_FOOT_SIZE);
    if (status != KVORUM_OK)
        return status;
    status = table_foot_decode(bytes_make(bytes, sizeof(bytes)), &foot);
    if (status == KVORUM_FOREIGN)
        return judge_by_head(file);
    if (status == KVORUM_OK && foot.size != size)
        return KVORUM_CORRUPT;
    if (status == KVORUM_OK)
        *ret_foot = foot;
    return status;
}

uint64_t table_foot_block_end(const struct table_foot *foot, uint64_t offset)
{
    const uint64_t next[] = { foot->filter, foot->index, foot->properties,
                              foot->size - TABLE_FOOT_SIZE };
    for (int i = 0; i < 4; i++)
        if (next[i] > offset)
            return next[i];
    assert(false);
    return 0;
}

/* --- blocks -------------------------------------------------------------------------------- */

void table_raw_done(struct table_raw *raw)
{
    table_memory_destroy(raw->memory);
    *raw = (struct table_raw){ 0 };
}

kvorum_status table_file_block(struct disk_file *file, const struct table_foot *foot,
                               uint64_t offset, enum table_block_type type, size_t skew,
                               struct table_raw *ret_raw)
{
    struct table_frame frame;
    uint64_t size = table_foot_block_end(foot, offset) - offset;
    size_t memory_size = size + 2 * LINE_SIZE;
    uint8_t *memory = table_memory_create(&memory_size);
    if (memory == NULL)
        return KVORUM_NO_MEMORY;
    uint8_t *block = memory + LINE_SIZE - skew - TABLE_FRAME_SIZE;
    kvorum_status status = table_file_read(file, offset, block, size);
    if (status == KVORUM_OK)
        status = table_frame_decode(&foot->file, offset, bytes_make(block, size), type, &frame);
    if (status == KVORUM_OK && frame.compression != LSM_STORED)
        status = KVORUM_CORRUPT;
    if (status != KVORUM_OK) {
        table_memory_destroy(memory);
        return status;
    }
    *ret_raw = (struct table_raw){ memory, memory_size,
                                   bytes_make(block + TABLE_FRAME_SIZE, frame.raw_size) };
    return KVORUM_OK;
}

/* --- ranges -------------------------------------------------------------------------------- */

kvorum_status table_ranges_visit(struct bytes raw, uint64_t count,
                                 kvorum_status (*visit)(void *context,
                                                        const struct lsm_range *range),
                                 void *context)
{
    struct reader reader = reader_of(raw);
    for (uint64_t i = 0; i < count && (count != UINT64_MAX || reader.rest.size > 0); i++) {
        struct lsm_range range = { 0 };
        range.lower = read_sized(&reader, ENGINE_KEY_SIZE_MAX + 1);
        range.upper = read_sized(&reader, ENGINE_KEY_SIZE_MAX + 1);
        range.sequence = read_varint(&reader);
        if (reader.failed || range.sequence > LSM_SEQUENCE_MAX ||
            !lsm_below_upper(range.lower, range.upper))
            return KVORUM_CORRUPT;
        kvorum_status status = visit(context, &range);
        if (status != KVORUM_OK)
            return status;
    }
    return reader_finished(&reader) ? KVORUM_OK : KVORUM_CORRUPT;
}
