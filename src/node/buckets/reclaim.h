/* SPDX-License-Identifier: Apache-2.0 */
/** Where the reclaiming of dropped buckets stands on a shard: for reclaim*.c, and for the register
 *  of background work.  What others call is in drop.h. */
#ifndef NODE_RECLAIM_H
#define NODE_RECLAIM_H

#include "base/buffer.h"
#include "base/heap.h"
#include "cluster/handoff/throttle.h"
#include "node/internal.h"

struct reclaim {
    struct heap_item timer; /* set while there is something to do and no job is under way */
    struct throttle throttle;
    bool reading, paused;
    bool waits;  /* for the word that the table is on disk; the timer is set to ask for it */
    bool active; /* a bucket is being reclaimed: */
    struct buffer type, bucket;
    uint64_t generation; /* the first that stays */
    uint16_t store;
    uint32_t partition;
    bool enters; /* the first partition of its store */
    /* a run lasts from the first bucket until none is left */
    bool running;
    uint64_t runs, buckets;
    uint64_t partitions, total; /* looked at, and to be looked at, in this run */
    uint64_t size;              /* bytes, of this run */
};

/* --- reclaim_page.c -------------------------------------------------------------------------- */

enum { RECLAIM_PAGE = 256 }; /* keys */

/** Looks at a partition, and at the marker of a store where it begins. */
struct reclaim_page {
    struct reading reading; /* first */
    struct engine *store;
    struct bytes marker; /* empty: it is known */
    /* The first generation stands by itself, the later ones behind each other in order. */
    struct bytes lower[2], upper[2];
    uint64_t generation;
    bool compacts;
    uint32_t partition;
    /* read */
    bool marked; /* nothing is left in this store */
    bool found[2], more;
    uint64_t size;
    struct bytes keys[RECLAIM_PAGE]; /* where the engine deletes no ranges */
    uint32_t count;
};

/** The bounds of all that is older than what is in force.  False: no memory. */
bool reclaim_set_bounds(struct reclaim_page *page, const struct reclaim *reclaim,
                        uint32_t partition);
/** 'g' type size u8 type bucket.  Empty: no memory. */
struct bytes reclaim_marker_key(struct arena *arena, struct bytes type, struct bytes bucket);
/** For reading->read: look; or have the ranges that were found compacted. */
kvorum_status reclaim_page_read(struct reading *reading, bool nowait);
kvorum_status reclaim_compact(struct reading *reading, bool nowait);

#endif
