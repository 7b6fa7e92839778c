/* SPDX-License-Identifier: Apache-2.0 */
/* demo run: the product in one command.
 *
 *   1 nodes      2 data       3 load        4 a node is killed    5 all is read back and compared
 *   6 writes go on            7 it restarts 8 reads repair it     9 how to use it, until Ctrl-C
 *
 * Each step is one line with its figures and its time.  A step that fails ends the run. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/demo/guide.h"
#include "cli/demo/story.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/status_text.h"

enum { SAMPLE = 1000 };

static int start_nodes(struct story *run)
{
    unsigned started;
    story_begin(run);
    int code = demo_start(&run->cluster, DEMO_ALL, &started);
    if (code != EXIT_DONE)
        return code;
    unsigned count = run->cluster.node_count;
    story_tell(run, "nodes", "%u node%s serve%s after %s (%u started now); data and logs in %s",
               count, count == 1 ? "" : "s", count == 1 ? "s" : "",
               text_of_time(story_seconds(run)), started, run->cluster.dir);
    return EXIT_DONE;
}

static int load_packages(struct story *run)
{
    struct transfer transfer;
    const struct story_work work = { &run->packages, "packages", "load", TRANSFER_WRITE, "", 0, 1 };
    story_begin(run);
    if (!dataset_mark_loaded(&run->cluster, &run->packages, false))
        return EXIT_INTERNAL;
    int code = story_move(run, &work, &transfer);
    if (code != EXIT_DONE)
        return code;
    story_tell(run, "load",
               "%s records written in %s (%s/s), each on the disks of a quorum of its "
               "replicas before it counted",
               text_of_count(transfer.records), text_of_time(transfer.seconds),
               story_rate(&transfer));
    return dataset_mark_loaded(&run->cluster, &run->packages, true) ? EXIT_DONE : EXIT_INTERNAL;
}

static int prepare_data(struct story *run, bool *ret_loaded)
{
    const char *source = option_text(run->invocation, "source");
    bool again = option_flag(run->invocation, "again");
    story_begin(run);
    int code = dataset_packages(&run->cluster, source, again, &run->packages);
    if (code != EXIT_DONE)
        return code;
    *ret_loaded = !again && dataset_is_loaded(&run->cluster, &run->packages);
    story_tell(run, "data", "%s package records, %s, from %s", text_of_count(run->packages.records),
               text_of_size(run->packages.size), run->packages.origin);
    return EXIT_DONE;
}

/* A later run: the records are there; a sample shows it. */
static int check_sample(struct story *run)
{
    struct transfer transfer;
    uint64_t every = run->packages.records / SAMPLE + 1;
    const struct story_work work = { &run->packages, "packages", "check", TRANSFER_COMPARE, "", 0,
                                     every };
    story_begin(run);
    int code = story_move(run, &work, &transfer);
    if (code == EXIT_DONE)
        story_tell(run, "load",
                   "done by an earlier run: %s records read as a sample, all identical, %s "
                   "(--again loads and fails a node once more)",
                   text_of_count(transfer.records), text_of_time(transfer.seconds));
    return code;
}

static int run_steps(struct story *run)
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
    return code == EXIT_DONE ? failure_show(run) : code;
}

/* The health in a sentence. */
static void tell_health(struct story *run)
{
    struct buffer sentence;
    json_t *status = demo_fetch_status(&run->cluster, 1, 2000);
    story_begin(run);
    buffer_init(&sentence, 4096);
    if (status != NULL)
        status_sentence(status, &sentence);
    story_tell(run, "health", "%.*s", (int)sentence.size,
               sentence.size == 0 ? "" : (const char *)sentence.data);
    buffer_done(&sentence);
    json_decref(status);
}

static int stop_nodes(const struct story *run)
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
    static struct story run;
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
