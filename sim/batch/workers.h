/* SPDX-License-Identifier: Apache-2.0 */
/** Runs made by several processes at once; their outcomes come in the order of the seeds, whatever
 *  their number.
 *
 *      seeds in order --> workers --> outcomes, each kept until all before it are there --> next
 *
 *  A worker makes one run after the other.  One that stops at an assertion of the code under test,
 *  or crashes, is that run's violation ("assertion"), and another takes its place. */
#ifndef SIM_WORKERS_H
#define SIM_WORKERS_H

#include "sim/batch/probes.h"
#include "sim/run/run.h"

enum { WORKERS_MAX = 256 };

struct outcome {
    struct run_result result;
    bool twice; /* the run was made twice, to compare */
    struct probe_counts probes;
};

struct workers;

/** How many processors this process may use, at most WORKERS_MAX. */
unsigned workers_default(void);
/** `play` makes the run of a seed, in a process of its own; what it prints is not mixed with others
 *  when `count` is 1.  Aborts when no process can be made. */
struct workers *workers_start(unsigned count, uint64_t first_seed,
                              void (*play)(uint64_t seed, struct outcome *ret_outcome));
/** That of the next seed; blocks. */
void workers_next(struct workers *workers, struct outcome *ret_outcome);
/** Ends them, with the runs that nobody asks for any more. */
void workers_stop(struct workers *workers);

#endif
