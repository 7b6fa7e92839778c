/* SPDX-License-Identifier: Apache-2.0 */
/** Bytes of the commit log: segment headers and records.  Pure functions; docs/formats/log.md.
 *
 *  A segment is a header and records, then zeros (or the end of the file).  All integers are
 *  little-endian, every record starts at a multiple of 8.
 *
 *      segment header, 96 bytes
 *      offset size
 *        0     8   magic "KVlsmLOG"
 *        8     4   format version, 1
 *       12     4   size of this header, 96: where the first record starts
 *       16    16   id of the store
 *       32    16   id of this file, random
 *       48     8   number of the segment: 1, 2, ...
 *       56     8   sequence number of its first record
 *       64     8   where the records of the segment before end: that far they were durable when
 *                  this segment was named.  0 in segment 1
 *       72    16   zero
 *       88     8   XXH3-64 of bytes 8..87       (bytes 0..15 and 88..95: the same in every version)
 *
 *      record, 32 bytes and the payload, padded with zeros to a multiple of 8
 *        0     8   XXH3-64 of bytes 8.. to the end of the payload
 *        8     4   low half of XXH3-64 of bytes 12..31
 *       12     4   size of the payload
 *       16     8   sequence number, one more than the record before
 *       24     4   how many records right before this one were not known to be durable when it was
 *                  made; all before those were
 *       28     1   type: 1 batch (payload: engine.h, struct engine_batch), 2 mark, 3 next (the last
 *                  two have no payload)
 *       29     3   zero
 *
 *  Both hashes are seeded with XXH3-64 of (file id, offset of the record in the file, u64), so a
 *  record is valid in its own place only. */
#ifndef ENGINE_LSM_LOG_H
#define ENGINE_LSM_LOG_H

#include "engine/lsm/file_id.h"

enum {
    LSM_LOG_VERSION = 1,
    LSM_LOG_HEADER_SIZE = 96,
    LSM_LOG_RECORD_SIZE = 32, /* without the payload */
    LSM_LOG_ALIGNMENT = 8,
};

enum lsm_log_type {
    LSM_LOG_BATCH = 1,
    LSM_LOG_MARK = 2, /* of a clean close */
    LSM_LOG_NEXT =
        3, /* behind the end: the next segment has its name, and begins with this number */
};

struct lsm_log_header {
    struct lsm_id store, file;
    uint64_t number, first_sequence, previous_size;
};

struct lsm_log_record {
    uint64_t sequence;
    uint32_t undurable;
    enum lsm_log_type type;
    struct bytes payload;
};

/** Sequence number up to which the log was durable when the record was made. */
static inline uint64_t lsm_log_durable(const struct lsm_log_record *record)
{
    return record->sequence - 1 - record->undurable;
}

/** Bytes in the file of a record with so much payload. */
static inline uint64_t lsm_log_record_size(size_t payload_size)
{
    uint64_t size = LSM_LOG_RECORD_SIZE + (uint64_t)payload_size;
    return (size + LSM_LOG_ALIGNMENT - 1) / LSM_LOG_ALIGNMENT * LSM_LOG_ALIGNMENT;
}

void lsm_log_header_encode(const struct lsm_log_header *header, uint8_t *ret_bytes);
/** FOREIGN, NEWER_FORMAT, CORRUPT. */
KVORUM_CHECKED kvorum_status lsm_log_header_decode(struct bytes bytes,
                                                   struct lsm_log_header *ret_header);

/** Fills lsm_log_record_size(payload.size) bytes. */
void lsm_log_record_encode(const struct lsm_id *file, uint64_t offset,
                           const struct lsm_log_record *record, uint8_t *ret_bytes);

enum lsm_log_found {
    LSM_LOG_NONE,    /* no valid record starts here */
    LSM_LOG_PARTIAL, /* its header is valid; more bytes are needed to tell */
    LSM_LOG_FOUND,
};

/** Judge the record at the start of `bytes`.  *ret_size: of the whole record, unless NONE.  On
 *  FOUND the payload is a view into `bytes`. */
enum lsm_log_found lsm_log_record_decode(const struct lsm_id *file, uint64_t offset,
                                         struct bytes bytes, struct lsm_log_record *ret_record,
                                         uint64_t *ret_size);

#endif
