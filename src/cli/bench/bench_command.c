/* SPDX-License-Identifier: Apache-2.0 */
/* bench: how many operations a second, how long each takes. */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "cli/bench/generator.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"

enum { THREADS_MAX = 64, SECONDS_USUAL = 10 };

struct bench {
    const struct invocation *invocation;
    struct endpoint nodes[ENDPOINTS_MAX];
    struct generator_settings settings;
    struct zipf zipf;
    char read_query[128], write_query[128];
    struct generator *generators;
    uint32_t thread_count, client_count;
    uint32_t get_weight, set_weight;
    uint64_t requests; /* 0: by time */
    uint64_t seconds;
    struct progress progress;
};

/* GET:SET, for example 90:10. */
static bool read_mix(const char *text, struct bench *bench)
{
    char *middle, *end;
    unsigned long gets = strtoul(text, &middle, 10);
    unsigned long sets = *middle == ':' ? strtoul(middle + 1, &end, 10) : 0;
    bool good = *text >= '0' && *text <= '9' && *middle == ':' && middle[1] >= '0' &&
                middle[1] <= '9' && *end == '\0' && gets <= 1000000 && sets <= 1000000 &&
                gets + sets > 0;
    if (!good) {
        say_error("--mix is READS:WRITES, for example 90:10, not '%s'", text);
        return false;
    }
    bench->get_weight = (uint32_t)gets;
    bench->set_weight = (uint32_t)sets;
    return true;
}

static void make_query(const struct invocation *invocation, const char *name, char *ret,
                       size_t size)
{
    const char *level = option_text(invocation, name);
    snprintf(ret, size, "%s%s%s%s", level == NULL ? "" : "?", level == NULL ? "" : name,
             level == NULL ? "" : "=", level == NULL ? "" : level);
}

static bool read_nodes(struct bench *bench, bool http)
{
    const char *text = option_text(bench->invocation, "node");
    uint16_t port = http ? HTTP_PORT : RESP_PORT;
    uint32_t count = endpoint_parse_list(text == NULL ? "127.0.0.1" : text, port, bench->nodes);
    for (uint32_t i = 0; i < count; i++) {
        if (!endpoint_resolve(&bench->nodes[i]))
            return false;
    }
    bench->settings.nodes = bench->nodes;
    bench->settings.node_count = count;
    return count > 0;
}

/* What the options say.  False after saying what is wrong. */
static bool prepare(struct bench *bench)
{
    const struct invocation *invocation = bench->invocation;
    bool http = option_text(invocation, "protocol")[0] == 'h';
    const char *bucket = option_text(invocation, "bucket");
    if (!read_mix(option_text(invocation, "mix"), bench) || !read_nodes(bench, http))
        return false;
    if (!http && (bucket != NULL || option_text(invocation, "r") != NULL ||
                  option_text(invocation, "w") != NULL)) {
        say_error("--bucket, --r and --w need --protocol http: RESP has no words for them");
        return false;
    }
    make_query(invocation, "r", bench->read_query, sizeof(bench->read_query));
    make_query(invocation, "w", bench->write_query, sizeof(bench->write_query));
    bench->settings.wire = http ? &wire_http : &wire_resp;
    bench->settings.wire_settings = (struct wire_settings){
        bench->nodes[0].text,
        bucket == NULL ? "bench" : bucket,
        bench->read_query,
        bench->write_query,
    };
    bench->settings.pipeline = (uint32_t)option_number(invocation, "pipeline", 1);
    bench->settings.value_size = (uint32_t)option_number(invocation, "value-size", 100);
    bench->client_count = (uint32_t)option_number(invocation, "clients", 50);
    bench->thread_count = (uint32_t)option_number(invocation, "threads", 1);
    if (bench->thread_count > bench->client_count)
        bench->thread_count = bench->client_count;
    bench->requests = (uint64_t)option_number(invocation, "requests", 0);
    bench->seconds =
        (uint64_t)option_number(invocation, "seconds", bench->requests == 0 ? SECONDS_USUAL : 0);
    return true;
}

static enum distribution distribution_of(const struct invocation *invocation)
{
    const char *text = option_text(invocation, "distribution");
    return text[0] == 'z'   ? DISTRIBUTION_ZIPF
           : text[0] == 's' ? DISTRIBUTION_SEQUENTIAL
                            : DISTRIBUTION_UNIFORM;
}

/* Clients and requests are dealt to the threads; sequential keys are, too. */
static void prepare_generators(struct bench *bench)
{
    struct random seeds;
    random_init(&seeds, (uint64_t)option_number(bench->invocation, "seed", 1));
    uint64_t keys = (uint64_t)option_number(bench->invocation, "keys", 100000);
    enum distribution distribution = distribution_of(bench->invocation);
    if (distribution == DISTRIBUTION_ZIPF)
        zipf_init(&bench->zipf, keys);
    uint32_t client = 0;
    for (uint32_t i = 0; i < bench->thread_count; i++) {
        struct generator *generator = &bench->generators[i];
        uint32_t count = bench->client_count / bench->thread_count +
                         (i < bench->client_count % bench->thread_count);
        uint64_t requests =
            bench->requests / bench->thread_count + (i < bench->requests % bench->thread_count);
        generator->settings = &bench->settings;
        generator->client_count = count;
        generator->first_client = client;
        generator->requests = bench->requests == 0 ? UINT64_MAX : requests;
        generator->workload = (struct workload){
            distribution,        keys, bench->get_weight,   bench->set_weight, &bench->zipf,
            random_fork(&seeds), i,    bench->thread_count,
        };
        client += count;
    }
}

static void *run_thread(void *context)
{
    generator_run(context);
    return NULL;
}

static void show_progress(struct bench *bench)
{
    uint64_t done = 0;
    for (uint32_t i = 0; i < bench->thread_count; i++)
        done += atomic_load_explicit(&bench->generators[i].done, memory_order_relaxed);
    uint64_t elapsed_ms = (uint64_t)(progress_seconds(&bench->progress) * 1000);
    progress_update(&bench->progress, bench->requests > 0 ? done : elapsed_ms, done);
}

/* Runs all threads and waits for them.  False after saying why not. */
static bool run_threads(struct bench *bench)
{
    pthread_t threads[THREADS_MAX] = { 0 };
    uint32_t started = 0;
    struct os_clock clock;
    os_clock_init(&clock);
    if (bench->seconds > 0)
        bench->settings.deadline_us =
            clock_monotonic_us(&clock.clock) + bench->seconds * UINT64_C(1000000);
    progress_begin(&bench->progress, "bench", "operations",
                   bench->requests > 0 ? bench->requests : bench->seconds * 1000);
    while (started < bench->thread_count &&
           pthread_create(&threads[started], NULL, run_thread, &bench->generators[started]) == 0)
        started++;
    bool all = started == bench->thread_count;
    for (uint32_t i = 0; i < started; i++) {
        atomic_store(&bench->generators[i].stop, !all);
        struct timespec wait = { 0 };
        do {
            show_progress(bench);
            clock_gettime(CLOCK_REALTIME, &wait);
            wait.tv_nsec += 100000000;
            wait.tv_sec += wait.tv_nsec / 1000000000;
            wait.tv_nsec %= 1000000000;
        } while (pthread_timedjoin_np(threads[i], NULL, &wait) != 0);
    }
    progress_end(&bench->progress);
    if (!all)
        say_error("cannot start %u threads", bench->thread_count);
    return all;
}

/* --- the report ------------------------------------------------------------------------------ */

struct totals {
    struct histogram gets, sets, all;
    uint64_t errors, misses, reconnects;
    const char *first_error;
    int problem;
    bool out_of_memory;
};

static void add_up(const struct bench *bench, struct totals *totals)
{
    histogram_init(&totals->gets);
    histogram_init(&totals->sets);
    histogram_init(&totals->all);
    totals->first_error = "";
    for (uint32_t i = 0; i < bench->thread_count; i++) {
        const struct generator *generator = &bench->generators[i];
        histogram_merge(&totals->gets, &generator->gets);
        histogram_merge(&totals->sets, &generator->sets);
        totals->errors += generator->errors;
        totals->misses += generator->misses;
        totals->reconnects += generator->reconnects;
        totals->problem = generator->problem != 0 ? generator->problem : totals->problem;
        totals->out_of_memory |= generator->out_of_memory;
        if (*totals->first_error == '\0')
            totals->first_error = generator->first_error;
    }
    histogram_merge(&totals->all, &totals->gets);
    histogram_merge(&totals->all, &totals->sets);
}

static void add_row(struct table *table, const char *name, const struct histogram *histogram,
                    double seconds)
{
    static const double quantiles[] = { 0.5, 0.95, 0.99, 0.999 };
    if (histogram->count == 0)
        return;
    table_cell(table, "%s", name);
    table_cell(table, "%llu", (unsigned long long)histogram->count);
    table_cell(table, "%.0f", (double)histogram->count / seconds);
    table_cell(table, "%.0f", histogram_mean(histogram));
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
        table_cell(table, "%llu", (unsigned long long)histogram_quantile(histogram, quantiles[i]));
    table_cell(table, "%llu", (unsigned long long)histogram->max);
}

static void print_notes(const struct bench *bench, const struct totals *totals, double seconds)
{
    printf("\n%s, %u clients, pipeline %u, values of %u B, %.1f s: %s errors, %s reads found "
           "nothing\n",
           bench->settings.wire->name, bench->client_count, bench->settings.pipeline,
           bench->settings.value_size, seconds, text_of_count(totals->errors),
           text_of_count(totals->misses));
}

static int report(const struct bench *bench)
{
    static const char *const columns[] = { "operation", ">count",  ">ops/s",  ">mean us",
                                           ">p50 us",   ">p95 us", ">p99 us", ">p99.9 us",
                                           ">max us",   NULL };
    static struct totals totals;
    double seconds = progress_seconds(&bench->progress);
    struct table table;
    add_up(bench, &totals);
    if (totals.problem != 0 && totals.all.count == 0)
        return fail(EXIT_CONNECT,
                    "cannot bench: no connection to %s: %s\n  Next: kvorum demo start",
                    bench->nodes[0].text, errno_text(totals.problem));
    enum output_format format = output_format_parse(option_text(bench->invocation, "output"));
    table_init(&table, columns);
    add_row(&table, "get", &totals.gets, seconds);
    add_row(&table, "set", &totals.sets, seconds);
    add_row(&table, "all", &totals.all, seconds);
    table_print(&table, format, stdout);
    table_done(&table);
    if (format == OUTPUT_TABLE)
        print_notes(bench, &totals, seconds);
    if (totals.out_of_memory)
        return fail(EXIT_INTERNAL, "out of memory: the figures are not complete");
    if (totals.errors == 0)
        return EXIT_DONE;
    fprintf(stderr, "kvorum: %s operations failed, the first one: ", text_of_count(totals.errors));
    print_safely(stderr, bytes_of_string(totals.first_error));
    fputc('\n', stderr);
    return EXIT_NO;
}

int command_bench(const struct invocation *invocation)
{
    static struct bench bench;
    bench.invocation = invocation;
    if (!prepare(&bench))
        return EXIT_USAGE;
    bench.generators = calloc(bench.thread_count, sizeof(struct generator));
    if (bench.generators == NULL)
        return fail(EXIT_INTERNAL, "out of memory");
    prepare_generators(&bench);
    int code = run_threads(&bench) ? report(&bench) : EXIT_INTERNAL;
    free(bench.generators);
    return code;
}
