/* SPDX-License-Identifier: Apache-2.0 */
/* Taking batches, and telling when they are committed.
 *
 *      owner's thread                        a worker of the jobs object
 *      submit -> queue of commits
 *      kick   -> commit job  ------------->  work: lsm_commit_until(all so far)
 *      done   <----------------------------
 *        completes the queue's head while it is ready
 *
 * A job and writers in engine_write share the one leader-and-followers code in commit.c. A commit
 * that asked for LOG needs no job unless one that asked for SYNC waits too, or the log is at the
 * end of a segment. */
#include "base/planted.h"
#include "engine/common/batch.h"
#include "engine/lsm/background/background.h"
#include "engine/lsm/background/jobs.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/log/commit.h"

#include <assert.h>
#include <stdlib.h>

enum { BACKLOG_SIZE = 64 * LSM_COMMIT_SIZE };

static kvorum_status reserve(struct lsm *lsm, const struct engine_batch *batch, bool may_wait)
{
    struct bytes payload = engine_batch_bytes(batch);
    bool waited = false, urgent = engine_batch_urgent(batch);
    kvorum_status status;
    if (urgent)
        PROBE("lsm: an urgent batch was taken");
    do {
        if (lsm->failure != KVORUM_OK)
            return KVORUM_POISONED;
        status = urgent ? KVORUM_OK : lsm_make_room(lsm, may_wait, &waited);
        if (status != KVORUM_OK || waited)
            continue;
        status = lsm_memtable_reserve(lsm_state_now(lsm)->active, payload,
                                      engine_batch_totals(batch), lsm->sequence + 1);
        if (status == KVORUM_OK)
            status = lsm_append_reserve(lsm, payload.size, &waited);
    } while (status == KVORUM_OK && waited);
    return status;
}

static kvorum_status check_batch(const struct lsm *lsm, const struct engine_batch *batch)
{
    bool merges = (engine_batch_needs(batch) & ENGINE_MERGES) != 0;
    return merges && lsm->options.merge == NULL ? KVORUM_UNSUPPORTED : KVORUM_OK;
}

/* With the mutex: take `batch` into memtable and log, or leave both as they were. */
static kvorum_status take(struct lsm *lsm, const struct engine_batch *batch, bool may_wait)
{
    struct bytes payload = engine_batch_bytes(batch);
    kvorum_status status = check_batch(lsm, batch);
    if (status != KVORUM_OK)
        return status;
    if (payload.size == 0)
        return lsm->failure == KVORUM_OK ? KVORUM_OK : KVORUM_POISONED;
    status = reserve(lsm, batch, may_wait);
    if (status != KVORUM_OK)
        return status;
    struct lsm_memtable *active = lsm_state_now(lsm)->active;
    lsm_append(lsm, LSM_LOG_BATCH, payload);
    lsm->sequence = lsm_memtable_apply(active, payload, lsm->sequence + 1);
    active->batch_last = lsm->taken;
    atomic_store_explicit(&lsm->visible, lsm->sequence, memory_order_release);
    lsm_memtable_reclaim(active);
    lsm->counts.batches++;
    return KVORUM_OK;
}

static void relief_work(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->mutex);
    lsm->relief_started = false;
    if (!lsm->commit_running && lsm->failure == KVORUM_OK)
        lsm_commit_group(lsm);
    pthread_mutex_unlock(&lsm->mutex);
}

/* Going on in another segment syncs the one before, which may take as long as the disk needs for
 * the whole of it: a job does that, and the writers go on. */
static bool leave_to_job(struct lsm *lsm)
{
    if (lsm->jobs == NULL || !lsm_group_rotates(lsm))
        return false;
    if (!lsm->relief_started)
        lsm->relief_started = lsm_job_start(lsm, JOB_FIRST, relief_work, NULL);
    return lsm->relief_started;
}

/* A writer that does not wait still must not outrun the disk without end. */
static void relieve(struct lsm *lsm)
{
    while (lsm->filling->size > BACKLOG_SIZE && lsm->commit_running)
        pthread_cond_wait(&lsm->changed, &lsm->mutex);
    if (lsm->filling->size <= LSM_COMMIT_SIZE || lsm->commit_running || lsm->failure != KVORUM_OK)
        return;
    if (lsm->filling->size > BACKLOG_SIZE || !leave_to_job(lsm)) /* no worker came in time */
        lsm_commit_group(lsm);
}

kvorum_status lsm_write(struct engine *engine, const struct engine_batch *batch,
                        enum engine_durability durability)
{
    struct lsm *lsm = (struct lsm *)engine;
    bool sync = durability == ENGINE_SYNC;
    if (lsm->options.read_only)
        return KVORUM_NOT_ALLOWED;
    pthread_mutex_lock(&lsm->mutex);
    kvorum_status status = take(lsm, batch, true);
    uint64_t last = lsm->taken;
    if (status == KVORUM_OK && durability == ENGINE_NONE) {
        relieve(lsm);
    } else if (status == KVORUM_OK) {
        lsm_commit_until(lsm, last, sync);
        status = lsm_outcome(lsm, last, sync);
    }
    lsm_write_back(lsm);
    if (lsm_spare_due(lsm))
        lsm_prepare_spare(lsm);
    pthread_mutex_unlock(&lsm->mutex);
    return status;
}

/* --- the owner's side ---------------------------------------------------------------------- */

kvorum_status lsm_submit(struct engine *engine, const struct engine_batch *batch,
                         enum engine_durability durability, struct engine_commit *commit)
{
    struct lsm *lsm = (struct lsm *)engine;
    if (lsm->jobs == NULL)
        return KVORUM_UNSUPPORTED;
    if (lsm->options.read_only)
        return KVORUM_NOT_ALLOWED;
    pthread_mutex_lock(&lsm->mutex);
    kvorum_status status = take(lsm, batch, false);
    commit->ticket = lsm->taken;
    pthread_mutex_unlock(&lsm->mutex);
    if (status != KVORUM_OK)
        return status;
    commit->durability = (uint8_t)durability;
    commit->next = NULL;
    if (durability == ENGINE_NONE) {
        commit->done(commit, KVORUM_OK);
        return KVORUM_OK;
    }
    *lsm->last_commit = commit;
    lsm->last_commit = &commit->next;
    lsm->sync_commits += durability == ENGINE_SYNC;
    return KVORUM_OK;
}

static struct engine_commit *pop_commit(struct lsm *lsm)
{
    struct engine_commit *commit = lsm->first_commit;
    lsm->first_commit = commit->next;
    if (lsm->first_commit == NULL)
        lsm->last_commit = &lsm->first_commit;
    lsm->sync_commits -= commit->durability == ENGINE_SYNC;
    return commit;
}

/* How far the log is; one look under the mutex serves a whole group. */
struct progress {
    uint64_t written, synced;
    bool failed;
};

static struct progress look(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->mutex);
    struct progress progress = { lsm->written, lsm->synced, lsm->failure != KVORUM_OK };
    pthread_mutex_unlock(&lsm->mutex);
    return progress;
}

static bool first_is_ready(struct lsm *lsm, const struct progress *progress,
                           kvorum_status *ret_status)
{
    const struct engine_commit *commit = lsm->first_commit;
    if (commit == NULL)
        return false;
    bool sync = commit->durability == ENGINE_SYNC;
    *ret_status = KVORUM_OK;
    if (commit->ticket <= (sync ? progress->synced : progress->written))
        return true;
    if (!progress->failed)
        return false;
    pthread_mutex_lock(&lsm->mutex);
    *ret_status = lsm_outcome(lsm, commit->ticket, sync);
    pthread_mutex_unlock(&lsm->mutex);
    return true;
}

/* `done` may submit and kick: what it adds is completed in its turn, not inside that call. */
static void complete(struct lsm *lsm)
{
    kvorum_status status;
    if (lsm->completing || lsm->first_commit == NULL)
        return;
    lsm->completing = true;
    struct progress progress = look(lsm);
    while (first_is_ready(lsm, &progress, &status)) {
        struct engine_commit *commit = pop_commit(lsm);
        commit->done(commit, status);
    }
    lsm->completing = false;
}

static void commit_work(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->mutex);
    lsm_commit_until(lsm, lsm->taken, lsm->job_syncs);
    pthread_mutex_unlock(&lsm->mutex);
}

/* No kick of its own accord: the owner may want what came meanwhile to wait for more. */
static void commit_done(struct lsm *lsm)
{
    lsm->commit_pending = false;
    complete(lsm);
    if (lsm->kicked_inside)
        lsm_kick(&lsm->engine);
}

/* Without memory for a job the next kick tries again. */
static void start_commit(struct lsm *lsm)
{
    lsm->job_syncs = lsm->sync_commits > 0;
    lsm->commit_pending = true;
    if (!lsm_job_start(lsm, JOB_FIRST, commit_work, commit_done))
        lsm->commit_pending = false;
}

/* True when what is waiting takes a sync, or waits for another thread's. */
static bool needs_job(const struct lsm *lsm)
{
    return lsm->sync_commits > 0 || lsm->commit_running || lsm_group_rotates(lsm);
}

/* Decide under the mutex, act after it. */
static bool flush_here(struct lsm *lsm)
{
    bool job = false;
    pthread_mutex_lock(&lsm->mutex);
    bool waiting = lsm->first_commit != NULL || lsm->filling->size > 0;
    if (waiting && lsm->failure == KVORUM_OK) {
        job = needs_job(lsm);
        if (!job)
            lsm_commit_group(lsm);
    }
    pthread_mutex_unlock(&lsm->mutex);
    return !job;
}

static void prepare_work(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->mutex);
    if (lsm_spare_due(lsm))
        lsm_prepare_spare(lsm);
    pthread_mutex_unlock(&lsm->mutex);
}

static void prepare_done(struct lsm *lsm)
{
    lsm->prepare_pending = false;
}

static void kick_background(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->mutex);
    bool due = !lsm->prepare_pending && lsm_spare_due(lsm);
    lsm_background_kick(lsm);
    lsm_write_back(lsm);
    pthread_mutex_unlock(&lsm->mutex);
    if (due)
        lsm->prepare_pending = lsm_job_start(lsm, JOB_FIRST, prepare_work, prepare_done);
}

void lsm_kick(struct engine *engine)
{
    struct lsm *lsm = (struct lsm *)engine;
    lsm->kicked_inside = lsm->completing;
    if (lsm->jobs == NULL || lsm->options.read_only || lsm->commit_pending || lsm->completing)
        return;
    complete(lsm); /* what writers on other threads have committed meanwhile */
    if (flush_here(lsm))
        complete(lsm);
    if (lsm->first_commit != NULL)
        start_commit(lsm);
    kick_background(lsm);
}

void lsm_drain(struct lsm *lsm)
{
    do {
        pthread_mutex_lock(&lsm->mutex);
        lsm_commit_until(lsm, lsm->taken, lsm->sync_commits > 0);
        pthread_mutex_unlock(&lsm->mutex);
        complete(lsm);
    } while (lsm->first_commit != NULL);
}
