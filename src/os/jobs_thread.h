/* SPDX-License-Identifier: Apache-2.0 */
/** Worker threads behind base/jobs.h.
 *
 *      submit -> [waiting] -> workers run `work` -> [finished] -> the owner's drain runs `done`
 *
 *  The owner is the thread that calls drain and stop.  An owner with an event loop passes `wakeup`,
 *  which a worker calls when there is something to drain (uv_async_send fits); others drain with
 *  `wait`.  Workers take no signals. */
#ifndef OS_JOBS_THREAD_H
#define OS_JOBS_THREAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/jobs.h"
#include "kvorum/status.h"

/** Start `thread_count` (>= 1) workers.  `wakeup` may be NULL; it runs on a worker, must not block,
 *  and may still be called until stop returns.  NO_MEMORY: threads or memory ran out. */
KVORUM_CHECKED kvorum_status jobs_thread_start(unsigned thread_count, void (*wakeup)(void *context),
                                               void *context, struct jobs **ret_jobs);
/** Run `done` of the jobs that are finished, in the order they finished, and return how many.  With
 *  `wait`, wait for the first one unless no job is under way.  Thread: the owner.  A `done` may
 *  submit, but not drain. */
size_t jobs_thread_drain(struct jobs *jobs, bool wait);
/** Finish every job, those submitted meanwhile too, then end the workers.  Thread: the owner.
 *  Blocks: until the last job is done.  NULL is fine; always returns NULL. */
struct jobs *jobs_thread_stop(struct jobs *jobs);

#endif
