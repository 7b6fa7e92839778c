/* SPDX-License-Identifier: Apache-2.0 */
#include "server/snapshot.h"

#include <assert.h>

static_assert(sizeof(struct node_counters) % sizeof(uint64_t) == 0, "counters are an array of u64");

void snapshot_init(struct snapshot *snapshot)
{
    memset(snapshot, 0, sizeof(*snapshot));
    pthread_mutex_init(&snapshot->mutex, NULL);
}

void snapshot_done(struct snapshot *snapshot)
{
    pthread_mutex_destroy(&snapshot->mutex);
}

void snapshot_publish(struct snapshot *snapshot, const struct node *node)
{
    uint64_t values[SNAPSHOT_COUNTERS];
    memcpy(values, node_counters(node), sizeof(values));
    for (unsigned i = 0; i < SNAPSHOT_COUNTERS; i++)
        atomic_store_explicit(&snapshot->counters[i], values[i], memory_order_relaxed);
}

void snapshot_stores_add(struct snapshot_stores *sums, const struct snapshot_stores *more)
{
#define X(name) sums->name += more->name;
    SNAPSHOT_STORE_LIST(X)
#undef X
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        sums->level_tables[i] += more->level_tables[i];
        sums->level_size[i] += more->level_size[i];
    }
}

static struct snapshot_stores stores_of(const struct engine_stats *stats)
{
    struct snapshot_stores one = {
#define X(name) .name = stats->name,
        SNAPSHOT_STORE_LIST(X)
#undef X
    };
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        one.level_tables[i] = stats->levels[i].tables;
        one.level_size[i] = stats->levels[i].size;
    }
    return one;
}

static void sum_stores(struct engine *const *stores, uint16_t store_count,
                       struct snapshot_stores *ret)
{
    *ret = (struct snapshot_stores){ 0 };
    for (uint16_t i = 0; i < store_count; i++) {
        if (stores[i] == NULL)
            continue;
        struct engine_stats stats;
        engine_stats(stores[i], &stats);
        struct snapshot_stores one = stores_of(&stats);
        snapshot_stores_add(ret, &one);
    }
}

/* Seconds in which nothing was published count as the last one that was. */
static void note_minute(struct snapshot *snapshot, const struct node *node, uint64_t now_ms)
{
    uint64_t slot = now_ms / 1000;
    if (snapshot->slot == 0 || slot > snapshot->slot + SNAPSHOT_SLOTS)
        snapshot->slot = slot > SNAPSHOT_SLOTS ? slot - SNAPSHOT_SLOTS : 0;
    while (snapshot->slot < slot) {
        snapshot->slot++;
        snapshot->minute[snapshot->slot % SNAPSHOT_SLOTS] = *node_counters(node);
    }
}

void snapshot_publish_slowly(struct snapshot *snapshot, const struct node *node,
                             struct engine *const *stores, uint16_t store_count, uint64_t now_ms)
{
    struct snapshot_stores sums;
    sum_stores(stores, store_count, &sums);
    pthread_mutex_lock(&snapshot->mutex);
    snapshot->stores = sums;
    snapshot->get = *node_latency(node, OPERATION_GET);
    snapshot->put = *node_latency(node, OPERATION_PUT);
    snapshot->hints_count = node_epoch(node)->member_count;
    for (uint16_t i = 0; i < snapshot->hints_count; i++)
        node_hints(node, i, &snapshot->hints[i]);
    snapshot->scrub_last_ms = node_scrub_last_ms(node);
    note_minute(snapshot, node, now_ms);
    pthread_mutex_unlock(&snapshot->mutex);
}

void snapshot_counters(struct snapshot *snapshot, struct node_counters *ret_counters)
{
    uint64_t values[SNAPSHOT_COUNTERS];
    for (unsigned i = 0; i < SNAPSHOT_COUNTERS; i++)
        values[i] = atomic_load_explicit(&snapshot->counters[i], memory_order_relaxed);
    memcpy(ret_counters, values, sizeof(values));
}

void snapshot_hints(struct snapshot *snapshot, uint16_t member, struct node_hints *sums)
{
    pthread_mutex_lock(&snapshot->mutex);
    if (member < snapshot->hints_count) {
        const struct node_hints *more = &snapshot->hints[member];
        sums->count += more->count;
        sums->size += more->size;
        sums->marks += more->marks;
        if (more->oldest_ms != 0 && (sums->oldest_ms == 0 || more->oldest_ms < sums->oldest_ms))
            sums->oldest_ms = more->oldest_ms;
    }
    pthread_mutex_unlock(&snapshot->mutex);
}

uint64_t snapshot_scrub_last_ms(struct snapshot *snapshot)
{
    pthread_mutex_lock(&snapshot->mutex);
    uint64_t last_ms = snapshot->scrub_last_ms;
    pthread_mutex_unlock(&snapshot->mutex);
    return last_ms;
}

void snapshot_minute_ago(struct snapshot *snapshot, struct node_counters *ret_counters)
{
    pthread_mutex_lock(&snapshot->mutex);
    *ret_counters = snapshot->minute[(snapshot->slot + 1) % SNAPSHOT_SLOTS];
    pthread_mutex_unlock(&snapshot->mutex);
}
