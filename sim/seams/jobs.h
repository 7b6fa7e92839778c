/* SPDX-License-Identifier: Apache-2.0 */
/** Background work of one simulated process: `work` happens at a later moment of virtual time,
 *  `done` at another one after it; jobs overtake each other.  A lengthy one pauses before writes
 *  and syncs of the disk, and the rest of the world goes on meanwhile. */
#ifndef SIM_JOBS_H
#define SIM_JOBS_H

#include "base/jobs.h"
#include "sim/world/world.h"

struct sim_jobs {
    struct jobs base;
    struct world *world;
    struct gate *gate;                 /* of the process, or NULL */
    uint64_t latency_us;               /* mean of each half */
    void (*after_step)(void *context); /* called after each work and each done; or NULL */
    void *context;
    struct list tasks;
};

void sim_jobs_init(struct sim_jobs *jobs, struct world *world, struct gate *gate,
                   uint64_t latency_us);
/** Run everything outstanding to its end, now. */
void sim_jobs_drain(struct sim_jobs *jobs);
static inline bool sim_jobs_idle(const struct sim_jobs *jobs)
{
    return list_empty(&jobs->tasks);
}

#endif
