/* SPDX-License-Identifier: Apache-2.0 */
/* Replay of the log at open.
 *
 *      segment 1 .. n-1   must be whole up to where the header of the next says they end
 *      segment n          whole up to the first place without a valid record
 *                           a "next" before it: segment n+1 was taken away?  CORRUPT
 *                           a record behind it proves that the log was durable beyond it?  CORRUPT
 *                           otherwise it is what a crash leaves: dropped, counted
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
#include "engine/common/batch.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/log/log_reader.h"

#include <assert.h>
#include <stdlib.h>

struct numbers {
    uint64_t *list;
    size_t count, capacity;
    bool failed;
};

/* Places of the records not known to be durable, oldest first. */
struct tail {
    uint64_t *offsets;
    size_t first, count, capacity;
    uint64_t sequence; /* of offsets[first] */
};

struct recovery {
    struct lsm *lsm;
    struct numbers numbers, leftovers;
    struct numbers flushed;       /* before what the manifest says is needed */
    struct lsm_log_reader reader; /* of the segment at hand */
    struct disk_file *file;
    struct tail tail;
    uint64_t end;   /* of the valid records of the last segment */
    bool mark_ends; /* the last record is a mark */
};

/* --- names --------------------------------------------------------------------------------- */

static bool numbers_add(struct numbers *numbers, uint64_t number)
{
    if (numbers->count == numbers->capacity) {
        size_t capacity = numbers->capacity == 0 ? 64 : numbers->capacity * 2;
        uint64_t *list = realloc(numbers->list, capacity * sizeof(*list));
        if (list == NULL) {
            numbers->failed = true;
            return false;
        }
        numbers->list = list;
        numbers->capacity = capacity;
    }
    numbers->list[numbers->count++] = number;
    return true;
}

/* Names are sorted, and so then are the numbers. */
static bool see_name(void *context, const char *name)
{
    struct recovery *recovery = context;
    uint64_t number;
    if (lsm_file_parse(name, LSM_FILE_LOG, &number))
        return numbers_add(number < recovery->lsm->first_segment ? &recovery->flushed
                                                                 : &recovery->numbers,
                           number);
    if (lsm_file_parse(name, LSM_FILE_LOG_NEW, &number))
        return numbers_add(&recovery->leftovers, number);
    return true;
}

static kvorum_status find_segments(struct recovery *recovery)
{
    struct lsm *lsm = recovery->lsm;
    kvorum_status status = lsm->disk->ops->list(lsm->disk, lsm->path, see_name, recovery);
    if (status != KVORUM_OK)
        return status;
    bool failed =
        recovery->numbers.failed || recovery->leftovers.failed || recovery->flushed.failed;
    return failed ? KVORUM_NO_MEMORY : KVORUM_OK;
}

static void remove_all(struct lsm *lsm, const struct numbers *numbers, enum lsm_file kind)
{
    for (size_t i = 0; i < numbers->count; i++) {
        char path[LSM_PATH_SIZE];
        if (lsm_file_path(lsm, kind, numbers->list[i], path) == KVORUM_OK)
            (void)lsm->disk->ops->remove(lsm->disk, path);
    }
}

/* Spares that were never written to (one that stays does no harm: it is cut off when reused), and
 * segments whose batches are all in tables. */
static void remove_leftovers(struct recovery *recovery)
{
    if (recovery->lsm->options.read_only)
        return;
    remove_all(recovery->lsm, &recovery->leftovers, LSM_FILE_LOG_NEW);
    remove_all(recovery->lsm, &recovery->flushed, LSM_FILE_LOG);
}

/* --- one segment --------------------------------------------------------------------------- */

static kvorum_status damaged(const struct recovery *recovery, uint64_t number, uint64_t offset,
                             kvorum_status status, const char *what)
{
    char name[LSM_NAME_SIZE];
    lsm_file_name(LSM_FILE_LOG, number, name);
    log_error(recovery->lsm->log, what, LOG_TEXT("store", recovery->lsm->path),
              LOG_TEXT("file", name), LOG_U64("offset", offset), LOG_STATUS(status));
    return status;
}

static void segment_leave(struct recovery *recovery)
{
    lsm_log_reader_done(&recovery->reader);
    if (recovery->file != NULL)
        recovery->file->ops->close(recovery->file);
    recovery->file = NULL;
}

static kvorum_status segment_open(const struct recovery *recovery, uint64_t number, unsigned flags,
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
    segment_leave(recovery);
    kvorum_status status = segment_open(recovery, number, DISK_READ, &recovery->file);
    if (status != KVORUM_OK)
        return status;
    status = lsm_log_reader_init(&recovery->reader, recovery->file);
    const struct lsm_log_header *header = &recovery->reader.header;
    if (status == KVORUM_IO || status == KVORUM_NO_MEMORY)
        return status;
    if (status != KVORUM_OK)
        return damaged(recovery, number, 0, status, "the header of a log segment cannot be read");
    if (header->store.low != lsm->store.low || header->store.high != lsm->store.high)
        return damaged(recovery, number, 16, KVORUM_FOREIGN,
                       "a log segment belongs to another store");
    if (header->number != number || !begins_where_due(recovery, header))
        return damaged(recovery, number, 48, KVORUM_CORRUPT, "a log segment is out of place");
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
            return damaged(recovery, number, offset, KVORUM_CORRUPT,
                           "a durable record of the log is damaged");
        if (status != KVORUM_OK)
            return status;
    }
    if (reader->offset != end)
        return damaged(recovery, number, end, KVORUM_CORRUPT, "a log segment is out of place");
    return KVORUM_OK;
}

static kvorum_status previous_size_of(struct recovery *recovery, uint64_t number,
                                      uint64_t *ret_size)
{
    struct disk_file *file;
    struct lsm_log_reader reader;
    kvorum_status status = segment_open(recovery, number, DISK_READ, &file);
    if (status != KVORUM_OK)
        return status;
    status = lsm_log_reader_init(&reader, file);
    lsm_log_reader_done(&reader);
    file->ops->close(file);
    if (status == KVORUM_IO || status == KVORUM_NO_MEMORY)
        return status;
    if (status != KVORUM_OK)
        return damaged(recovery, number, 0, status, "the header of a log segment cannot be read");
    *ret_size = reader.header.previous_size;
    return KVORUM_OK;
}

static kvorum_status leave_behind(struct lsm *lsm, uint64_t number, uint64_t size)
{
    if (!lsm_segment_notes_reserve(lsm, 2))
        return KVORUM_NO_MEMORY;
    lsm_segment_note(lsm, &(struct lsm_segment_note){ number, lsm->taken, size });
    lsm->log_size += size;
    return KVORUM_OK;
}

static kvorum_status replay_whole(struct recovery *recovery, uint64_t number)
{
    uint64_t end = 0;
    kvorum_status status = previous_size_of(recovery, number + 1, &end);
    if (status == KVORUM_OK)
        status = segment_enter(recovery, number);
    if (status == KVORUM_OK)
        status = replay_until(recovery, number, end);
    return status == KVORUM_OK ? leave_behind(recovery->lsm, number, end) : status;
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
            return damaged(recovery, reader->header.number + 1, 0, KVORUM_CORRUPT,
                           "a segment of the log is missing");
        tail_drop(&recovery->tail, lsm_log_durable(&record));
        if (!tail_add(&recovery->tail, offset, record.sequence))
            return KVORUM_NO_MEMORY;
        status = replay(recovery, &record);
        if (status == KVORUM_CORRUPT)
            return damaged(recovery, reader->header.number, offset, status,
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
        return damaged(recovery, number, offset, KVORUM_CORRUPT,
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

static kvorum_status replay_last(struct recovery *recovery, uint64_t number)
{
    kvorum_status status = segment_enter(recovery, number);
    recovery->mark_ends = false;
    if (status == KVORUM_OK)
        status = replay_valid(recovery);
    return status == KVORUM_OK ? judge_end(recovery) : status;
}

/* --- a new segment to go on in ------------------------------------------------------------- */

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

/* The old last segment gives back the blocks behind its end, and says that there is a next one; if
 * that fails they are only wasted. */
static void cut_old(struct recovery *recovery, uint64_t size)
{
    const struct lsm_log_header *old = &recovery->reader.header;
    struct disk_file *file;
    if (segment_open(recovery, old->number, DISK_WRITE, &file) != KVORUM_OK)
        return;
    if (file->ops->truncate(file, size) == KVORUM_OK)
        lsm_segment_has_next(file, &old->file, size, recovery->lsm->active->header.first_sequence);
    file->ops->close(file);
}

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

/* The old last segment holds what comes before the first batch of the new one. */
static kvorum_status leave_behind_kept(struct recovery *recovery, uint64_t number, uint64_t size)
{
    struct lsm *lsm = recovery->lsm;
    uint64_t taken = lsm->taken;
    lsm->taken = lsm->active->header.first_sequence - 1;
    kvorum_status status = leave_behind(lsm, number, size);
    lsm->taken = taken;
    return status;
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

static kvorum_status go_on(struct recovery *recovery)
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

static kvorum_status check_numbers(const struct recovery *recovery)
{
    const struct numbers *numbers = &recovery->numbers;
    uint64_t due = recovery->lsm->first_segment;
    for (size_t i = 0; i < numbers->count; i++, due++)
        if (numbers->list[i] != due)
            return damaged(recovery, due, 0, KVORUM_CORRUPT, "a segment of the log is missing");
    if (numbers->count == 0 && !recovery->lsm->log_begins)
        return damaged(recovery, due, 0, KVORUM_CORRUPT, "the log is gone");
    return KVORUM_OK;
}

static kvorum_status begin_log(struct recovery *recovery)
{
    struct lsm *lsm = recovery->lsm;
    lsm->taken = lsm->flushed_batch;
    struct lsm_log_header header = { .number = lsm->first_segment,
                                     .first_sequence = lsm->taken + 1 };
    kvorum_status status = begin_segment(recovery, &header, 0);
    return status == KVORUM_OK ? log_is_there(lsm) : status;
}

/* The power failed when tables held more than the log on the disk: batches that nobody had asked to
 * sync.  The log begins anew behind them; the manifest says so before the old one goes. */
static kvorum_status begin_log_anew(struct recovery *recovery)
{
    struct lsm *lsm = recovery->lsm;
    uint64_t last = recovery->numbers.list[recovery->numbers.count - 1];
    segment_leave(recovery);
    if (!lsm_segment_notes_reserve(lsm, 1))
        return KVORUM_NO_MEMORY;
    pthread_mutex_lock(&lsm->mutex);
    lsm_segment_note(lsm, &(struct lsm_segment_note){ last, lsm->taken, recovery->end });
    lsm->log_size += recovery->end;
    lsm->log_begins = true;
    kvorum_status status = lsm_install(lsm, &(struct lsm_install){ 0 });
    pthread_mutex_unlock(&lsm->mutex);
    PROBE("lsm: the log began anew behind the tables");
    return status == KVORUM_OK ? begin_log(recovery) : status;
}

static kvorum_status replay_segments(struct recovery *recovery)
{
    const struct numbers *numbers = &recovery->numbers;
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i + 1 < numbers->count && status == KVORUM_OK; i++)
        status = replay_whole(recovery, numbers->list[i]);
    return status == KVORUM_OK ? replay_last(recovery, numbers->list[numbers->count - 1]) : status;
}

static kvorum_status replay_all(struct recovery *recovery)
{
    const struct lsm *lsm = recovery->lsm;
    kvorum_status status = find_segments(recovery);
    if (status == KVORUM_OK)
        status = check_numbers(recovery);
    if (status == KVORUM_OK && recovery->numbers.count > 0)
        status = replay_segments(recovery);
    if (status != KVORUM_OK || lsm->options.read_only)
        return status;
    remove_leftovers(recovery);
    if (recovery->numbers.count == 0)
        return begin_log(recovery);
    return lsm->taken < lsm->flushed_batch ? begin_log_anew(recovery) : go_on(recovery);
}

kvorum_status lsm_recover(struct lsm *lsm, bool fresh)
{
    struct recovery recovery = { .lsm = lsm };
    atomic_store(&lsm->visible, lsm->sequence);
    kvorum_status status = KVORUM_OK;
    if (!fresh || lsm->log_begins)
        status = replay_all(&recovery);
    else if (!lsm->options.read_only)
        status = begin_log(&recovery);
    segment_leave(&recovery);
    free(recovery.numbers.list);
    free(recovery.leftovers.list);
    free(recovery.flushed.list);
    free(recovery.tail.offsets);
    lsm->written = lsm->synced = lsm->opened = lsm->taken;
    return status;
}
