/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/totals.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

double totals_hours(uint64_t duration_us)
{
    return (double)duration_us / (double)SIM_SECOND / 3600;
}

static bool is_one_of(const char *checker, const char *const *names)
{
    while (*names != NULL && strcmp(*names, checker) != 0)
        names++;
    return *names != NULL;
}

static void count_violation(struct totals *totals, const struct run_result *result)
{
    static const char *const losses[] = { "acknowledged", "durable", "listed", "store", NULL };
    static const char *const waits[] = { "live",    "liveness",  "answered",
                                         "bounded", "converged", NULL };
    const char *checker = result->violation.checker;
    totals->resurrected += strcmp(checker, "deletes") == 0;
    totals->lost += is_one_of(checker, losses);
    totals->stuck += is_one_of(checker, waits);
    totals->shapes_bad += result->joined + result->gone > 0;
}

void totals_add(struct totals *totals, const struct outcome *outcome)
{
    const struct run_result *result = &outcome->result;
    bool fine = result->violation.checker == NULL;
    totals->passed += fine;
    totals->failed += !fine;
    totals->twice += outcome->twice;
    totals->events += result->event_count;
    totals->virtual_us += result->virtual_us;
    totals->faulty_us += result->faulty_us;
    totals->operations += result->operations;
    totals->acknowledged += result->acknowledged;
    totals->joined += result->joined;
    totals->gone += result->gone;
    probes_tally_run(&totals->probes, &outcome->probes);
    if (!fine)
        count_violation(totals, result);
}

static void print_missing(void *context, const char *name, bool exists)
{
    uint64_t *missing = context;
    (*missing)++;
    printf("missing: probe \"%s\" must fire in so many runs, %s\n", name,
           exists ? "and never did" : "and does not exist: see sim/probes.c");
}

uint64_t totals_print_probes(const struct totals *totals, enum kind kind, bool all)
{
    const struct probe_tally *tally = &totals->probes;
    uint64_t missing = 0;
    for (size_t i = 0; i < tally->count; i++) {
        if (tally->list[i].fired == 0)
            printf("never: %s\n", tally->list[i].name);
        else if (all)
            printf("probe: %-70s %8" PRIu64 " times, in %6.2f %% of the runs\n",
                   tally->list[i].name, tally->list[i].fired,
                   100.0 * (double)tally->list[i].runs / (double)tally->runs);
    }
    probes_check(tally, kind, print_missing, &missing);
    return missing;
}

void totals_print_proof(const struct totals *totals, enum kind kind)
{
    if (kind == KIND_LIVENESS)
        printf("liveness runs that failed to converge: %" PRIu64 " of %" PRIu64 "\n", totals->stuck,
               totals_runs(totals));
    if (kind != KIND_STORES)
        printf("runs that lost an acknowledged write: %" PRIu64 ", in %.2f simulated "
               "cluster-hours, %.2f of them under clients and faults\n",
               totals->lost, totals_hours(totals->virtual_us), totals_hours(totals->faulty_us));
    if (kind == KIND_STORES || kind == KIND_GOSSIP)
        return;
    printf("runs in which a deleted value came back: %" PRIu64 " of %" PRIu64 "\n",
           totals->resurrected, totals_runs(totals));
    printf("runs with a violation among those whose members changed: %" PRIu64 ", %" PRIu64
           " members came, %" PRIu64 " went\n",
           totals->shapes_bad, totals->joined, totals->gone);
}
