/* SPDX-License-Identifier: Apache-2.0 */
/** Seam: work that may block (log sync, compaction) and must not run on a reactor.
 *
 *  Submitted from any thread, `work` runs later, elsewhere; then `done` runs on the thread that
 *  owns the jobs object (the reactor), never inside submit.  Both always run, once, in that order.
 *  Jobs may run side by side and finish in any order: who needs an order submits the next in
 *  `done`.
 *  What takes seconds (JOB_LENGTHY) never occupies all that there is to run jobs on, and what
 *  clients wait for most (JOB_FIRST) goes before what was submitted earlier.
 *  Real: os/jobs_thread.c (threads) and server/reactor (libuv).  Simulated: sim/seams/jobs.c. */
#ifndef BASE_JOBS_H
#define BASE_JOBS_H

enum job_urgency { JOB_SOON, JOB_FIRST, JOB_LENGTHY };

struct job {
    void (*work)(struct job *job);
    void (*done)(struct job *job);
    struct job *next; /* for the implementation */
    enum job_urgency urgency;
};

struct jobs {
    const struct jobs_ops *ops;
};

struct jobs_ops {
    void (*submit)(struct jobs *jobs, struct job *job);
};

static inline void jobs_submit(struct jobs *jobs, struct job *job)
{
    jobs->ops->submit(jobs, job);
}

#endif
