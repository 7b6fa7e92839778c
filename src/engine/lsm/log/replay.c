/* SPDX-License-Identifier: Apache-2.0 */
/* Replay of the log's segments into memtables, and the judgement of how the last one ends.
 *
 *      segment 1 .. n-1   must be whole up to where the header of the next says they end
 *      segment n          whole up to the first place without a valid record
 *                           a "next" before it: segment n+1 was taken away?  CORRUPT
 *                           a record behind it proves that the log was durable beyond it?  CORRUPT
 *                           otherwise it is what a crash leaves: dropped, counted */
#include "base/planted.h"
#include "engine/common/batch.h"
#include "engine/lsm/background/background.h"
#include "engine/lsm/log/recover_internal.h"
#include "engine/lsm/log/segment.h"
#include <stdlib.h>

/* --- one segment --------------------------------------------------------------------------- */

kvorum_status lsm_recovery_damaged(const struct recovery *recovery, uint64_t number,
                                   uint64_t offset, kvorum_status status, const char *what)
{
    char name[LSM_NAME_SIZE];
    lsm_file_name(LSM_FILE_LOG, number, name);
    log_error(recovery->lsm->log, what, LOG_TEXT("store", recovery->lsm->path),
              LOG_TEXT("file", name), LOG_U64("offset", offset), LOG_STATUS(status));
    return status;
}

void lsm_recovery_leave(struct recovery *recovery)
{
    lsm_log_reader_done(&recovery->reader);
    if (recovery->file != NULL)
        recovery->file->ops->close(recovery->file);
    recovery->file = NULL;
}

kvorum_status lsm_recovery_open(const struct recovery *recovery, uint64_t number, unsigned flags,
                                struct disk_file **ret_file)
{
    char path[LSM_PATH_SIZE];
    struct disk *disk = recovery->lsm->disk;
    kvorum_status status = lsm_file_path(recovery->lsm, LSM_FILE_LOG, number, path);
    return status == KVORUM_OK ? disk->ops->open(disk, path, flags, ret_file) : status;
}

/* The first one that is needed may begin with batches that are in tables. */
static bool begins_where_due(const struct recovery *recovery, const struct lsm_log_header *header)
{
    const struct lsm *lsm = recovery->lsm;
    if (header->number == lsm->first_segment)
        return header->first_sequence > 0 && header->first_sequence <= lsm->flushed_batch + 1;
    return header->first_sequence == lsm->taken + 1;
}

/* The header must name this store, this number, and the batch that is due. */
static kvorum_status segment_enter(struct recovery *recovery, uint64_t number)
{
    struct lsm *lsm = recovery->lsm;
    lsm_recovery_leave(recovery);
    kvorum_status status = lsm_recovery_open(recovery, number, DISK_READ, &recovery->file);
    if (status != KVORUM_OK)
        return status;
    status = lsm_log_reader_init(&recovery->reader, recovery->file);
    const struct lsm_log_header *header = &recovery->reader.header;
    if (status == KVORUM_IO || status == KVORUM_NO_MEMORY)
        return status;
    if (status != KVORUM_OK)
        return lsm_recovery_damaged(recovery, number, 0, status,
                                    "the header of a log segment cannot be read");
    if (header->store.low != lsm->store.low || header->store.high != lsm->store.high)
        return lsm_recovery_damaged(recovery, number, 16, KVORUM_FOREIGN,
                                    "a log segment belongs to another store");
    if (header->number != number || !begins_where_due(recovery, header))
        return lsm_recovery_damaged(recovery, number, 48, KVORUM_CORRUPT,
                                    "a log segment is out of place");
    lsm->taken = header->first_sequence - 1;
    return KVORUM_OK;
}

/* A memtable that fills up while the log is read becomes a table at once. */
static kvorum_status flush_if_full(struct lsm *lsm)
{
    const struct lsm_memtable *active = lsm_state_now(lsm)->active;
    if (lsm->options.read_only || lsm_memtable_used(active) < lsm->options.memtable_size)
        return KVORUM_OK;
    pthread_mutex_lock(&lsm->mutex);
    kvorum_status status = lsm_freeze(lsm);
    if (status == KVORUM_OK)
        status = lsm_flush_oldest(lsm);
    pthread_mutex_unlock(&lsm->mutex);
    return status;
}

static kvorum_status apply(struct lsm *lsm, const struct lsm_log_record *record)
{
    struct lsm_memtable *active = lsm_state_now(lsm)->active;
    struct batch_totals totals;
    if (!batch_measure(record->payload, &totals))
        return KVORUM_CORRUPT;
    kvorum_status status =
        lsm_memtable_reserve(active, record->payload, &totals, lsm->sequence + 1);
    if (status != KVORUM_OK)
        return status;
    lsm->sequence = lsm_memtable_apply(active, record->payload, lsm->sequence + 1);
    active->batch_last = record->sequence;
    atomic_store(&lsm->visible, lsm->sequence);
    lsm_memtable_reclaim(active);
    lsm->counts.recovered_batches++;
    return flush_if_full(lsm);
}

static kvorum_status replay(struct recovery *recovery, const struct lsm_log_record *record)
{
    struct lsm *lsm = recovery->lsm;
    if (record->type == LSM_LOG_NEXT) /* stands behind the end only */
        return KVORUM_CORRUPT;
    recovery->mark_ends = record->type == LSM_LOG_MARK;
    lsm->taken = record->sequence;
    if (record->type == LSM_LOG_MARK || record->sequence <= lsm->flushed_batch)
        return KVORUM_OK;
    return apply(lsm, record);
}

/* --- segments that have a successor -------------------------------------------------------- */

static kvorum_status replay_until(struct recovery *recovery, uint64_t number, uint64_t end)
{
    struct lsm_log_reader *reader = &recovery->reader;
    struct lsm_log_record record;
    while (reader->offset < end) {
        uint64_t offset = reader->offset;
        kvorum_status status = lsm_log_reader_next(reader, &record);
        if (status == KVORUM_OK)
            status = replay(recovery, &record);
        if (status == KVORUM_NOT_FOUND || status == KVORUM_CORRUPT)
            return lsm_recovery_damaged(recovery, number, offset, KVORUM_CORRUPT,
                                        "a durable record of the log is damaged");
        if (status != KVORUM_OK)
            return status;
    }
    if (reader->offset != end)
        return lsm_recovery_damaged(recovery, number, end, KVORUM_CORRUPT,
                                    "a log segment is out of place");
    return KVORUM_OK;
}

static kvorum_status previous_size_of(struct recovery *recovery, uint64_t number,
                                      uint64_t *ret_size)
{
    struct disk_file *file;
    struct lsm_log_reader reader;
    kvorum_status status = lsm_recovery_open(recovery, number, DISK_READ, &file);
    if (status != KVORUM_OK)
        return status;
    status = lsm_log_reader_init(&reader, file);
    lsm_log_reader_done(&reader);
    file->ops->close(file);
    if (status == KVORUM_IO || status == KVORUM_NO_MEMORY)
        return status;
    if (status != KVORUM_OK)
        return lsm_recovery_damaged(recovery, number, 0, status,
                                    "the header of a log segment cannot be read");
    *ret_size = reader.header.previous_size;
    return KVORUM_OK;
}

kvorum_status lsm_leave_behind(struct lsm *lsm, uint64_t number, uint64_t size)
{
    if (!lsm_segment_notes_reserve(lsm, 2))
        return KVORUM_NO_MEMORY;
    lsm_segment_note(lsm, &(struct lsm_segment_note){ number, lsm->taken, size });
    lsm->log_size += size;
    return KVORUM_OK;
}

kvorum_status lsm_replay_whole(struct recovery *recovery, uint64_t number)
{
    uint64_t end = 0;
    kvorum_status status = previous_size_of(recovery, number + 1, &end);
    if (status == KVORUM_OK)
        status = segment_enter(recovery, number);
    if (status == KVORUM_OK)
        status = replay_until(recovery, number, end);
    return status == KVORUM_OK ? lsm_leave_behind(recovery->lsm, number, end) : status;
}

/* --- the last segment ---------------------------------------------------------------------- */

static bool tail_add(struct tail *tail, uint64_t offset, uint64_t sequence)
{
    if (tail->first == tail->count)
        tail->sequence = sequence;
    if (tail->count == tail->capacity) {
        size_t capacity = tail->capacity == 0 ? 1024 : tail->capacity * 2;
        uint64_t *offsets = realloc(tail->offsets, capacity * sizeof(*offsets));
        if (offsets == NULL)
            return false;
        tail->offsets = offsets;
        tail->capacity = capacity;
    }
    tail->offsets[tail->count++] = offset;
    return true;
}

static void tail_drop(struct tail *tail, uint64_t durable)
{
    while (tail->first < tail->count && tail->sequence <= durable) {
        tail->first++;
        tail->sequence++;
    }
}

static kvorum_status replay_valid(struct recovery *recovery)
{
    struct lsm_log_reader *reader = &recovery->reader;
    for (;;) {
        struct lsm_log_record record;
        uint64_t offset = reader->offset;
        kvorum_status status = lsm_log_reader_next(reader, &record);
        if (status != KVORUM_OK)
            return status == KVORUM_NOT_FOUND ? KVORUM_OK : status;
        if (record.type == LSM_LOG_NEXT)
            return lsm_recovery_damaged(recovery, reader->header.number + 1, 0, KVORUM_CORRUPT,
                                        "a segment of the log is missing");
        tail_drop(&recovery->tail, lsm_log_durable(&record));
        if (!tail_add(&recovery->tail, offset, record.sequence))
            return KVORUM_NO_MEMORY;
        status = replay(recovery, &record);
        if (status == KVORUM_CORRUPT)
            return lsm_recovery_damaged(recovery, reader->header.number, offset, status,
                                        "a record of the log holds no batch");
        if (status != KVORUM_OK)
            return status;
    }
}

/* Bytes behind the valid records that are not zero: what was torn. */
static kvorum_status measure_torn(struct recovery *recovery)
{
    uint64_t end = recovery->reader.offset, last = end;
    uint8_t bytes[4096];
    for (uint64_t at = end; at < recovery->reader.file_size; at += sizeof(bytes)) {
        size_t size = 0;
        kvorum_status status =
            recovery->file->ops->pread(recovery->file, bytes, sizeof(bytes), at, &size);
        if (status != KVORUM_OK)
            return status;
        while (size > 0 && bytes[size - 1] == 0)
            size--;
        if (size > 0)
            last = at + size;
    }
    recovery->lsm->counts.dropped_tail_size = last - end;
    if (last > end)
        PROBE("lsm: a torn tail was dropped");
    return KVORUM_OK;
}

static kvorum_status judge_end(struct recovery *recovery)
{
    struct lsm *lsm = recovery->lsm;
    uint64_t proof, number = recovery->reader.header.number, offset = recovery->reader.offset;
    recovery->end = offset;
    kvorum_status status = lsm_log_reader_search(&recovery->reader, &proof);
    if (status == KVORUM_OK)
        return lsm_recovery_damaged(recovery, number, offset, KVORUM_CORRUPT,
                                    "a durable record of the log is damaged");
    if (status != KVORUM_NOT_FOUND)
        return status;
    status = measure_torn(recovery);
    if (status == KVORUM_OK && lsm->counts.dropped_tail_size > 0)
        log_warn(lsm->log, "the torn tail of the log was dropped, as after a crash",
                 LOG_TEXT("store", lsm->path), LOG_U64("segment", number),
                 LOG_U64("offset", offset), LOG_U64("size", lsm->counts.dropped_tail_size));
    return status;
}

kvorum_status lsm_replay_last(struct recovery *recovery, uint64_t number)
{
    kvorum_status status = segment_enter(recovery, number);
    recovery->mark_ends = false;
    if (status == KVORUM_OK)
        status = replay_valid(recovery);
    return status == KVORUM_OK ? judge_end(recovery) : status;
}
