/* SPDX-License-Identifier: Apache-2.0 */
/** What kvorum-sim does with tapes: record one run, replay one, shrink one. */
#ifndef SIM_TAPES_H
#define SIM_TAPES_H

#include "sim/bugs/bugs.h"
#include "sim/run/run.h"

struct tapes_command {
    const char *replay, *tape_out; /* files; or NULL */
    bool shrink;
    uint64_t shrink_runs, shrink_seconds; /* at most */
    struct run_options options;           /* of the run, where none is replayed */
    enum planted_bug bug;                 /* planted, in the same case */
};

/** Read a tape, plant its bug, and prepare its run.  Prints why it cannot, and is then false.
 *  `ret_tape` belongs to the caller and is what `ret_options` replays. */
bool tapes_read(const char *path, struct tape_header *ret_header, struct tape *ret_tape,
                struct run_options *ret_options);
/** Do it; the exit code of the program: 0 for a good run (with a planted bug: for a catch), 1 for
 *  a bad one, 2 for a file that cannot be read or written. */
int tapes_run(const struct tapes_command *command);

#endif
