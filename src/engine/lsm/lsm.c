/* SPDX-License-Identifier: Apache-2.0 */
/* The lsm engine's door: opening, reads, iterators, closing.  Writes are in submit.c.
 *
 *      reads      memtable, at the sequence number visible when they begin; no lock
 *      writes     append.c -> flush.c -> segment.c, and the memtable
 *      open       store.c -> recover.c
 *
 * Closing marks the log: the mark says that all before it is durable, so damage done to it later is
 * told from a torn tail. */
#include "engine/lsm/lsm.h"

#include "base/hash.h"
#include "engine/common/scan.h"
#include "engine/lsm/internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMTABLE_LIMIT_DEFAULT ((uint64_t)1 << 30)
#define SEGMENT_SIZE_DEFAULT ((uint64_t)64 << 20)
#define SEGMENT_SIZE_MIN ((uint64_t)4096)

struct lsm_iterator {
    struct scan scan; /* first */
    struct guard *guard;
};

/* --- reads --------------------------------------------------------------------------------- */

static kvorum_status lsm_get(struct engine *engine, struct bytes key,
                             const struct engine_read *read, struct engine_view *ret_view)
{
    struct lsm *lsm = (struct lsm *)engine;
    struct bytes value;
    (void)read;
    struct guard *guard = guard_enter(&lsm->memtable.readers);
    kvorum_status status =
        lsm_memtable_get(&lsm->memtable, key, lsm_memtable_visible(&lsm->memtable), &value);
    if (status == KVORUM_OK)
        *ret_view = (struct engine_view){ value, engine, guard };
    else
        guard_leave(guard);
    return status;
}

static void lsm_release(struct engine_view *view)
{
    guard_leave(view->guard);
}

static void lsm_prefetch(struct engine *engine, const struct bytes *keys, size_t count)
{
    lsm_memtable_prefetch(&((struct lsm *)engine)->memtable, keys, count);
}

static kvorum_status lsm_iterate(struct engine *engine, const struct engine_range *range,
                                 const struct engine_read *read,
                                 struct engine_iterator **ret_iterator)
{
    struct lsm *lsm = (struct lsm *)engine;
    (void)read;
    struct lsm_iterator *iterator = malloc(sizeof(*iterator));
    if (iterator == NULL)
        return KVORUM_NO_MEMORY;
    iterator->guard = guard_enter(&lsm->memtable.readers);
    uint64_t sequence = lsm_memtable_visible(&lsm->memtable);
    if (!scan_init(&iterator->scan, engine->ops, &lsm->memtable.tree, sequence, range)) {
        guard_leave(iterator->guard);
        free(iterator);
        return KVORUM_NO_MEMORY;
    }
    *ret_iterator = &iterator->scan.iterator;
    return KVORUM_OK;
}

static void lsm_iterator_close(struct engine_iterator *iterator)
{
    scan_done((struct scan *)iterator);
    guard_leave(((struct lsm_iterator *)iterator)->guard);
    free(iterator);
}

static void lsm_iterator_first(struct engine_iterator *iterator)
{
    scan_first((struct scan *)iterator);
}

static void lsm_iterator_last(struct engine_iterator *iterator)
{
    scan_last((struct scan *)iterator);
}

static void lsm_iterator_seek(struct engine_iterator *iterator, struct bytes key)
{
    scan_seek((struct scan *)iterator, key);
}

static void lsm_iterator_next(struct engine_iterator *iterator)
{
    scan_next((struct scan *)iterator);
}

static void lsm_iterator_previous(struct engine_iterator *iterator)
{
    scan_previous((struct scan *)iterator);
}

static void lsm_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    struct lsm *lsm = (struct lsm *)engine;
    pthread_mutex_lock(&lsm->mutex);
    ret_stats->live_entries = lsm->memtable.live_count;
    ret_stats->memory_size =
        lsm_memtable_held(&lsm->memtable) + lsm->groups[0].capacity + lsm->groups[1].capacity;
    ret_stats->memory_limit = lsm->memtable.limit;
    ret_stats->disk_size = lsm->log_size;
    ret_stats->batches = lsm->batches;
    ret_stats->puts = lsm->memtable.puts;
    ret_stats->deletes = lsm->memtable.deletes;
    ret_stats->gets = guards_entered(&lsm->memtable.readers);
    ret_stats->syncs = lsm->syncs;
    ret_stats->synced_batches = lsm->synced_batches;
    ret_stats->recovered_batches = lsm->recovered_batches;
    ret_stats->dropped_tail_size = lsm->dropped_tail_size;
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
    lsm_jobs_abandon(lsm);
    lsm_group_done(&lsm->groups[0]);
    lsm_group_done(&lsm->groups[1]);
    lsm_memtable_done(&lsm->memtable);
    if (lsm->lock_file != NULL)
        lsm->lock_file->ops->close(lsm->lock_file);
    pthread_cond_destroy(&lsm->changed);
    pthread_mutex_destroy(&lsm->mutex);
    free(lsm);
}

static void lsm_close(struct engine *engine)
{
    struct lsm *lsm = (struct lsm *)engine;
    lsm_drain(lsm);
    lsm_jobs_abandon(lsm); /* waits for one that is running */
    lsm->commit_job = lsm->prepare_job = NULL;
    pthread_mutex_lock(&lsm->mutex);
    mark_end(lsm);
    pthread_mutex_unlock(&lsm->mutex);
    lsm_free(lsm);
}

/* --- opening ------------------------------------------------------------------------------- */

static const struct engine_ops lsm_ops = {
    .name = "lsm",
    .capabilities = ENGINE_ORDERED | ENGINE_DURABLE | ENGINE_SNAPSHOT,
    .close = lsm_close,
    .get = lsm_get,
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
};

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static struct lsm *lsm_create(const struct lsm_options *options)
{
    struct lsm *lsm = calloc(1, sizeof(*lsm));
    if (lsm == NULL)
        return NULL;
    lsm->engine.ops = &lsm_ops;
    lsm->disk = options->disk;
    lsm->log = options->log;
    lsm->jobs = options->jobs;
    snprintf(lsm->path, sizeof(lsm->path), "%s", options->path);
    lsm->segment_size = or_default(options->segment_size, SEGMENT_SIZE_DEFAULT);
    if (lsm->segment_size < SEGMENT_SIZE_MIN)
        lsm->segment_size = SEGMENT_SIZE_MIN;
    random_init(&lsm->random, options->identity_seed);
    lsm->filling = &lsm->groups[0];
    lsm->flushing = &lsm->groups[1];
    pthread_mutex_init(&lsm->mutex, NULL);
    pthread_cond_init(&lsm->changed, NULL);
    uint64_t limit = or_default(options->memtable_limit, MEMTABLE_LIMIT_DEFAULT);
    if (!lsm_memtable_init(&lsm->memtable, limit) || !lsm_jobs_create(lsm)) {
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
    if (status == KVORUM_OK)
        status = lsm_recover(lsm, fresh);
    if (status != KVORUM_OK) {
        lsm_free(lsm);
        return status;
    }
    *ret_engine = &lsm->engine;
    return KVORUM_OK;
}
