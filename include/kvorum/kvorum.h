/* SPDX-License-Identifier: Apache-2.0 */
/** Kvorum, embedded: an ordered, crash-proof map from bytes to bytes in a directory of its own.
 *
 *      kvorum_store *store;
 *      kvorum_status status = kvorum_open("pets", NULL, &store);
 *      if (status == KVORUM_OK)
 *          status = kvorum_put(store, kvorum_text("cat"), kvorum_text("meow"),
 *                              KVORUM_DURABILITY_SYNC);
 *      ...
 *      store = kvorum_close(store);
 *
 *  CONVENTIONS, which hold for every function below and are not repeated there
 *
 *  Errors     What can fail returns kvorum_status (kvorum/status.h): KVORUM_OK, or why not.
 *             Outputs come last, are named ret_, and are untouched on failure.  An argument that
 *             makes no sense (a NULL where none is allowed, an empty key) is INVALID, and a call
 *             that the store's engine does not have is UNSUPPORTED: never a guess, never a crash.
 *             kvorum_status_text() has a sentence for people.  NO_MEMORY can come from anywhere.
 *  Disks      CORRUPT  stored bytes fail their checksum: they are never returned, and the rest of
 *                      the store can still be read.  Next: kvorum_verify, kvorum_salvage.
 *             IO       the disk failed.  After a failed write or sync of the log the store takes
 *                      no more writes (POISONED), since nobody can say what is on the disk; reads
 *                      go on.  Close it, look at the disk, open it again: what was acknowledged
 *                      with SYNC is there.
 *             NO_SPACE the disk is full; a write that met it did not happen.
 *  Ownership  Handles are opaque.  What was opened, created or taken is ended by the function named
 *             with it, which accepts NULL and returns NULL (`store = kvorum_close(store)`).  End
 *             views, iterators and snapshots before the store they came from; batches belong to
 *             no store.  Arguments are only looked at during the call: keys, values, bounds, paths
 *             and option structs are copied.  What a callback is given is valid until it returns.
 *  Threads    A store may be used by any number of threads at once.  A batch and an iterator belong
 *             to one thread at a time; a view and a snapshot may be handed on.  Flushes and
 *             compactions run on threads of the store, which take no signals; callbacks may run
 *             there.  A store does not survive fork(): open it in the child.
 *  Blocking   Every call may wait for the disk unless it says otherwise (`nowait`), and for other
 *             threads for no longer than it takes to commit their writes.
 *  Bytes      Keys 1 B to KVORUM_KEY_SIZE_MAX, values 0 B to KVORUM_VALUE_SIZE_MAX, TOO_LARGE
 *             above.  They may hold any bytes.  Keys are ordered as unsigned bytes, a key before
 *             those it begins.  All sizes are in bytes, times in microseconds where named _us.
 *  Structs    Zero means default: begin with `= { 0 }` and set what you want.  `reserved` must stay
 *             zero.  A later release takes its new members from there, so programs need not be
 *             compiled again; one that sets an option which the library at hand does not know yet
 *             is told so (UNSUPPORTED), never silently ignored.
 *  Visibility A write is seen by every read that begins after it returned, a batch as a whole.
 *  Crashes    Whatever is acknowledged with SYNC survives power loss.  What was not is there or
 *             not, but in order: no write is kept while an earlier one is lost, no batch in part.
 */
#ifndef KVORUM_KVORUM_H
#define KVORUM_KVORUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kvorum/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KVORUM_VERSION_MAJOR 0 /* of this header; kvorum_version() is the library's */
#define KVORUM_VERSION_MINOR 1

enum {
    KVORUM_KEY_SIZE_MAX = 64 * 1024,
    KVORUM_VALUE_SIZE_MAX = 1 << 30,
    KVORUM_LEVELS = 7,
};

typedef struct kvorum_store kvorum_store;
typedef struct kvorum_batch kvorum_batch;
typedef struct kvorum_iterator kvorum_iterator;
typedef struct kvorum_snapshot kvorum_snapshot;

/** A view of bytes that somebody else owns; `data` may be NULL when `size` is 0. */
typedef struct kvorum_bytes {
    const void *data;
    size_t size;
} kvorum_bytes;

static inline kvorum_bytes kvorum_make(const void *data, size_t size)
{
    kvorum_bytes bytes;
    bytes.data = data;
    bytes.size = size;
    return bytes;
}

/** The bytes of a C string, without its NUL. */
static inline kvorum_bytes kvorum_text(const char *text)
{
    return kvorum_make(text, strlen(text));
}

/* --- opening ------------------------------------------------------------------------------- */

/** How safe a write is when the call returns. */
enum kvorum_durability {
    KVORUM_DURABILITY_NONE, /* in memory: lost when the process dies */
    KVORUM_DURABILITY_LOG,  /* with the operating system: survives the process, not the machine */
    KVORUM_DURABILITY_SYNC, /* on disk: survives power loss.  Threads that write together share one
                               sync of the disk */
};

/** Of tables on disk; the log is never compressed. */
enum kvorum_compression {
    KVORUM_COMPRESSION_DEFAULT, /* the library's choice by level */
    KVORUM_COMPRESSION_NONE,
    KVORUM_COMPRESSION_LZ4,
    KVORUM_COMPRESSION_ZSTD,
};

/** Where a merge operator writes its result. */
typedef struct kvorum_output kvorum_output;
/** Thread: the one that runs the operator.  Out of memory shows afterwards, as NO_MEMORY. */
KVORUM_API void kvorum_output_append(kvorum_output *output, kvorum_bytes bytes);

/** Makes one value of a value and changes to it, so that a change needs no read: counters, sets,
 *  lists.  Pure and deterministic: it runs at reads and again in compactions, on any thread. */
typedef struct kvorum_merge_operator {
    /** Remembered in the store, which is INVALID to open with another one.  NULL: no operator. */
    const char *name;
    /** Append to `ret_value` what `operands` (oldest first, `count` >= 1) make of `base`; NULL: the
     *  key is absent.  Must give the same in parts: merge(merge(x, a), b) = merge(x, a, b).
     *  Return KVORUM_OK, or CORRUPT when the operands make no sense: then reads answer that. */
    kvorum_status (*merge)(void *context, kvorum_bytes key, const kvorum_bytes *base,
                           const kvorum_bytes *operands, size_t count, kvorum_output *ret_value);
    void *context;
} kvorum_merge_operator;

/** Asked by compactions about each newest value that no snapshot protects: false drops it, as if it
 *  had been deleted.  Runs on threads of the store; must not call it. */
typedef struct kvorum_compaction_filter {
    bool (*keep)(void *context, kvorum_bytes key, kvorum_bytes value); /* NULL: keep all */
    void *context;
} kvorum_compaction_filter;

enum kvorum_log_level { KVORUM_LOG_INFO = 1, KVORUM_LOG_WARN, KVORUM_LOG_ERROR };

/** Hears what the store has to say, such as which file is damaged, and where in it.  `line` has no
 *  newline.  Any thread; must not call the store. */
typedef struct kvorum_logger {
    void (*write)(void *context, enum kvorum_log_level level, const char *line); /* NULL: silent */
    void *context;
} kvorum_logger;

#define KVORUM_NO_FILTER UINT32_MAX /* for filter_bits */

typedef struct kvorum_options {
    const char *engine; /* NULL, "lsm"; "memory": nothing on disk, `path` unused */
    bool must_exist;    /* NOT_FOUND instead of making a store */
    bool must_be_new;   /* EXISTS instead of opening one */
    bool read_only;     /* nothing is written, not even repaired; writes are NOT_ALLOWED */
    enum kvorum_compression compression;
    uint32_t background_threads; /* for flushes and compactions; 0: 2 */
    uint32_t filter_bits;        /* of the tables' filters, for a key; 0: 10 */
    uint32_t block_size;         /* what tables are read by, before compression; 0: 4096 */
    uint32_t open_files;         /* tables open at a time; 0: no limit */
    uint64_t cache_size;         /* bytes that cached blocks may take; 0: 64 MiB */
    uint64_t table_memory_size;  /* bytes that indexes and filters may take; 0: no limit */
    uint64_t memtable_size;      /* bytes of writes gathered in memory for a table; 0: 64 MiB */
    uint64_t log_segment_size;   /* bytes of one file of the log; 0: a quarter of a memtable */
    uint64_t large_value_size;   /* values from here on are kept apart from their keys, and not
                                    rewritten by compactions; 0: 1 MiB; UINT64_MAX: never */
    uint64_t size_limit;         /* memory engine: bytes of keys, values and overhead; 0: none */
    kvorum_merge_operator merge;
    kvorum_compaction_filter filter;
    kvorum_logger log;
    uint64_t reserved[16];
} kvorum_options;

/** Open the store in the directory `path`, or make one where there is none (the parent must be
 *  there).  `options` NULL: defaults.  Own: the caller ends it with kvorum_close().
 *  Blocks: on disk, for a log of N bytes about as long as reading them takes.
 *  NOT_FOUND  `must_exist` and no store, or no parent    EXISTS        `must_be_new`, and a store
 *  LOCKED     open already, here or in another process   FOREIGN       other files are there
 *  CORRUPT    damaged; the log says which file and where NEWER_FORMAT  made by a later release
 *  NOT_ALLOWED, IO, NO_SPACE  of the file system         INVALID       another merge operator, a
 *                                                        path that is too long or no directory */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_open(const char *path, const kvorum_options *options,
                                                    kvorum_store **ret_store);
/** Writes that were acknowledged with less than SYNC are synced; kvorum_sync() before it tells
 *  whether that worked.  Waits for a running flush or compaction.  No other call may be under
 *  way. */
KVORUM_API kvorum_store *kvorum_close(kvorum_store *store);

/* --- reading ------------------------------------------------------------------------------- */

/** How to read; NULL where one is taken: the newest state, waiting for the disk where needed. */
typedef struct kvorum_read {
    const kvorum_snapshot *snapshot; /* NULL: the newest state */
    bool nowait;                     /* WOULD_BLOCK instead of touching the disk */
    uint64_t reserved[4];
} kvorum_read;

/** Copy the value of `key` to `buffer`, which has room for `capacity` bytes.
 *  NOT_FOUND; TOO_LARGE: it does not fit (kvorum_get_view has it whole, and its size). */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_get(kvorum_store *store, kvorum_bytes key,
                                                   void *buffer, size_t capacity, size_t *ret_size);

/** A value lent by the store, not copied: `value` stays as it is, whatever is written meanwhile,
 *  until kvorum_view_release().  Memory that the store would like to use again waits as well, so do
 *  not keep views for long. */
typedef struct kvorum_view {
    kvorum_bytes value;
    void *lent[6]; /* the store's */
} kvorum_view;

/** Lend the value of `key`.  NOT_FOUND, WOULD_BLOCK.  On OK the caller owes kvorum_view_release. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_get_view(kvorum_store *store, kvorum_bytes key,
                                                        const kvorum_read *read,
                                                        kvorum_view *ret_view);
/** Blocks: never.  A released view is empty, and releasing it again does nothing. */
KVORUM_API void kvorum_view_release(kvorum_view *view);

/** kvorum_get_view for `count` keys in one state, their memory and disk accesses overlapped: faster
 *  than one after another from two keys on.  ret_statuses[i] is what kvorum_get_view would have
 *  answered for keys[i]; for each OK a view is owed, and the other views are untouched.
 *  INVALID, NO_MEMORY: nothing was read. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_get_many(kvorum_store *store,
                                                        const kvorum_bytes *keys, size_t count,
                                                        const kvorum_read *read,
                                                        kvorum_view *ret_views,
                                                        kvorum_status *ret_statuses);

/** Whether `key` has a value. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_contains(kvorum_store *store, kvorum_bytes key,
                                                        bool *ret_found);

/* --- writing ------------------------------------------------------------------------------- */
/* TOO_LARGE, NO_SPACE, STORE_FULL (memory engine: at its limit): nothing happened.  IO, POISONED:
 * see "Disks" above; whether this write survives a restart is then unknown. */

/** Set the value of `key`. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_put(kvorum_store *store, kvorum_bytes key,
                                                   kvorum_bytes value,
                                                   enum kvorum_durability durability);
/** OK too when there was no such key. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_delete(kvorum_store *store, kvorum_bytes key,
                                                      enum kvorum_durability durability);
/** Combine `operand` with what `key` holds, by the store's merge operator; UNSUPPORTED without. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_merge(kvorum_store *store, kvorum_bytes key,
                                                     kvorum_bytes operand,
                                                     enum kvorum_durability durability);

/** A list of changes that are applied all or none, in their order.  NULL: no memory.
 *  Own: the caller ends it with kvorum_batch_destroy().  It may be written to several stores, and
 *  used again after kvorum_batch_clear(), which keeps its memory. */
KVORUM_API kvorum_batch *kvorum_batch_create(void);
KVORUM_API kvorum_batch *kvorum_batch_destroy(kvorum_batch *batch);
/** Blocks: never. */
KVORUM_API void kvorum_batch_clear(kvorum_batch *batch);
/** How many changes it holds. */
KVORUM_API size_t kvorum_batch_count(const kvorum_batch *batch);

/* These add one change; on an error the batch is as it was.  Block: never.  TOO_LARGE also when the
 * batch would pass 1 GiB. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_batch_put(kvorum_batch *batch, kvorum_bytes key,
                                                         kvorum_bytes value);
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_batch_delete(kvorum_batch *batch, kvorum_bytes key);
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_batch_merge(kvorum_batch *batch, kvorum_bytes key,
                                                           kvorum_bytes operand);
/** Delete every key from `lower` on and before `upper` (empty: no bound).  Costs the same however
 *  many there are.  INVALID when `upper` is not empty and not above `lower`. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_batch_delete_range(kvorum_batch *batch,
                                                                  kvorum_bytes lower,
                                                                  kvorum_bytes upper);

/** Apply `batch` and wait until it is as durable as asked.  An empty batch with SYNC waits until
 *  everything before it is on disk.  UNSUPPORTED: it holds merges or ranges, which the store has
 *  not. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_write(kvorum_store *store, const kvorum_batch *batch,
                                                     enum kvorum_durability durability);
/** Everything written so far is on disk. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_sync(kvorum_store *store);

/* --- iterating ----------------------------------------------------------------------------- */

/** What to iterate over; all of it that is given must hold. */
typedef struct kvorum_scan {
    kvorum_bytes lower;              /* first key wanted; empty: from the first */
    kvorum_bytes upper;              /* first key no longer wanted; empty: to the last */
    kvorum_bytes prefix;             /* of all keys wanted; empty: any */
    bool keys_only;                  /* values are empty, which may be quicker */
    bool nowait;                     /* stop with WOULD_BLOCK instead of touching the disk */
    const kvorum_snapshot *snapshot; /* NULL: the state of now */
    uint64_t reserved[4];
} kvorum_scan;

/** An iterator over `scan` (NULL: everything), which sees one state, whatever is written meanwhile:
 *
 *      for (bool more = kvorum_iterator_first(it); more; more = kvorum_iterator_next(it))
 *          use(kvorum_iterator_key(it), kvorum_iterator_value(it));
 *      status = kvorum_iterator_status(it);         (OK: that was all, not an error)
 *
 *  Own: the caller ends it with kvorum_iterator_close(). */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_iterate(kvorum_store *store, const kvorum_scan *scan,
                                                       kvorum_iterator **ret_iterator);
KVORUM_API kvorum_iterator *kvorum_iterator_close(kvorum_iterator *iterator);

/* Moving.  True: it stands on an entry.  False: there is none, or an error, see _status.  Next and
 * previous of an iterator that stands on none do nothing. */
KVORUM_API bool kvorum_iterator_first(kvorum_iterator *iterator);
KVORUM_API bool kvorum_iterator_last(kvorum_iterator *iterator);
/** To the first key that is `key` or above it. */
KVORUM_API bool kvorum_iterator_seek(kvorum_iterator *iterator, kvorum_bytes key);
KVORUM_API bool kvorum_iterator_next(kvorum_iterator *iterator);
KVORUM_API bool kvorum_iterator_previous(kvorum_iterator *iterator);

/* The entry it stands on, lent until the iterator moves or is closed; empty when on none.
 * Block: never. */
KVORUM_API kvorum_bytes kvorum_iterator_key(const kvorum_iterator *iterator);
KVORUM_API kvorum_bytes kvorum_iterator_value(const kvorum_iterator *iterator);
/** OK, or why the last move found no entry though there may be one. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_iterator_status(const kvorum_iterator *iterator);

/** Hold the state of now for reads and iterators.  What it sees is kept, on disk too, until
 *  kvorum_snapshot_release() of the same store. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_snapshot_take(kvorum_store *store,
                                                             kvorum_snapshot **ret_snapshot);
KVORUM_API kvorum_snapshot *kvorum_snapshot_release(kvorum_store *store, kvorum_snapshot *snapshot);

/* --- the store as a whole ------------------------------------------------------------------ */
/* All of these are safe beside reads and writes of other threads, and none is needed: the store
 * flushes and compacts by itself.  UNSUPPORTED: the engine has no tables. */

/** Everything written so far is in tables, and the log before it not needed any more. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_flush(kvorum_store *store);
/** Rewrite all tables that hold keys from `lower` on and before `upper` (empty: no bound): deleted
 *  and overwritten entries are gone from them, but for snapshots. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_compact(kvorum_store *store, kvorum_bytes lower,
                                                       kvorum_bytes upper);
/** Flush, then wait until no compaction is due or running. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_settle(kvorum_store *store);
/** Make a store with the state of now in the directory `path`, by hard links: at once, and in room
 *  only for what changes later.  EXISTS: something is there; INVALID: on another file system. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_checkpoint(kvorum_store *store, const char *path);
/** About how many bytes of tables the keys from `lower` on and before `upper` take. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_approximate_size(kvorum_store *store,
                                                                kvorum_bytes lower,
                                                                kvorum_bytes upper,
                                                                uint64_t *ret_size);

/** A damaged place in a store's files. */
typedef struct kvorum_damage {
    const char *file; /* below the store's directory */
    uint64_t offset;
    const char *what; /* a sentence without its full stop */
    kvorum_status status;
} kvorum_damage;

/** Read everything and check it against its checksums and its order.  `report` (may be NULL) hears
 *  of each damage; CORRUPT when there was any. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_verify(
    kvorum_store *store, void (*report)(void *context, const kvorum_damage *damage), void *context);

typedef struct kvorum_salvaged {
    uint64_t keys;      /* written to the new store from tables */
    uint64_t batches;   /* written from the log, after those */
    uint64_t lost_size; /* bytes of files that could not be used */
    uint64_t damages;   /* places */
    uint64_t reserved[4];
} kvorum_salvaged;

/** Write all that is provably intact of the store in `path`, which is not open and may be one that
 *  kvorum_open refuses as CORRUPT, to a new store in `new_path`.  The old one is not changed.
 *  `options` NULL: defaults; those of the new store.  `report` as for kvorum_verify.
 *  OK also when something was lost: see *ret_salvaged.  NOT_FOUND, LOCKED: `path`.  EXISTS:
 *  `new_path`. */
KVORUM_API KVORUM_CHECKED kvorum_status
kvorum_salvage(const char *path, const char *new_path, const kvorum_options *options,
               void (*report)(void *context, const kvorum_damage *damage), void *context,
               kvorum_salvaged *ret_salvaged);

/* --- looking inside ------------------------------------------------------------------------ */

typedef struct kvorum_level_statistics {
    uint64_t tables, size;
    uint64_t read_size, written_size; /* by compactions into this level */
    uint64_t compactions, moves;      /* moves: tables that went down as they were */
    uint64_t reserved[2];
} kvorum_level_statistics;

/** Counters run since the store was opened. */
typedef struct kvorum_statistics {
    uint64_t live_entries; /* keys that reads find; an estimate with tables */
    uint64_t memory_size;  /* held outside caches */
    uint64_t memory_limit; /* 0: none */
    uint64_t disk_size;    /* of all files */
    uint64_t log_size;     /* part of disk_size */
    uint64_t batches, puts, deletes, gets;
    uint64_t syncs, synced_batches; /* batches / syncs: how many writers shared one */
    uint64_t recovered_batches;     /* read from the log at open */
    uint64_t dropped_tail_size;     /* of the log, torn by a crash, dropped at open */
    uint64_t cache_size, cache_limit, cache_hits, cache_misses;
    uint64_t table_memory_size; /* of indexes and filters */
    uint64_t filter_refusals;   /* table reads that a filter saved */
    uint64_t flushes, flushed_size;
    uint64_t compactions, compaction_read_size, compaction_written_size;
    uint64_t slowdowns; /* writes slowed down gradually */
    uint64_t stalls;    /* writes that waited for a flush or compaction */
    uint64_t snapshots; /* held now */
    kvorum_level_statistics levels[KVORUM_LEVELS];
    uint64_t blob_files, blob_size; /* of values out of line; the size is part of disk_size */
    uint64_t blob_garbage;          /* part of blob_size that nothing refers to any more */
    uint64_t read_compactions;      /* of compactions: begun early, because reads paid for them */
    uint64_t reserved[12];
} kvorum_statistics;

/** Blocks: never. */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_get_statistics(kvorum_store *store,
                                                              kvorum_statistics *ret_statistics);

/** Text about the store for people, lines that end in \n.  UNSUPPORTED: no such property.
 *
 *      "properties"  their names         "engine"  which one it is
 *      "stats"       name and number     "levels"  a table of the levels
 *
 *  Own: the caller frees it with kvorum_free(). */
KVORUM_API KVORUM_CHECKED kvorum_status kvorum_property(kvorum_store *store, const char *name,
                                                        char **ret_text);
KVORUM_API void kvorum_free(void *memory); /* NULL is fine */

/** "0.1.0".  Blocks: never. */
KVORUM_API const char *kvorum_version(void);

#ifdef __cplusplus
}
#endif

#endif
