/* SPDX-License-Identifier: Apache-2.0 */
/* The lsm engine's door: opening, reads, iterators, closing.  Writes are in submit.c.
 *
 *      reads      read.c, iterator.c: memtables and tables, inside the epoch; no lock
 *      writes     submit.c -> append.c -> commit.c -> segment.c, and the memtable
 *      background background.c -> flush.c, compact.c -> output.c -> install.c
 *      open       store.c -> adopt.c (manifest) -> recover.c (log) -> replay.c, resume.c
 *
 * Closing marks the log: the mark says that all before it is durable, so damage done to it later is
 * told from a torn tail. */
#include "engine/lsm/lsm.h"
#include "engine/lsm/background/background.h"
#include "engine/lsm/background/jobs.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/levels/install.h"
#include "engine/lsm/log/commit.h"
#include "engine/lsm/log/recover.h"
#include "engine/lsm/log/segment.h"
#include "engine/lsm/scrub.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- statistics ---------------------------------------------------------------------------- */

static void add_memtable(const struct lsm_memtable *memtable, struct engine_stats *ret_stats)
{
    ret_stats->live_entries += memtable->live_count;
    ret_stats->memory_size += lsm_memtable_held(memtable);
    ret_stats->puts += memtable->puts;
    ret_stats->deletes += memtable->deletes;
}

/* A deletion hides one entry, mostly; what is superseded in several levels counts several times. */
static void add_tables(const struct lsm_levels *levels, struct engine_stats *ret_stats)
{
    uint64_t entries = 0, deletes = 0;
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        ret_stats->levels[i].tables = levels->level[i].count;
        ret_stats->levels[i].size = levels->level[i].size;
        ret_stats->disk_size += levels->level[i].size;
        for (size_t j = 0; j < levels->level[i].count; j++) {
            entries += levels->level[i].tables[j]->meta.entries;
            deletes += levels->level[i].tables[j]->meta.deletes;
        }
    }
    ret_stats->live_entries += entries > 2 * deletes ? entries - 2 * deletes : 0;
}

static void add_blobs(const struct lsm_blobs *blobs, struct engine_stats *ret_stats)
{
    for (size_t i = 0; blobs != NULL && i < blobs->count; i++) {
        ret_stats->blob_files++;
        ret_stats->blob_size += blobs->uses[i].file->size;
        ret_stats->blob_garbage += lsm_blob_garbage(&blobs->uses[i]);
        ret_stats->disk_size += blobs->uses[i].file->size;
    }
}

static void add_counts(const struct lsm *lsm, struct engine_stats *ret_stats)
{
    const struct lsm_counts *counts = &lsm->counts;
    memcpy(ret_stats->levels, counts->levels, sizeof(counts->levels));
    ret_stats->batches = counts->batches;
    ret_stats->syncs = counts->syncs;
    ret_stats->synced_batches = counts->synced_batches;
    ret_stats->recovered_batches = counts->recovered_batches;
    ret_stats->dropped_tail_size = counts->dropped_tail_size;
    ret_stats->flushes = counts->flushes;
    ret_stats->flushed_size = counts->flushed_size;
    ret_stats->compactions = counts->compactions;
    ret_stats->compaction_read_size = counts->compaction_read_size;
    ret_stats->compaction_written_size = counts->compaction_written_size;
    ret_stats->read_compactions = counts->read_compactions;
    ret_stats->slowdowns = counts->slowdowns;
    ret_stats->damage_met = counts->damage_met;
    ret_stats->stalls = counts->stalls;
    ret_stats->puts = counts->puts;
    ret_stats->deletes = counts->deletes;
}

static void lsm_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    struct lsm *lsm = (struct lsm *)engine;
    pthread_mutex_lock(&lsm->mutex);
    const struct lsm_state *state = lsm_state_now(lsm);
    add_counts(lsm, ret_stats);
    add_memtable(state->active, ret_stats);
    for (size_t i = 0; i < state->frozen_count; i++)
        add_memtable(state->frozen[i], ret_stats);
    add_tables(state->levels, ret_stats);
    add_blobs(state->blobs, ret_stats);
    ret_stats->memory_size += lsm->groups[0].capacity + lsm->groups[1].capacity + lsm->spares.size;
    ret_stats->store_id[0] = lsm->store.low;
    ret_stats->store_id[1] = lsm->store.high;
    ret_stats->sequence = lsm->sequence;
    ret_stats->log_size = lsm->log_size;
    ret_stats->disk_size += lsm->log_size;
    ret_stats->snapshots = lsm->snapshot_count;
    for (size_t i = 0; i < sizeof(lsm->gets) / sizeof(lsm->gets[0]); i++)
        ret_stats->gets += atomic_load_explicit(&lsm->gets[i].count, memory_order_relaxed);
    lsm_cache_stats(lsm->cache, ret_stats);
    pthread_mutex_unlock(&lsm->mutex);
}

/* --- closing ------------------------------------------------------------------------------- */

/* With what was written since the open synced, say so in the log.  Its failure loses nothing. */
static void mark_end(struct lsm *lsm)
{
    bool waited;
    if (lsm->taken == lsm->opened || lsm->failure != KVORUM_OK)
        return;
    lsm_commit_until(lsm, lsm->taken, true);
    if (lsm->failure != KVORUM_OK || lsm_append_reserve(lsm, 0, &waited) != KVORUM_OK || waited)
        return;
    lsm_append(lsm, LSM_LOG_MARK, (struct bytes){ 0 });
    lsm_commit_until(lsm, lsm->taken, true);
}

static void close_segments(struct lsm *lsm)
{
    if (lsm->active != NULL && lsm->failure == KVORUM_OK)
        (void)lsm->active->file->ops->truncate(lsm->active->file, lsm->active->end);
    while (lsm->named != NULL) { /* up to active: after a failed flush there may be some between */
        struct lsm_segment *next = lsm->named->next;
        lsm_segment_close(lsm, lsm->named, false);
        lsm->named = next;
    }
    lsm_segment_close(lsm, lsm->spare, true);
}

static void lsm_free(struct lsm *lsm)
{
    close_segments(lsm);
    lsm_lifeline_cut(lsm->lifeline);
    lsm_group_done(&lsm->groups[0]);
    lsm_group_done(&lsm->groups[1]);
    free(lsm->notes);
    lsm_state_release(atomic_load(&lsm->state));
    epoch_drain(&lsm->epoch); /* the cache outlives the tables */
    lsm_cache_destroy(lsm->cache);
    epoch_done(&lsm->epoch);
    pool_spares_done(&lsm->spares);
    for (int i = 0; i < ENGINE_LEVELS; i++)
        buffer_done(&lsm->cursor.key[i]);
    if (lsm->lock_file != NULL)
        lsm->lock_file->ops->close(lsm->lock_file);
    pthread_cond_destroy(&lsm->changed);
    pthread_mutex_destroy(&lsm->identity);
    pthread_mutex_destroy(&lsm->mutex);
    free(lsm);
}

/* Work under way ends at its next step. */
static void end_background(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->mutex);
    lsm->closing = true;
    pthread_cond_broadcast(&lsm->changed);
    pthread_mutex_unlock(&lsm->mutex);
    lsm_lifeline_cut(lsm->lifeline);
    lsm->lifeline = NULL;
}

static void lsm_close(struct engine *engine)
{
    struct lsm *lsm = (struct lsm *)engine;
    if (!lsm->options.read_only) {
        lsm_drain(lsm);
        end_background(lsm);
        pthread_mutex_lock(&lsm->mutex);
        mark_end(lsm);
        pthread_mutex_unlock(&lsm->mutex);
    }
    lsm_free(lsm);
}

/* --- opening ------------------------------------------------------------------------------- */

static const struct engine_ops lsm_ops = {
    .name = "lsm",
    .capabilities = ENGINE_ORDERED | ENGINE_DURABLE | ENGINE_SNAPSHOT | ENGINE_HELD_SNAPSHOT |
                    ENGINE_MERGES | ENGINE_RANGES | ENGINE_TABLES,
    .close = lsm_close,
    .get = lsm_get,
    .get_many = lsm_get_many,
    .release = lsm_release,
    .prefetch = lsm_prefetch,
    .write = lsm_write,
    .submit = lsm_submit,
    .kick = lsm_kick,
    .iterate = lsm_iterate,
    .iterator_close = lsm_iterator_close,
    .iterator_first = lsm_iterator_first,
    .iterator_last = lsm_iterator_last,
    .iterator_seek = lsm_iterator_seek,
    .iterator_next = lsm_iterator_next,
    .iterator_previous = lsm_iterator_previous,
    .stats = lsm_stats,
    .snapshot_take = lsm_snapshot_take,
    .snapshot_release = lsm_snapshot_release,
    .flush = lsm_flush_all,
    .compact = lsm_compact,
    .settle = lsm_settle,
    .checkpoint = lsm_checkpoint,
    .verify = lsm_verify,
    .range_size = lsm_range_size,
    .scrub = lsm_scrub,
    .mend = lsm_mend,
};

enum { MIB = 1024 * 1024, SEGMENT_SIZE_MIN = 4096, MEMTABLE_SIZE_MIN = 4096 };

#define DEFAULT(field, value)                                                                      \
    if ((field) == 0)                                                                              \
    (field) = (value)

/* A quarter of a memtable: what the log takes beyond what is not in tables yet. */
static uint64_t segment_size_for(uint64_t memtable_size)
{
    uint64_t size = memtable_size / 4;
    return size < MIB ? MIB : size > 16 * MIB ? 16 * MIB : size;
}

static struct lsm_options with_defaults(const struct lsm_options *given)
{
    struct lsm_options options = *given;
    DEFAULT(options.memtable_size, 64 * MIB);
    if (options.memtable_size < MEMTABLE_SIZE_MIN)
        options.memtable_size = MEMTABLE_SIZE_MIN;
    DEFAULT(options.segment_size, segment_size_for(options.memtable_size));
    if (options.segment_size < SEGMENT_SIZE_MIN)
        options.segment_size = SEGMENT_SIZE_MIN;
    DEFAULT(options.write_back_size, 4 * MIB);
    DEFAULT(options.cache_size, 64 * MIB);
    DEFAULT(options.block_size, 4096);
    DEFAULT(options.filter_bits, 10);
    DEFAULT(options.level0_trigger, 10);
    DEFAULT(options.level0_slowdown, 2 * options.level0_trigger);
    DEFAULT(options.level0_stop, 3 * options.level0_trigger);
    if (options.level0_stop <= options.level0_slowdown)
        options.level0_stop = options.level0_slowdown + 1;
    DEFAULT(options.level1_size, options.level0_trigger * options.memtable_size);
    DEFAULT(options.level_multiplier, 10);
    DEFAULT(options.table_size, 64 * MIB);
    DEFAULT(options.compactions, 1);
    if (options.compactions > LSM_COMPACTIONS_MAX)
        options.compactions = LSM_COMPACTIONS_MAX;
    DEFAULT(options.blob_size, MIB);
    return options;
}

static struct lsm_policy policy_of(const struct lsm_options *options)
{
    return (struct lsm_policy){ .level0_trigger = options->level0_trigger,
                                .level1_size = options->level1_size,
                                .multiplier = options->level_multiplier,
                                .table_size = options->table_size,
                                .overlap_size_max = 10 * options->table_size };
}

/* An empty state: what the manifest names comes later. */
static bool create_state(struct lsm *lsm)
{
    struct lsm_state first = { .active = lsm_memtable_create(&lsm->epoch, &lsm->spares) };
    if (first.active != NULL && lsm_levels_create(&first.levels) == KVORUM_OK &&
        lsm_state_set(lsm, &first) == KVORUM_OK)
        return true;
    lsm_memtable_release(first.active);
    lsm_levels_release(first.levels);
    return false;
}

static void init(struct lsm *lsm, const struct lsm_options *options)
{
    lsm->engine.ops = &lsm_ops;
    lsm->options = with_defaults(options);
    lsm->options.path = lsm->path;
    lsm->disk = options->disk;
    lsm->log = options->log;
    lsm->jobs = options->jobs;
    snprintf(lsm->path, sizeof(lsm->path), "%s", options->path);
    lsm->segment_size = lsm->options.segment_size;
    lsm->policy = policy_of(&lsm->options);
    lsm->filling = &lsm->groups[0];
    lsm->small_writes = LSM_COPY_AFTER; /* nothing speaks against copying yet */
    lsm->flushing = &lsm->groups[1];
    lsm->last_commit = &lsm->first_commit;
    random_init(&lsm->random, options->identity_seed);
    list_init(&lsm->snapshots);
    list_init(&lsm->makers);
    for (int i = 0; i < ENGINE_LEVELS; i++)
        buffer_init(&lsm->cursor.key[i], ENGINE_KEY_SIZE_MAX + 1);
    epoch_init(&lsm->epoch);
    pool_spares_init(&lsm->spares, lsm->options.memtable_size);
    pthread_mutex_init(&lsm->mutex, NULL);
    pthread_mutex_init(&lsm->identity, NULL);
    pthread_cond_init(&lsm->changed, NULL);
}

static struct lsm *lsm_create(const struct lsm_options *options)
{
    struct lsm *lsm = calloc(1, sizeof(*lsm));
    if (lsm == NULL)
        return NULL;
    init(lsm, options);
    kvorum_status status =
        lsm_cache_create(&lsm->epoch, lsm->options.cache_size, lsm->options.table_memory_size,
                         lsm->options.open_files, &lsm->cache);
    lsm->lifeline = lsm_lifeline_create(lsm);
    if (status != KVORUM_OK || lsm->lifeline == NULL || !create_state(lsm)) {
        lsm_free(lsm);
        return NULL;
    }
    return lsm;
}

kvorum_status lsm_open(const struct lsm_options *options, struct engine **ret_engine)
{
    bool fresh;
    assert(options->disk != NULL && options->path != NULL);
    if (options->path[0] == '\0' || strlen(options->path) >= LSM_PATH_SIZE)
        return KVORUM_INVALID;
    struct lsm *lsm = lsm_create(options);
    if (lsm == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = lsm_store_open(lsm, options->create, &fresh);
    if (status == KVORUM_OK && !options->read_only)
        lsm_remove_orphans(lsm);
    if (status == KVORUM_OK)
        status = lsm_recover(lsm, fresh);
    if (status != KVORUM_OK) {
        lsm_free(lsm);
        return status;
    }
    *ret_engine = &lsm->engine;
    return KVORUM_OK;
}
