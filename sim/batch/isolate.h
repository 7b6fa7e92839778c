/* SPDX-License-Identifier: Apache-2.0 */
/** A run in a process of its own: the code under test may stop at one of its own assertions, or
 *  never end, and its tape is still there. */
#ifndef SIM_ISOLATE_H
#define SIM_ISOLATE_H

#include "sim/run/run.h"

/** Blocks, at most about `seconds`.  A broken assertion is a violation of "assertion", a run that
 *  takes longer one of "endless" (without tape).  `options->ret_tape` may be NULL; what comes is
 *  trimmed.  `quiet`: what the code under test says of itself is not shown. */
void isolate_run(const struct run_options *options, unsigned seconds, bool quiet,
                 struct run_result *ret_result);

#endif
