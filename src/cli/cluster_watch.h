/* SPDX-License-Identifier: Apache-2.0 */
/** After a commit: how far the partitions have moved, with a bar, until none moves. */
#ifndef CLI_CLUSTER_WATCH_H
#define CLI_CLUSTER_WATCH_H

#include <jansson.h>

#include "cli/session.h"

/** Ask the node and take `body` (NULL: none).  EXIT_DONE: *ret_json is its answer, to be given
 *  back by json_decref; else the exit code of the command, after an error was told.  Blocks. */
int cluster_ask(struct session *session, const char *method, const char *path, json_t *body,
                const char *what, json_t **ret_json);

/** *cluster is an answer of /kvorum/cluster; while it says that partitions move, show progress on
 *  standard error, and in the end put the last answer there.  A signal ends it early: the move goes
 *  on.  EXIT_DONE, or the exit code of a failed question.  Blocks. */
int cluster_watch(struct session *session, json_t **cluster);

#endif
