/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the lsm engine share.
 *
 *      submit, write --> append --> [filling group] --swap--> [flushing group] --> segment, sync
 *                          |                                                          |
 *                          +--> memtable (seen at once)            written, synced rise, waiters go
 *
 *  One mutex guards everything below but the memtable's readers and what is marked "owner".
 *  Whoever has set `flush_running` (a leader among writers, or the job of engine_kick) may use
 *  `flushing`, `named` and the segments' files without it.
 *
 *  Sequence numbers: every record takes one.  taken >= written >= synced. */
#ifndef ENGINE_LSM_INTERNAL_H
#define ENGINE_LSM_INTERNAL_H

#include "engine/lsm/log.h"
#include "engine/lsm/lsm.h"
#include "engine/lsm/memtable.h"
#include <pthread.h>

enum { LSM_PATH_SIZE = 512, LSM_FLUSH_SIZE = 1024 * 1024 };

/* One file of the log.  It carries a temporary name until its first record is written. */
struct lsm_segment {
    struct disk_file *file;
    struct lsm_log_header header;
    uint64_t capacity;        /* bytes allocated */
    uint64_t end;             /* where the next record goes */
    struct lsm_segment *next; /* the one that became active after it */
};

/* Records of one group commit that go to one segment, in one piece. */
struct lsm_run {
    struct lsm_segment *segment;
    uint64_t offset;
    size_t begin, end; /* in the group's bytes */
};

struct lsm_group {
    uint8_t *data;
    size_t size, capacity;
    struct lsm_run *runs;
    size_t run_count, run_capacity;
};

struct lsm;

/* Work for the jobs object.  It outlives an engine that is closed before the work was done. */
struct lsm_job {
    struct job job;
    pthread_mutex_t mutex; /* held while `work` runs */
    struct lsm *lsm;       /* NULL: closed */
    void (*work)(struct lsm *lsm);
    void (*done)(struct lsm *lsm);
    bool pending; /* owner: between submit and done */
};

struct lsm {
    struct engine engine;
    struct disk *disk;
    const struct log *log;
    char path[LSM_PATH_SIZE];
    uint64_t segment_size;
    struct disk_file *lock_file;
    struct random random;
    struct lsm_id store;
    struct lsm_memtable memtable;

    pthread_mutex_t mutex;
    pthread_cond_t changed;     /* a flush ended, or a spare is there */
    struct lsm_segment *active; /* where records are placed */
    struct lsm_segment *spare;  /* the next one, allocated; or NULL */
    struct lsm_segment *named;  /* where records were last written: active, or one before it */
    bool preparing;             /* a spare is being made */
    bool spare_refused;         /* the last try failed: the next who needs it tries again */
    struct lsm_group groups[2];
    struct lsm_group *filling, *flushing;
    bool flush_running;
    bool sync_wanted;                /* by someone who waits */
    uint64_t taken, written, synced; /* sequence numbers */
    uint64_t opened;                 /* taken, when the store was opened */
    kvorum_status failure;           /* not OK: poisoned */
    uint64_t failure_last;           /* the last batch that failed with `failure` itself */
    uint64_t batches, syncs, synced_batches, recovered_batches, dropped_tail_size, log_size;

    /* owner */
    struct jobs *jobs;
    struct lsm_job *commit_job, *prepare_job;
    struct engine_commit *first_commit, **last_commit;
    size_t sync_commits; /* queued ones that asked for SYNC */
    bool completing;
    bool kicked_inside; /* from a `done`: to be made up for */
    bool job_syncs;     /* what the commit job under way is to do */
};

/* segment.c */

/** "<path>/<name>"; INVALID when too long. */
KVORUM_CHECKED kvorum_status lsm_path(const struct lsm *lsm, const char *name, char *ret_path);
void lsm_segment_name(uint64_t number, bool temporary, char *ret_name);
enum { LSM_NAME_SIZE = 32 };
/** A file with a temporary name, allocated and synced; no header yet.  NO_SPACE, IO, NO_MEMORY;
 *  nothing but an empty file is left then. */
KVORUM_CHECKED kvorum_status lsm_segment_create(struct lsm *lsm, uint64_t number, uint64_t capacity,
                                                struct lsm_segment **ret_segment);
/** Write the header, sync, give the file its name, sync the directory. */
KVORUM_CHECKED kvorum_status lsm_segment_publish(struct lsm *lsm, struct lsm_segment *segment);
/** Closes the file and frees; removes the file if it is still temporary and `remove`.  NULL is
 *  fine. */
void lsm_segment_close(struct lsm *lsm, struct lsm_segment *segment, bool remove);

/* append.c: all with the mutex */

/** Make sure that lsm_append of so much payload cannot fail.  NO_SPACE, NO_MEMORY, IO: nothing
 *  happened.  *ret_waited: the mutex was let go, so all that was checked must be checked again. */
KVORUM_CHECKED kvorum_status lsm_append_reserve(struct lsm *lsm, size_t payload_size,
                                                bool *ret_waited);
/** Take the next sequence number for a record, place it, encode it into the filling group. */
void lsm_append(struct lsm *lsm, enum lsm_log_type type, struct bytes payload);
bool lsm_spare_due(const struct lsm *lsm);
/** Make a spare segment, letting the mutex go meanwhile. */
void lsm_prepare_spare(struct lsm *lsm);
void lsm_group_done(struct lsm_group *group);

/* flush.c: all with the mutex, which is let go while the disk works */

/** Write out the filling group, and sync if somebody wants it.  Nobody else may be flushing. */
void lsm_flush(struct lsm *lsm);
/** Be a leader or follower until batch `sequence` is written, or synced, or cannot be. */
void lsm_commit_until(struct lsm *lsm, uint64_t sequence, bool sync);
bool lsm_reached(const struct lsm *lsm, uint64_t sequence, bool sync);
/** OK when it was reached, else what its batch is to be told. */
kvorum_status lsm_outcome(const struct lsm *lsm, uint64_t sequence, bool sync);

/* submit.c: writes, and completions for the owner */

kvorum_status lsm_write(struct engine *engine, const struct engine_batch *batch,
                        enum engine_durability durability);
kvorum_status lsm_submit(struct engine *engine, const struct engine_batch *batch,
                         enum engine_durability durability, struct engine_commit *commit);
void lsm_kick(struct engine *engine);
bool lsm_jobs_create(struct lsm *lsm);
void lsm_jobs_abandon(struct lsm *lsm);
/** Commit and complete all that is queued. */
void lsm_drain(struct lsm *lsm);

/* store.c: the directory */

/** Lock the directory and read, or make, its FORMAT file.  *ret_fresh: there is no log yet. */
KVORUM_CHECKED kvorum_status lsm_store_open(struct lsm *lsm, bool create, bool *ret_fresh);

/* recover.c */

/** Replay the log and begin a new segment. */
KVORUM_CHECKED kvorum_status lsm_recover(struct lsm *lsm, bool fresh);

#endif
