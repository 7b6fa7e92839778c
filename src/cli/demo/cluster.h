/* SPDX-License-Identifier: Apache-2.0 */
/** The local cluster of `kvorum demo`: which nodes, which ports, which files.
 *
 *      DIR/demo.json    {"nodes": 5, "port_offset": 0}; made at the first start, then fixed
 *      DIR/demo.conf    settings of all nodes, for people to change
 *      DIR/n1/data/     the node's data directory
 *      DIR/n1/log       what it wrote to standard error, every start appended
 *      DIR/n1/pid       the running process
 *
 *  Thread: one. */
#ifndef CLI_DEMO_CLUSTER_H
#define CLI_DEMO_CLUSTER_H

#include "cli/demo/process.h"
#include "cli/endpoint.h"
#include "cli/option.h"

enum { DEMO_NODES_MAX = 9, DEMO_PATH_MAX = 4096 };

enum demo_listener { DEMO_HTTP, DEMO_PB, DEMO_RESP, DEMO_PEER, DEMO_LISTENERS };

struct demo_cluster {
    char dir[2048];
    unsigned node_count, port_offset;
    bool founded; /* demo.json was there */
};

extern const char *const demo_listener_names[DEMO_LISTENERS];

/** Read DIR/demo.json of --dir.  A new cluster takes --nodes and --port-offset where the command
 *  has them.  False after saying why: unreadable, or it is another cluster than asked for; then
 *  *ret_code is the exit code. */
bool demo_open(const struct invocation *invocation, struct demo_cluster *ret_cluster,
               int *ret_code);
/** Make the directories and demo.json.  False after saying why not. */
bool demo_found(struct demo_cluster *cluster);

/** Nodes are numbered from 1.  0 after saying so when `text` names no node of the cluster. */
unsigned demo_read_node(const struct demo_cluster *cluster, const char *text);
uint16_t demo_port(const struct demo_cluster *cluster, unsigned node, enum demo_listener listener);
void demo_endpoint(const struct demo_cluster *cluster, unsigned node, enum demo_listener listener,
                   struct endpoint *ret_endpoint);
/** DIR/nK/`name`. */
void demo_path(const struct demo_cluster *cluster, unsigned node, const char *name,
               char ret_path[DEMO_PATH_MAX]);
/** What runs as the node; false when nothing does. */
bool demo_process(const struct demo_cluster *cluster, unsigned node, struct process *ret_process);
enum process_state demo_state(const struct demo_cluster *cluster, unsigned node);
/** How many nodes run and are not paused. */
unsigned demo_running(const struct demo_cluster *cluster);

#endif
