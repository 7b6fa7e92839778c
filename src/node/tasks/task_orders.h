/* SPDX-License-Identifier: Apache-2.0 */
/** What operators ordered of a node's background work: pauses and limits, by kind.  They outlive a
 *  restart, in the file `tasks` of the data directory (docs/formats/tasks.md), which is written
 *  whole when something is ordered.
 *
 *  Whoever starts a node reads them before, and each shard begins with them.  Shard 0 keeps them,
 *  and tells a shard again that does not go by them. */
#ifndef NODE_TASK_ORDERS_H
#define NODE_TASK_ORDERS_H

#include "base/buffer.h"
#include "base/disk.h"
#include "node/tasks/task.h"

enum { TASK_ORDERS_SIZE_MAX = 4096 }; /* bytes of the file */

struct task_order {
    bool paused, limited;
    uint64_t limit; /* bytes a second of the node, where limited; 0: no limit */
};

struct task_orders {
    struct task_order kinds[TASK_KINDS];
};

void task_orders_encode(const struct task_orders *orders, struct buffer *buffer);
/** CORRUPT, NEWER_FORMAT.  Kinds of another release are left out. */
KVORUM_CHECKED kvorum_status task_orders_decode(struct bytes bytes, struct task_orders *ret_orders);
/** Those on disk.  Blocks.  NOT_FOUND: nothing was ever ordered; CORRUPT, NEWER_FORMAT, IO. */
KVORUM_CHECKED kvorum_status task_orders_load(struct disk *disk, struct task_orders *ret_orders);

/* --- for tasks.c ------------------------------------------------------------------------------ */

/** On shard 0; NO_MEMORY. */
KVORUM_CHECKED kvorum_status task_orders_open(struct node *node);
void task_orders_close(struct node *node);
/** Something else is ordered: on disk soon. */
void task_orders_save(struct node *node);

#endif
