/* SPDX-License-Identifier: Apache-2.0 */
/** Ctrl-C (and SIGTERM) as a question that long work asks, so that it can end in order. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/** From now on the first signal is only remembered; a second one ends the process as usual. */
void interrupt_watch(void);
bool interrupt_wanted(void);
/** Sleep until a signal came.  Blocks. */
void interrupt_wait(void);
/** Sleep, but not beyond a signal. */
void interrupt_sleep_ms(uint32_t ms);

#endif
