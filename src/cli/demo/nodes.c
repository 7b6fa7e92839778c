/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/nodes.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/status_command.h"
#include "os/clock.h"

enum { START_TIMEOUT_MS = 30000, STOP_TIMEOUT_MS = 10000, POLL_MS = 25, LOG_LINES = 8 };

uint64_t demo_now_ms(void)
{
    struct os_clock clock;
    os_clock_init(&clock);
    return clock_monotonic_us(&clock.clock) / 1000;
}

uint32_t demo_patience(uint32_t ms)
{
    const char *slow = getenv("KVORUM_SLOW");
    int64_t factor;
    return slow != NULL && option_read_number(slow, 1, 100, &factor) ? ms * (uint32_t)factor : ms;
}

json_t *demo_fetch_status(const struct demo_cluster *cluster, unsigned node, uint32_t timeout_ms)
{
    struct endpoint endpoint;
    struct http_client client;
    json_t *status = NULL;
    demo_endpoint(cluster, node, DEMO_HTTP, &endpoint);
    http_client_init(&client, &endpoint, 16 << 20);
    client.timeout_ms = client.connect_timeout_ms = timeout_ms;
    if (status_fetch(&client, &status) != KVORUM_OK)
        status = NULL;
    http_client_done(&client);
    return status;
}

/* --- ports ---------------------------------------------------------------------------------- */

static bool port_is_free(uint16_t port)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return true; /* let the node say it */
    int yes = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    bool taken =
        bind(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0 && errno == EADDRINUSE;
    close(descriptor);
    return !taken;
}

static bool check_ports(const struct demo_cluster *cluster, unsigned node)
{
    for (int listener = 0; listener < DEMO_LISTENERS; listener++) {
        uint16_t port = demo_port(cluster, node, (enum demo_listener)listener);
        if (port_is_free(port))
            continue;
        say_error("cannot start n%u: port %u (%s) is taken by another program\n"
                  "  Next: stop that program (ss -ltnp 'sport = :%u' names it), or found a cluster "
                  "elsewhere:\n  kvorum demo start --dir DIR --port-offset 10000",
                  node, port, demo_listener_names[listener], port);
        return false;
    }
    return true;
}

/* --- starting ------------------------------------------------------------------------------- */

struct node_arguments {
    char *list[24];
    char name[8], data_dir[DEMO_PATH_MAX], config[DEMO_PATH_MAX], founders[8], join[32];
    char addresses[DEMO_LISTENERS][32], flags[DEMO_LISTENERS][16];
};

/* Words of the command line that never change; the list holds char * because exec wants it so. */
static char word_server[] = "server", word_name[] = "--name", word_data_dir[] = "--data-dir";
static char word_config[] = "--config", word_founders[] = "--founders", word_join[] = "--join";

static void make_arguments(const struct demo_cluster *cluster, unsigned node, char *program,
                           struct node_arguments *ret)
{
    unsigned i = 0;
    snprintf(ret->name, sizeof(ret->name), "n%u", node);
    demo_path(cluster, node, "data", ret->data_dir);
    snprintf(ret->config, sizeof(ret->config), "%s/demo.conf", cluster->dir);
    snprintf(ret->founders, sizeof(ret->founders), "%u", cluster->node_count);
    snprintf(ret->join, sizeof(ret->join), "127.0.0.1:%u", demo_port(cluster, 1, DEMO_PEER));
    char *fixed[] = { program,       word_server,   word_name,   ret->name,
                      word_data_dir, ret->data_dir, word_config, ret->config };
    for (; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        ret->list[i] = fixed[i];
    for (int listener = 0; listener < DEMO_LISTENERS; listener++) {
        snprintf(ret->flags[listener], sizeof(ret->flags[0]), "--%s",
                 demo_listener_names[listener]);
        snprintf(ret->addresses[listener], sizeof(ret->addresses[0]), "127.0.0.1:%u",
                 demo_port(cluster, node, (enum demo_listener)listener));
        ret->list[i++] = ret->flags[listener];
        ret->list[i++] = ret->addresses[listener];
    }
    ret->list[i++] = node == 1 ? word_founders : word_join;
    ret->list[i++] = node == 1 ? ret->founders : ret->join;
    ret->list[i] = NULL;
}

static bool start_process(const struct demo_cluster *cluster, unsigned node)
{
    static struct node_arguments arguments;
    char program[DEMO_PATH_MAX], log_path[DEMO_PATH_MAX], pid_path[DEMO_PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (size <= 0) {
        say_error("cannot find this program's own file: %s", errno_text(errno));
        return false;
    }
    program[size] = '\0';
    make_arguments(cluster, node, program, &arguments);
    demo_path(cluster, node, "log", log_path);
    demo_path(cluster, node, "pid", pid_path);
    struct process process;
    return process_start(arguments.list, log_path, &process) && process_save(&process, pid_path);
}

/* The last lines of a node that ended by itself. */
static void show_log(const struct demo_cluster *cluster, unsigned node)
{
    char path[DEMO_PATH_MAX], text[4097];
    demo_path(cluster, node, "log", path);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    struct stat about;
    if (fstat(fileno(file), &about) == 0 && about.st_size > (off_t)sizeof(text) - 1)
        fseek(file, -((long)sizeof(text) - 1), SEEK_END);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    unsigned lines = 0;
    size_t from = size;
    while (from > 0 && lines <= LOG_LINES)
        lines += text[--from] == '\n';
    from += lines > LOG_LINES;
    fprintf(stderr, "  the end of %s:\n", path);
    fwrite(text + from, 1, size - from, stderr);
}

bool demo_calls(const json_t *status, unsigned node, const char *state)
{
    char name[8];
    snprintf(name, sizeof(name), "n%u", node);
    const json_t *about;
    size_t i;
    json_array_foreach(json_object_get(status, "nodes"), i, about)
    {
        const char *its_name = json_string_value(json_object_get(about, "name"));
        const char *its_state = json_string_value(json_object_get(about, "state"));
        if (its_name != NULL && strcmp(its_name, name) == 0)
            return its_state != NULL && strcmp(its_state, state) == 0;
    }
    return false;
}

/* `node` answers and knows every running node to be alive. */
static bool serves(const struct demo_cluster *cluster, unsigned node)
{
    json_t *status = demo_fetch_status(cluster, node, 1000);
    bool good = status != NULL;
    for (unsigned other = 1; good && other <= cluster->node_count; other++)
        good = demo_state(cluster, other) != PROCESS_RUNNING || demo_calls(status, other, "alive");
    json_decref(status);
    return good;
}

static int wait_until_serving(const struct demo_cluster *cluster, uint32_t expected)
{
    uint32_t timeout_ms = demo_patience(START_TIMEOUT_MS);
    uint64_t deadline_ms = demo_now_ms() + timeout_ms;
    unsigned node = 1;
    while (node <= cluster->node_count) {
        enum process_state state = demo_state(cluster, node);
        if (state == PROCESS_GONE && (expected & 1u << node) != 0) {
            say_error("n%u ended by itself while it was starting", node);
            show_log(cluster, node);
            return EXIT_INTERNAL;
        }
        if (state != PROCESS_RUNNING || serves(cluster, node)) {
            node++;
        } else if (demo_now_ms() > deadline_ms) {
            say_error("n%u does not serve, or does not see all others, after %u s", node,
                      timeout_ms / 1000);
            show_log(cluster, node);
            return EXIT_TIMEOUT;
        } else {
            poll(NULL, 0, POLL_MS);
        }
    }
    return EXIT_DONE;
}

int demo_start(struct demo_cluster *cluster, unsigned node, unsigned *ret_started)
{
    uint32_t started = 0, running = 0;
    unsigned count = 0;
    if (!demo_found(cluster))
        return EXIT_USAGE;
    for (unsigned i = 1; i <= cluster->node_count; i++) {
        bool gone = demo_state(cluster, i) == PROCESS_GONE;
        running |= gone ? 0 : 1u << i;
        if (!gone || (node != DEMO_ALL && node != i))
            continue;
        if (!check_ports(cluster, i))
            return EXIT_USAGE;
        started |= 1u << i;
    }
    for (unsigned i = 1; i <= cluster->node_count; i++) {
        if ((started & 1u << i) != 0 && !start_process(cluster, i))
            return EXIT_INTERNAL;
        count += started >> i & 1;
    }
    int code = wait_until_serving(cluster, started | running);
    if (ret_started != NULL)
        *ret_started = count;
    return code;
}

/* --- stopping ------------------------------------------------------------------------------- */

static int stop_one(const struct demo_cluster *cluster, unsigned node)
{
    struct process process;
    if (!demo_process(cluster, node, &process))
        return EXIT_DONE;
    uint32_t timeout_ms = demo_patience(STOP_TIMEOUT_MS);
    if (process_wait_gone(&process, timeout_ms))
        return EXIT_DONE;
    say_error("n%u did not stop within %u s and is killed", node, timeout_ms / 1000);
    return demo_kill(cluster, node) == EXIT_DONE ? EXIT_TIMEOUT : EXIT_INTERNAL;
}

int demo_stop(const struct demo_cluster *cluster, unsigned node, unsigned *ret_stopped)
{
    unsigned stopped = 0;
    int code = EXIT_DONE;
    for (unsigned i = 1; i <= cluster->node_count; i++) {
        struct process process;
        if ((node != DEMO_ALL && node != i) || !demo_process(cluster, i, &process))
            continue;
        stopped++;
        if (!process_signal(&process, SIGTERM) && errno != ESRCH)
            code = fail(EXIT_NOT_ALLOWED, "cannot stop n%u (process %d): %s", i, (int)process.pid,
                        errno_text(errno));
        (void)process_signal(&process, SIGCONT);
    }
    for (unsigned i = 1; i <= cluster->node_count && code != EXIT_NOT_ALLOWED; i++) {
        int outcome = node == DEMO_ALL || node == i ? stop_one(cluster, i) : EXIT_DONE;
        code = outcome == EXIT_DONE ? code : outcome;
    }
    if (ret_stopped != NULL)
        *ret_stopped = stopped;
    return code;
}

int demo_kill(const struct demo_cluster *cluster, unsigned node)
{
    struct process process;
    if (!demo_process(cluster, node, &process))
        return fail(EXIT_NO, "n%u is not running\n  Next: kvorum demo start %u", node, node);
    if (!process_signal(&process, SIGKILL) && errno != ESRCH)
        return fail(EXIT_NOT_ALLOWED, "cannot kill n%u (process %d): %s", node, (int)process.pid,
                    errno_text(errno));
    if (!process_wait_gone(&process, STOP_TIMEOUT_MS))
        return fail(EXIT_TIMEOUT, "n%u (process %d) did not end", node, (int)process.pid);
    return EXIT_DONE;
}
