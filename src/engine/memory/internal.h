/* SPDX-License-Identifier: Apache-2.0 */
/** What memory.c, history.c and iterator.c of the memory engine share.
 *
 *  One read-write lock: reads and iterator moves share it, a batch and the opening or closing of
 *  an iterator hold it alone. A view holds a reference on its version; whoever drops the last
 *  reference of a version no longer linked pushes it on `released`, and the next writer takes it
 *  back. */
#ifndef ENGINE_MEMORY_INTERNAL_H
#define ENGINE_MEMORY_INTERNAL_H

#include "base/list.h"
#include "engine/common/scan.h"
#include "engine/memory/memory.h"
#include <pthread.h>

struct memory_stale {
    struct entry *entry;
    struct memory_stale *next;
};

struct memory {
    struct engine engine;
    struct memory_options options;
    pthread_rwlock_t lock;
    struct pool pool;
    struct tree tree;
    uint64_t sequence;          /* of the last batch */
    uint64_t newest_snapshot;   /* of an open iterator; 0: none */
    struct list snapshots;      /* open iterators, oldest first */
    struct memory_stale *stale; /* entries with history: versions only snapshots see, deletions */
    uint64_t live_count;
    _Atomic(struct version *) released;
    uint64_t batches, puts, deletes;
    _Atomic uint64_t gets;
};

struct memory_iterator {
    struct scan scan; /* first */
    struct memory *memory;
    struct list list;
    uint64_t changes; /* of the tree when the cursor was set */
};

/* history.c: versions that snapshots or views still see.  All need the lock alone. */

/** Drop the engine's own reference on an unlinked version. */
void memory_drop(struct memory *memory, struct version *version);
/** Take back versions whose last view was released. */
void memory_collect(struct memory *memory);
/** Note that `entry` has history.  Its memory was reserved. */
void memory_list_stale(struct memory *memory, struct entry *entry);
/** Forget the history nobody can see any more. */
void memory_trim(struct memory *memory);
void memory_remove_entry(struct memory *memory, struct entry *entry);

/* iterator.c */
kvorum_status memory_iterate(struct engine *engine, const struct engine_range *range,
                             const struct engine_read *read, struct engine_iterator **ret_iterator);
void memory_iterator_close(struct engine_iterator *iterator);
void memory_iterator_first(struct engine_iterator *iterator);
void memory_iterator_last(struct engine_iterator *iterator);
void memory_iterator_seek(struct engine_iterator *iterator, struct bytes key);
void memory_iterator_next(struct engine_iterator *iterator);
void memory_iterator_previous(struct engine_iterator *iterator);

#endif
