/* SPDX-License-Identifier: Apache-2.0 */
/* Work handed to the jobs object.  A job may come to its turn after the engine was closed: it holds
 * a lifeline, from which closing takes the engine after waiting for those that are at work. */
#include "engine/lsm/background/jobs.h"

#include <stdlib.h>

struct lsm_lifeline {
    pthread_mutex_t mutex;
    pthread_cond_t left;
    struct lsm *lsm; /* NULL: closed */
    size_t working, references;
};

struct lsm_job {
    struct job job; /* first */
    struct lsm_lifeline *lifeline;
    void (*work)(struct lsm *lsm);
    void (*done)(struct lsm *lsm); /* on the owner's thread, while the engine is open; or NULL */
};

struct lsm_lifeline *lsm_lifeline_create(struct lsm *lsm)
{
    struct lsm_lifeline *lifeline = calloc(1, sizeof(*lifeline));
    if (lifeline == NULL)
        return NULL;
    pthread_mutex_init(&lifeline->mutex, NULL);
    pthread_cond_init(&lifeline->left, NULL);
    lifeline->lsm = lsm;
    lifeline->references = 1;
    return lifeline;
}

static void lifeline_release(struct lsm_lifeline *lifeline)
{
    pthread_mutex_lock(&lifeline->mutex);
    bool last = --lifeline->references == 0;
    pthread_mutex_unlock(&lifeline->mutex);
    if (!last)
        return;
    pthread_cond_destroy(&lifeline->left);
    pthread_mutex_destroy(&lifeline->mutex);
    free(lifeline);
}

void lsm_lifeline_cut(struct lsm_lifeline *lifeline)
{
    if (lifeline == NULL)
        return;
    pthread_mutex_lock(&lifeline->mutex);
    lifeline->lsm = NULL;
    while (lifeline->working > 0)
        pthread_cond_wait(&lifeline->left, &lifeline->mutex);
    pthread_mutex_unlock(&lifeline->mutex);
    lifeline_release(lifeline);
}

/* The engine, which stays until `leave`; or NULL. */
static struct lsm *enter(struct lsm_lifeline *lifeline)
{
    pthread_mutex_lock(&lifeline->mutex);
    struct lsm *lsm = lifeline->lsm;
    lifeline->working += lsm != NULL;
    pthread_mutex_unlock(&lifeline->mutex);
    return lsm;
}

static void leave(struct lsm_lifeline *lifeline)
{
    pthread_mutex_lock(&lifeline->mutex);
    lifeline->working--;
    pthread_cond_broadcast(&lifeline->left);
    pthread_mutex_unlock(&lifeline->mutex);
}

static void job_work(struct job *job)
{
    struct lsm_job *self = (struct lsm_job *)job;
    struct lsm *lsm = enter(self->lifeline);
    if (lsm == NULL)
        return;
    self->work(lsm);
    leave(self->lifeline);
}

/* Not `working` meanwhile: what is done may close the engine. */
static void job_done(struct job *job)
{
    struct lsm_job *self = (struct lsm_job *)job;
    pthread_mutex_lock(&self->lifeline->mutex);
    struct lsm *lsm = self->lifeline->lsm;
    pthread_mutex_unlock(&self->lifeline->mutex);
    if (lsm != NULL && self->done != NULL)
        self->done(lsm);
    lifeline_release(self->lifeline);
    free(self);
}

bool lsm_job_start(struct lsm *lsm, enum job_urgency urgency, void (*work)(struct lsm *lsm),
                   void (*done)(struct lsm *lsm))
{
    struct lsm_job *job = malloc(sizeof(*job));
    if (job == NULL)
        return false;
    *job = (struct lsm_job){
        .job = { .work = job_work, .done = job_done, .urgency = urgency },
        .lifeline = lsm->lifeline,
        .work = work,
        .done = done,
    };
    pthread_mutex_lock(&lsm->lifeline->mutex);
    lsm->lifeline->references++;
    pthread_mutex_unlock(&lsm->lifeline->mutex);
    jobs_submit(lsm->jobs, &job->job);
    return true;
}
