/* SPDX-License-Identifier: Apache-2.0 */
/** Work for the jobs object, which an engine that was closed survives. */
#ifndef ENGINE_LSM_JOBS_H
#define ENGINE_LSM_JOBS_H

#include "engine/lsm/internal.h"

struct lsm_lifeline;
struct lsm_lifeline *lsm_lifeline_create(struct lsm *lsm); /* NULL: no memory */
/** From now on jobs find no engine; waits for those at work.  NULL is fine. */
void lsm_lifeline_cut(struct lsm_lifeline *lifeline);
/** Have `work` run as a job, and then `done` (or NULL) on the owner's thread, neither of them when
 *  the engine is closed by then.  False: no memory. */
bool lsm_job_start(struct lsm *lsm, enum job_urgency urgency, void (*work)(struct lsm *lsm),
                   void (*done)(struct lsm *lsm));

#endif
