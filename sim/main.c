/* SPDX-License-Identifier: Apache-2.0 */
/* kvorum-sim: run whole clusters from seeds until something is wrong or the runs are over. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim/probes.h"
#include "sim/run.h"
#include "sim/tapes.h"

static const char usage_begin[] =
    "usage: kvorum-sim [--seed N] [--runs M] [--ops N] [--hours H] [--seconds S]\n"
    "                  [--bug NAME] [--list-bugs] [--trace] [--twice] [--probes] [KIND]\n"
    "\n"
    "  --seed N     first seed (default 1); run i uses seed N + i\n"
    "  --runs M     how many runs (default 100)\n"
    "  --ops N      client operations a run (default 150)\n"
    "  --hours H    as many runs as make H hours of simulated time\n"
    "  --seconds S  stop after S seconds, whatever --runs says\n"
    "  --bug NAME   plant a bug and stop at the first run that catches it: exit 0 when caught\n"
    "  --list-bugs  the bugs that can be planted\n"
    "  --trace      print what happens in each run\n"
    "  --twice      make every run twice and compare the trace hashes (default: every 25th)\n"
    "  --probes     print how often each rare path was taken\n"
    "\n"
    "Kinds of runs, instead of whole clusters under everything:\n";

static const char usage_end[] =
    "\n"
    "One run and its tape, which has all that was left to chance (docs/simulator.md):\n"
    "  --tape-out FILE     write the tape of run N, or the shrunk one\n"
    "  --replay FILE       make the run of a tape again\n"
    "  --shrink            make a failing run's tape smaller, and print what happens then\n"
    "  --shrink-runs M     by at most M runs (default 10000)\n"
    "  --shrink-seconds S  for at most S seconds (default 120)\n"
    "\n"
    "Exit: 0 nothing wrong (with --bug: caught), 1 a violation (with --bug: not caught), 2 "
    "usage.\n";

enum { TWICE_EVERY = 25, REPORT_SECONDS = 5 };

struct arguments {
    uint64_t seed, runs, hours, seconds;
    uint32_t operations;
    enum planted_bug bug;
    enum kind kind;
    bool trace, twice, probes;
    struct tapes_command tapes;
};

static struct arguments arguments;
/* What the handler of a failed assertion prints, made before each run. */
static char epitaph[256];
static volatile size_t epitaph_size;

static size_t describe_replay(uint64_t seed, char *text, size_t size)
{
    const char *option = run_kinds[arguments.kind].option;
    int used = snprintf(text, size, "replay: kvorum-sim --seed %" PRIu64 " --runs 1 --trace%s%s",
                        seed, *option == '\0' ? "" : " ", option);
    if (arguments.operations != 0)
        used += snprintf(text + used, size - (size_t)used, " --ops %" PRIu32, arguments.operations);
    if (arguments.bug != PLANTED_NONE)
        used += snprintf(text + used, size - (size_t)used, " --bug %s", bug_name(arguments.bug));
    used += snprintf(text + used, size - (size_t)used, "\n");
    return (size_t)used;
}

static void print_replay(uint64_t seed)
{
    char text[256];
    describe_replay(seed, text, sizeof(text));
    fputs(text, stdout);
}

static void prepare_epitaph(uint64_t seed)
{
    int used = snprintf(epitaph, sizeof(epitaph), "seed %" PRIu64 ": assertion or crash\n", seed);
    size_t room = sizeof(epitaph) - (size_t)used;
    epitaph_size = (size_t)used + describe_replay(seed, epitaph + used, room);
}

/* The code under test asserts its own invariants; a broken one is a catch like any other. */
static void on_abort(int number)
{
    (void)number;
    ssize_t written = write(STDOUT_FILENO, epitaph, epitaph_size);
    _exit(written < 0 || arguments.bug == PLANTED_NONE ? 1 : 0);
}

static void catch_aborts(void)
{
    struct sigaction action = { .sa_handler = on_abort };
    sigemptyset(&action.sa_mask);
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

static double hours(uint64_t duration_us)
{
    return (double)duration_us / (double)SIM_SECOND / 3600;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- arguments ------------------------------------------------------------------------------- */

static void list_bugs(void)
{
    for (int i = 1; i < PLANTED_COUNT; i++)
        printf("%-30s %s\n", bug_name((enum planted_bug)i), bug_text((enum planted_bug)i));
}

static void print_usage(FILE *file)
{
    fputs(usage_begin, file);
    for (int i = 0; i < KIND_COUNT; i++)
        if (*run_kinds[i].option != '\0')
            fprintf(file, "  %-12s %s\n", run_kinds[i].option, run_kinds[i].text);
    fputs(usage_end, file);
}

static void fail_usage(const char *what, const char *argument)
{
    fprintf(stderr, "kvorum-sim: %s: %s\n", what, argument);
    print_usage(stderr);
    exit(2);
}

static uint64_t number(const char *name, const char *text)
{
    char *end;
    if (text == NULL || *text < '0' || *text > '9')
        fail_usage("wants a number", name);
    uint64_t value = strtoull(text, &end, 10);
    if (*end != '\0')
        fail_usage("not a number", text);
    return value;
}

static enum planted_bug parse_bug(const char *name)
{
    enum planted_bug bug = name == NULL ? PLANTED_NONE : bug_of_name(name);
    if (bug == PLANTED_NONE)
        fail_usage("no such bug (--list-bugs)", name == NULL ? "" : name);
    return bug;
}

static bool parse_kind(const char *name)
{
    enum kind kind;
    if (!kind_of_option(name, &kind))
        return false;
    if (arguments.kind != KIND_CLUSTERS && arguments.kind != kind)
        fail_usage("a run is of one kind: two are asked for", name);
    arguments.kind = kind;
    return true;
}

static bool parse_flag(const char *name)
{
    if (strcmp(name, "--trace") == 0)
        arguments.trace = true;
    else if (strcmp(name, "--twice") == 0)
        arguments.twice = true;
    else if (strcmp(name, "--probes") == 0)
        arguments.probes = true;
    else if (strcmp(name, "--shrink") == 0)
        arguments.tapes.shrink = true;
    else if (strcmp(name, "--list-bugs") == 0 || strcmp(name, "--help") == 0) {
        if (strcmp(name, "--help") == 0)
            print_usage(stdout);
        else
            list_bugs();
        exit(0);
    } else
        return parse_kind(name);
    return true;
}

static bool parse_tapes(const char *name, const char *value)
{
    struct tapes_command *tapes = &arguments.tapes;
    if (strcmp(name, "--tape-out") == 0)
        tapes->tape_out = value;
    else if (strcmp(name, "--replay") == 0)
        tapes->replay = value;
    else if (strcmp(name, "--shrink-runs") == 0)
        tapes->shrink_runs = number(name, value);
    else if (strcmp(name, "--shrink-seconds") == 0)
        tapes->shrink_seconds = number(name, value);
    else
        return false;
    if (value == NULL)
        fail_usage("wants a file", name);
    return true;
}

static void parse_arguments(char **argument)
{
    for (; *argument != NULL; argument++) {
        const char *name = *argument, *value = argument[1];
        if (parse_flag(name))
            continue;
        if (strcmp(name, "--seed") == 0)
            arguments.seed = number(name, value);
        else if (strcmp(name, "--runs") == 0)
            arguments.runs = number(name, value);
        else if (strcmp(name, "--ops") == 0)
            arguments.operations = (uint32_t)number(name, value);
        else if (strcmp(name, "--seconds") == 0)
            arguments.seconds = number(name, value);
        else if (strcmp(name, "--hours") == 0)
            arguments.hours = number(name, value);
        else if (strcmp(name, "--bug") == 0)
            arguments.bug = parse_bug(value);
        else if (!parse_tapes(name, value))
            fail_usage("unknown option", name);
        argument++;
    }
}

/* --- runs ------------------------------------------------------------------------------------ */

struct totals {
    uint64_t passed, failed, events, virtual_us, faulty_us, operations, acknowledged, twice;
    uint64_t lost, stuck; /* runs that lost an acknowledged write; that did not come to an end */
    uint64_t resurrected; /* runs in which a deleted value came back */
    uint64_t joined, gone, shapes_bad; /* members; failed runs in which some did */
    double start, reported;
    struct probe_tally probes;
};

static void report_progress(struct totals *totals, bool last)
{
    double now = seconds_now(), elapsed = now - totals->start;
    bool terminal = isatty(STDERR_FILENO) != 0;
    if (!last && now - totals->reported < (terminal ? 0.5 : REPORT_SECONDS))
        return;
    totals->reported = now;
    uint64_t done = totals->passed + totals->failed;
    double rate = elapsed > 0 ? (double)done / elapsed : 0;
    double part = arguments.hours > 0 ? hours(totals->virtual_us) / (double)arguments.hours
                                      : (double)done / (double)arguments.runs;
    double left = part > 0 && part < 1 ? elapsed / part - elapsed : 0;
    fprintf(stderr, "%s%" PRIu64 " runs, %.0f %%, %.1f a second, %.0f s left%s",
            terminal ? "\r" : "", done, 100 * part, rate, left, terminal && !last ? "" : "\n");
}

static bool same_again(const struct run_options *options, const struct run_result *first)
{
    struct run_result second;
    struct run_options quiet = *options;
    quiet.tracing = false;
    run(&quiet, &second);
    return second.trace_hash == first->trace_hash;
}

static void print_violation(const struct run_result *result, uint64_t seed)
{
    printf("seed %" PRIu64 ": %s, at %.6f s\n  %s\n  %s\n", seed, result->violation.checker,
           (double)result->violation.at_us / (double)SIM_SECOND, result->violation.text,
           result->plan);
    print_replay(seed);
    fflush(stdout);
}

static bool is_one_of(const char *checker, const char *const *names)
{
    while (*names != NULL && strcmp(*names, checker) != 0)
        names++;
    return *names != NULL;
}

static void count_violation(struct totals *totals, const char *checker)
{
    static const char *const losses[] = { "acknowledged", "durable", "listed", "store", NULL };
    static const char *const waits[] = { "live",    "liveness",  "answered",
                                         "bounded", "converged", NULL };
    totals->resurrected += strcmp(checker, "deletes") == 0;
    totals->lost += is_one_of(checker, losses);
    totals->stuck += is_one_of(checker, waits);
}

/* True when the run was as it should be. */
static bool run_one(struct totals *totals, uint64_t seed)
{
    struct run_options options = { .seed = seed,
                                   .operation_count = arguments.operations,
                                   .tracing = arguments.trace,
                                   .kind = arguments.kind };
    struct run_result result;
    prepare_epitaph(seed);
    run(&options, &result);
    bool twice = arguments.twice || seed % TWICE_EVERY == 0;
    if (twice && result.violation.checker == NULL && !same_again(&options, &result)) {
        result.violation.checker = "determinism";
        snprintf(result.violation.text, sizeof(result.violation.text),
                 "the same seed gave another trace hash than %" PRIx64, result.trace_hash);
    }
    totals->twice += twice;
    totals->events += result.event_count;
    totals->virtual_us += result.virtual_us;
    totals->faulty_us += result.faulty_us;
    totals->operations += result.operations;
    totals->acknowledged += result.acknowledged;
    totals->joined += result.joined;
    totals->gone += result.gone;
    totals->shapes_bad += result.violation.checker != NULL && result.joined + result.gone > 0;
    if (arguments.trace)
        printf("seed %" PRIu64 ": trace hash %016" PRIx64 "\n", seed, result.trace_hash);
    probes_tally_run(&totals->probes);
    if (result.violation.checker == NULL)
        return true;
    count_violation(totals, result.violation.checker);
    print_violation(&result, seed);
    return false;
}

static bool enough(const struct totals *totals)
{
    if (arguments.hours > 0)
        return hours(totals->virtual_us) >= (double)arguments.hours;
    return totals->passed + totals->failed >= arguments.runs;
}

static bool out_of_time(const struct totals *totals)
{
    return arguments.seconds > 0 && seconds_now() - totals->start >= (double)arguments.seconds;
}

static void print_missing(void *context, const char *name, bool exists)
{
    uint64_t *missing = context;
    (*missing)++;
    printf("missing: probe \"%s\" must fire in so many runs, %s\n", name,
           exists ? "and never did" : "and does not exist: see sim/probes.c");
}

/* How many that are required never fired. */
static uint64_t print_probes(const struct probe_tally *tally)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < tally->count; i++) {
        if (tally->list[i].fired == 0)
            printf("never: %s\n", tally->list[i].name);
        else if (arguments.probes)
            printf("probe: %-70s %8" PRIu64 " times, in %6.2f %% of the runs\n",
                   tally->list[i].name, tally->list[i].fired,
                   100.0 * (double)tally->list[i].runs / (double)tally->runs);
    }
    probes_check(tally, arguments.kind, print_missing, &missing);
    return missing;
}

/* The figures of `make proof`. */
static void print_proof(const struct totals *totals)
{
    if (arguments.kind == KIND_LIVENESS)
        printf("liveness runs that failed to converge: %" PRIu64 " of %" PRIu64 "\n", totals->stuck,
               totals->passed + totals->failed);
    if (arguments.kind != KIND_STORES)
        printf("runs that lost an acknowledged write: %" PRIu64 ", in %.2f simulated "
               "cluster-hours, %.2f of them under clients and faults\n",
               totals->lost, hours(totals->virtual_us), hours(totals->faulty_us));
    if (arguments.kind == KIND_STORES || arguments.kind == KIND_GOSSIP)
        return;
    printf("runs in which a deleted value came back: %" PRIu64 " of %" PRIu64 "\n",
           totals->resurrected, totals->passed + totals->failed);
    printf("runs with a violation among those whose members changed: %" PRIu64 ", %" PRIu64
           " members came, %" PRIu64 " went\n",
           totals->shapes_bad, totals->joined, totals->gone);
}

static void print_totals(const struct totals *totals)
{
    double elapsed = seconds_now() - totals->start;
    uint64_t done = totals->passed + totals->failed;
    printf("%.1f s, %.1f runs a second; %" PRIu64 " operations, %" PRIu64 " acknowledged; %" PRIu64
           " events; %.1f simulated hours; %" PRIu64 " runs made twice\n",
           elapsed, elapsed > 0 ? (double)done / elapsed : 0, totals->operations,
           totals->acknowledged, totals->events, hours(totals->virtual_us), totals->twice);
}

static int run_all(void)
{
    static struct totals totals;
    uint64_t missing = 0;
    totals.start = totals.reported = seconds_now();
    for (uint64_t i = 0; !enough(&totals) && !out_of_time(&totals); i++) {
        bool fine = run_one(&totals, arguments.seed + i);
        totals.passed += fine;
        totals.failed += !fine;
        if (!fine && arguments.bug != PLANTED_NONE)
            break;
        report_progress(&totals, false);
    }
    print_totals(&totals);
    if (arguments.bug == PLANTED_NONE) {
        missing = print_probes(&totals.probes);
        print_proof(&totals);
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", totals.passed, totals.failed);
    bool good =
        arguments.bug == PLANTED_NONE ? totals.failed == 0 && missing == 0 : totals.failed > 0;
    return good ? 0 : 1;
}

static int run_tapes(void)
{
    struct tapes_command *tapes = &arguments.tapes;
    tapes->bug = arguments.bug;
    tapes->options = (struct run_options){ .seed = arguments.seed,
                                           .operation_count = arguments.operations,
                                           .tracing = arguments.trace,
                                           .told_key = -1,
                                           .kind = arguments.kind };
    return tapes_run(tapes);
}

int main(int argc, char **argv)
{
    (void)argc;
    arguments = (struct arguments){ .seed = 1, .runs = 100 };
    arguments.tapes = (struct tapes_command){ .shrink_runs = 10000, .shrink_seconds = 120 };
    parse_arguments(argv + 1);
    const struct tapes_command *tapes = &arguments.tapes;
    if (tapes->shrink || tapes->replay != NULL || tapes->tape_out != NULL)
        return run_tapes();
    catch_aborts();
    bug_plant(arguments.bug);
    return run_all();
}
