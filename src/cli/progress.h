/* SPDX-License-Identifier: Apache-2.0 */
/** Progress of long work on standard error: a bar with rate and ETA on a terminal, elsewhere one
 *  line every 5 s. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "os/clock.h"

#include <stdbool.h>

struct progress {
    const char *label; /* "import" */
    const char *unit;  /* "records" */
    uint64_t total;    /* in any measure, e.g. bytes; 0: unknown */
    bool terminal, shown;
    uint64_t begin_us, printed_us;
    struct os_clock clock;
};

void progress_begin(struct progress *progress, const char *label, const char *unit, uint64_t total);
/** `part` of `total` is behind us; `count` in units.  Cheap: call as often as you like. */
void progress_update(struct progress *progress, uint64_t part, uint64_t count);
/** Take the bar away. */
void progress_end(struct progress *progress);
double progress_seconds(const struct progress *progress);

#endif
