/* SPDX-License-Identifier: Apache-2.0 */
/** Walks the records of one segment, and finds out whether anything valid lies behind the first
 *  that is not.
 *
 *      header | record | record | record | ?           next: OK, OK, OK, NOT_FOUND
 *                                         ^ offset     search: valid records from here on
 *
 *  Memory: a window of 1 MiB, or the largest record. */
#ifndef ENGINE_LSM_LOG_READER_H
#define ENGINE_LSM_LOG_READER_H

#include "base/disk.h"
#include "engine/lsm/log/log.h"

struct lsm_log_reader {
    struct disk_file *file; /* the caller's */
    struct lsm_log_header header;
    uint64_t file_size;
    uint64_t offset;   /* of the next record */
    uint64_t sequence; /* the next record must have */
    uint8_t *window;
    size_t window_size, window_capacity;
    uint64_t window_offset;
};

/** Reads the header.  FOREIGN, NEWER_FORMAT, CORRUPT, IO, NO_MEMORY.  lsm_log_reader_done is owed
 *  in any case. */
KVORUM_CHECKED kvorum_status lsm_log_reader_init(struct lsm_log_reader *reader,
                                                 struct disk_file *file);
void lsm_log_reader_done(struct lsm_log_reader *reader);
/** The record at `offset`, which then moves behind it; the payload is valid until the next call.
 *  NOT_FOUND: no valid record with the sequence due starts there.  IO, NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_log_reader_next(struct lsm_log_reader *reader,
                                                 struct lsm_log_record *ret_record);
/** Look at every aligned place behind reader->offset for a valid record made when the log was
 *  already durable up to `reader->sequence` or beyond: proof that what stood at the offset was
 *  durable and is damaged. OK: found, at *ret_offset. NOT_FOUND. IO, NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_log_reader_search(struct lsm_log_reader *reader,
                                                   uint64_t *ret_offset);

#endif
