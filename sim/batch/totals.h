/* SPDX-License-Identifier: Apache-2.0 */
/** Sums over the runs of a batch, and the figures that are made of them. */
#ifndef SIM_TOTALS_H
#define SIM_TOTALS_H

#include "sim/batch/workers.h"

struct totals {
    uint64_t passed, failed, events, operations, acknowledged, twice;
    uint64_t virtual_us;                        /* of all; of these, */
    uint64_t cluster_us, faulty_us, durable_us; /* of clusters; under clients and faults; of runs in
                                                   which no acknowledged write may be lost */
    uint64_t lost, stuck; /* runs that lost an acknowledged write; that did not come to an end */
    uint64_t resurrected, deletes; /* runs in which a deleted value came back; deletes of all runs
                                      that are held to them */
    uint64_t joined, gone, shapes_bad; /* members; failed runs in which some did */
    uint64_t missing; /* probes that are required of so many runs and never fired */
    struct probe_tally probes;
};

void totals_add(struct totals *totals, const struct outcome *outcome);
static inline uint64_t totals_runs(const struct totals *totals)
{
    return totals->passed + totals->failed;
}
double totals_hours(uint64_t duration_us);
/** The figures of `make proof`. */
void totals_print_proof(const struct totals *totals, enum kind kind);
/** The sums on one line, of words `name=number`, for programs. */
void totals_print_sums(const struct totals *totals, enum kind kind);
/** And counts those that are missing. */
void totals_print_probes(struct totals *totals, enum kind kind, bool all);

#endif
