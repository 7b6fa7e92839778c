/* SPDX-License-Identifier: Apache-2.0 */
/** The newest state of the store in memory: the tree of common/tree.h, in memory that only grows,
 *  and for point reads the index of common/index.h beside it.
 *
 *  One writer at a time (the engine's mutex); readers take no lock.  A batch's versions carry its
 *  sequence number and are seen once `visible` has reached it, so a batch appears as a whole and a
 *  reader that keeps the number it started with has a snapshot.  Who reads enters `readers` before
 *  it takes that number, and leaves when it needs nothing of it any more: overwritten values are
 *  used again once no reader can see them. */
#ifndef ENGINE_LSM_MEMTABLE_H
#define ENGINE_LSM_MEMTABLE_H

#include "engine/common/guards.h"
#include "engine/common/index.h"
#include "engine/common/tree.h"
#include "engine/engine.h"

struct lsm_retired {
    void *block;
    size_t size;
};

struct lsm_memtable {
    struct pool pool;
    struct tree tree;
    struct index index;
    uint64_t limit;           /* bytes; 0: none */
    _Atomic uint64_t visible; /* sequence number of the newest batch that readers see */
    struct guards readers;
    struct lsm_retired *retired; /* replaced, and perhaps still seen */
    size_t retired_count, retired_capacity;
    uint64_t live_count, puts, deletes;
};

bool lsm_memtable_init(struct lsm_memtable *memtable, uint64_t limit);
void lsm_memtable_done(struct lsm_memtable *memtable);
/** Make sure that applying `batch` cannot fail.  STORE_FULL, NO_MEMORY, CORRUPT (no batch). */
KVORUM_CHECKED kvorum_status lsm_memtable_reserve(struct lsm_memtable *memtable,
                                                  struct bytes batch);
uint64_t lsm_memtable_held(const struct lsm_memtable *memtable); /* bytes */
/** Numbers only rise.  Reserved before. */
void lsm_memtable_apply(struct lsm_memtable *memtable, struct bytes batch, uint64_t sequence);

static inline uint64_t lsm_memtable_visible(const struct lsm_memtable *memtable)
{
    return atomic_load(&memtable->visible); /* guards.h says why not less */
}

/** See engine_prefetch. */
void lsm_memtable_prefetch(const struct lsm_memtable *memtable, const struct bytes *keys,
                           size_t count);
/** NOT_FOUND.  The view holds while the caller is in `readers`, entered before getting
 *  `sequence`. */
KVORUM_CHECKED kvorum_status lsm_memtable_get(const struct lsm_memtable *memtable, struct bytes key,
                                              uint64_t sequence, struct bytes *ret_value);

#endif
