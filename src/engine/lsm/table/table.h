/* SPDX-License-Identifier: Apache-2.0 */
/** Sorted tables on disk: written once, immutable, read at random and in order.
 *  Bytes: docs/formats/table.md.
 *
 *      blocks of entries | blocks of ... | deleted ranges | filter | index | properties | footer
 *
 *  Every block carries its size, compression and an XXH3-64 seeded with the file's id and the
 *  block's offset, so it is believed only in its own place and can be found by a salvage without
 *  the index.
 *
 *  In memory: index and filter are loaded on first use and stay while the limits of the cache
 *  allow.  The index is an array searched by eight-byte prefixes; each of its places has a slot
 *  that points to the block when it is cached, so that a read takes no lock, no hash look-up and no
 *  reference count: the epoch (common/epoch.h) keeps what it looks at alive.
 *
 *  Errors of reads, besides those named: IO, NO_MEMORY, and CORRUPT, FOREIGN, NEWER_FORMAT about
 *  the file (a missing one is CORRUPT).  NOT_FOUND only ever means that there is no such key.
 *
 *  Thread: a writer one at a time; tables any.  Readers are inside `epoch` during a call. */
#ifndef ENGINE_LSM_TABLE_H
#define ENGINE_LSM_TABLE_H

#include "base/disk.h"
#include "engine/common/epoch.h"
#include "engine/engine.h"
#include "engine/lsm/log/log.h"
#include "engine/lsm/merge/source.h"
#include <stdatomic.h>

enum lsm_compression { LSM_STORED = 0, LSM_LZ4 = 1, LSM_ZSTD = 2 };

struct lsm_table_options {
    size_t block_size;         /* bytes of a block before compression, about; 0: 4096 */
    unsigned restart_interval; /* entries; 0: 16 */
    unsigned filter_bits;      /* a key; 0: no filter */
    enum lsm_compression compression;
};

/** What the manifest remembers of a table, so that it need not be opened to be known. */
struct lsm_table_meta {
    uint64_t number, size;
    struct lsm_id file;
    struct bytes lower, upper; /* the interval of its keys and deleted ranges */
    uint64_t sequence_min, sequence_max;
    uint64_t entries, deletes, ranges; /* deletes, merges not counted, are among the entries */
};

/* --- writing ------------------------------------------------------------------------------- */

struct lsm_table_writer;

/** Make `path` (its directory is there).  *ret_writer is ended by finish or abandon.  The file is
 *  written in pieces of about 1 MiB.  NO_SPACE, IO, NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_table_writer_create(struct disk *disk, const char *path,
                                                     const struct lsm_id *store,
                                                     const struct lsm_id *file, uint64_t number,
                                                     const struct lsm_table_options *options,
                                                     struct lsm_table_writer **ret_writer);
/** Entries come in order. */
KVORUM_CHECKED kvorum_status lsm_table_writer_add(struct lsm_table_writer *writer,
                                                  const struct lsm_entry *entry);
/** Deleted ranges in any order, any time before finish. */
KVORUM_CHECKED kvorum_status lsm_table_writer_add_range(struct lsm_table_writer *writer,
                                                        const struct lsm_range *range);
/** Bytes the file would have if it were finished now, about: compression of the block under way is
 *  not known yet. */
uint64_t lsm_table_writer_size(const struct lsm_table_writer *writer);
bool lsm_table_writer_empty(const struct lsm_table_writer *writer);
/** Write the rest and sync.  On OK the file is complete (its name is not synced yet), and
 *  *ret_meta's bounds are allocated with one malloc at ret_meta->lower.data, which the caller
 *  frees.  The writer is gone either way, and on an error so is the file, if it can be removed. */
KVORUM_CHECKED kvorum_status lsm_table_writer_finish(struct lsm_table_writer *writer,
                                                     struct lsm_table_meta *ret_meta);
void lsm_table_writer_abandon(struct lsm_table_writer *writer); /* removes the file; NULL: fine */

/* --- the cache ------------------------------------------------------------------------------ */

struct lsm_cache;

/** Blocks of all tables of a store, up to `block_limit` bytes (0: none are kept), and indexes and
 *  filters, up to `table_limit` bytes and `open_limit` open files (0: no limit; one table may be
 *  open in any case).  What falls out is retired into `epoch`.
 *
 *  The memory for blocks is taken as it is needed, never given back, and never more than the limit.
 *  When all of it is in use by readers that stay in the epoch, or is pinned, or a block is larger
 *  than a 64th of the limit (at least 16 KiB), a block lives outside for as long as its readers are
 *  in the epoch; cache_size counts it.
 *
 *  Own: outlives the tables and all pins; destroyed before the epoch is, with nobody inside. */
KVORUM_CHECKED kvorum_status lsm_cache_create(struct epoch *epoch, uint64_t block_limit,
                                              uint64_t table_limit, size_t open_limit,
                                              struct lsm_cache **ret_cache);
void lsm_cache_destroy(struct lsm_cache *cache); /* NULL is fine */
void lsm_cache_stats(const struct lsm_cache *cache, struct engine_stats *ret_stats); /* its part */

struct lsm_block; /* a block in memory */
/** Keep a block beyond the epoch, for a value that is lent.  From inside the epoch in which it was
 *  found.  An atomic addition, in a place that is shared with neighbouring blocks. */
void lsm_block_pin(struct lsm_block *block);
void lsm_block_unpin(struct lsm_block *block);

/* --- reading -------------------------------------------------------------------------------- */

struct lsm_ranges;
struct lsm_pick_span;

/** How many bytes of a blob file (blobs.h) something refers to. */
struct lsm_blob_share {
    uint64_t number, size;
};
struct lsm_blob_shares {
    size_t count;
    struct lsm_blob_share list[]; /* by number */
};

/** A table that is known; its file is opened when it is first read. */
struct lsm_table {
    struct lsm_table_meta meta; /* bounds are its own */
    _Atomic uint32_t references;
    _Atomic bool obsolete;     /* remove the file with the last reference */
    bool busy;                 /* the picker's: in a compaction */
    uint64_t shown;            /* its owner's: 1, 2, ... in the order in which tables joined */
    struct lsm_ranges *ranges; /* what lsm_table_read_ranges gave its owner, who sets it; or NULL */
    struct lsm_blob_shares *shares;  /* of blob files, set by its owner, from malloc; or NULL */
    struct lsm_table_inside *inside; /* table.c's */

    /* The picker's: where the compaction writes that keeps it busy. */
    struct lsm_pick_span *span;
};

/** Takes over meta's bounds (one malloc at lower.data) when it answers OK.  One reference.  `path`
 *  is copied.  Does not touch the disk. */
KVORUM_CHECKED kvorum_status lsm_table_create(struct disk *disk, const char *path,
                                              const struct lsm_id *store,
                                              const struct lsm_table_meta *meta,
                                              struct lsm_cache *cache,
                                              struct lsm_table **ret_table);
void lsm_table_reference(struct lsm_table *table);
/** The last one closes it, removes the file if it is obsolete, and frees, `ranges` and `shares` too
 *  (through the epoch: whoever retires something may do this work). */
void lsm_table_release(struct lsm_table *table);

/** Call `visit` for each deleted range, in the order they were added.  Also what it returned. */
KVORUM_CHECKED kvorum_status lsm_table_read_ranges(
    struct lsm_table *table, kvorum_status (*visit)(void *context, const struct lsm_range *range),
    void *context);

/** A point read: the caller fills the first part, the table the second when it has a version. */
struct lsm_search {
    struct bytes key;
    uint64_t hash;     /* lsm_key_hash(key) */
    uint64_t sequence; /* the newest version at or below it is wanted */
    bool nowait;

    struct lsm_entry found; /* without its key; the value holds inside the epoch, or while pinned */
    struct lsm_block *block; /* where it lies */
};

uint64_t lsm_key_hash(struct bytes key);
/** OK (of any kind, deletions too), NOT_FOUND, WOULD_BLOCK. */
KVORUM_CHECKED kvorum_status lsm_table_get(struct lsm_table *table, struct lsm_search *search);
/** The same for many at once, memory accesses overlapped by prefetching in steps (filter, index,
 *  block) over all of them. */
void lsm_table_get_many(struct lsm_table *table, struct lsm_search *const *searches, size_t count,
                        kvorum_status *ret_statuses);

struct lsm_table_scan {
    bool nowait;
    bool sequential; /* from begin to end, as compaction does: large reads, past the cache */
};
/** A source over the whole table.  It reads ahead in growing steps into memory of its own once it
 *  moves on from block to block; the first block of a seek comes from, and goes to, the cache.
 *  Inside the epoch only during calls. */
KVORUM_CHECKED kvorum_status lsm_table_source(struct lsm_table *table,
                                              const struct lsm_table_scan *scan,
                                              struct lsm_source **ret_source);
/** Let such a source go on with another table, without an entry for now; it keeps its memory.  What
 *  opening it gives: the source is as it was. */
KVORUM_CHECKED kvorum_status lsm_table_source_turn(struct lsm_source *source,
                                                   struct lsm_table *table);

/** Bytes of the file that hold [lower, upper), about. */
uint64_t lsm_table_range_size(struct lsm_table *table, struct bytes lower, struct bytes upper);
/** Keys that cut the table into about `count` equal parts, ascending; views that hold while the
 *  table is referenced and inside the epoch.  Returns how many were written, at most count - 1. */
size_t lsm_table_split(struct lsm_table *table, size_t count, struct bytes *ret_keys);

/** Read every byte, past the cache, and check it: checksums, order, counts, bounds, that the filter
 *  knows every key, that the file is what `meta` says.  Each damage is reported.  OK, or the status
 *  of the first damage. */
KVORUM_CHECKED kvorum_status lsm_table_verify(struct lsm_table *table,
                                              void (*report)(void *context,
                                                             const struct engine_damage *damage),
                                              void *context);

/** Every entry and range in blocks of the file that are provably intact, in their order, whatever
 *  else is broken; *ret_lost_size: bytes of what was not.  Also what the callbacks returned.
 *  NOT_FOUND; CORRUPT and the like: nothing in it tells which file it was. */
KVORUM_CHECKED kvorum_status
lsm_table_salvage(struct disk *disk, const char *path,
                  kvorum_status (*entry)(void *context, const struct lsm_entry *entry),
                  kvorum_status (*range)(void *context, const struct lsm_range *range),
                  void *context, uint64_t *ret_lost_size);

#endif
