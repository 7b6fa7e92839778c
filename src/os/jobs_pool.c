/* SPDX-License-Identifier: Apache-2.0 */
#include "os/jobs_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "os/job_queue.h"
#include "os/threads.h"

struct jobs_pool {
    struct jobs jobs;
    pthread_mutex_t done_mutex; /* held while a `done` runs */

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t submitted, idle;
    struct job_queue waiting;
    size_t under_way; /* submitted, and their `done` has not returned */
    bool stopping;

    unsigned thread_count;
    pthread_t threads[];
};

static void submit(struct jobs *jobs, struct job *job)
{
    struct jobs_pool *self = (struct jobs_pool *)jobs;
    pthread_mutex_lock(&self->mutex);
    assert(!self->stopping);
    job_queue_push(&self->waiting, job);
    self->under_way++;
    pthread_cond_signal(&self->submitted); /* under the mutex: stop may free the pool after it */
    pthread_mutex_unlock(&self->mutex);
}

static const struct jobs_ops jobs_pool_ops = { .submit = submit };

/* --- workers ------------------------------------------------------------------------------- */

/* The next job, or NULL when there will be none. */
static struct job *next_job(struct jobs_pool *self)
{
    pthread_mutex_lock(&self->mutex);
    while (self->waiting.first == NULL && !self->stopping)
        pthread_cond_wait(&self->submitted, &self->mutex);
    struct job *job = self->waiting.first == NULL ? NULL : job_queue_pop(&self->waiting);
    pthread_mutex_unlock(&self->mutex);
    return job;
}

static void finish(struct jobs_pool *self, struct job *job)
{
    pthread_mutex_lock(&self->done_mutex);
    job->done(job); /* the job may be gone or submitted again after it */
    pthread_mutex_unlock(&self->done_mutex);
    pthread_mutex_lock(&self->mutex);
    if (--self->under_way == 0)
        pthread_cond_signal(&self->idle);
    pthread_mutex_unlock(&self->mutex);
}

static void *run_worker(void *context)
{
    struct jobs_pool *self = context;
    for (struct job *job; (job = next_job(self)) != NULL;) {
        job->work(job);
        finish(self, job);
    }
    return NULL;
}

/* --- the owner ----------------------------------------------------------------------------- */

struct jobs *jobs_pool_stop(struct jobs *jobs)
{
    if (jobs == NULL)
        return NULL;
    assert(jobs->ops == &jobs_pool_ops);
    struct jobs_pool *self = (struct jobs_pool *)jobs;
    pthread_mutex_lock(&self->mutex);
    while (self->under_way > 0)
        pthread_cond_wait(&self->idle, &self->mutex);
    self->stopping = true;
    pthread_cond_broadcast(&self->submitted);
    pthread_mutex_unlock(&self->mutex);
    for (unsigned i = 0; i < self->thread_count; i++)
        pthread_join(self->threads[i], NULL);
    pthread_cond_destroy(&self->idle);
    pthread_cond_destroy(&self->submitted);
    pthread_mutex_destroy(&self->mutex);
    pthread_mutex_destroy(&self->done_mutex);
    free(self);
    return NULL;
}

kvorum_status jobs_pool_start(unsigned thread_count, struct jobs **ret_jobs)
{
    assert(thread_count > 0);
    struct jobs_pool *self = calloc(1, sizeof(*self) + thread_count * sizeof(pthread_t));
    if (self == NULL)
        return KVORUM_NO_MEMORY;
    self->jobs.ops = &jobs_pool_ops;
    pthread_mutex_init(&self->done_mutex, NULL);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->submitted, NULL);
    pthread_cond_init(&self->idle, NULL);
    self->thread_count = os_threads_start(self->threads, thread_count, run_worker, self);
    if (self->thread_count < thread_count) {
        jobs_pool_stop(&self->jobs);
        return KVORUM_NO_MEMORY;
    }
    *ret_jobs = &self->jobs;
    return KVORUM_OK;
}
