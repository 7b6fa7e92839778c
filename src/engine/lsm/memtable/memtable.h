/* SPDX-License-Identifier: Apache-2.0 */
/** The newest state of the store in memory: the tree of common/tree.h, in memory that only grows,
 *  and for point reads the index of common/index.h beside it.  When it is full it is *frozen*, and
 *  another one takes the writes while this one becomes a table.
 *
 *  One writer at a time (the engine's mutex); readers take no lock.  Versions carry the sequence
 *  number of their change and are seen by who reads at or above it, so a batch appears as a whole
 *  and a reader that keeps the number it started with has a snapshot.
 *
 *  Overwritten values are used again once no reader can see them: who looks is inside the engine's
 *  epoch, and who keeps something beyond it (a lent value, an iterator, a snapshot) is in
 *  `readers`, entered inside the epoch.  The memtable itself is reference counted. */
#ifndef ENGINE_LSM_MEMTABLE_H
#define ENGINE_LSM_MEMTABLE_H

#include "engine/common/batch.h"
#include "engine/common/epoch.h"
#include "engine/common/guards.h"
#include "engine/common/index.h"
#include "engine/common/tree.h"
#include "engine/engine.h"
#include "engine/lsm/merge/ranges.h"
#include "engine/lsm/merge/source.h"

/* What a change replaced.  `owner`: the version whose `older` leads there, or NULL. */
struct lsm_retired {
    void *block;
    size_t size;
    struct version *owner;
};

struct lsm_retired_list {
    struct lsm_retired *list;
    size_t count, capacity;
};

/* Deleted ranges, replaced as a whole by each change; reference counted by iterators. */
struct lsm_range_set {
    struct epoch_item item; /* first */
    _Atomic uint32_t references;
    struct lsm_ranges *ranges;
};

struct lsm_memtable {
    struct epoch_item item; /* first */
    struct pool pool;
    struct tree tree;
    struct index index;
    struct epoch *epoch;
    _Atomic uint32_t references;
    struct guards readers;
    _Atomic(struct lsm_range_set *) ranges;
    struct lsm_range_set *next_ranges; /* reserved for the batch at hand */
    struct lsm_retired_list retired;   /* replaced by the batches since `leaving` was filled */
    struct lsm_retired_list leaving;   /* nobody's from turn `leaving_turn` on */
    uint64_t leaving_turn;
    uint64_t live_count, puts, deletes, changes;
    uint64_t batch_last;    /* the newest batch (of the log) in it; 0: none */
    uint64_t sequence_last; /* the newest change in it */
};

/** Empty, with one reference; `spares`: where its memory comes from and goes to, or NULL.  NULL: no
 *  memory. */
struct lsm_memtable *lsm_memtable_create(struct epoch *epoch, struct pool_spares *spares);
void lsm_memtable_reference(struct lsm_memtable *memtable);
void lsm_memtable_release(struct lsm_memtable *memtable); /* NULL is fine */

/** Make sure that applying `batch`, whose totals these are, as changes `sequence`, `sequence + 1`,
 *  ... cannot fail.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_memtable_reserve(struct lsm_memtable *memtable, struct bytes batch,
                                                  const struct batch_totals *totals,
                                                  uint64_t sequence);
/** How full it is: bytes in blocks, and more than their bytes for deleted ranges.  By the writer.
 *  */
uint64_t lsm_memtable_used(const struct lsm_memtable *memtable);
uint64_t lsm_memtable_held(const struct lsm_memtable *memtable); /* bytes of memory */
/** Reserved before.  Returns the sequence number of the last change. */
uint64_t lsm_memtable_apply(struct lsm_memtable *memtable, struct bytes batch, uint64_t sequence);
/** After readers were told of what was applied: use again what they cannot see any more. */
void lsm_memtable_reclaim(struct lsm_memtable *memtable);
/** Nothing more will be applied. */
void lsm_memtable_freeze(struct lsm_memtable *memtable);

/* --- readers, inside the epoch -------------------------------------------------------------- */

/** See engine_prefetch. */
void lsm_memtable_prefetch(const struct lsm_memtable *memtable, const struct bytes *keys,
                           size_t count);
/** The newest version of `key` at or below `sequence`; NULL: none. */
const struct version *lsm_memtable_find(const struct lsm_memtable *memtable, struct bytes key,
                                        uint64_t sequence);
/** The set of now with a reference, or NULL: none. */
struct lsm_range_set *lsm_memtable_range_set(const struct lsm_memtable *memtable);
void lsm_range_set_release(struct lsm_range_set *set); /* NULL is fine */

static inline const struct lsm_ranges *lsm_memtable_ranges(const struct lsm_memtable *memtable)
{
    const struct lsm_range_set *set = atomic_load(&memtable->ranges);
    return set == NULL ? NULL : set->ranges;
}

static inline enum lsm_kind lsm_version_kind(const struct version *version)
{
    return version->deleted ? LSM_DELETE : version->merge ? LSM_MERGE : LSM_PUT;
}

/** A source over what a reader at `sequence` sees: of each key the newest version, and while that
 *  is a merge also the one below.  LSM_SEQUENCE_MAX, on a frozen memtable: over every version it
 *  has. The caller keeps a reference, and is in `readers` unless it is frozen. */
KVORUM_CHECKED kvorum_status lsm_memtable_source(const struct lsm_memtable *memtable,
                                                 uint64_t sequence, struct lsm_source **ret_source);

#endif
