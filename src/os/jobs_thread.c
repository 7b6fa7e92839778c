/* SPDX-License-Identifier: Apache-2.0 */
#include "os/jobs_thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "os/job_queue.h"
#include "os/threads.h"

struct jobs_thread {
    struct jobs jobs;
    void (*wakeup)(void *context);
    void *context;

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t submitted, job_finished;
    struct job_queue first, soon, lengthy; /* waiting */
    struct job_queue finished;
    unsigned lengthy_count, lengthy_max; /* at work; a third of the threads is left to the others */
    size_t under_way;                    /* submitted, and not yet taken by drain */
    bool stopping;

    unsigned thread_count;
    pthread_t threads[];
};

static void submit(struct jobs *jobs, struct job *job)
{
    struct jobs_thread *self = (struct jobs_thread *)jobs;
    pthread_mutex_lock(&self->mutex);
    job_queue_push(job->urgency == JOB_FIRST     ? &self->first
                   : job->urgency == JOB_LENGTHY ? &self->lengthy
                                                 : &self->soon,
                   job);
    self->under_way++;
    pthread_mutex_unlock(&self->mutex);
    pthread_cond_signal(
        &self->submitted); /* here a worker does not wake up to wait for the mutex */
}

static const struct jobs_ops jobs_thread_ops = { .submit = submit };

/* --- workers ------------------------------------------------------------------------------- */

/* With the mutex: the job that is due most, or NULL. */
static struct job *pick(struct jobs_thread *self)
{
    if (self->first.first != NULL)
        return job_queue_pop(&self->first);
    if (self->soon.first != NULL)
        return job_queue_pop(&self->soon);
    if (self->lengthy.first == NULL || self->lengthy_count >= self->lengthy_max)
        return NULL;
    self->lengthy_count++;
    return job_queue_pop(&self->lengthy);
}

/* The next job, or NULL when there will be none. */
static struct job *next_job(struct jobs_thread *self)
{
    struct job *job;
    pthread_mutex_lock(&self->mutex);
    while ((job = pick(self)) == NULL && !self->stopping)
        pthread_cond_wait(&self->submitted, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
    return job;
}

static void finish(struct jobs_thread *self, struct job *job)
{
    pthread_mutex_lock(&self->mutex);
    bool first = self->finished.first == NULL; /* the owner was told about the others */
    job_queue_push(&self->finished, job);
    if (job->urgency == JOB_LENGTHY) {
        self->lengthy_count--;
        pthread_cond_signal(&self->submitted); /* one that had to wait may begin */
    }
    pthread_cond_signal(&self->job_finished);
    pthread_mutex_unlock(&self->mutex);
    if (first && self->wakeup != NULL)
        self->wakeup(self->context);
}

static void *run_worker(void *context)
{
    struct jobs_thread *self = context;
    for (struct job *job; (job = next_job(self)) != NULL;) {
        job->work(job);
        finish(self, job);
    }
    return NULL;
}

/* --- the owner ----------------------------------------------------------------------------- */

static struct job_queue take_finished(struct jobs_thread *self, bool wait)
{
    pthread_mutex_lock(&self->mutex);
    while (wait && self->finished.first == NULL && self->under_way > 0)
        pthread_cond_wait(&self->job_finished, &self->mutex);
    struct job_queue taken = self->finished;
    self->finished = (struct job_queue){ 0 };
    for (struct job *job = taken.first; job != NULL; job = job->next)
        self->under_way--;
    pthread_mutex_unlock(&self->mutex);
    return taken;
}

size_t jobs_thread_drain(struct jobs *jobs, bool wait)
{
    assert(jobs->ops == &jobs_thread_ops);
    struct job_queue taken = take_finished((struct jobs_thread *)jobs, wait);
    size_t count = 0;
    while (taken.first != NULL) {
        struct job *job = job_queue_pop(&taken);
        job->done(job); /* the job may be gone or submitted again after it */
        count++;
    }
    return count;
}

static void end_threads(struct jobs_thread *self)
{
    pthread_mutex_lock(&self->mutex);
    self->stopping = true;
    pthread_cond_broadcast(&self->submitted);
    pthread_mutex_unlock(&self->mutex);
    for (unsigned i = 0; i < self->thread_count; i++)
        pthread_join(self->threads[i], NULL);
    pthread_cond_destroy(&self->job_finished);
    pthread_cond_destroy(&self->submitted);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

struct jobs *jobs_thread_stop(struct jobs *jobs)
{
    if (jobs == NULL)
        return NULL;
    while (jobs_thread_drain(jobs, true) > 0)
        continue;
    end_threads((struct jobs_thread *)jobs);
    return NULL;
}

kvorum_status jobs_thread_start(unsigned thread_count, void (*wakeup)(void *context), void *context,
                                struct jobs **ret_jobs)
{
    assert(thread_count > 0);
    struct jobs_thread *self = calloc(1, sizeof(*self) + thread_count * sizeof(pthread_t));
    if (self == NULL)
        return KVORUM_NO_MEMORY;
    self->jobs.ops = &jobs_thread_ops;
    self->lengthy_max = thread_count == 1 ? 1 : thread_count - (thread_count + 2) / 3;
    self->wakeup = wakeup;
    self->context = context;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->submitted, NULL);
    pthread_cond_init(&self->job_finished, NULL);
    self->thread_count = os_threads_start(self->threads, thread_count, run_worker, self);
    if (self->thread_count < thread_count) {
        end_threads(self);
        return KVORUM_NO_MEMORY;
    }
    *ret_jobs = &self->jobs;
    return KVORUM_OK;
}
