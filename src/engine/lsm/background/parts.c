/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing out the parts of a compaction (subcompactions).
 *
 * Who carries out the compaction submits a job for each part but one, and begins with the first.
 * A job takes a part of any compaction that has one left; when none came in time, because workers
 * are busy, the first does all parts itself.  So nothing waits for a worker that may never come. */
#include "engine/lsm/background/compact.h"
#include "engine/lsm/background/jobs.h"

/* With the mutex, let go while the part is done. */
static void do_part(struct lsm_compaction *compaction)
{
    struct lsm *lsm = compaction->lsm;
    struct lsm_part *part = &compaction->parts[compaction->taken_count++];
    pthread_mutex_unlock(&lsm->mutex);
    kvorum_status status = lsm_compact_part(compaction, part);
    pthread_mutex_lock(&lsm->mutex);
    part->status = status;
    compaction->done_count++; /* the last touch: who waits may end it now */
    pthread_cond_broadcast(&lsm->changed);
}

static struct lsm_compaction *one_with_parts_left(const struct lsm *lsm)
{
    struct lsm_compaction *compaction = lsm->compactions;
    while (compaction != NULL && compaction->taken_count == compaction->part_count)
        compaction = compaction->next;
    return compaction;
}

/* A job's work. */
static void help(struct lsm *lsm)
{
    struct lsm_compaction *compaction;
    pthread_mutex_lock(&lsm->mutex);
    while (!lsm->closing && (compaction = one_with_parts_left(lsm)) != NULL)
        do_part(compaction);
    pthread_mutex_unlock(&lsm->mutex);
}

static void remove_from_list(struct lsm *lsm, const struct lsm_compaction *compaction)
{
    struct lsm_compaction **at = &lsm->compactions;
    while (*at != compaction)
        at = &(*at)->next;
    *at = compaction->next;
}

void lsm_compact_parts(struct lsm_compaction *compaction)
{
    struct lsm *lsm = compaction->lsm;
    compaction->next = lsm->compactions;
    lsm->compactions = compaction;
    for (size_t i = 1; i < compaction->part_count; i++)
        (void)lsm_job_start(lsm, JOB_LENGTHY, help, NULL); /* else it is done here */
    while (compaction->taken_count < compaction->part_count)
        do_part(compaction);
    while (compaction->done_count < compaction->part_count)
        pthread_cond_wait(&lsm->changed, &lsm->mutex);
    remove_from_list(lsm, compaction);
}
