/* SPDX-License-Identifier: Apache-2.0 */
/* demo start | kill | pause | resume | stop | status. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/demo/nodes.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/status_text.h"

/* "" or " --dir D": what a next command must repeat. */
static const char *dir_words(const struct invocation *invocation)
{
    static char words[2100];
    const char *dir = option_text(invocation, "dir");
    bool standard = invocation->values[0] == NULL;
    snprintf(words, sizeof(words), "%s%s", standard ? "" : " --dir ", standard ? "" : dir);
    return words;
}

/* Open the cluster and read the node argument, if the command has one.  An exit code. */
static int open_cluster(const struct invocation *invocation, struct demo_cluster *ret_cluster,
                        unsigned *ret_node)
{
    int code;
    *ret_node = DEMO_ALL;
    if (!demo_open(invocation, ret_cluster, &code))
        return code;
    if (invocation->argument_count == 0)
        return EXIT_DONE;
    *ret_node = demo_read_node(ret_cluster, invocation->arguments[0]);
    return *ret_node == 0 ? EXIT_USAGE : EXIT_DONE;
}

/* The same for commands that need a cluster to be there. */
static int open_founded(const struct invocation *invocation, struct demo_cluster *ret_cluster,
                        unsigned *ret_node)
{
    int code = open_cluster(invocation, ret_cluster, ret_node);
    if (code == EXIT_DONE && !ret_cluster->founded)
        return fail(EXIT_NO, "there is no cluster in %s\n  Next: kvorum demo start%s",
                    ret_cluster->dir, dir_words(invocation));
    return code;
}

int command_demo_start(const struct invocation *invocation)
{
    struct demo_cluster cluster;
    unsigned node, started;
    int code = open_cluster(invocation, &cluster, &node);
    if (code != EXIT_DONE)
        return code;
    uint64_t begin_ms = demo_now_ms();
    code = demo_start(&cluster, node, &started);
    if (code != EXIT_DONE)
        return code;
    double seconds = (double)(demo_now_ms() - begin_ms) / 1000;
    if (node != DEMO_ALL && started == 1)
        printf("n%u serves again, after %s: HTTP 127.0.0.1:%u, RESP 127.0.0.1:%u\n", node,
               text_of_time(seconds), demo_port(&cluster, node, DEMO_HTTP),
               demo_port(&cluster, node, DEMO_RESP));
    else if (started == 0)
        printf("running already: %u node%s\n", demo_running(&cluster),
               demo_running(&cluster) == 1 ? "" : "s");
    else
        printf("%u node%s started in %s; data and logs in %s\n"
               "HTTP 127.0.0.1:%u, RESP 127.0.0.1:%u, and 100 more for each next node\n",
               started, started == 1 ? "" : "s", text_of_time(seconds), cluster.dir,
               demo_port(&cluster, 1, DEMO_HTTP), demo_port(&cluster, 1, DEMO_RESP));
    return EXIT_DONE;
}

int command_demo_kill(const struct invocation *invocation)
{
    struct demo_cluster cluster;
    unsigned node;
    int code = open_founded(invocation, &cluster, &node);
    if (code == EXIT_DONE)
        code = demo_kill(&cluster, node);
    if (code == EXIT_DONE)
        printf("n%u is killed.  Next: kvorum status --node 127.0.0.1:%u, kvorum demo start %u%s\n",
               node, demo_port(&cluster, node == 1 ? 2 : 1, DEMO_HTTP), node,
               dir_words(invocation));
    return code;
}

static int signal_node(const struct invocation *invocation, int number, const char *done,
                       const char *next)
{
    struct demo_cluster cluster;
    struct process process;
    unsigned node;
    int code = open_founded(invocation, &cluster, &node);
    if (code != EXIT_DONE)
        return code;
    if (!demo_process(&cluster, node, &process))
        return fail(EXIT_NO, "n%u is not running\n  Next: kvorum demo start %u%s", node, node,
                    dir_words(invocation));
    if (!process_signal(&process, number))
        return fail(EXIT_NOT_ALLOWED, "cannot signal n%u (process %d): %s", node, (int)process.pid,
                    errno_text(errno));
    printf("n%u %s.  Next: kvorum demo %s %u%s\n", node, done, next, node, dir_words(invocation));
    return EXIT_DONE;
}

int command_demo_pause(const struct invocation *invocation)
{
    return signal_node(invocation, SIGSTOP, "is paused", "resume");
}

int command_demo_resume(const struct invocation *invocation)
{
    return signal_node(invocation, SIGCONT, "goes on", "pause");
}

int command_demo_stop(const struct invocation *invocation)
{
    struct demo_cluster cluster;
    unsigned node, stopped;
    int code = open_founded(invocation, &cluster, &node);
    if (code != EXIT_DONE)
        return code;
    uint64_t begin_ms = demo_now_ms();
    code = demo_stop(&cluster, node, &stopped);
    printf("%u node%s stopped in %s; the data stays in %s\n", stopped, stopped == 1 ? "" : "s",
           text_of_time((double)(demo_now_ms() - begin_ms) / 1000), cluster.dir);
    return code;
}

/* The health, from the first node that answers. */
static bool print_health(const struct demo_cluster *cluster, enum output_format format)
{
    json_t *status = NULL;
    for (unsigned node = 1; node <= cluster->node_count && status == NULL; node++) {
        if (demo_state(cluster, node) == PROCESS_RUNNING)
            status = demo_fetch_status(cluster, node, 2000);
    }
    bool healthy = status != NULL && status_healthy(status);
    if (format == OUTPUT_TABLE && status != NULL) {
        struct buffer text;
        buffer_init(&text, 4096);
        status_sentence(status, &text);
        printf("\n%.*s\n", (int)text.size, (const char *)text.data);
        buffer_done(&text);
    } else if (format == OUTPUT_TABLE) {
        printf("\nno node answers.  Next: kvorum demo start\n");
    }
    json_decref(status);
    return healthy;
}

int command_demo_status(const struct invocation *invocation)
{
    static const char *const columns[] = { "node", "process", "state", "http", "resp",
                                           "pb",   "peer",    "log",   NULL };
    static const char *const states[] = { "not running", "running", "paused" };
    struct demo_cluster cluster;
    struct table table;
    unsigned node;
    int code = open_founded(invocation, &cluster, &node);
    if (code != EXIT_DONE)
        return code;
    table_init(&table, columns);
    for (node = 1; node <= cluster.node_count; node++) {
        struct process process = { 0 };
        bool runs = demo_process(&cluster, node, &process);
        char log_path[DEMO_PATH_MAX];
        demo_path(&cluster, node, "log", log_path);
        table_cell(&table, "n%u", node);
        table_cell(&table, runs ? "%d" : "-", (int)process.pid);
        table_cell(&table, "%s", states[demo_state(&cluster, node)]);
        table_cell(&table, "%u", demo_port(&cluster, node, DEMO_HTTP));
        table_cell(&table, "%u", demo_port(&cluster, node, DEMO_RESP));
        table_cell(&table, "%u", demo_port(&cluster, node, DEMO_PB));
        table_cell(&table, "%u", demo_port(&cluster, node, DEMO_PEER));
        table_cell(&table, "%s", log_path);
    }
    enum output_format format = output_format_parse(option_text(invocation, "output"));
    table_print(&table, format, stdout);
    table_done(&table);
    bool healthy = print_health(&cluster, format);
    return healthy && demo_running(&cluster) == cluster.node_count ? EXIT_DONE : EXIT_NO;
}
