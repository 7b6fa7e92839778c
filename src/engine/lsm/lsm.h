/* SPDX-License-Identifier: Apache-2.0 */
/** The `lsm` engine, first floor: commit log with group commit -> ordered memtable, replay at open.
 *  Tables on disk do not exist yet: a store that reached `memtable_limit` answers STORE_FULL. */
#ifndef ENGINE_LSM_H
#define ENGINE_LSM_H

#include "base/disk.h"
#include "base/jobs.h"
#include "base/log.h"
#include "base/random.h"
#include "engine/engine.h"

struct lsm_options {
    struct disk *disk;       /* required */
    const char *path;        /* directory below the disk's root, made when `create`; required */
    struct jobs *jobs;       /* NULL: engine_submit is UNSUPPORTED, engine_write works */
    const struct log *log;   /* NULL: silent */
    uint64_t identity_seed;  /* entropy for the ids of new files; required */
    bool create;             /* make the store when the directory is missing or empty */
    uint64_t memtable_limit; /* bytes; 0: 1 GiB */
    uint64_t segment_size;   /* bytes of one log file, preallocated; 0: 64 MiB */
};

/** Open or make the store, replaying its log.  Own: the caller ends it with engine_close.
 *  Blocks: on disk, as long as the log is long.
 *  NOT_FOUND  no store there and not `create`        FOREIGN       files not ours
 *  LOCKED     another process has it                 NEWER_FORMAT  made by a later release
 *  CORRUPT    damage before valid records: nothing is dropped silently (the log line says which
 *             file and offset); a torn tail, which is what a crash leaves, is dropped and
 *             counted. */
KVORUM_CHECKED kvorum_status lsm_open(const struct lsm_options *options,
                                      struct engine **ret_engine);

#endif
