/* SPDX-License-Identifier: Apache-2.0 */
/** The shape of the cluster for operators, as JSON documents (docs/http.md).  Thread: the reactor's
 *  that `node` belongs to.  Blocks: never. */
#ifndef SERVER_CLUSTER_VIEW_H
#define SERVER_CLUSTER_VIEW_H

#include "node/node.h"

/** Members, voters, what is staged and what moves. */
void cluster_view_json(struct node *node, struct buffer *ret_json);
/** What a commit would do, or why it is refused.  `plan` is of an epoch. */
void cluster_plan_json(const struct node_plan *plan, struct buffer *ret_json);

#endif
