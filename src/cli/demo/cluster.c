/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/message.h"

enum { DEMO_NODES = 5, PORT_STEP = 100 };

const char *const demo_listener_names[DEMO_LISTENERS] = { "http", "pb", "resp", "peer" };
static const uint16_t ports[DEMO_LISTENERS] = { 8098, 8087, 6379, 9098 };

uint16_t demo_port(const struct demo_cluster *cluster, unsigned node, enum demo_listener listener)
{
    return (uint16_t)(ports[listener] + cluster->port_offset + PORT_STEP * (node - 1));
}

void demo_endpoint(const struct demo_cluster *cluster, unsigned node, enum demo_listener listener,
                   struct endpoint *ret_endpoint)
{
    (void)endpoint_parse("127.0.0.1", demo_port(cluster, node, listener), ret_endpoint);
}

void demo_path(const struct demo_cluster *cluster, unsigned node, const char *name,
               char ret_path[DEMO_PATH_MAX])
{
    snprintf(ret_path, DEMO_PATH_MAX, "%s/n%u/%s", cluster->dir, node, name);
}

bool demo_process(const struct demo_cluster *cluster, unsigned node, struct process *ret_process)
{
    char path[DEMO_PATH_MAX];
    demo_path(cluster, node, "pid", path);
    return process_load(path, ret_process) && process_state(ret_process) != PROCESS_GONE;
}

enum process_state demo_state(const struct demo_cluster *cluster, unsigned node)
{
    struct process process;
    return demo_process(cluster, node, &process) ? process_state(&process) : PROCESS_GONE;
}

unsigned demo_running(const struct demo_cluster *cluster)
{
    unsigned count = 0;
    for (unsigned node = 1; node <= cluster->node_count; node++)
        count += demo_state(cluster, node) == PROCESS_RUNNING;
    return count;
}

unsigned demo_read_node(const struct demo_cluster *cluster, const char *text)
{
    const char *digits = text + (*text == 'n');
    if (digits[0] >= '1' && digits[0] <= '9' && digits[1] == '\0' &&
        (unsigned)(digits[0] - '0') <= cluster->node_count)
        return (unsigned)(digits[0] - '0');
    say_error("'%s' is no node of this cluster; its nodes are 1 to %u", text, cluster->node_count);
    return 0;
}

/* --- demo.json ------------------------------------------------------------------------------ */

static void settings_path(const struct demo_cluster *cluster, const char *name,
                          char ret_path[DEMO_PATH_MAX])
{
    snprintf(ret_path, DEMO_PATH_MAX, "%s/%s", cluster->dir, name);
}

static bool read_settings(struct demo_cluster *cluster, int *ret_code)
{
    char path[DEMO_PATH_MAX];
    settings_path(cluster, "demo.json", path);
    if (access(path, F_OK) != 0)
        return true;
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);
    json_int_t nodes = json_integer_value(json_object_get(json, "nodes"));
    json_int_t offset = json_integer_value(json_object_get(json, "port_offset"));
    json_decref(json);
    if (nodes < 1 || nodes > DEMO_NODES_MAX || offset < 0 || offset > 50000) {
        *ret_code = fail(EXIT_USAGE,
                         "cannot use %s: it is damaged or was not made by kvorum demo\n"
                         "  Next: another --dir, or remove the directory and its data",
                         path);
        return false;
    }
    cluster->node_count = (unsigned)nodes;
    cluster->port_offset = (unsigned)offset;
    cluster->founded = true;
    return true;
}

static bool has_option(const struct invocation *invocation, const char *name)
{
    for (const struct option *o = invocation->command->options; o->name != NULL; o++) {
        if (strcmp(o->name, name) == 0)
            return true;
    }
    return false;
}

/* What --nodes and --port-offset say; they may repeat, not change, what a cluster was founded
 * with. */
static bool apply_option(const struct invocation *invocation, const char *name, bool founded,
                         unsigned *value)
{
    if (!has_option(invocation, name))
        return true;
    int64_t asked = option_number(invocation, name, -1);
    if (asked < 0)
        return true;
    if (founded && (unsigned)asked != *value) {
        say_error("the cluster in %s was founded with --%s %u, which cannot be changed\n"
                  "  Next: leave the option out, or found another cluster with --dir DIR",
                  option_text(invocation, "dir"), name, *value);
        return false;
    }
    *value = (unsigned)asked;
    return true;
}

bool demo_open(const struct invocation *invocation, struct demo_cluster *ret_cluster, int *ret_code)
{
    struct demo_cluster cluster = { .node_count = DEMO_NODES };
    const char *dir = option_text(invocation, "dir");
    int size = snprintf(cluster.dir, sizeof(cluster.dir), "%s", dir);
    *ret_code = EXIT_USAGE;
    if (size <= 0 || size >= (int)sizeof(cluster.dir)) {
        say_error("--dir is empty or too long");
        return false;
    }
    if (!read_settings(&cluster, ret_code))
        return false;
    if (!apply_option(invocation, "nodes", cluster.founded, &cluster.node_count) ||
        !apply_option(invocation, "port-offset", cluster.founded, &cluster.port_offset)) {
        *ret_code = EXIT_UNSAFE;
        return false;
    }
    if (demo_port(&cluster, cluster.node_count, DEMO_PEER) < ports[DEMO_PEER]) {
        say_error("--port-offset %u is too large", cluster.port_offset);
        return false;
    }
    *ret_cluster = cluster;
    return true;
}

/* --- founding ------------------------------------------------------------------------------- */

static bool make_directories(const char *path)
{
    char part[DEMO_PATH_MAX];
    for (const char *slash = path + 1;; slash++) {
        if (*slash != '/' && *slash != '\0')
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        if (mkdir(part, 0755) != 0 && errno != EEXIST) {
            say_error("cannot make the directory %s: %s\n  Next: another place with --dir DIR",
                      part, errno_text(errno));
            return false;
        }
        if (*slash == '\0')
            return true;
    }
}

static bool write_settings(const struct demo_cluster *cluster)
{
    char path[DEMO_PATH_MAX];
    settings_path(cluster, "demo.json", path);
    json_t *json = json_pack("{s:i, s:i}", "nodes", (int)cluster->node_count, "port_offset",
                             (int)cluster->port_offset);
    bool written = json != NULL && json_dump_file(json, path, JSON_INDENT(2)) == 0;
    json_decref(json);
    if (!written)
        say_error("cannot write %s: %s", path, errno_text(errno));
    return written;
}

static bool write_configuration(const struct demo_cluster *cluster)
{
    char path[DEMO_PATH_MAX];
    settings_path(cluster, "demo.conf", path);
    if (access(path, F_OK) == 0)
        return true;
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        say_error("cannot write %s: %s", path, errno_text(errno));
        return false;
    }
    fputs(
        "# Settings of all nodes of this local cluster, read at each start.  `kvorum config show`\n"
        "# explains them; names, ports and directories are given by `kvorum demo`.\n"
        "[gossip]\n"
        "preset = local\n",
        file);
    return fclose(file) == 0;
}

bool demo_found(struct demo_cluster *cluster)
{
    for (unsigned node = 1; node <= cluster->node_count; node++) {
        char path[DEMO_PATH_MAX];
        snprintf(path, sizeof(path), "%s/n%u", cluster->dir, node);
        if (!make_directories(path))
            return false;
    }
    if (!write_configuration(cluster) || (!cluster->founded && !write_settings(cluster)))
        return false;
    cluster->founded = true;
    return true;
}
