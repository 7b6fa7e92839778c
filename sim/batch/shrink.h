/* SPDX-License-Identifier: Apache-2.0 */
/** Makes the tape of a failing run smaller while the run goes on failing in the same way, as
 *  Hypothesis does it (MacIver and Donaldson, "Test-Case Reduction via Test-Case Generation",
 *  ECOOP 2020): the choices are shrunk, not what was made of them, so every candidate is a run
 *  that could have happened.
 *
 *      noise calm? -> operations and faults removed, many at once, then one by one
 *        -> choices made calm -> choices lowered -> again, until nothing helps
 */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/world/tape.h"

struct shrink {
    struct tape best; /* own: tape_done */
    uint64_t runs, runs_max;
    /** Make the run of `candidate`, with other noise where `noise_seed` is not 0.  True when it
     *  fails as the first one did; *ret_used is then what it chose, trimmed, a tape of the
     *  caller's. */
    bool (*fails)(void *context, const struct tape *candidate, uint64_t noise_seed,
                  struct tape *ret_used);
    /** Called after each run; false ends it. */
    bool (*go_on)(void *context, const struct shrink *shrink);
    void *context;
};

/** Begin with the failing run's tape in `best`. */
void shrink_run(struct shrink *shrink);

#endif
