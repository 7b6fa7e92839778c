/* SPDX-License-Identifier: Apache-2.0 */
/* kvorum-sim: run whole clusters from seeds until something is wrong or the runs are over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/batch/batch.h"
#include "sim/batch/tapes.h"
#include "sim/batch/workers.h"

static const char usage_begin[] =
    "usage: kvorum-sim [--seed N] [--runs M] [--ops N] [--hours H] [--seconds S]\n"
    "                  [--jobs N] [--bug NAME] [--list-bugs] [--list-kinds] [--trace] [--twice]\n"
    "                  [--probes] [--sums] [KIND]\n"
    "\n"
    "  --seed N     first seed (default 1); run i uses seed N + i\n"
    "  --runs M     how many runs (default 100)\n"
    "  --ops N      client operations a run (default 150)\n"
    "  --hours H    as many runs as make H hours of simulated time\n"
    "  --seconds S  stop after S seconds, whatever --runs says\n"
    "  --jobs N     by so many processes (default: one a processor), with the same result\n"
    "  --bug NAME   plant a bug and stop at the first run that catches it: exit 0 when caught\n"
    "  --list-bugs  the bugs that can be planted\n"
    "  --list-kinds the kinds of runs, an option each\n"
    "  --trace      print what happens in each run\n"
    "  --twice      make every run twice and compare the trace hashes (default: every 25th)\n"
    "  --probes     print how often each rare path was taken\n"
    "  --sums       print the sums on one line too, for programs\n"
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

struct arguments {
    uint64_t seed, runs, hours, seconds;
    uint32_t operations;
    unsigned jobs;
    enum planted_bug bug;
    enum kind kind;
    bool trace, twice, probes, sums;
    struct tapes_command tapes;
};

static struct arguments arguments;

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

static void list_kinds(void)
{
    for (int i = 0; i < KIND_COUNT; i++)
        printf("%-12s %s\n", *run_kinds[i].option == '\0' ? "-" : run_kinds[i].option,
               run_kinds[i].text);
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

static unsigned job_count(const char *name, const char *text)
{
    uint64_t count = number(name, text);
    if (count < 1 || count > WORKERS_MAX)
        fail_usage("not from 1 to 256", text);
    return (unsigned)count;
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

/* What is only printed. */
static void tell(const char *name)
{
    if (strcmp(name, "--list-bugs") == 0)
        list_bugs();
    else if (strcmp(name, "--list-kinds") == 0)
        list_kinds();
    else if (strcmp(name, "--help") == 0)
        print_usage(stdout);
    else
        return;
    exit(0);
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
    else if (strcmp(name, "--sums") == 0)
        arguments.sums = true;
    else
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
        tell(name);
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
        else if (strcmp(name, "--jobs") == 0)
            arguments.jobs = job_count(name, value);
        else if (strcmp(name, "--hours") == 0)
            arguments.hours = number(name, value);
        else if (strcmp(name, "--bug") == 0)
            arguments.bug = parse_bug(value);
        else if (!parse_tapes(name, value))
            fail_usage("unknown option", name);
        argument++;
    }
}

/* --- what is asked for ----------------------------------------------------------------------- */

static struct run_options first_run(void)
{
    return (struct run_options){ .seed = arguments.seed,
                                 .operation_count = arguments.operations,
                                 .tracing = arguments.trace,
                                 .told_key = -1,
                                 .kind = arguments.kind };
}

static int run_batch(void)
{
    const struct batch_options options = { .run = first_run(),
                                           .runs = arguments.runs,
                                           .hours = arguments.hours,
                                           .seconds = arguments.seconds,
                                           .jobs = arguments.jobs,
                                           .bug = arguments.bug,
                                           .twice = arguments.twice,
                                           .probes = arguments.probes,
                                           .sums = arguments.sums };
    return batch_run(&options);
}

static int run_tapes(void)
{
    struct tapes_command *tapes = &arguments.tapes;
    tapes->bug = arguments.bug;
    tapes->options = first_run();
    return tapes_run(tapes);
}

int main(int argc, char **argv)
{
    (void)argc;
    arguments = (struct arguments){ .seed = 1, .runs = 100, .jobs = workers_default() };
    arguments.tapes = (struct tapes_command){ .shrink_runs = 10000, .shrink_seconds = 120 };
    parse_arguments(argv + 1);
    const struct tapes_command *tapes = &arguments.tapes;
    if (tapes->shrink || tapes->replay != NULL || tapes->tape_out != NULL)
        return run_tapes();
    return run_batch();
}
