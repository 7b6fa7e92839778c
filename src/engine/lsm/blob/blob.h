/* SPDX-License-Identifier: Apache-2.0 */
/** Large values out of line, so that compactions move their address and not them (WiscKey; Lu et
 *  al. 2016).  A flush or compaction that meets values from `blob_size` on writes them one behind
 *  the other into blob files of its own; the table holds where.  Bytes: docs/formats/blob.md.
 *
 *      file      header of 64 bytes | record | record ...
 *      header    offset size
 *                  0     8   magic "KVlsmBLB"
 *                  8     4   format version, 1
 *                 12     4   zero
 *                 16    16   id of the store
 *                 32     8   number of the file
 *                 40    16   zero
 *                 56     8   XXH3-64 of bytes 8..55
 *      record    0     8   XXH3-64 of bytes 8.. to its end, seeded with (store, number, offset)
 *                8     4   size of the key
 *               12     4   size of the value
 *               16         key, value, zeros to a multiple of 8
 *      address   varint number, varint offset of the record, varint size of the record
 *
 *  This is about bytes; blobs.h is about which files a store has, collect.h about their garbage. */
#ifndef ENGINE_LSM_BLOB_H
#define ENGINE_LSM_BLOB_H

#include "base/buffer.h"
#include "base/disk.h"
#include "engine/engine.h"
#include "engine/lsm/log/log.h"

struct lsm;

enum {
    LSM_BLOB_VERSION = 1,
    LSM_BLOB_HEADER_SIZE = 64,
    LSM_BLOB_RECORD_SIZE = 16, /* before the key */
    LSM_BLOB_ALIGNMENT = 8,
    LSM_BLOB_ADDRESS_MAX = 30,
    LSM_BLOB_RECORD_SIZE_MAX = LSM_BLOB_RECORD_SIZE + ENGINE_KEY_SIZE_MAX + ENGINE_VALUE_SIZE_MAX,
};

struct lsm_blob_address {
    uint64_t number, offset, size;
};

/* --- bytes: pure functions ------------------------------------------------------------------- */

size_t lsm_blob_address_encode(const struct lsm_blob_address *address, uint8_t *ret_bytes);
/** False: no record can be there. */
bool lsm_blob_address_decode(struct bytes bytes, struct lsm_blob_address *ret_address);

void lsm_blob_header_encode(const struct lsm_id *store, uint64_t number, uint8_t *ret_bytes);
/** FOREIGN: another program's file, or another store's.  NEWER_FORMAT, CORRUPT. */
KVORUM_CHECKED kvorum_status lsm_blob_header_judge(struct bytes bytes, const struct lsm_id *store,
                                                   uint64_t number);

/** Bytes of the record of such a key and value. */
uint64_t lsm_blob_record_size(size_t key_size, size_t value_size);
/** `ret_record` has room for address->size bytes, which is lsm_blob_record_size(). */
void lsm_blob_record_encode(const struct lsm_id *store, const struct lsm_blob_address *address,
                            struct bytes key, struct bytes value, uint8_t *ret_record);
/** What address->size bytes at `record` hold, as views: CORRUPT when it is not what was written at
 *  this address. */
KVORUM_CHECKED kvorum_status lsm_blob_record_decode(const struct lsm_id *store,
                                                    const struct lsm_blob_address *address,
                                                    const uint8_t *record, struct bytes *ret_key,
                                                    struct bytes *ret_value);

/* --- reading ------------------------------------------------------------------------------- */

/** The value that `address` (its bytes) leads to, as a view into `memory`, which is filled anew and
 *  has a limit of LSM_BLOB_RECORD_SIZE_MAX or more.  CORRUPT, IO, NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_blob_read(const struct lsm *lsm, struct bytes address,
                                           struct buffer *memory, struct bytes *ret_value);

/* --- writing ------------------------------------------------------------------------------- */

struct lsm_blob_writer {
    struct disk_file *file; /* NULL: none is being written */
    uint64_t number, size;
    struct lsm_id store;
    struct buffer record;
};

/** Without the engine's mutex.  The file is made, and may not be there before; finish or abandon
 *  ends it. */
KVORUM_CHECKED kvorum_status lsm_blob_writer_open(struct lsm *lsm, uint64_t number,
                                                  struct lsm_blob_writer *ret_writer);
KVORUM_CHECKED kvorum_status lsm_blob_writer_add(struct lsm_blob_writer *writer, struct bytes key,
                                                 struct bytes value,
                                                 struct lsm_blob_address *ret_address);
/** Sync and close.  The name is not synced yet.  On an error the file is gone, if it can be
 *  removed. */
KVORUM_CHECKED kvorum_status lsm_blob_writer_finish(struct lsm *lsm,
                                                    struct lsm_blob_writer *writer);
/** Remove the file; a writer without one is fine. */
void lsm_blob_writer_abandon(struct lsm *lsm, struct lsm_blob_writer *writer);

#endif
