/* SPDX-License-Identifier: Apache-2.0 */
/** Bytes of the manifest: which tables make up the store, and up to where the log is in them.
 *
 *  The whole manifest is written anew at each change, under a temporary name, synced, renamed, its
 *  folder synced: it is there whole or not at all, and no history has to be replayed.  A store of
 *  10,000 tables has one of about 1 MB, beside compactions that write 64 MB and more.
 *
 *  (layout table: docs/formats/manifest.md and here)  Pure functions. */
#ifndef ENGINE_LSM_MANIFEST_H
#define ENGINE_LSM_MANIFEST_H

#include "base/arena.h"
#include "base/buffer.h"
#include "engine/engine.h"
#include "engine/lsm/log.h"
#include "engine/lsm/table/table.h"

struct lsm_manifest_table {
    int level; /* level 0: newest first in the list */
    struct lsm_table_meta meta;
};

struct lsm_manifest_blob {
    uint64_t number, size, garbage; /* bytes */
};

struct lsm_manifest {
    struct lsm_id store;
    uint64_t next_file;        /* number for the next table or blob file */
    uint64_t flushed_sequence; /* batches up to here are in tables: the log before is not needed */
    uint64_t first_segment;    /* lowest number of a log segment that is needed */
    struct bytes merge_name;   /* of the merge operator; empty: none yet */
    struct lsm_manifest_table *tables;
    size_t table_count;
    struct lsm_manifest_blob *blobs;
    size_t blob_count;
};

/** Sets ret_bytes->failed when memory runs out. */
void lsm_manifest_encode(const struct lsm_manifest *manifest, struct buffer *ret_bytes);
/** Everything in *ret_manifest is a view into `bytes` or lies in `arena`.
 *  FOREIGN, NEWER_FORMAT, CORRUPT (checksum, counts, order, overlaps, bounds), NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_manifest_decode(struct bytes bytes, struct arena *arena,
                                                 struct lsm_manifest *ret_manifest);

#endif
