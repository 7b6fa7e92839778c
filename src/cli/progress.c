/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/output.h"

enum { BAR_US = 100000, LINE_US = 5000000 };

void progress_begin(struct progress *progress, const char *label, const char *unit, uint64_t total)
{
    *progress = (struct progress){ .label = label, .unit = unit, .total = total };
    os_clock_init(&progress->clock);
    progress->terminal = isatty(STDERR_FILENO);
    progress->begin_us = progress->printed_us = clock_monotonic_us(&progress->clock.clock);
}

double progress_seconds(const struct progress *progress)
{
    struct os_clock clock = progress->clock;
    return (double)(clock_monotonic_us(&clock.clock) - progress->begin_us) / 1e6;
}

void progress_update(struct progress *progress, uint64_t part, uint64_t count)
{
    uint64_t now_us = clock_monotonic_us(&progress->clock.clock);
    if (now_us - progress->printed_us < (progress->terminal ? BAR_US : LINE_US))
        return;
    progress->printed_us = now_us;
    double seconds = (double)(now_us - progress->begin_us) / 1e6;
    double done = progress->total == 0 ? 0 : (double)part / (double)progress->total;
    fflush(stdout);
    if (progress->terminal)
        fputs("\r\x1b[K", stderr);
    fprintf(stderr, "  %s ", progress->label);
    if (progress->total > 0)
        fprintf(stderr, "%s%s %3.0f %%  ", progress->terminal ? text_of_bar(done, 24) : "",
                progress->terminal ? "▏" : "", done * 100);
    fprintf(stderr, "%s %s, %s/s", text_of_count(count), progress->unit,
            text_of_count((uint64_t)((double)count / seconds)));
    if (done > 0.005 && done < 1)
        fprintf(stderr, ", %s left", text_of_time(seconds / done - seconds));
    if (!progress->terminal)
        fputc('\n', stderr);
    fflush(stderr);
    progress->shown = true;
}

void progress_end(struct progress *progress)
{
    if (progress->terminal && progress->shown)
        fputs("\r\x1b[K", stderr);
    fflush(stderr);
}
