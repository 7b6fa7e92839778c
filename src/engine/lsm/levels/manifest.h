/* SPDX-License-Identifier: Apache-2.0 */
/** Bytes of the manifest: which tables make up the store, and up to where the log is in them.
 *
 *  The whole manifest is written anew at each change, under a temporary name, synced, renamed, its
 *  folder synced: it is there whole or not at all, and no history has to be replayed.  A store of
 *  10,000 tables has one of about 1 MB, beside compactions that write 64 MB and more.
 *
 *  Integers are little-endian; sized: a varint size (LEB128, shortest form) and that many bytes.
 *
 *      offset size
 *        0     8   magic "KVlsmMAN"
 *        8     4   format version, 1
 *       12     4   size of the merge operator's name, at most 255
 *       16     8   size of everything
 *       24    16   id of the store
 *       40     8   number of the next file
 *       48     8   flushed sequence number
 *       56     8   number of the first log segment that is needed
 *       64     4   number of tables
 *       68     4   number of blob files
 *       72     8   flushed batch number
 *       80     4   flags: 1 the log begins anew, see below
 *       84     4   zero
 *       88         name of the merge operator
 *                  tables: level 0 newest first, then each level in key order
 *                        0  1  level              41  8  largest sequence number
 *                        1  8  number             49  8  entries
 *                        9  8  size of its file   57  8  deletions among them
 *                       17 16  id of its file     65  8  deleted ranges
 *                       33  8  smallest sequence  73     lower bound, upper bound: sized
 *                             then varint, how many blob files it refers to, and for each, by
 *                             number: varint number, varint size of the records referred to
 *                  blob files, by number: number 8, size 8
 *      end - 8     XXH3-64 of bytes 8 .. end - 9     (bytes 0..23 and this: so in every version)
 *
 *  Pure functions. */
#ifndef ENGINE_LSM_MANIFEST_H
#define ENGINE_LSM_MANIFEST_H

#include "base/arena.h"
#include "base/buffer.h"
#include "engine/engine.h"
#include "engine/lsm/log/log.h"
#include "engine/lsm/table/table.h"

enum {
    LSM_MANIFEST_VERSION = 1,
    LSM_MANIFEST_NAME_SIZE_MAX = 255,
    LSM_MANIFEST_SIZE_MAX = 1 << 30,
};

struct lsm_manifest_table {
    int level; /* level 0: newest first in the list */
    struct lsm_table_meta meta;
    const struct lsm_blob_share *shares; /* of the blob files below, by number */
    size_t share_count;
};

struct lsm_manifest_blob {
    uint64_t number, size;
};

struct lsm_manifest {
    struct lsm_id store;
    uint64_t next_file;        /* number for the next table or blob file */
    uint64_t flushed_sequence; /* changes up to here are in tables */
    uint64_t flushed_batch;    /* the batch that ends there: the log before is not needed */
    uint64_t first_segment;    /* lowest number of a log segment that is needed */
    bool log_begins; /* no segment has to be there: the first is about to be made, behind tables */
    struct bytes merge_name;           /* of the merge operator; empty: none yet */
    struct lsm_manifest_table *tables; /* level by level; 0 newest first, others in key order */
    size_t table_count;
    struct lsm_manifest_blob *blobs; /* by number */
    size_t blob_count;
};

/** Appends; sets ret_bytes->failed when memory runs out.  The lists are in the order named above.
 */
void lsm_manifest_encode(const struct lsm_manifest *manifest, struct buffer *ret_bytes);
/** Everything in *ret_manifest is a view into `bytes` or lies in `arena`.
 *  FOREIGN, NEWER_FORMAT, CORRUPT (checksum, counts, order, overlaps, bounds, numbers used twice or
 *  not below next_file, sequence numbers above flushed_sequence, shares of blob files that are not
 *  listed or not that large, blob files that nothing refers to), NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_manifest_decode(struct bytes bytes, struct arena *arena,
                                                 struct lsm_manifest *ret_manifest);

#endif
