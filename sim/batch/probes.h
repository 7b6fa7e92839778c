/* SPDX-License-Identifier: Apache-2.0 */
/** Rare paths over a batch of runs: how many runs took each probe's, and those that a batch of some
 *  size must have taken, since a simulator that never goes there proves nothing about them. */
#ifndef SIM_PROBES_H
#define SIM_PROBES_H

#include <stddef.h>

#include "sim/bugs/bugs.h"
#include "sim/kinds.h"

#define PROBES_MAX ((size_t)512)

/** How often each fired; the places are the same in all processes of one program. */
struct probe_counts {
    uint64_t fired[PROBES_MAX];
};

/** What fired in this process since it was asked the last time.  Aborts when there are more probes
 *  than PROBES_MAX. */
void probes_take(struct probe_counts *ret_counts);

struct probe_tally {
    uint64_t runs;
    size_t count;
    struct {
        const char *name;
        uint64_t fired, runs; /* times; runs in which it fired */
    } list[PROBES_MAX];
};

/** Add those of one run. */
void probes_tally_run(struct probe_tally *tally, const struct probe_counts *counts);

/** Of the probes that a batch of runs of this kind must fire, calls `missing` with each that did
 *  not, or that the program does not have. */
void probes_check(const struct probe_tally *tally, enum kind kind,
                  void (*missing)(void *context, const char *name, bool exists), void *context);

#endif
