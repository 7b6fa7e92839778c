/* SPDX-License-Identifier: Apache-2.0 */
/** Where the reclaiming of dropped buckets stands on a shard: for reclaim.c, and for the register
 *  of background work.  What others call is in drop.h. */
#ifndef NODE_RECLAIM_H
#define NODE_RECLAIM_H

#include "base/buffer.h"
#include "base/heap.h"
#include "cluster/handoff/throttle.h"

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

#endif
