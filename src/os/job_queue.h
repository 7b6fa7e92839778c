/* SPDX-License-Identifier: Apache-2.0 */
/** Jobs in the order in which they came, for the files that run them.  Thread: one at a time. */
#ifndef OS_JOB_QUEUE_H
#define OS_JOB_QUEUE_H

#include <stddef.h>

#include "base/jobs.h"

struct job_queue {
    struct job *first, *last;
};

static inline void job_queue_push(struct job_queue *queue, struct job *job)
{
    job->next = NULL;
    if (queue->first == NULL)
        queue->first = job;
    else
        queue->last->next = job;
    queue->last = job;
}

/** The queue must not be empty. */
static inline struct job *job_queue_pop(struct job_queue *queue)
{
    struct job *job = queue->first;
    queue->first = job->next;
    job->next = NULL;
    return job;
}

#endif
