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

/* Of engine_stats, what can be added up. */
/* clang-format off */
#define SNAPSHOT_STORE_LIST(X)                                                                     \
    X(live_entries) X(memory_size) X(disk_size) X(syncs) X(synced_batches)                         \
    X(log_size) X(cache_size) X(cache_limit) X(cache_hits) X(cache_misses) X(table_memory_size)    \
    X(flushes) X(flushed_size)                                                                     \
    X(compactions) X(compaction_read_size) X(compaction_written_size) X(read_compactions)          \
    X(slowdowns) X(stalls)
/* clang-format on */

/** Sums over the stores of a shard, or of all shards. */
struct snapshot_stores {
#define X(name) uint64_t name;
    SNAPSHOT_STORE_LIST(X)
#undef X
    uint64_t level_tables[ENGINE_LEVELS], level_size[ENGINE_LEVELS];
};

void snapshot_stores_add(struct snapshot_stores *sums, const struct snapshot_stores *more);

struct snapshot {
    _Atomic uint64_t counters[SNAPSHOT_COUNTERS];
    atomic_uint clients;
    pthread_mutex_t mutex; /* guards all below */
    struct snapshot_stores stores;
    struct histogram get, put;
    struct node_hints hints[RING_MEMBERS_MAX]; /* by member */
    uint16_t hints_count;
    uint64_t scrub_last_ms; /* node_scrub_last_ms */
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
/** Add what is held for a member to *sums; the oldest of both counts. */
void snapshot_hints(struct snapshot *snapshot, uint16_t member, struct node_hints *sums);
/** Wall clock when the shard's last scrub ended; 0: none is known of. */
uint64_t snapshot_scrub_last_ms(struct snapshot *snapshot);
/** The counters as they were a minute ago (or at the start). */
void snapshot_minute_ago(struct snapshot *snapshot, struct node_counters *ret_counters);

#endif
