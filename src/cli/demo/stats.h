/* SPDX-License-Identifier: Apache-2.0 */
/** Figures of the local cluster, from the status and statistics of its nodes. */
#ifndef CLI_DEMO_STATS_H
#define CLI_DEMO_STATS_H

#include "cli/demo/nodes.h"

struct repair_counters {
    uint64_t read_repairs, hints_delivered;
};

/** Keys a node holds; 0 when it does not answer.  Waits for the node's next snapshot of it. */
uint64_t stats_keys(const struct demo_cluster *cluster, unsigned node);
/** Sums over the nodes that run. */
void stats_repairs(const struct demo_cluster *cluster, struct repair_counters *ret_counters);
/** The same, once they no longer change. */
void stats_settle(const struct demo_cluster *cluster, struct repair_counters *ret_counters);

#endif
