/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the log.
 *
 *      log-0000000000000007.new   allocated and synced; name and content mean nothing yet
 *      log-0000000000000007.log   its header is whole, and the segment before it durable as far
 *                                 as it says
 *
 * Publishing is header, sync, rename, sync of the directory: a file with a final name has a valid
 * header, whenever the power fails.  After that the segment before says behind its end that there
 * is a next one, which is missed from then on if somebody takes it away. */
#include "engine/lsm/log/segment.h"

#include <assert.h>
#include <stdlib.h>

bool lsm_segment_notes_reserve(struct lsm *lsm, size_t count)
{
    size_t needed = lsm->note_count + count, capacity = lsm->note_capacity;
    if (needed <= capacity)
        return true;
    capacity = needed + 16;
    struct lsm_segment_note *notes = realloc(lsm->notes, capacity * sizeof(*notes));
    if (notes == NULL)
        return false;
    lsm->notes = notes;
    lsm->note_capacity = capacity;
    return true;
}

void lsm_segment_note(struct lsm *lsm, const struct lsm_segment_note *note)
{
    assert(lsm->note_count < lsm->note_capacity);
    lsm->notes[lsm->note_count++] = *note;
}

static kvorum_status segment_path(const struct lsm *lsm, uint64_t number, bool temporary,
                                  char *ret_path)
{
    return lsm_file_path(lsm, temporary ? LSM_FILE_LOG_NEW : LSM_FILE_LOG, number, ret_path);
}

/* A file that could not be synced is not tried again: the next attempt is another one.  But the
 * name of the first segment stays, for store.c takes it as a sign. */
static void abandon(struct lsm *lsm, const char *path, uint64_t number)
{
    if (number != 1)
        (void)lsm->disk->ops->remove(lsm->disk, path);
}

/* A block that was allocated but never written is noted as written by the first sync after it is,
 * which costs the file system as much again (88 instead of 144 us a sync of 9 kB, on ext4). */
static kvorum_status fill(struct disk_file *file, uint64_t size)
{
    static const uint8_t zeros[64 * 1024];
    kvorum_status status = KVORUM_OK;
    for (uint64_t at = 0; at < size && status == KVORUM_OK; at += sizeof(zeros)) {
        size_t part = size - at < sizeof(zeros) ? (size_t)(size - at) : sizeof(zeros);
        status = file->ops->pwrite(file, zeros, part, at);
    }
    return status;
}

/* An empty file of the whole size: what an earlier attempt left there is cut off first. */
static kvorum_status open_allocated(struct lsm *lsm, const char *path, uint64_t number,
                                    uint64_t capacity, bool filled, struct disk_file **ret_file)
{
    struct disk_file *file;
    kvorum_status status = lsm->disk->ops->open(lsm->disk, path, DISK_WRITE | DISK_CREATE, &file);
    if (status != KVORUM_OK)
        return status;
    status = file->ops->truncate(file, 0);
    if (status == KVORUM_OK)
        status = file->ops->allocate(file, capacity);
    if (status == KVORUM_OK && filled)
        status = fill(file, capacity);
    if (status == KVORUM_OK)
        status = file->ops->sync(file);
    if (status != KVORUM_OK) {
        file->ops->close(file);
        abandon(lsm, path, number);
        return status;
    }
    *ret_file = file;
    return KVORUM_OK;
}

kvorum_status lsm_segment_create(struct lsm *lsm, uint64_t number, uint64_t capacity, bool filled,
                                 struct lsm_segment **ret_segment)
{
    char path[LSM_PATH_SIZE];
    struct lsm_segment *segment = calloc(1, sizeof(*segment));
    if (segment == NULL)
        return KVORUM_NO_MEMORY;
    segment->header.store = lsm->store;
    segment->header.file = lsm_new_id(lsm);
    segment->header.number = number;
    segment->capacity = capacity;
    segment->filled = filled;
    segment->end = LSM_LOG_HEADER_SIZE;
    kvorum_status status = segment_path(lsm, number, true, path);
    if (status == KVORUM_OK)
        status = open_allocated(lsm, path, number, capacity, filled, &segment->file);
    if (status != KVORUM_OK) {
        free(segment);
        return status;
    }
    *ret_segment = segment;
    return KVORUM_OK;
}

kvorum_status lsm_segment_publish(struct lsm *lsm, struct lsm_segment *segment)
{
    char from[LSM_PATH_SIZE], to[LSM_PATH_SIZE];
    uint8_t header[LSM_LOG_HEADER_SIZE];
    struct disk_file *file = segment->file;
    lsm_log_header_encode(&segment->header, header);
    kvorum_status status = segment_path(lsm, segment->header.number, true, from);
    if (status == KVORUM_OK)
        status = segment_path(lsm, segment->header.number, false, to);
    if (status == KVORUM_OK)
        status = file->ops->pwrite(file, header, sizeof(header), 0);
    if (status == KVORUM_OK)
        status = file->ops->sync(file);
    if (status == KVORUM_OK)
        status = lsm->disk->ops->rename(lsm->disk, from, to);
    if (status == KVORUM_OK)
        status = lsm->disk->ops->sync_dir(lsm->disk, lsm->path);
    return status;
}

/* Not synced: where it is lost with the power, the loss of the last segment would not be noticed,
 * and nothing else depends on it.  So its failure is none. */
void lsm_segment_has_next(struct disk_file *file, const struct lsm_id *id, uint64_t end,
                          uint64_t next_sequence)
{
    const struct lsm_log_record record = { .sequence = next_sequence, .type = LSM_LOG_NEXT };
    uint8_t bytes[LSM_LOG_RECORD_SIZE];
    lsm_log_record_encode(id, end, &record, bytes);
    (void)file->ops->pwrite(file, bytes, sizeof(bytes), end);
}

static bool is_mapped(struct lsm_segment *segment)
{
    struct disk_file *file = segment->file;
    if (!segment->map_tried && file->ops->map != NULL &&
        file->ops->map(file, segment->capacity, &segment->memory) != KVORUM_OK)
        segment->memory = NULL;
    segment->map_tried = true;
    return segment->memory != NULL;
}

enum { WRITE_FROM = 16 << 10 };

/* A large group meets a page fault every 4 KiB, which together cost more than a call.  And for a
 * little one among them the fault has blocks far ahead zeroed, which the large ones overwrite. */
static bool are_small(struct lsm *lsm, size_t size)
{
    lsm->small_writes = size < WRITE_FROM ? lsm->small_writes + 1 : 0;
    return lsm->small_writes > LSM_COPY_AFTER;
}

/* Without a sync, copying is all: no system call for each little group.  With one, the pages would
 * have to be taken out of the mapping again each time, which costs more than the call. */
kvorum_status lsm_segment_write(struct lsm *lsm, struct lsm_segment *segment, struct bytes bytes,
                                uint64_t offset, bool sync_follows)
{
    struct disk_file *file = segment->file;
    assert(offset + bytes.size <= segment->capacity);
    if (!are_small(lsm, bytes.size) || sync_follows || !is_mapped(segment))
        return file->ops->pwrite(file, bytes.data, bytes.size, offset);
    memcpy(segment->memory + offset, bytes.data, bytes.size);
    return KVORUM_OK;
}

void lsm_segment_close(struct lsm *lsm, struct lsm_segment *segment, bool remove)
{
    char path[LSM_PATH_SIZE];
    if (segment == NULL)
        return;
    if (segment->memory != NULL)
        segment->file->ops->unmap(segment->file, segment->memory, segment->capacity);
    segment->file->ops->close(segment->file);
    if (remove && segment_path(lsm, segment->header.number, true, path) == KVORUM_OK)
        (void)lsm->disk->ops->remove(lsm->disk, path); /* a leftover is removed at the next open */
    free(segment);
}
