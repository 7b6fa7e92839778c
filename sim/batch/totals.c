/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/batch/totals.h"

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
    static const char *const losses[] = { "acknowledged", "durable",     "zones",   "listed",
                                          "store",        "handed-over", "dropped", NULL };
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
    totals->cluster_us += result->clustered ? result->virtual_us : 0;
    totals->faulty_us += result->faulty_us;
    totals->durable_us += result->durable ? result->virtual_us : 0;
    totals->operations += result->operations;
    totals->acknowledged += result->acknowledged;
    totals->deletes += result->deletes;
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
           exists ? "and never did" : "and does not exist: see sim/batch/probes.c");
}

void totals_print_probes(struct totals *totals, enum kind kind, bool all)
{
    const struct probe_tally *tally = &totals->probes;
    for (size_t i = 0; i < tally->count; i++) {
        if (tally->list[i].fired == 0)
            printf("never: %s\n", tally->list[i].name);
        else if (all)
            printf("probe: %-70s %8" PRIu64 " times, in %6.2f %% of the runs\n",
                   tally->list[i].name, tally->list[i].fired,
                   100.0 * (double)tally->list[i].runs / (double)tally->runs);
    }
    probes_check(tally, kind, print_missing, &totals->missing);
}

static void print_sum(const char *name, uint64_t value)
{
    printf(" %s=%" PRIu64, name, value);
}

void totals_print_sums(const struct totals *totals, enum kind kind)
{
    const char *option = run_kinds[kind].option;
    printf("sums: kind=%s", *option == '\0' ? "-" : option);
    print_sum("runs", totals_runs(totals));
    print_sum("failed", totals->failed);
    print_sum("missing", totals->missing);
    print_sum("lost", totals->lost);
    print_sum("resurrected", totals->resurrected);
    print_sum("stuck", totals->stuck);
    print_sum("shapes_bad", totals->shapes_bad);
    print_sum("operations", totals->operations);
    print_sum("acknowledged", totals->acknowledged);
    print_sum("deletes", totals->deletes);
    print_sum("joined", totals->joined);
    print_sum("gone", totals->gone);
    print_sum("cluster_us", totals->cluster_us);
    print_sum("faulty_us", totals->faulty_us);
    print_sum("durable_us", totals->durable_us);
    putchar('\n');
}

void totals_print_proof(const struct totals *totals, enum kind kind)
{
    if (kind == KIND_LIVENESS)
        printf("liveness runs that failed to converge: %" PRIu64 " of %" PRIu64 "\n", totals->stuck,
               totals_runs(totals));
    if (totals->cluster_us == 0)
        return;
    printf("runs that lost an acknowledged write: %" PRIu64 ", in %.2f simulated cluster-hours, "
           "%.2f of them under clients and faults, %.2f where none may be lost\n",
           totals->lost, totals_hours(totals->cluster_us), totals_hours(totals->faulty_us),
           totals_hours(totals->durable_us));
    printf("runs in which a deleted value came back: %" PRIu64 " of %" PRIu64 ", %" PRIu64
           " acknowledged deletes\n",
           totals->resurrected, totals_runs(totals), totals->deletes);
    printf("runs with a violation among those whose members changed: %" PRIu64 ", %" PRIu64
           " members came, %" PRIu64 " went\n",
           totals->shapes_bad, totals->joined, totals->gone);
}
