/* SPDX-License-Identifier: Apache-2.0 */
/** Many runs of one kind, from seeds that follow each other: what they found, and the sums. */
#ifndef SIM_BATCH_H
#define SIM_BATCH_H

#include "sim/bugs/bugs.h"
#include "sim/run/run.h"

struct batch_options {
    struct run_options run; /* the first; the seed of the others rises */
    uint64_t runs;          /* how many; or, */
    uint64_t hours;         /* of virtual time, until they make so many; 0: by `runs` */
    uint64_t seconds;       /* but for no longer than this; 0: as long as it takes */
    unsigned jobs;          /* processes; what is printed does not depend on it */
    enum planted_bug bug;   /* planted: stop at the first run that catches it */
    bool twice;             /* every run, not only some */
    bool probes;            /* print them all, not only those that never fired */
    bool sums;              /* print the sums once more, for programs */
};

/** The exit code of the program: 0 when nothing was wrong (with a planted bug: when it was caught),
 *  else 1. */
int batch_run(const struct batch_options *options);

#endif
