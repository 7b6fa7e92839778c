/* SPDX-License-Identifier: Apache-2.0 */
/* The segment to go on in, after a replay.
 *
 *      | durable for sure      | tail: valid, durable or not | torn or zeros
 *      |<-- replayed ----------|-----------------------------|   then
 *      |<-- stays -------------|-- copied to segment n+1 ----> synced before anything is served
 *
 * What the page cache shows after a failed sync may not be on disk, so the tail is written again,
 * to a new file, and the old one ends where that one's header says. Nothing is ever appended to
 * an old segment but that there is a next one. When nothing in segment n was durable for sure, its
 * successor takes its number and place. */
#include "base/planted.h"
#include "engine/lsm/levels/install.h"
#include "engine/lsm/log/recover_internal.h"
#include "engine/lsm/log/segment.h"

#include <stdlib.h>

/* --- the tail ------------------------------------------------------------------------------ */

static uint64_t tail_offset(const struct recovery *recovery)
{
    const struct tail *tail = &recovery->tail;
    return tail->first < tail->count ? tail->offsets[tail->first] : recovery->end;
}

static kvorum_status write_record(struct lsm_segment *segment, const struct lsm_log_record *record,
                                  uint64_t durable)
{
    struct lsm_log_record copy = *record;
    uint64_t size = lsm_log_record_size(record->payload.size);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return KVORUM_NO_MEMORY;
    copy.undurable = (uint32_t)(record->sequence - 1 - durable);
    lsm_log_record_encode(&segment->header.file, segment->end, &copy, bytes);
    kvorum_status status = segment->file->ops->pwrite(segment->file, bytes, size, segment->end);
    segment->end += size;
    free(bytes);
    return status;
}

/* The mark that a close left at the end has done its duty. */
static kvorum_status copy_tail(struct recovery *recovery, struct lsm_segment *segment)
{
    struct lsm_log_reader *reader = &recovery->reader;
    uint64_t last = recovery->lsm->taken - recovery->mark_ends;
    reader->offset = tail_offset(recovery);
    reader->sequence = segment->header.first_sequence;
    while (reader->sequence <= last) {
        struct lsm_log_record record;
        kvorum_status status = lsm_log_reader_next(reader, &record);
        if (status == KVORUM_NOT_FOUND) /* read a moment ago */
            return KVORUM_IO;
        if (status == KVORUM_OK)
            status = write_record(segment, &record, segment->header.first_sequence - 1);
        if (status != KVORUM_OK)
            return status;
    }
    recovery->lsm->taken = last;
    return KVORUM_OK;
}

/* --- the new segment ----------------------------------------------------------------------- */

static kvorum_status begin_segment(struct recovery *recovery, const struct lsm_log_header *header,
                                   uint64_t tail_size)
{
    struct lsm *lsm = recovery->lsm;
    uint64_t size = LSM_LOG_HEADER_SIZE + tail_size + LSM_LOG_RECORD_SIZE; /* of "next" */
    uint64_t capacity = size > lsm->segment_size ? size : lsm->segment_size;
    struct lsm_segment *segment;
    kvorum_status status = lsm_segment_create(lsm, header->number, capacity, false, &segment);
    if (status != KVORUM_OK)
        return status;
    segment->header.first_sequence = header->first_sequence;
    segment->header.previous_size = header->previous_size;
    if (tail_size > 0)
        status = copy_tail(recovery, segment);
    if (status == KVORUM_OK)
        status = lsm_segment_publish(lsm, segment);
    if (status != KVORUM_OK) {
        lsm_segment_close(lsm, segment, false);
        return status;
    }
    lsm->active = lsm->named = segment;
    lsm->log_size += segment->end;
    return KVORUM_OK;
}

/* From now on the lack of a log is damage. */
static kvorum_status log_is_there(struct lsm *lsm)
{
    if (!lsm->log_begins)
        return KVORUM_OK;
    pthread_mutex_lock(&lsm->mutex);
    lsm->log_begins = false;
    kvorum_status status = lsm_install(lsm, &(struct lsm_install){ 0 });
    pthread_mutex_unlock(&lsm->mutex);
    return status;
}

/* --- behind what was replayed -------------------------------------------------------------- */

/* The old last segment gives back the blocks behind its end, and says that there is a next one; if
 * that fails they are only wasted. */
static void cut_old(struct recovery *recovery, uint64_t size)
{
    const struct lsm_log_header *old = &recovery->reader.header;
    struct disk_file *file;
    if (lsm_recovery_open(recovery, old->number, DISK_WRITE, &file) != KVORUM_OK)
        return;
    if (file->ops->truncate(file, size) == KVORUM_OK)
        lsm_segment_has_next(file, &old->file, size, recovery->lsm->active->header.first_sequence);
    file->ops->close(file);
}

/* The old last segment holds what comes before the first batch of the new one. */
static kvorum_status leave_behind_kept(struct recovery *recovery, uint64_t number, uint64_t size)
{
    struct lsm *lsm = recovery->lsm;
    uint64_t taken = lsm->taken;
    lsm->taken = lsm->active->header.first_sequence - 1;
    kvorum_status status = lsm_leave_behind(lsm, number, size);
    lsm->taken = taken;
    return status;
}

kvorum_status lsm_resume_log(struct recovery *recovery)
{
    const struct lsm_log_header *old = &recovery->reader.header;
    uint64_t keep = tail_offset(recovery);
    struct lsm_log_header header = *old;
    if (keep > LSM_LOG_HEADER_SIZE) {
        header.number = old->number + 1;
        header.previous_size = keep;
        header.first_sequence =
            recovery->lsm->taken + 1 - (recovery->tail.count - recovery->tail.first);
    }
    kvorum_status status = begin_segment(recovery, &header, recovery->end - keep);
    if (status == KVORUM_OK && header.number != old->number) {
        status = leave_behind_kept(recovery, old->number, keep);
        cut_old(recovery, keep);
    }
    return status == KVORUM_OK ? log_is_there(recovery->lsm) : status;
}

/* --- behind what tables hold --------------------------------------------------------------- */

kvorum_status lsm_begin_log(struct recovery *recovery)
{
    struct lsm *lsm = recovery->lsm;
    lsm->taken = lsm->flushed_batch;
    struct lsm_log_header header = { .number = lsm->first_segment,
                                     .first_sequence = lsm->taken + 1 };
    kvorum_status status = begin_segment(recovery, &header, 0);
    return status == KVORUM_OK ? log_is_there(lsm) : status;
}

kvorum_status lsm_begin_log_anew(struct recovery *recovery)
{
    struct lsm *lsm = recovery->lsm;
    uint64_t last = recovery->numbers.list[recovery->numbers.count - 1];
    lsm_recovery_leave(recovery);
    if (!lsm_segment_notes_reserve(lsm, 1))
        return KVORUM_NO_MEMORY;
    pthread_mutex_lock(&lsm->mutex);
    lsm_segment_note(lsm, &(struct lsm_segment_note){ last, lsm->taken, recovery->end });
    lsm->log_size += recovery->end;
    lsm->log_begins = true;
    kvorum_status status = lsm_install(lsm, &(struct lsm_install){ 0 });
    pthread_mutex_unlock(&lsm->mutex);
    PROBE("lsm: the log began anew behind the tables");
    return status == KVORUM_OK ? lsm_begin_log(recovery) : status;
}
