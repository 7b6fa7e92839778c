/* SPDX-License-Identifier: Apache-2.0 */
/** The `lsm` engine: commit log with group commit -> memtable -> sorted tables in levels, kept in
 *  shape by compactions; a manifest says which tables make up the store.  README.md has the
 *  picture.
 *
 *  Background work (flushes, compactions) runs as jobs.  Without a jobs object it is done by the
 *  writers themselves, when it is due: simple and deterministic, and what short-lived tools want.
 *  */
#ifndef ENGINE_LSM_H
#define ENGINE_LSM_H

#include "base/disk.h"
#include "base/jobs.h"
#include "base/log.h"
#include "base/random.h"
#include "engine/engine.h"

/** How blocks of a level are packed. */
enum lsm_packing { LSM_PACK_DEFAULT, LSM_PACK_NONE, LSM_PACK_LZ4, LSM_PACK_ZSTD };

enum { LSM_FILTER_BITS_NONE = UINT8_MAX };

/** Zero means the default in brackets, but where it is said otherwise.  Sizes in bytes. */
struct lsm_options {
    struct disk *disk;      /* required */
    const char *path;       /* directory below the disk's root, made when `create`; required */
    struct jobs *jobs;      /* NULL: engine_submit is UNSUPPORTED, writers do background work */
    const struct log *log;  /* NULL: silent */
    uint64_t identity_seed; /* entropy for the ids of new files; required */
    bool create;            /* make the store when the directory is missing or empty */
    bool read_only;         /* nothing is written, not even repaired; writes are NOT_ALLOWED */

    uint64_t memtable_size;     /* a memtable that uses so much is frozen and flushed [64 MiB] */
    uint64_t segment_size;      /* of one log file [a quarter of it, 1 to 16 MiB] */
    uint64_t write_back_size;   /* of the log that a job syncs ahead while nobody does [4 MiB] */
    uint64_t cache_size;        /* blocks of tables in memory [64 MiB] */
    uint64_t table_memory_size; /* indexes and filters in memory; 0: no limit */
    uint32_t open_files;        /* tables open at once; 0: no limit */

    uint32_t block_size;                     /* before packing [4096] */
    uint8_t filter_bits;                     /* a key [10]; LSM_FILTER_BITS_NONE: no filters */
    enum lsm_packing packing[ENGINE_LEVELS]; /* by level [none] */
    uint32_t level0_trigger;                 /* tables in level 0 that make it due [10] */
    uint32_t level0_slowdown, level0_stop;   /* tables [2, 3 times the trigger] */
    uint64_t level1_size;                    /* [level0_trigger * memtable_size] */
    uint32_t level_multiplier;               /* [10] */
    uint64_t table_size;                     /* of a compaction's output, about [64 MiB] */
    uint32_t compactions;                    /* jobs at once, at most 4 [1] */
    uint64_t blob_size; /* values from here on live out of line [1 MiB]; UINT64_MAX: never */

    const struct engine_merge_operator *merge; /* NULL: merges are UNSUPPORTED */
    const struct engine_compaction_filter *filter;
};

/** Open or make the store, replaying its log.  Own: the caller ends it with engine_close.
 *  Blocks: on disk, as long as the log is long.
 *  NOT_FOUND  no store there and not `create`        FOREIGN       files not ours
 *  LOCKED     another process has it                 NEWER_FORMAT  made by a later release
 *  INVALID    made with another merge operator
 *  CORRUPT    damage before valid records, or a table that is missing: nothing is dropped silently
 *             (the log line says which file and offset); a torn tail of the log, which is what a
 *             crash leaves, is dropped and counted. */
KVORUM_CHECKED kvorum_status lsm_open(const struct lsm_options *options,
                                      struct engine **ret_engine);

#endif
