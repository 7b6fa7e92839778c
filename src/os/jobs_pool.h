/* SPDX-License-Identifier: Apache-2.0 */
/** Worker threads behind base/jobs.h for an owner that has no loop: an application that embeds the
 *  store and calls it from any thread.
 *
 *      submit -> [waiting] -> a worker runs `work`, and then `done`
 *
 *  `done` runs on the worker right after `work`, never two at a time.  So the pool stands in for
 *  the owner's thread that base/jobs.h speaks of, and the owner must leave that side of an engine
 *  alone: no engine_submit, no engine_kick.  Workers take no signals. */
#ifndef OS_JOBS_POOL_H
#define OS_JOBS_POOL_H

#include "base/jobs.h"
#include "kvorum/status.h"

/** Start `thread_count` (>= 1) workers.  NO_MEMORY: threads or memory ran out. */
KVORUM_CHECKED kvorum_status jobs_pool_start(unsigned thread_count, struct jobs **ret_jobs);
/** Finish every job, those that a `done` submits meanwhile too, then end the workers.  Nobody else
 *  may submit any more.  Thread: any but a worker.  Blocks: until the last job is done.  NULL is
 *  fine; always returns NULL. */
struct jobs *jobs_pool_stop(struct jobs *jobs);

#endif
