/* SPDX-License-Identifier: Apache-2.0 */
/** Large values out of line, so that compactions move their address and not them (WiscKey; Lu et
 *  al. 2016).  A flush or compaction that meets values from `blob_size` on writes them one behind
 *  the other into a blob file of its own; the table holds where.
 *
 *      file      header of 64 bytes | record | record ...
 *      header    offset size
 *                  0     8   magic "KVlsmBLB"
 *                  8     4   format version, 1
 *                 12     4   zero
 *                 16    16   id of the store
 *                 32     8   number of the file
 *                 40    16   zero
 *                 56     8   XXH3-64 of bytes 0..55
 *      record    0     8   XXH3-64 of bytes 8.. to its end, seeded with (store, number, offset)
 *                8     4   size of the key
 *               12     4   size of the value
 *               16         key, value, zeros to a multiple of 8
 *      address   varint number, varint offset of the record, varint size of the record
 *
 *  Garbage: a compaction that drops an address adds the record's size to the file's garbage, in the
 *  manifest.  It moves values out of files that are more than half garbage; a file that is all
 *  garbage goes, once no reader's state has it. */
#ifndef ENGINE_LSM_BLOB_H
#define ENGINE_LSM_BLOB_H

#include "base/buffer.h"
#include "base/disk.h"
#include "engine/lsm/log.h"
#include "kvorum/status.h"
#include <stdatomic.h>

struct lsm;

enum { LSM_BLOB_HEADER_SIZE = 64, LSM_BLOB_RECORD_SIZE = 16, LSM_BLOB_ADDRESS_MAX = 30 };

struct lsm_blob_address {
    uint64_t number, offset, size;
};

size_t lsm_blob_address_encode(const struct lsm_blob_address *address, uint8_t *ret_bytes);
bool lsm_blob_address_decode(struct bytes bytes, struct lsm_blob_address *ret_address);

/* --- files --------------------------------------------------------------------------------- */

struct lsm_blob_file {
    uint64_t number, size;
    _Atomic uint64_t garbage; /* bytes of records that no table points to any more */
    _Atomic uint32_t references;
    _Atomic bool obsolete;
    struct disk *disk;
    char *path;
};

/** The blob files of one state; immutable but for their garbage; reference counted. */
struct lsm_blobs {
    _Atomic uint32_t references;
    size_t count;
    struct lsm_blob_file *files[]; /* by number */
};

/** NULL: no memory. */
struct lsm_blob_file *lsm_blob_file_create(struct lsm *lsm, uint64_t number, uint64_t size,
                                           uint64_t garbage);
void lsm_blob_file_release(struct lsm_blob_file *file); /* the last one removes an obsolete file */
/** `old` (NULL: none) and `added`, whose references it takes over, without those that are all
 *  garbage.  NULL: no memory. */
struct lsm_blobs *lsm_blobs_edit(const struct lsm_blobs *old, struct lsm_blob_file *const *added,
                                 size_t added_count);
/** Once `next` is what the manifest says: files that only `old` has (NULL: none) are obsolete. */
void lsm_blobs_retire(const struct lsm_blobs *old, const struct lsm_blobs *next);
struct lsm_blobs *lsm_blobs_reference(struct lsm_blobs *blobs);
void lsm_blobs_release(struct lsm_blobs *blobs); /* NULL is fine */
struct lsm_blob_file *lsm_blobs_find(const struct lsm_blobs *blobs, uint64_t number); /* or NULL */
/** True when values should be moved out of it. */
bool lsm_blob_file_worn(const struct lsm_blob_file *file);

/** Append the value that `address` (its bytes) leads to.  CORRUPT, IO, NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_blob_read(const struct lsm *lsm, struct bytes address,
                                           struct buffer *ret_value);

/* --- writing ------------------------------------------------------------------------------- */

struct lsm_blob_writer {
    struct disk_file *file;
    uint64_t number, size;
    struct lsm_id store;
};

/** Without the engine's mutex.  The file is made; finish or abandon ends it. */
KVORUM_CHECKED kvorum_status lsm_blob_writer_open(struct lsm *lsm, uint64_t number,
                                                  struct lsm_blob_writer *ret_writer);
KVORUM_CHECKED kvorum_status lsm_blob_writer_add(struct lsm_blob_writer *writer, struct bytes key,
                                                 struct bytes value,
                                                 struct lsm_blob_address *ret_address);
/** Sync and close. */
KVORUM_CHECKED kvorum_status lsm_blob_writer_finish(struct lsm_blob_writer *writer);
void lsm_blob_writer_abandon(struct lsm *lsm, struct lsm_blob_writer *writer);

#endif
