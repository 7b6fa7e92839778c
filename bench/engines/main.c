/* SPDX-License-Identifier: Apache-2.0 */
/* One engine, one store, some phases: what bench/engines/run starts for each cell of its table.
 *
 *      kvorum-engines --peer NAME --path DIR [--records N] [--value-size N] [--cache BYTES]
 *                     [--buffer BYTES] [--lz4] [--durable] [--seconds-factor F] [--quiet SECONDS]
 *                     PHASE...
 *      kvorum-engines --list             names of the engines that were built in
 *      kvorum-engines --warm BYTES       touch so much memory
 *
 * Prints a JSON object a line: the settings, one for each phase, {"done": true}.  Ends with 1 as
 * soon as an answer was wrong, 2 for a mistake in the arguments, 3 when the engine failed. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/engines/phase.h"

enum { FILTER_BITS = 10 };

struct options {
    const char *peer;
    double quiet_seconds;
    uint64_t warm_size;
    bool list;
};

void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _Exit(3);
}

void *bench_new(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        bench_fail("no memory for %zu bytes", size);
    return memory;
}

static const struct option names[] = {
    { "peer", required_argument, NULL, 'p' },
    { "path", required_argument, NULL, 'd' },
    { "records", required_argument, NULL, 'n' },
    { "value-size", required_argument, NULL, 'v' },
    { "cache", required_argument, NULL, 'c' },
    { "buffer", required_argument, NULL, 'b' },
    { "lz4", no_argument, NULL, 'z' },
    { "durable", no_argument, NULL, 's' },
    { "quiet", required_argument, NULL, 'q' },
    { "seconds-factor", required_argument, NULL, 'f' },
    { "list", no_argument, NULL, 'l' },
    { "warm", required_argument, NULL, 'w' },
    { NULL, 0, NULL, 0 },
};

static uint64_t number_of(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "kvorum-engines: %s is no number\n", text);
        exit(2);
    }
    return value;
}

static void parse(int count, char **words, struct bench *bench, struct options *options)
{
    struct settings *settings = &bench->settings;
    int letter;
    while ((letter = getopt_long(count, words, "", names, NULL)) != -1) {
        switch (letter) {
        case 'p':
            options->peer = optarg;
            break;
        case 'd':
            settings->path = optarg;
            break;
        case 'n':
            settings->record_count = number_of(optarg);
            break;
        case 'v':
            settings->value_size = number_of(optarg);
            break;
        case 'c':
            settings->cache_size = number_of(optarg);
            break;
        case 'b':
            settings->buffer_size = number_of(optarg);
            break;
        case 'z':
            settings->lz4 = true;
            break;
        case 's':
            settings->durable = true;
            break;
        case 'q':
            options->quiet_seconds = strtod(optarg, NULL);
            break;
        case 'f':
            bench->seconds_factor = strtod(optarg, NULL);
            break;
        case 'l':
            options->list = true;
            break;
        case 'w':
            options->warm_size = number_of(optarg);
            break;
        default:
            exit(2);
        }
    }
}

/* Memory that the host has not given to this virtual machine yet costs microseconds a page when it
 * is touched first; so that the engine that runs first does not pay for all. */
static int warm(uint64_t size)
{
    enum { PAGE = 4096 };
    volatile uint8_t *memory = malloc(size);
    if (memory == NULL)
        bench_fail("no memory to warm");
    for (uint64_t i = 0; i < size; i += PAGE)
        memory[i] = 1;
    free((void *)memory);
    return 0;
}

static int list(void)
{
    for (size_t i = 0; peers[i] != NULL; i++)
        printf("%s\n", peers[i]->name);
    return 0;
}

static double microseconds(const struct outcome *outcome, double quantile)
{
    return (double)histogram_quantile(&outcome->latency, quantile) / ticks_per_second() * 1e6;
}

static void print_outcome(const struct bench *bench, const struct phase *phase,
                          const struct outcome *outcome)
{
    double seconds = outcome->end.seconds - outcome->begin.seconds;
    printf("{\"phase\": \"%s\", \"operations\": %llu, \"writes\": %llu, \"seconds\": %.6f, "
           "\"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"cpu_seconds\": %.3f, "
           "\"foreign\": %.3f, \"written\": %llu, \"read\": %llu, \"files_size\": %llu, "
           "\"memory_peak\": %llu, \"wrong\": %llu, \"missing\": %llu}\n",
           phase->name, (unsigned long long)outcome->operations,
           (unsigned long long)outcome->writes, seconds, microseconds(outcome, 0.5),
           microseconds(outcome, 0.99), microseconds(outcome, 0.999),
           outcome->end.own - outcome->begin.own, usage_foreign(&outcome->begin, &outcome->end),
           (unsigned long long)(outcome->end.written - outcome->begin.written),
           (unsigned long long)(outcome->end.read - outcome->begin.read),
           (unsigned long long)files_size(bench->settings.path), (unsigned long long)memory_peak(),
           (unsigned long long)outcome->wrong, (unsigned long long)outcome->missing);
    fflush(stdout);
}

static bool run_phase(struct bench *bench, const char *name)
{
    struct outcome *outcome = bench_new(sizeof(*outcome));
    const struct phase *phase = phase_find(name);
    phase->run(bench, phase, outcome);
    print_outcome(bench, phase, outcome);
    bool right = outcome->wrong == 0 && outcome->missing == 0;
    if (!right)
        fprintf(stderr, "%s answered wrong: %llu wrong values, %llu records missing in %s\n",
                bench->peer->title, (unsigned long long)outcome->wrong,
                (unsigned long long)outcome->missing, name);
    free(outcome);
    return right;
}

static bool check_arguments(struct bench *bench, const struct options *options, char **phases)
{
    bench->peer = options->peer == NULL ? NULL : peer_find(options->peer);
    if (bench->peer == NULL || bench->settings.path == NULL || bench->settings.record_count < 2 ||
        bench->settings.value_size < 16) {
        fprintf(stderr, "kvorum-engines: --peer (of --list) and --path are needed, 2 records, "
                        "16 bytes a value\n");
        return false;
    }
    for (; *phases != NULL; phases++) {
        if (phase_find(*phases) == NULL) {
            fprintf(stderr, "kvorum-engines: there is no phase %s\n", *phases);
            return false;
        }
    }
    return true;
}

static int run(struct bench *bench, const struct options *options, char **phases)
{
    struct settings *settings = &bench->settings;
    char text[512];
    if (!check_arguments(bench, options, phases))
        return 2;
    mkdir(settings->path, 0700);
    records_init(&bench->records, settings->record_count, settings->value_size);
    double foreign = options->quiet_seconds > 0 ? meter_wait_quiet(options->quiet_seconds) : 0;
    bench->peer->describe(settings, text, sizeof(text));
    printf("{\"title\": \"%s\", \"settings\": \"%s\", \"foreign\": %.3f}\n", bench->peer->title,
           text, foreign);
    memory_watch();
    bench->store = bench->peer->open(settings);
    bool right = true;
    for (; right && *phases != NULL; phases++)
        right = run_phase(bench, *phases);
    bench->peer->close(bench->store);
    records_done(&bench->records);
    if (right)
        printf("{\"done\": true}\n");
    return right ? 0 : 1;
}

int main(int count, char **words)
{
    struct options options = { 0 };
    struct bench bench = {
        .seconds_factor = 1,
        .settings = { .record_count = 100000,
                      .value_size = 100,
                      .cache_size = 64 << 20,
                      .buffer_size = 8 << 20,
                      .filter_bits = FILTER_BITS },
    };
    parse(count, words, &bench, &options);
    if (options.list)
        return list();
    if (options.warm_size > 0)
        return warm(options.warm_size);
    return run(&bench, &options, words + optind);
}
