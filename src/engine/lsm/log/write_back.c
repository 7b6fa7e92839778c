/* SPDX-License-Identifier: Apache-2.0 */
/* Syncing ahead.  A segment is synced before the next is named, and whoever asked for no sync would
 * wait for all of it there, a hundred times as long as for a group.  So while the log grows
 * without syncs, a job syncs what is written again and again, and little is left at the end.
 *
 * Its sync may be the one that learns of a failed write: it poisons the store like any other. */
#include "base/planted.h"
#include "engine/lsm/background/jobs.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/log/commit.h"

static bool is_due(const struct lsm *lsm)
{
    const struct lsm_segment *segment = lsm->named;
    return segment->end - segment->safe_end >= lsm->options.write_back_size &&
           !lsm->write_back_started && lsm->failure == KVORUM_OK;
}

static void write_back_work(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->mutex);
    struct lsm_segment *segment = lsm->named;
    uint64_t end = segment->end; /* nearly all of it was written */
    lsm->writing_back = true;
    pthread_mutex_unlock(&lsm->mutex);
    PROBE("lsm: the log was synced ahead");
    kvorum_status status = segment->file->ops->sync(segment->file);
    pthread_mutex_lock(&lsm->mutex);
    lsm->writing_back = lsm->write_back_started = false; /* one at a time */
    segment->safe_end = end;
    if (status != KVORUM_OK) {
        lsm->failure_last = lsm->taken;
        lsm_poison(lsm, status, "the log cannot be synced");
    }
    pthread_cond_broadcast(&lsm->changed);
    pthread_mutex_unlock(&lsm->mutex);
}

void lsm_write_back(struct lsm *lsm)
{
    if (lsm->jobs != NULL && is_due(lsm))
        lsm->write_back_started = lsm_job_start(lsm, JOB_FIRST, write_back_work, NULL);
}

void lsm_write_back_wait(struct lsm *lsm)
{
    while (lsm->writing_back)
        pthread_cond_wait(&lsm->changed, &lsm->mutex);
}
