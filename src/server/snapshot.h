/* SPDX-License-Identifier: Apache-2.0 */
/** What a reactor lets others see of its shard.  Counters are stored at the end of every iteration
 *  as relaxed atomics; the rest every half second under a mutex. */
#ifndef SERVER_SNAPSHOT_H
#define SERVER_SNAPSHOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/histogram.h"
#include "node/node.h"

enum {
    SNAPSHOT_COUNTERS = sizeof(struct node_counters) / sizeof(uint64_t),
    SNAPSHOT_SLOTS = 60, /* one a second: what happened in the last minute */
};

/** Sums over the stores of a shard, or of all shards. */
struct snapshot_stores {
    uint64_t keys, memory_size, disk_size, syncs, synced_batches;
};

struct snapshot {
    _Atomic uint64_t counters[SNAPSHOT_COUNTERS];
    atomic_uint clients;
    pthread_mutex_t mutex; /* guards all below */
    struct snapshot_stores stores;
    struct histogram get, put;
    struct node_counters minute[SNAPSHOT_SLOTS];
    uint64_t slot; /* seconds: minute[slot % SNAPSHOT_SLOTS] was written last */
};

void snapshot_init(struct snapshot *snapshot);
void snapshot_done(struct snapshot *snapshot);

/** Thread: the shard's. */
void snapshot_publish(struct snapshot *snapshot, const struct node *node);
void snapshot_publish_slowly(struct snapshot *snapshot, const struct node *node,
                             struct engine *const *stores, uint16_t store_count, uint64_t now_ms);

/** Thread: any. */
void snapshot_counters(struct snapshot *snapshot, struct node_counters *ret_counters);
/** The counters as they were a minute ago (or at the start). */
void snapshot_minute_ago(struct snapshot *snapshot, struct node_counters *ret_counters);

#endif
