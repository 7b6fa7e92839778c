/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of a recovery share.  recover.c says what comes after what; replay.c reads the
 *  segments, resume.c begins the one that is written next. */
#ifndef ENGINE_LSM_RECOVER_INTERNAL_H
#define ENGINE_LSM_RECOVER_INTERNAL_H

#include "engine/lsm/internal.h"
#include "engine/lsm/log/log_reader.h"

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

/* --- replay.c ------------------------------------------------------------------------------ */

/** Replay a segment that has a successor: it must be whole, and its last batch is noted.  CORRUPT,
 *  FOREIGN, IO, NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_replay_whole(struct recovery *recovery, uint64_t number);
/** Replay the last segment, up to where it is torn; its tail and its end stand in `recovery`. */
KVORUM_CHECKED kvorum_status lsm_replay_last(struct recovery *recovery, uint64_t number);

/** Say what is wrong with a segment.  Returns `status`. */
kvorum_status lsm_recovery_damaged(const struct recovery *recovery, uint64_t number,
                                   uint64_t offset, kvorum_status status, const char *what);
/** The file of a segment, to be closed by the caller.  `flags`: of the disk. */
KVORUM_CHECKED kvorum_status lsm_recovery_open(const struct recovery *recovery, uint64_t number,
                                               unsigned flags, struct disk_file **ret_file);
/** Close the segment at hand, if there is one. */
void lsm_recovery_leave(struct recovery *recovery);
/** Note a segment that ends with the last batch taken: it goes when tables hold all.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_leave_behind(struct lsm *lsm, uint64_t number, uint64_t size);

/* --- resume.c ------------------------------------------------------------------------------ */

/** After lsm_replay_last: the segment to go on in, which begins with the tail. */
KVORUM_CHECKED kvorum_status lsm_resume_log(struct recovery *recovery);
/** The first segment of a store that has no log yet. */
KVORUM_CHECKED kvorum_status lsm_begin_log(struct recovery *recovery);
/** The power failed when tables held more than the log on the disk: batches that nobody had asked
 *  to sync.  The log begins anew behind them; the manifest says so before the old one goes. */
KVORUM_CHECKED kvorum_status lsm_begin_log_anew(struct recovery *recovery);

#endif
