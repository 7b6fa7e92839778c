/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/batch/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sim/batch/totals.h"

enum { TWICE_EVERY = 25, REPORT_SECONDS = 5 };

struct batch {
    const struct batch_options *options;
    struct totals totals;
    double start, reported;
};

static struct batch batch;

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- a run, in a worker ---------------------------------------------------------------------- */

static bool same_again(const struct run_options *options, const struct run_result *first)
{
    struct run_result second;
    struct run_options quiet = *options;
    quiet.tracing = false;
    run(&quiet, &second);
    return second.trace_hash == first->trace_hash;
}

static void play(uint64_t seed, struct outcome *ret_outcome)
{
    struct run_result *result = &ret_outcome->result;
    struct run_options options = batch.options->run;
    options.seed = seed;
    run(&options, result);
    ret_outcome->twice = batch.options->twice || seed % TWICE_EVERY == 0;
    if (!ret_outcome->twice || result->violation.checker != NULL || same_again(&options, result))
        return;
    result->violation.checker = "determinism";
    snprintf(result->violation.text, sizeof(result->violation.text),
             "the same seed gave another trace hash than %" PRIx64, result->trace_hash);
}

/* --- what is printed ------------------------------------------------------------------------- */

static void report_progress(void)
{
    const struct batch_options *options = batch.options;
    const struct totals *totals = &batch.totals;
    double now = seconds_now(), elapsed = now - batch.start;
    bool terminal = isatty(STDERR_FILENO) != 0;
    if (now - batch.reported < (terminal ? 0.5 : REPORT_SECONDS))
        return;
    batch.reported = now;
    double done = (double)totals_runs(totals);
    double part = options->hours > 0 ? totals_hours(totals->virtual_us) / (double)options->hours
                                     : done / (double)options->runs;
    fprintf(stderr, "%s%.0f runs, %.0f %%, %.1f a second, %.0f s left%s", terminal ? "\r" : "",
            done, 100 * part, done / elapsed, part > 0 && part < 1 ? elapsed / part - elapsed : 0,
            terminal ? "" : "\n");
}

static void print_replay(uint64_t seed)
{
    const struct batch_options *options = batch.options;
    const char *option = run_kinds[options->run.kind].option;
    printf("replay: kvorum-sim --seed %" PRIu64 " --runs 1 --trace%s%s", seed,
           *option == '\0' ? "" : " ", option);
    if (options->run.operation_count != 0)
        printf(" --ops %" PRIu32, options->run.operation_count);
    if (options->bug != PLANTED_NONE)
        printf(" --bug %s", bug_name(options->bug));
    putchar('\n');
}

static void print_outcome(uint64_t seed, const struct run_result *result)
{
    if (batch.options->run.tracing)
        printf("seed %" PRIu64 ": trace hash %016" PRIx64 "\n", seed, result->trace_hash);
    if (result->violation.checker == NULL)
        return;
    printf("seed %" PRIu64 ": %s, at %.6f s\n  %s\n  %s\n", seed, result->violation.checker,
           (double)result->violation.at_us / (double)SIM_SECOND, result->violation.text,
           result->plan);
    print_replay(seed);
    fflush(stdout);
}

static void print_totals(void)
{
    const struct totals *totals = &batch.totals;
    double elapsed = seconds_now() - batch.start;
    printf("%.1f s, %.1f runs a second; %" PRIu64 " operations, %" PRIu64 " acknowledged; %" PRIu64
           " events; %.1f simulated hours; %" PRIu64 " runs made twice\n",
           elapsed, elapsed > 0 ? (double)totals_runs(totals) / elapsed : 0, totals->operations,
           totals->acknowledged, totals->events, totals_hours(totals->virtual_us), totals->twice);
}

/* --- all of them ----------------------------------------------------------------------------- */

static bool enough(void)
{
    const struct batch_options *options = batch.options;
    const struct totals *totals = &batch.totals;
    if (options->seconds > 0 && seconds_now() - batch.start >= (double)options->seconds)
        return true;
    if (options->bug != PLANTED_NONE && totals->failed > 0)
        return true;
    if (options->hours > 0)
        return totals_hours(totals->virtual_us) >= (double)options->hours;
    return totals_runs(totals) >= options->runs;
}

static void play_all(void)
{
    static struct outcome outcome;
    const struct run_options *run = &batch.options->run;
    struct workers *workers =
        workers_start(run->tracing ? 1 : batch.options->jobs, run->seed, play);
    for (uint64_t seed = run->seed; !enough(); seed++) {
        workers_next(workers, &outcome);
        totals_add(&batch.totals, &outcome);
        print_outcome(seed, &outcome.result);
        report_progress();
    }
    workers_stop(workers);
}

int batch_run(const struct batch_options *options)
{
    struct totals *totals = &batch.totals;
    bool planted = options->bug != PLANTED_NONE;
    batch = (struct batch){ .options = options, .start = seconds_now(), .reported = seconds_now() };
    bug_plant(options->bug);
    play_all();
    print_totals();
    if (!planted) {
        totals_print_probes(totals, options->run.kind, options->probes);
        totals_print_proof(totals, options->run.kind);
    }
    if (options->sums)
        totals_print_sums(totals, options->run.kind);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", totals->passed, totals->failed);
    bool good = planted ? totals->failed > 0 : totals->failed == 0 && totals->missing == 0;
    return good ? 0 : 1;
}
