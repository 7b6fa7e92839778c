/* SPDX-License-Identifier: Apache-2.0 */
/** Code that stops in the middle and goes on later, on one thread: so that what else happens in a
 *  simulated machine comes between two steps of a long job.
 *
 *      fiber_go --> run ... fiber_pause --> back      fiber_go --> ... the end: true
 *
 *  Where the code under test would wait for another thread (pthread_cond_wait), a fiber pauses;
 *  outside of fibers nobody could ever wake it up, which is reported as what it is, a hang.
 *  The sanitizers are told of each change of stacks (sim/seams/fiber_sanitizer.h). */
#ifndef SIM_FIBER_H
#define SIM_FIBER_H

#include <stdbool.h>

struct fiber;

struct fiber *fiber_create(void (*run)(void *context), void *context);
/** Run until it pauses, or (true) ends. */
bool fiber_go(struct fiber *fiber);
/** It has ended.  NULL is fine. */
void fiber_destroy(struct fiber *fiber);
/** Does nothing outside of fibers. */
void fiber_pause(void);
bool fiber_inside(void);

#endif
