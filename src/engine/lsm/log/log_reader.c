/* SPDX-License-Identifier: Apache-2.0 */
/* A window slides over the file.  The header of a record is checked before its size is believed, so
 * a damaged size makes neither a large allocation nor a large jump. */
#include "engine/lsm/log/log_reader.h"

#include <stdlib.h>

enum { WINDOW_SIZE = 1024 * 1024 };

kvorum_status lsm_log_reader_init(struct lsm_log_reader *reader, struct disk_file *file)
{
    *reader = (struct lsm_log_reader){ .file = file, .offset = LSM_LOG_HEADER_SIZE };
    uint8_t bytes[LSM_LOG_HEADER_SIZE];
    size_t size = 0;
    kvorum_status status = file->ops->size(file, &reader->file_size);
    if (status == KVORUM_OK)
        status = file->ops->pread(file, bytes, sizeof(bytes), 0, &size);
    if (status == KVORUM_OK)
        status = lsm_log_header_decode(bytes_make(bytes, size), &reader->header);
    reader->sequence = reader->header.first_sequence;
    return status;
}

void lsm_log_reader_done(struct lsm_log_reader *reader)
{
    free(reader->window);
    reader->window = NULL;
}

static bool window_grow(struct lsm_log_reader *reader, uint64_t size)
{
    size_t capacity = size < WINDOW_SIZE ? WINDOW_SIZE : (size_t)size;
    if (capacity <= reader->window_capacity)
        return true;
    uint8_t *window = realloc(reader->window, capacity);
    if (window == NULL)
        return false;
    reader->window = window;
    reader->window_capacity = capacity;
    return true;
}

/* Have `size` bytes at `offset` in the window, or as many as the file has. */
static kvorum_status window_move(struct lsm_log_reader *reader, uint64_t offset, uint64_t size)
{
    uint64_t rest = offset < reader->file_size ? reader->file_size - offset : 0;
    if (size > rest)
        size = rest;
    if (offset >= reader->window_offset &&
        offset + size <= reader->window_offset + reader->window_size)
        return KVORUM_OK;
    if (!window_grow(reader, size))
        return KVORUM_NO_MEMORY;
    size_t wanted = rest < reader->window_capacity ? (size_t)rest : reader->window_capacity;
    reader->window_offset = offset;
    reader->window_size = 0;
    return reader->file->ops->pread(reader->file, reader->window, wanted, offset,
                                    &reader->window_size);
}

static struct bytes window_bytes(const struct lsm_log_reader *reader, uint64_t offset)
{
    uint64_t skip = offset - reader->window_offset;
    if (offset < reader->window_offset || skip >= reader->window_size)
        return (struct bytes){ 0 };
    return bytes_make(reader->window + skip, reader->window_size - (size_t)skip);
}

/* NOT_FOUND: no valid record at `offset`. */
static kvorum_status record_at(struct lsm_log_reader *reader, uint64_t offset,
                               struct lsm_log_record *ret_record, uint64_t *ret_size)
{
    uint64_t size = LSM_LOG_RECORD_SIZE;
    for (;;) {
        kvorum_status status = window_move(reader, offset, size);
        if (status != KVORUM_OK)
            return status;
        struct bytes bytes = window_bytes(reader, offset);
        enum lsm_log_found found =
            lsm_log_record_decode(&reader->header.file, offset, bytes, ret_record, &size);
        if (found == LSM_LOG_FOUND) {
            *ret_size = size;
            return KVORUM_OK;
        }
        if (found == LSM_LOG_NONE || size > reader->file_size - offset || bytes.size >= size)
            return KVORUM_NOT_FOUND;
    }
}

kvorum_status lsm_log_reader_next(struct lsm_log_reader *reader, struct lsm_log_record *ret_record)
{
    struct lsm_log_record record;
    uint64_t size;
    kvorum_status status = record_at(reader, reader->offset, &record, &size);
    if (status != KVORUM_OK)
        return status;
    if (record.sequence != reader->sequence)
        return KVORUM_NOT_FOUND;
    reader->offset += size;
    reader->sequence++;
    *ret_record = record;
    return KVORUM_OK;
}

kvorum_status lsm_log_reader_search(struct lsm_log_reader *reader, uint64_t *ret_offset)
{
    uint64_t offset = reader->offset;
    while (offset + LSM_LOG_RECORD_SIZE <= reader->file_size) {
        struct lsm_log_record record;
        uint64_t size;
        kvorum_status status = record_at(reader, offset, &record, &size);
        if (status == KVORUM_OK && lsm_log_durable(&record) >= reader->sequence) {
            *ret_offset = offset;
            return KVORUM_OK;
        }
        if (status != KVORUM_OK && status != KVORUM_NOT_FOUND)
            return status;
        offset += status == KVORUM_OK ? size : LSM_LOG_ALIGNMENT;
    }
    return KVORUM_NOT_FOUND;
}
