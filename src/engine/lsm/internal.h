/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the lsm engine share.
 *
 *      submit, write --> append --> [filling group] --swap--> [flushing group] --> segment, sync
 *                          |                                                          |
 *                          +--> active memtable (seen at once)    written, synced rise, waiters go
 *                                   | full: frozen
 *                                   v
 *                               flush --> table in level 0 --> compactions --> levels below
 *                                   \________ install: manifest, then the next state ________/
 *
 *  One mutex guards everything below but what readers touch (`state`, `visible`, memtables, tables,
 *  under the epoch) and what is marked "owner".  Whoever has set `commit_running` (a leader among
 *  writers, or the job of engine_kick) may use `flushing`, `named` and the segments' files without
 *  it; whoever has set `installing` may write the manifest.
 *
 *  Two kinds of numbers: every record of the log takes a *batch* number (taken >= written >=
 *  synced), every change in a batch a *sequence* number (`sequence` is the last one given away,
 *  `visible` the last one that readers see). */
#ifndef ENGINE_LSM_INTERNAL_H
#define ENGINE_LSM_INTERNAL_H

#include "engine/common/epoch.h"
#include "engine/lsm/blob/blobs.h"
#include "engine/lsm/blob/collect.h"
#include "engine/lsm/levels/levels.h"
#include "engine/lsm/levels/manifest.h"
#include "engine/lsm/levels/picker.h"
#include "engine/lsm/log/log.h"
#include "engine/lsm/lsm.h"
#include "engine/lsm/memtable/memtable.h"
#include "engine/lsm/merge/reduce.h"
#include <pthread.h>

enum {
    LSM_PATH_SIZE = 512,
    LSM_NAME_SIZE = 40,
    LSM_COMMIT_SIZE = 1024 * 1024,
    LSM_TIDY_READS = 4096, /* reads between two looks whether there is something to tidy up */
    LSM_TIDY_ITERATORS = 64,
    LSM_FROZEN_MAX = 4,   /* memtables waiting for their flush */
    LSM_FROZEN_STALL = 1, /* from here on engine_write waits: two memtables are its budget */
    LSM_COMPACTIONS_MAX = 4,
    LSM_PARTS_MAX = 4,   /* of one compaction */
    LSM_COPY_AFTER = 16, /* small groups in a row: from then on they are copied into the log */
};

/* One file of the log.  It carries a temporary name until its first record is written. */
struct lsm_segment {
    struct disk_file *file;
    struct lsm_log_header header;
    uint64_t capacity; /* bytes allocated */
    uint8_t *memory;   /* the same, mapped; or NULL */
    bool map_tried;
    bool filled;              /* with zeros: blocks written before cost a sync less */
    uint64_t end;             /* where the next record goes */
    uint64_t safe_end;        /* a sync has begun since the log ended here */
    struct lsm_segment *next; /* the one that became active after it */
};

/* A segment that is no longer written to: needed until its last batch is in tables. */
struct lsm_segment_note {
    uint64_t number, last_batch, size;
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

/* Everything a read may have to look at, newest first.  Immutable; reference counted by iterators
 * and by `lsm->state`, whose reference goes through the epoch. */
struct lsm_state {
    struct epoch_item item; /* first */
    _Atomic uint32_t references;
    struct lsm_memtable *active;
    struct lsm_memtable *frozen[LSM_FROZEN_MAX]; /* newest first */
    size_t frozen_count;
    struct lsm_levels *levels;
    struct lsm_blobs *blobs; /* or NULL: none */
};

struct engine_snapshot {
    struct list list; /* first; oldest first */
    uint64_t sequence;
    struct lsm_memtable *memtable; /* the active one of then, kept from using values again */
    struct guard *guard;
};

/* Counted by threads that mostly have one of their own. */
struct lsm_counter {
    _Atomic uint64_t count, in_vain; /* gets; tables of level 0 that did not have the key */
    uint8_t apart[112];
};

/* What looking at a table of level 0 in vain costs a read, in bytes that a compaction moves in that
 * time: reads.c. */
enum {
    LSM_WASTE_GET = 32,
    LSM_WASTE_SEEK = 512,
    LSM_WASTE_STEP = 1,
    LSM_WASTE_REPORT = 32 * 1024, /* after so much it is asked whether that pays */
};

/* An engine_stats level, and what the engine counts as it works. */
struct lsm_counts {
    uint64_t batches, syncs, synced_batches, recovered_batches, dropped_tail_size;
    uint64_t flushes, flushed_size, compactions, compaction_read_size, compaction_written_size;
    uint64_t read_compactions;
    uint64_t slowdowns, stalls;
    uint64_t damage_met;    /* compactions that failed with CORRUPT */
    uint64_t puts, deletes; /* of memtables that are gone */
    struct engine_level_stats levels[ENGINE_LEVELS];
};

/* Somebody who makes tables: a flush, a compaction, mending.  From its beginning to its end. */
struct lsm_maker {
    struct list list;    /* first */
    uint64_t first_file; /* its tables have this number, or higher ones */
};

struct lsm {
    struct engine engine;
    struct lsm_options options; /* with defaults filled in */
    struct disk *disk;
    const struct log *log;
    char path[LSM_PATH_SIZE];
    uint64_t segment_size;
    struct disk_file *lock_file;
    pthread_mutex_t identity; /* guards random */
    struct random random;
    struct lsm_id store;

    /* readers */
    struct epoch epoch;
    struct pool_spares spares; /* memory of memtables that are gone */
    struct lsm_cache *cache;
    _Atomic(struct lsm_state *) state;
    _Atomic uint64_t visible; /* sequence number of the newest change that readers see */
    _Atomic uint64_t filter_refusals;
    struct lsm_counter gets[8];
    _Atomic bool tidying; /* a job was submitted that frees what was replaced */
    _Atomic uint64_t iterators_closed;
    _Atomic uint64_t read_waste; /* since the active memtable began, or level 0 was compacted */

    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a commit, flush, compaction or install ended, or a spare is there */

    /* log */
    struct lsm_segment *active;     /* where records are placed */
    struct lsm_segment *spare;      /* the next one, allocated; or NULL */
    struct lsm_segment *named;      /* where records were last written: active, or one before it */
    struct lsm_segment_note *notes; /* of segments before `named`, ascending */
    size_t note_count, note_capacity;
    bool preparing;     /* a spare is being made */
    bool spare_refused; /* the last try failed: the next who needs it tries again */
    struct lsm_group groups[2];
    struct lsm_group *filling, *flushing;
    bool commit_running;
    bool sync_wanted;                /* by someone who waits */
    bool relief_started;             /* a job was submitted that commits for all */
    bool write_back_started;         /* a job was submitted that syncs ahead */
    bool writing_back;               /* it is at it: the named segment's file is in use */
    uint64_t taken, written, synced; /* batch numbers */
    uint64_t opened;                 /* taken, when the store was opened */
    uint64_t sequence;               /* of the last change taken */
    kvorum_status failure;           /* not OK: poisoned */
    uint64_t failure_last;           /* the last batch that failed with `failure` itself */
    uint64_t log_size;
    uint64_t segment_syncs; /* since the active segment became active */
    uint64_t small_writes;  /* of who commits: since the last large one */

    /* tables */
    struct lsm_policy policy;
    struct lsm_picker_cursor cursor;
    size_t early_tables; /* picker.h, lsm_reads */
    uint64_t next_file;
    struct list makers;    /* at work: those that began first come first */
    uint64_t tables_shown; /* that became part of the store since it was opened */
    uint64_t flushed_batch, flushed_sequence; /* up to here everything is in tables */
    uint64_t first_segment;                   /* of those that are needed */
    bool log_begins;                          /* manifest.h */
    bool installing;
    struct list snapshots;
    size_t snapshot_count;

    /* background */
    bool flushing_table; /* a memtable is being flushed */
    bool flush_started;  /* a job for flushes was submitted and has not ended */
    unsigned compactions_running;
    struct lsm_compaction *compactions; /* under way */
    unsigned manual;                    /* compactions by hand under way: others keep off */
    bool closing;
    uint64_t progress;                 /* bytes that flushes and compactions have written */
    uint64_t paid_used, paid_progress; /* background.c, slowing down */
    kvorum_status flush_failure;       /* of the last try; OK after one that went well */
    kvorum_status compaction_failure;  /* the same */
    bool compaction_again;             /* try again though the last one failed */
    bool collected_last;               /* the last compaction was for blob files' sake */
    uint64_t kicks;                    /* with which it was looked for something to start */

    struct lsm_counts counts;

    /* owner */
    struct jobs *jobs;
    struct lsm_lifeline *lifeline;
    bool commit_pending, prepare_pending; /* jobs */
    struct engine_commit *first_commit, **last_commit;
    size_t sync_commits; /* queued ones that asked for SYNC */
    bool completing;
    bool kicked_inside; /* from a `done`: to be made up for */
    bool job_syncs;     /* what the commit job under way is to do */
};

/* files.c: names */

enum lsm_file { LSM_FILE_LOG, LSM_FILE_LOG_NEW, LSM_FILE_TABLE, LSM_FILE_BLOB };

/** "<path>/<name>"; INVALID when too long. */
KVORUM_CHECKED kvorum_status lsm_path(const struct lsm *lsm, const char *name, char *ret_path);
/** A file that every store has, to be read and closed by the caller; CORRUPT when it is missing. */
KVORUM_CHECKED kvorum_status lsm_open_own(const struct lsm *lsm, const char *name,
                                          struct disk_file **ret_file);
void lsm_file_name(enum lsm_file kind, uint64_t number, char *ret_name); /* LSM_NAME_SIZE */
/** False when `name` is no such file's. */
bool lsm_file_parse(const char *name, enum lsm_file kind, uint64_t *ret_number);
KVORUM_CHECKED kvorum_status lsm_file_path(const struct lsm *lsm, enum lsm_file kind,
                                           uint64_t number, char *ret_path);
struct lsm_id lsm_new_id(struct lsm *lsm);
/** Make "<directory>/<name>" hold `bytes`: it is there whole or not at all, whenever the power
 *  fails, and after all names made in the directory before.  *ret_unsure, on an error: nobody knows
 *  which. */
KVORUM_CHECKED kvorum_status lsm_write_whole(struct disk *disk, const char *directory,
                                             const char *name, struct bytes bytes,
                                             bool *ret_unsure);

/* submit.c: writes, and completions for the owner */

kvorum_status lsm_write(struct engine *engine, const struct engine_batch *batch,
                        enum engine_durability durability);
kvorum_status lsm_submit(struct engine *engine, const struct engine_batch *batch,
                         enum engine_durability durability, struct engine_commit *commit);
void lsm_kick(struct engine *engine);
/** Commit and complete all that is queued. */
void lsm_drain(struct lsm *lsm);

/* state.c */

/** With the mutex: let readers see these from now on.  Takes over the caller's references, of
 *  memtables and levels; frees `state` itself and keeps the old one when memory runs out. */
KVORUM_CHECKED kvorum_status lsm_state_set(struct lsm *lsm, const struct lsm_state *next);
/** Its parts, without references of their own (the counter is not touched: readers change it). */
void lsm_state_copy(const struct lsm_state *from, struct lsm_state *ret);
/** The same in two steps, of which only the first can fail: memory (NULL: none), and then the
 *  change, which takes it over. */
struct lsm_state *lsm_state_create(void);
void lsm_state_show(struct lsm *lsm, struct lsm_state *state, const struct lsm_state *next);
void lsm_state_reference(struct lsm_state *state);
void lsm_state_release(struct lsm_state *state); /* NULL is fine */
/** With the mutex: the newest state, which holds until the mutex is let go. */
struct lsm_state *lsm_state_now(struct lsm *lsm);
/** With the mutex: freeze the active memtable, if it holds anything, and begin another. */
KVORUM_CHECKED kvorum_status lsm_freeze(struct lsm *lsm);

/* read.c, iterator.c, snapshot.c */

kvorum_status lsm_get(struct engine *engine, struct bytes key, const struct engine_read *read,
                      struct engine_view *ret_view);
void lsm_get_many(struct engine *engine, const struct bytes *keys, size_t count,
                  const struct engine_read *read, struct engine_view *ret_views,
                  kvorum_status *ret_statuses);
void lsm_release(struct engine_view *view);
void lsm_prefetch(struct engine *engine, const struct bytes *keys, size_t count);
kvorum_status lsm_iterate(struct engine *engine, const struct engine_range *range,
                          const struct engine_read *read, struct engine_iterator **ret_iterator);
void lsm_iterator_close(struct engine_iterator *iterator);
void lsm_iterator_first(struct engine_iterator *iterator);
void lsm_iterator_last(struct engine_iterator *iterator);
void lsm_iterator_seek(struct engine_iterator *iterator, struct bytes key);
void lsm_iterator_next(struct engine_iterator *iterator);
void lsm_iterator_previous(struct engine_iterator *iterator);
kvorum_status lsm_snapshot_take(struct engine *engine, struct engine_snapshot **ret_snapshot);
void lsm_snapshot_release(struct engine *engine, struct engine_snapshot *snapshot);
/** With the mutex: `memtable` is frozen, so its snapshots need not keep it from anything. */
void lsm_snapshots_leave(struct lsm *lsm, struct lsm_memtable *memtable);
/** With the mutex: the sequence numbers held, ascending, without repeats, in malloc'ed memory.
 *  False: no memory. */
bool lsm_snapshot_list(const struct lsm *lsm, uint64_t **ret_sequences, size_t *ret_count);

/* checkpoint.c, verify.c */

kvorum_status lsm_checkpoint(struct engine *engine, const char *path);
kvorum_status lsm_verify(struct engine *engine,
                         void (*report)(void *context, const struct engine_damage *damage),
                         void *context);
kvorum_status lsm_range_size(struct engine *engine, const struct engine_range *range,
                             uint64_t *ret_size);
/** As lsm_blob_header_judge.  CORRUPT also: there is no such file.  IO. */
KVORUM_CHECKED kvorum_status lsm_blob_header_check(struct lsm *lsm,
                                                   const struct lsm_blob_file *blob);

/* store.c: the directory */

/** FORMAT is there, and says what it should; adds to *size what was read.  CORRUPT, IO. */
KVORUM_CHECKED kvorum_status lsm_format_check(struct lsm *lsm, uint64_t *size);

/** Lock the directory and read, or make, its FORMAT file.  *ret_fresh: there is no log yet. */
KVORUM_CHECKED kvorum_status lsm_store_open(struct lsm *lsm, bool create, bool *ret_fresh);

/** Read and check FORMAT, and set the store's id. */
KVORUM_CHECKED kvorum_status lsm_format_read(struct lsm *lsm, uint32_t *ret_version);
/** Make a directory durably. */
KVORUM_CHECKED kvorum_status lsm_make_directory(struct disk *disk, const char *path);
/** Is there anything in it?  NOT_FOUND, IO. */
KVORUM_CHECKED kvorum_status lsm_directory_taken(struct disk *disk, const char *path,
                                                 bool *ret_taken);
/** This store's FORMAT file, there. */
KVORUM_CHECKED kvorum_status lsm_format_write(struct lsm *lsm, const char *directory);

#endif
