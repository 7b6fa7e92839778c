/* SPDX-License-Identifier: Apache-2.0 */
/** Starting and stopping the nodes of the local cluster, and waiting until they serve.
 *  Thread: one.  Blocks: as long as it says, never without end. */
#ifndef CLI_DEMO_NODES_H
#define CLI_DEMO_NODES_H

#include <jansson.h>

#include "cli/demo/cluster.h"

enum { DEMO_ALL = 0 };

/** Start `node`, or all that do not run (DEMO_ALL), and wait until every running node serves and
 *  sees every other.  Nodes in `ret_started` (may be NULL) were not running.  Returns an exit
 *  code, having said what went wrong. */
int demo_start(struct demo_cluster *cluster, unsigned node, unsigned *ret_started);
/** SIGTERM, then after 10 s SIGKILL, which is told.  Paused nodes are resumed first. */
int demo_stop(const struct demo_cluster *cluster, unsigned node, unsigned *ret_stopped);
/** SIGKILL, and wait until it is gone. */
int demo_kill(const struct demo_cluster *cluster, unsigned node);

/** Status document of one node; NULL when it does not answer within `timeout_ms`. */
json_t *demo_fetch_status(const struct demo_cluster *cluster, unsigned node, uint32_t timeout_ms);
/** Whoever made `status` calls node `node` so: "alive", "suspect", "dead". */
bool demo_calls(const json_t *status, unsigned node, const char *state);
/** Milliseconds of some clock that never goes back. */
uint64_t demo_now_ms(void);
/** The factor of KVORUM_SLOW (sanitized programs): every wait is multiplied. */
uint32_t demo_patience(uint32_t ms);

#endif
