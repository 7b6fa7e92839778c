/* SPDX-License-Identifier: Apache-2.0 */
/** The one interface of every storage engine: an ordered or unordered map from bytes to bytes.
 *
 *  An engine is opened by its own constructor (memory_open, lsm_open) and used through the wrappers
 *  below, which check arguments once for all.  What an engine cannot do is told by a missing
 *  capability and answered with UNSUPPORTED, never guessed.
 *
 *  Threads    reads and engine_write: any number of threads.  engine_submit, engine_kick and the
 *             completions they cause: one thread, the owner of the jobs object the engine was
 *             opened with.
 *  Visibility a batch is visible to reads as a whole from the moment write or submit took it; it is
 *             *acknowledged* when write returns or `done` is called with OK, and then it is as
 *             durable as was asked.
 *  Order      batches become durable in the order in which they were taken: a crash never keeps a
 *             later batch of a store and loses an earlier one.
 *  Limits     keys 1 B to ENGINE_KEY_SIZE_MAX, values 0 B to ENGINE_VALUE_SIZE_MAX; INVALID and
 *             TOO_LARGE otherwise.
 *  Disks      a failed write or sync of the log poisons the engine: that batch and later ones
 *             answer POISONED (the first group IO or NO_SPACE), reads go on.  NO_SPACE met before
 *             anything was written does not poison.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "kvorum/status.h"

enum {
    ENGINE_KEY_SIZE_MAX = 72 * 1024, /* a 64 KiB user key and the address of its bucket before it */
    ENGINE_VALUE_SIZE_MAX = 1 << 30,
    ENGINE_BATCH_SIZE_MAX = (1 << 30) + (1 << 20),
    ENGINE_PREFETCH_MAX = 16, /* keys */
};

enum engine_capability {
    ENGINE_ORDERED = 1 << 0,       /* iterators go in bytes_compare order, both ways */
    ENGINE_DURABLE = 1 << 1,       /* survives close and crash */
    ENGINE_SNAPSHOT = 1 << 2,      /* iterators do not see later writes */
    ENGINE_TTL = 1 << 3,           /* put may carry a deadline */
    ENGINE_HELD_SNAPSHOT = 1 << 4, /* engine_snapshot_take: many reads of one state */
    ENGINE_MERGES = 1 << 5,        /* batches may hold merges, where an operator was given */
    ENGINE_RANGES = 1 << 6,        /* batches may delete ranges */
    ENGINE_TABLES = 1 << 7,        /* flush, compact, settle, checkpoint, verify */
};

enum engine_durability {
    ENGINE_NONE, /* in memory */
    ENGINE_LOG,  /* handed to the operating system: survives the process */
    ENGINE_SYNC, /* on disk: survives power loss */
};

struct engine_snapshot;

struct engine {
    const struct engine_ops *ops;
};

/** A list of changes applied all or none, in order.  Its bytes are also the log's payload:
 *
 *      repeated: kind u8 | key size varint | key | but for DELETE: value size varint | value
 *
 *  The value of a MERGE is its operand; that of a DELETE_RANGE the first key no longer deleted,
 *  empty for all to the end (its key is the first one deleted).
 *  Thread: one at a time.  Reusable after engine_batch_reset. */
struct engine_batch;
enum engine_change {
    ENGINE_PUT = 1,
    ENGINE_DELETE = 2,
    ENGINE_MERGE = 3,
    ENGINE_DELETE_RANGE = 4,
};

/** How merges are carried out.  Pure and deterministic: it runs at any read, and again when tables
 *  are compacted, on any thread. */
struct engine_merge_operator {
    const char *name; /* remembered in the store, which is refused to another operator: INVALID */
    /** Append to `ret_value` what `operands` (oldest first) make of `base`; NULL: the key is
     * absent.
     *  Must give the same when applied in parts: merge(merge(base, a), b) = merge(base, a, b).
     *  CORRUPT when the operands make no sense; the read answers that. */
    kvorum_status (*merge)(void *context, struct bytes key, const struct bytes *base,
                           const struct bytes *operands, size_t count, struct buffer *ret_value);
    void *context;
};

/** Asked once for each newest value that a compaction meets and no snapshot protects. */
struct engine_compaction_filter {
    bool (*keep)(void *context, struct bytes key, struct bytes value); /* false: as if deleted */
    void *context;
};

/** How to read; NULL where one is taken: the newest state, waiting for the disk where needed. */
struct engine_read {
    const struct engine_snapshot *snapshot;
    bool nowait; /* WOULD_BLOCK instead of touching the disk */
};

/** A view lent by the engine: `value` stays valid and unchanged, whatever is written meanwhile,
 *  until engine_release. */
struct engine_view {
    struct bytes value;
    struct engine *engine;
    void *guard;    /* the engine's */
    unsigned holds; /* the engine's: what guard is */
};

/** The caller's record of one submitted batch, untouched and in place until `done` was called. */
struct engine_commit {
    void (*done)(struct engine_commit *commit, kvorum_status status);
    struct engine_commit *next; /* the engine's until done */
    uint64_t ticket;            /* the engine's */
    uint8_t durability;         /* the engine's */
};

struct engine_range {
    struct bytes lower; /* first key wanted; empty: from the start */
    struct bytes upper; /* first key no longer wanted; empty: to the end */
    bool keys_only;     /* iterator values are empty */
};

struct engine_iterator {
    const struct engine_ops *ops;
    bool valid;          /* positioned on an entry; key and value hold until the next move */
    kvorum_status error; /* OK, or why the iterator stopped early (never silently) */
    struct bytes key, value;
};

/** A damaged place that engine_verify or a salvage found. */
struct engine_damage {
    const char *file; /* below the store's directory */
    uint64_t offset;  /* bytes */
    const char *what; /* a sentence without its full stop */
    kvorum_status status;
};

/** Damage, and what is lost with it.  Views: during the call that hands it on. */
struct engine_loss {
    struct engine_damage damage;
    bool lost;                 /* false: every key can still be read from what is intact */
    bool other;                /* neither a table nor a value: all of it is in memory too */
    bool mended;               /* such a thing was written anew, and nothing is left to do */
    struct bytes lower, upper; /* keys from `lower` on and before `upper` (empty: to the end), whose
                                  newest versions may have been there */
};

/** Where a scrub stands: zeros begin one. */
struct engine_scrub {
    uint64_t budget; /* bytes to read in a step, about */
    uint64_t file;   /* the engine's: it goes on here */
    uint64_t place;  /* the engine's */
    uint64_t part;   /* the engine's: of what it reads */
    uint64_t record; /* the engine's: the number of the next one, of the log */
    uint64_t end;    /* the engine's: what was written after the beginning is not read */
    uint64_t size;   /* read by the last step, bytes */
    uint64_t blocks; /* blocks and values out of line, read by the last step */
    bool waits;      /* for files that were being written when it began: go on in a while */
    bool finished;   /* all has been read */
};

enum { ENGINE_LEVELS = 7 };

struct engine_level_stats {
    uint64_t tables, size;            /* bytes */
    uint64_t read_size, written_size; /* bytes, by compactions into this level */
    uint64_t compactions, moves;      /* moves: tables that went down as they were */
};

struct engine_stats {
    uint64_t live_entries; /* keys that reads find; exact for memory, may be an estimate */
    uint64_t store_id[2];  /* names a durable store: a salvaged one or a checkpoint is another */
    uint64_t sequence;     /* of its newest change, kept on disk with it */
    uint64_t memory_size;  /* bytes held outside caches */
    uint64_t memory_limit; /* 0: none */
    uint64_t disk_size;    /* bytes of all files */
    uint64_t damage_met;   /* how often background work met a damaged file, since the open */
    uint64_t batches, puts, deletes, gets;
    uint64_t syncs;             /* fdatasync calls */
    uint64_t synced_batches;    /* made durable by them: batches / syncs is the group size */
    uint64_t recovered_batches; /* replayed at open */
    uint64_t dropped_tail_size; /* bytes of a torn tail dropped at open */
    /* with tables: */
    uint64_t log_size;                /* part of disk_size */
    uint64_t cache_size, cache_limit; /* bytes of blocks */
    uint64_t cache_hits, cache_misses;
    uint64_t table_memory_size;     /* bytes of indexes and filters of open tables */
    uint64_t filter_refusals;       /* table reads that a filter saved */
    uint64_t flushes, flushed_size; /* bytes */
    uint64_t compactions, compaction_read_size, compaction_written_size;
    uint64_t read_compactions;      /* begun early, because reads paid for them */
    uint64_t slowdowns;             /* writes that were slowed down gradually */
    uint64_t stalls;                /* writes that had to wait for a flush or compaction */
    uint64_t snapshots;             /* held now */
    uint64_t blob_files, blob_size; /* of values out of line; the size is part of disk_size */
    uint64_t blob_garbage;          /* part of blob_size that nothing refers to any more */
    struct engine_level_stats levels[ENGINE_LEVELS];
};

struct engine_ops {
    const char *name;
    uint32_t capabilities;
    void (*close)(struct engine *engine);
    kvorum_status (*get)(struct engine *engine, struct bytes key, const struct engine_read *read,
                         struct engine_view *ret_view);
    void (*get_many)(struct engine *engine, const struct bytes *keys, size_t count,
                     const struct engine_read *read, struct engine_view *ret_views,
                     kvorum_status *ret_statuses);
    void (*release)(struct engine_view *view);
    void (*prefetch)(struct engine *engine, const struct bytes *keys, size_t count);
    kvorum_status (*write)(struct engine *engine, const struct engine_batch *batch,
                           enum engine_durability durability);
    kvorum_status (*submit)(struct engine *engine, const struct engine_batch *batch,
                            enum engine_durability durability, struct engine_commit *commit);
    void (*kick)(struct engine *engine);
    kvorum_status (*iterate)(struct engine *engine, const struct engine_range *range,
                             const struct engine_read *read, struct engine_iterator **ret_iterator);
    void (*iterator_close)(struct engine_iterator *iterator);
    void (*iterator_first)(struct engine_iterator *iterator);
    void (*iterator_last)(struct engine_iterator *iterator);
    void (*iterator_seek)(struct engine_iterator *iterator, struct bytes key);
    void (*iterator_next)(struct engine_iterator *iterator);
    void (*iterator_previous)(struct engine_iterator *iterator);
    void (*stats)(struct engine *engine, struct engine_stats *ret_stats);
    kvorum_status (*snapshot_take)(struct engine *engine, struct engine_snapshot **ret_snapshot);
    void (*snapshot_release)(struct engine *engine, struct engine_snapshot *snapshot);
    kvorum_status (*flush)(struct engine *engine);
    kvorum_status (*compact)(struct engine *engine, const struct engine_range *range);
    kvorum_status (*settle)(struct engine *engine);
    kvorum_status (*checkpoint)(struct engine *engine, const char *path);
    kvorum_status (*verify)(struct engine *engine,
                            void (*report)(void *context, const struct engine_damage *damage),
                            void *context);
    kvorum_status (*range_size)(struct engine *engine, const struct engine_range *range,
                                uint64_t *ret_size);
    kvorum_status (*scrub)(struct engine *engine, struct engine_scrub *scrub,
                           void (*report)(void *context, const struct engine_loss *loss),
                           void *context);
    kvorum_status (*mend)(struct engine *engine, const struct engine_range *lost, size_t count,
                          void (*report)(void *context, const struct engine_loss *loss),
                          void *context, uint64_t *ret_mended);
};

/* --- batches ------------------------------------------------------------------------------- */

struct engine_batch *engine_batch_create(void); /* NULL: no memory */
void engine_batch_destroy(struct engine_batch *batch);
void engine_batch_reset(struct engine_batch *batch);
/** INVALID (empty key), TOO_LARGE, NO_MEMORY; the batch is unchanged on error. */
KVORUM_CHECKED kvorum_status engine_batch_put(struct engine_batch *batch, struct bytes key,
                                              struct bytes value);
KVORUM_CHECKED kvorum_status engine_batch_delete(struct engine_batch *batch, struct bytes key);
/** Combine `operand` with whatever the key holds, by the engine's merge operator. */
KVORUM_CHECKED kvorum_status engine_batch_merge(struct engine_batch *batch, struct bytes key,
                                                struct bytes operand);
/** Delete every key from `lower` on and before `upper`; empty `upper`: to the end.  INVALID when
 *  `upper` is not empty and not above `lower`. */
KVORUM_CHECKED kvorum_status engine_batch_delete_range(struct engine_batch *batch,
                                                       struct bytes lower, struct bytes upper);
/** It is small, and without it the store cannot get out of what makes it refuse writes: it is taken
 *  though flushes and compactions lag behind.  Until the next reset. */
void engine_batch_set_urgent(struct engine_batch *batch);
bool engine_batch_urgent(const struct engine_batch *batch);
size_t engine_batch_count(const struct engine_batch *batch);
struct bytes engine_batch_bytes(const struct engine_batch *batch);

/* --- calls --------------------------------------------------------------------------------- */

/** NULL is fine; always returns NULL.  Outstanding commits are completed (`done` is called, from
 *  here) before it returns; views and iterators must have been given back. */
struct engine *engine_close(struct engine *engine);

/** Lend the value of `key`.  NOT_FOUND, CORRUPT, IO.  On OK the caller owes engine_release. */
KVORUM_CHECKED kvorum_status engine_view(struct engine *engine, struct bytes key,
                                         struct engine_view *ret_view);
/** The same from a snapshot, or without waiting: WOULD_BLOCK when the disk would be needed.
 *  UNSUPPORTED: a snapshot without ENGINE_HELD_SNAPSHOT. */
KVORUM_CHECKED kvorum_status engine_view_at(struct engine *engine, struct bytes key,
                                            const struct engine_read *read,
                                            struct engine_view *ret_view);
void engine_release(struct engine_view *view);
/** engine_view_at for `count` keys, their memory and disk accesses overlapped; one state for all.
 *  Each ret_statuses[i] is what engine_view_at would have returned; on OK a view is owed. */
void engine_view_many(struct engine *engine, const struct bytes *keys, size_t count,
                      const struct engine_read *read, struct engine_view *ret_views,
                      kvorum_status *ret_statuses);
/** Copy the value of `key` into `arena`.  NOT_FOUND, CORRUPT, IO, NO_MEMORY. */
KVORUM_CHECKED kvorum_status engine_get(struct engine *engine, struct bytes key,
                                        struct arena *arena, struct bytes *ret_value);

/** A hint: `keys` are about to be read or written, so let the processor wait for their memory side
 *  by side instead of one after another.  Blocks: never. */
void engine_prefetch(struct engine *engine, const struct bytes *keys, size_t count);

/** Apply `batch` and wait until it is as durable as asked.  Blocks: on the log.
 *  STORE_FULL, NO_SPACE, NO_MEMORY: nothing happened.  IO, POISONED: see "Disks" above. */
KVORUM_CHECKED kvorum_status engine_write(struct engine *engine, const struct engine_batch *batch,
                                          enum engine_durability durability);

/** Apply `batch` now and call commit->done when it is as durable as asked: from inside this call
 *  when that is at once (NONE), otherwise from a later engine_kick or completed job, in order of
 *  submission.  An empty batch with SYNC or LOG is a barrier: done when all before it is.
 *  On an error *returned*, nothing happened and `done` is not called.  The batch's bytes are
 *  copied.  Blocks: not in the steady state (lsm: when a log segment is full before the next one
 *  was prepared, as for a batch larger than a segment). */
KVORUM_CHECKED kvorum_status engine_submit(struct engine *engine, const struct engine_batch *batch,
                                           enum engine_durability durability,
                                           struct engine_commit *commit);
/** Start the group commit of all that was submitted since the last one.  Nothing is started while
 *  one is under way: the owner's loop calls it after each job that ended, and whenever it has
 *  submitted.  Cheap when there is nothing to do.  Blocks: only for a write to the
 *  operating system's cache when LOG was asked; SYNC goes to a job. */
void engine_kick(struct engine *engine);

/** Snapshot iterator over `range` (NULL: everything), not yet positioned.  The bounds are copied.
 *  UNSUPPORTED without ENGINE_ORDERED. */
KVORUM_CHECKED kvorum_status engine_iterate(struct engine *engine, const struct engine_range *range,
                                            struct engine_iterator **ret_iterator);
/** The same over a snapshot's state, or without waiting (the iterator then stops with WOULD_BLOCK).
 *  */
KVORUM_CHECKED kvorum_status engine_iterate_at(struct engine *engine,
                                               const struct engine_range *range,
                                               const struct engine_read *read,
                                               struct engine_iterator **ret_iterator);
struct engine_iterator *engine_iterator_close(struct engine_iterator *iterator); /* NULL is fine */
void engine_iterator_first(struct engine_iterator *iterator);
void engine_iterator_last(struct engine_iterator *iterator);
/** To the first key >= `key` inside the range. */
void engine_iterator_seek(struct engine_iterator *iterator, struct bytes key);
void engine_iterator_next(struct engine_iterator *iterator);     /* iterator->valid must hold */
void engine_iterator_previous(struct engine_iterator *iterator); /* iterator->valid must hold */

void engine_stats(struct engine *engine, struct engine_stats *ret_stats);

/* --- states and tables: UNSUPPORTED without the capability named ---------------------------- */

/** Hold the state of now (ENGINE_HELD_SNAPSHOT): what it sees is kept, on disk too, until it is
 *  released.  Release before engine_close. */
KVORUM_CHECKED kvorum_status engine_snapshot_take(struct engine *engine,
                                                  struct engine_snapshot **ret_snapshot);
void engine_snapshot_release(struct engine *engine,
                             struct engine_snapshot *snapshot); /* NULL: fine */

/* All of ENGINE_TABLES block on the disk, and are safe beside reads and writes from any thread.
 * POISONED, IO, NO_SPACE, CORRUPT. */

/** Everything written so far is in tables when it returns. */
KVORUM_CHECKED kvorum_status engine_flush(struct engine *engine);
/** Rewrite what tables hold of `range` (NULL: all) into the lowest level: no deleted or superseded
 *  entry is left of it, but for snapshots. */
KVORUM_CHECKED kvorum_status engine_compact(struct engine *engine,
                                            const struct engine_range *range);
/** Flush, then wait until no compaction is due or running. */
KVORUM_CHECKED kvorum_status engine_settle(struct engine *engine);
/** Make `path` (on the same disk, not there yet or empty: EXISTS) a store with the state of now, by
 *  hard links: takes room only for what changes afterwards.  After an error nothing of it is left,
 *  if it can be removed. */
KVORUM_CHECKED kvorum_status engine_checkpoint(struct engine *engine, const char *path);
/** Read everything and check it against its checksums and order.  Each damage is reported; CORRUPT
 *  when there was any. */
KVORUM_CHECKED kvorum_status engine_verify(struct engine *engine,
                                           void (*report)(void *context,
                                                          const struct engine_damage *damage),
                                           void *context);
/** About how many bytes of tables `range` takes. */
KVORUM_CHECKED kvorum_status engine_range_size(struct engine *engine,
                                               const struct engine_range *range,
                                               uint64_t *ret_size);

/** Read on where `scrub` stands, until its budget is spent, and check it as engine_verify does.
 *  Damage is reported and no error; the next step goes on behind it.  Steps may lie any time apart:
 *  what compactions wrote in between is read or was new when the scrub began.
 *  Also read are the sealed parts of the log, and what says which files make up the store; what is
 *  damaged of that is written anew from memory, so a step may write.  Not read: the part of the log
 *  that is being written. */
KVORUM_CHECKED kvorum_status engine_scrub(struct engine *engine, struct engine_scrub *scrub,
                                          void (*report)(void *context,
                                                         const struct engine_loss *loss),
                                          void *context);
/** Write every damaged table that meets one of `lost` anew, without what is damaged: keys that were
 *  lost with it answer what is older, or NOT_FOUND, from then on, where they answered CORRUPT.  So
 *  who calls this must keep in mind, durably, that `lost` is in doubt, until what was there has
 *  come from elsewhere.  A table that loses anything outside `lost` is reported and stays as it is:
 *  CORRUPT.  *ret_mended: tables, also on an error. */
KVORUM_CHECKED kvorum_status engine_mend(struct engine *engine, const struct engine_range *lost,
                                         size_t count,
                                         void (*report)(void *context,
                                                        const struct engine_loss *loss),
                                         void *context, uint64_t *ret_mended);

static inline bool engine_can(const struct engine *engine, uint32_t capabilities)
{
    return (engine->ops->capabilities & capabilities) == capabilities;
}

#endif
