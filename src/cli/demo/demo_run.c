/* SPDX-License-Identifier: Apache-2.0 */
/* demo run: the product in one command.
 *
 *   1 nodes      2 data       3 load        4 a node is killed    5 all is read back and compared
 *   6 writes go on            7 it restarts 8 reads repair it     9 how to use it, until Ctrl-C
 *
 * Each step is one line with its figures and its time.  A step that fails ends the run. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/demo/dataset.h"
#include "cli/demo/guide.h"
#include "cli/demo/nodes.h"
#include "cli/demo/stats.h"
#include "cli/interrupt.h"
#include "cli/load/transfer.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/status_text.h"

enum { CONNECTIONS = 60, PIPELINE = 4, TIMEOUT_MS = 15000, RETRY_MS = 60000, SAMPLE = 1000 };

struct demo_run {
    const struct invocation *invocation;
    struct demo_cluster cluster;
    struct dataset packages, installed;
    unsigned victim; /* the node that is killed */
    unsigned step;
    uint64_t begin_ms;    /* of the step */
    uint64_t keys_before; /* of the victim */
};

static void begin_step(struct demo_run *run)
{
    run->step++;
    run->begin_ms = demo_now_ms();
}

static double step_seconds(const struct demo_run *run)
{
    return (double)(demo_now_ms() - run->begin_ms) / 1000;
}

/* "  3  load       text" */
static void tell(const struct demo_run *run, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(const struct demo_run *run, const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%3u  %-10s ", run->step, name);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
}

/* --- moving records ------------------------------------------------------------------------ */

struct work {
    const struct dataset *dataset;
    const char *bucket, *label;
    enum transfer_mode mode;
    const char *query;
    unsigned only_node; /* 0: all that run */
    uint64_t every;     /* of the records; 1: all */
};

static uint32_t choose_nodes(const struct demo_run *run, unsigned only_node,
                             struct endpoint nodes[DEMO_NODES_MAX])
{
    uint32_t count = 0;
    for (unsigned node = 1; node <= run->cluster.node_count; node++) {
        bool chosen = only_node == 0 || only_node == node;
        if (chosen && demo_state(&run->cluster, node) == PROCESS_RUNNING)
            demo_endpoint(&run->cluster, node, DEMO_HTTP, &nodes[count++]);
    }
    return count;
}

/* An exit code; the figures are in *ret_transfer. */
static int move_records(const struct demo_run *run, const struct work *work,
                        struct transfer *ret_transfer)
{
    struct endpoint nodes[DEMO_NODES_MAX];
    struct record_reader reader;
    FILE *file = fopen(work->dataset->path, "re");
    uint32_t node_count = choose_nodes(run, work->only_node, nodes);
    if (file == NULL || node_count == 0) {
        if (file != NULL)
            fclose(file);
        return fail(EXIT_INTERNAL, "%s: %s is gone, or no node runs", work->label,
                    work->dataset->path);
    }
    record_reader_init(&reader, &record_format_deb822, record_format_deb822.key_field,
                       fileno(file));
    *ret_transfer = (struct transfer){
        .mode = work->mode,
        .bucket = work->bucket,
        .content_type = record_format_deb822.content_type,
        .write_query = work->query,
        .read_query = work->query,
        .nodes = nodes,
        .node_count = node_count,
        .connections = CONNECTIONS,
        .pipeline = PIPELINE,
        .timeout_ms = demo_patience(TIMEOUT_MS),
        .retry_ms = demo_patience(RETRY_MS),
        .reader = &reader,
        .every = work->every,
        .source_size = work->dataset->size,
        .label = work->label,
    };
    transfer_run(ret_transfer);
    record_reader_done(&reader);
    fclose(file);
    return ret_transfer->exit_code;
}

static const char *rate_of(const struct transfer *transfer)
{
    double seconds = transfer->seconds > 0 ? transfer->seconds : 1e-6;
    return text_of_count((uint64_t)((double)transfer->records / seconds));
}

/* --- the steps ----------------------------------------------------------------------------- */

static int start_nodes(struct demo_run *run)
{
    unsigned started;
    begin_step(run);
    int code = demo_start(&run->cluster, DEMO_ALL, &started);
    if (code != EXIT_DONE)
        return code;
    unsigned count = run->cluster.node_count;
    tell(run, "nodes", "%u node%s serve%s after %s (%u started now); data and logs in %s", count,
         count == 1 ? "" : "s", count == 1 ? "s" : "", text_of_time(step_seconds(run)), started,
         run->cluster.dir);
    return EXIT_DONE;
}

static int load_packages(struct demo_run *run)
{
    struct transfer transfer;
    const struct work work = { &run->packages, "packages", "load", TRANSFER_WRITE, "", 0, 1 };
    begin_step(run);
    if (!dataset_mark_loaded(&run->cluster, &run->packages, false))
        return EXIT_INTERNAL;
    int code = move_records(run, &work, &transfer);
    if (code != EXIT_DONE)
        return code;
    tell(run, "load",
         "%s records written in %s (%s/s), each on the disks of a quorum of its "
         "replicas before it counted",
         text_of_count(transfer.records), text_of_time(transfer.seconds), rate_of(&transfer));
    return dataset_mark_loaded(&run->cluster, &run->packages, true) ? EXIT_DONE : EXIT_INTERNAL;
}

static int prepare_data(struct demo_run *run, bool *ret_loaded)
{
    const char *source = option_text(run->invocation, "source");
    bool again = option_flag(run->invocation, "again");
    begin_step(run);
    int code = dataset_packages(&run->cluster, source, again, &run->packages);
    if (code != EXIT_DONE)
        return code;
    *ret_loaded = !again && dataset_is_loaded(&run->cluster, &run->packages);
    tell(run, "data", "%s package records, %s, from %s", text_of_count(run->packages.records),
         text_of_size(run->packages.size), run->packages.origin);
    return EXIT_DONE;
}

/* A later run: the records are there; a sample shows it. */
static int check_sample(struct demo_run *run)
{
    struct transfer transfer;
    uint64_t every = run->packages.records / SAMPLE + 1;
    const struct work work = {
        &run->packages, "packages", "check", TRANSFER_COMPARE, "", 0, every
    };
    begin_step(run);
    int code = move_records(run, &work, &transfer);
    if (code == EXIT_DONE)
        tell(run, "load",
             "done by an earlier run: %s records read as a sample, all identical, %s "
             "(--again loads and fails a node once more)",
             text_of_count(transfer.records), text_of_time(transfer.seconds));
    return code;
}

/* Wait until some living node calls the victim dead; its words go to *ret_sentence. */
static bool wait_for_notice(struct demo_run *run, struct buffer *ret_sentence)
{
    unsigned witness = run->victim == 1 ? 2 : 1;
    uint64_t deadline_ms = demo_now_ms() + demo_patience(20000);
    bool noticed = false;
    while (!noticed && demo_now_ms() < deadline_ms && !interrupt_wanted()) {
        json_t *status = demo_fetch_status(&run->cluster, witness, 2000);
        noticed = status != NULL && stats_calls_dead(status, run->victim);
        if (noticed)
            status_sentence(status, ret_sentence);
        json_decref(status);
        if (!noticed)
            interrupt_sleep_ms(40);
    }
    return noticed;
}

static int kill_node(struct demo_run *run)
{
    struct buffer sentence;
    begin_step(run);
    run->keys_before = stats_keys(&run->cluster, run->victim);
    int code = demo_kill(&run->cluster, run->victim);
    if (code != EXIT_DONE)
        return code;
    buffer_init(&sentence, 4096);
    if (wait_for_notice(run, &sentence))
        tell(run, "failure", "n%u is killed (SIGKILL); noticed after %s: %.*s", run->victim,
             text_of_time(step_seconds(run)), (int)sentence.size, (const char *)sentence.data);
    else
        code = fail(EXIT_TIMEOUT, "the others did not notice within 20 s that n%u is gone",
                    run->victim);
    buffer_done(&sentence);
    return code;
}

static int read_back(struct demo_run *run)
{
    struct transfer transfer;
    const struct work work = {
        &run->packages, "packages", "read back", TRANSFER_COMPARE, "", 0, 1
    };
    begin_step(run);
    int code = move_records(run, &work, &transfer);
    if (code == EXIT_DONE)
        tell(run, "read back",
             "%s of %s records read through the other nodes, every byte as in the "
             "source, in %s (%s/s)",
             text_of_count(transfer.records), text_of_count(run->packages.records),
             text_of_time(transfer.seconds), rate_of(&transfer));
    return code;
}

/* Strict quorums: no stand-in keeps these for the dead node, so only reads can repair it. */
static int write_on(struct demo_run *run)
{
    struct transfer transfer;
    begin_step(run);
    int code = dataset_installed(&run->cluster, &run->packages, &run->installed);
    if (code != EXIT_DONE)
        return code;
    const struct work work = { &run->installed,       "installed", "write on", TRANSFER_WRITE,
                               "sloppy_quorum=false", 0,           1 };
    code = move_records(run, &work, &transfer);
    if (code == EXIT_DONE)
        tell(run, "write on", "%s further records (%s) written without n%u, in %s (%s/s)",
             text_of_count(transfer.records), run->installed.origin, run->victim,
             text_of_time(transfer.seconds), rate_of(&transfer));
    return code;
}

static int restart_node(struct demo_run *run)
{
    begin_step(run);
    int code = demo_start(&run->cluster, run->victim, NULL);
    if (code != EXIT_DONE)
        return code;
    const char *time = text_of_time(step_seconds(run));
    uint64_t keys = stats_keys(&run->cluster, run->victim);
    tell(run, "restart",
         "n%u serves again after %s with %s keys (%s when it was killed): what step %u "
         "wrote is missing there",
         run->victim, time, text_of_count(keys), text_of_count(run->keys_before), run->step - 1);
    run->keys_before = keys;
    return EXIT_DONE;
}

/* One pass over the records of step 6 through the restarted node, asking all replicas. */
static int repair_pass(struct demo_run *run, struct repair_counters *ret_counters,
                       struct transfer *ret_transfer)
{
    struct repair_counters before;
    const struct work work = { &run->installed, "installed", "repair", TRANSFER_COMPARE,
                               "r=all",         run->victim, 1 };
    stats_repairs(&run->cluster, &before);
    int code = move_records(run, &work, ret_transfer);
    stats_settle(&run->cluster, ret_counters);
    ret_counters->read_repairs -= before.read_repairs;
    ret_counters->hints_delivered -= before.hints_delivered;
    return code;
}

static int repair_node(struct demo_run *run)
{
    struct transfer transfer;
    struct repair_counters first, second;
    begin_step(run);
    int code = repair_pass(run, &first, &transfer);
    if (code != EXIT_DONE)
        return code;
    uint64_t keys = stats_keys(&run->cluster, run->victim);
    tell(run, "repair",
         "%s records read through n%u with r=all in %s: %s read repairs, %s hints "
         "delivered; n%u went from %s to %s keys",
         text_of_count(transfer.records), run->victim, text_of_time(transfer.seconds),
         text_of_count(first.read_repairs), text_of_count(first.hints_delivered), run->victim,
         text_of_count(run->keys_before), text_of_count(keys));
    begin_step(run);
    code = repair_pass(run, &second, &transfer);
    if (code != EXIT_DONE)
        return code;
    if (second.read_repairs > 0)
        return fail(EXIT_NO, "a second pass still found %s records to repair",
                    text_of_count(second.read_repairs));
    tell(run, "equal",
         "a second pass over the same records found nothing left to repair: all "
         "replicas of them are equal");
    return EXIT_DONE;
}

static int survive(struct demo_run *run)
{
    static int (*const steps[])(struct demo_run *) = { kill_node,    read_back,   write_on,
                                                       restart_node, repair_node, NULL };
    if (run->cluster.node_count < 3) {
        say_note("     failure    left out: it takes at least 3 nodes");
        return EXIT_DONE;
    }
    int code = EXIT_DONE;
    for (size_t i = 0; steps[i] != NULL && code == EXIT_DONE; i++)
        code = interrupt_wanted() ? EXIT_NO : steps[i](run);
    return code;
}

static int run_steps(struct demo_run *run)
{
    bool loaded;
    int code = start_nodes(run);
    if (code == EXIT_DONE)
        code = prepare_data(run, &loaded);
    if (code != EXIT_DONE || interrupt_wanted())
        return code;
    if (loaded)
        return check_sample(run);
    code = load_packages(run);
    return code == EXIT_DONE ? survive(run) : code;
}

/* The health in a sentence. */
static void tell_health(struct demo_run *run)
{
    struct buffer sentence;
    json_t *status = demo_fetch_status(&run->cluster, 1, 2000);
    begin_step(run);
    buffer_init(&sentence, 4096);
    if (status != NULL)
        status_sentence(status, &sentence);
    tell(run, "health", "%.*s", (int)sentence.size,
         sentence.size == 0 ? "" : (const char *)sentence.data);
    buffer_done(&sentence);
    json_decref(status);
}

static int stop_nodes(const struct demo_run *run)
{
    unsigned stopped;
    uint64_t begin_ms = demo_now_ms();
    int code = demo_stop(&run->cluster, DEMO_ALL, &stopped);
    printf("%u nodes stopped in %s; the data stays in %s\n", stopped,
           text_of_time((double)(demo_now_ms() - begin_ms) / 1000), run->cluster.dir);
    return code;
}

int command_demo_run(const struct invocation *invocation)
{
    static struct demo_run run;
    int code;
    run.invocation = invocation;
    if (!demo_open(invocation, &run.cluster, &code))
        return code;
    run.victim = run.cluster.node_count >= 3 ? 3 : run.cluster.node_count;
    interrupt_watch();
    code = run_steps(&run);
    if (interrupt_wanted()) {
        printf("\ninterrupted\n");
        (void)stop_nodes(&run);
        return EXIT_NO;
    }
    if (code != EXIT_DONE) {
        say_error("demo run failed in step %u; logs: %s/n*/log", run.step, run.cluster.dir);
        (void)stop_nodes(&run);
        return code;
    }
    tell_health(&run);
    char key[DATASET_KEY_MAX];
    dataset_sample_key(&run.packages, key);
    guide_print(&run.cluster, invocation->values[0] == NULL ? NULL : run.cluster.dir, key);
    if (!option_flag(invocation, "exit-after-report")) {
        printf("\nThe nodes run until Ctrl-C.\n");
        fflush(stdout);
        interrupt_wait();
        putchar('\n');
    }
    return stop_nodes(&run);
}
