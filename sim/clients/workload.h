/* SPDX-License-Identifier: Apache-2.0 */
/** The clients: each submits one operation after another to some node, remembers what it read last
 *  of each key, and never believes that an unanswered write failed. */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "sim/clients/history.h"
#include "sim/cluster/cluster.h"

struct workload;

struct client {
    struct workload *workload;
    uint16_t number;
    struct event event; /* begin the next operation */
    int32_t open;       /* operation id in flight, or NO_OPERATION */
    int32_t *last_seen; /* by key: the operation that gave the newest context */
};

/** One operation in flight at a node. */
struct call {
    struct workload *workload;
    struct record *record;
    struct client *client; /* NULL: the run itself asked */
    struct event overdue, next_page, cancel;
    uint64_t id; /* of the node's request */
    uint32_t dw;
    uint16_t member, shard;
    uint64_t paused_us; /* of the process, when it began */
    bool *done;
    bool for_checkers; /* what a good answer carries: its client did not ask for it */
};

struct workload {
    struct world *world;
    struct cluster *cluster;
    const struct plan *plan;
    struct history *history;
    struct client clients[SIM_CLIENTS_MAX];
    struct call *calls;      /* by operation id */
    struct buffer *contexts; /* by operation id: as the answer gave it */
    uint32_t submitted, open;
    uint32_t retired;        /* clients of a replayed run that have no further operation: a set */
    uint32_t durable_one_in; /* how many acknowledgements have their disks looked at */
};

void workload_init(struct workload *workload, struct cluster *cluster, struct history *history);
void workload_done(struct workload *workload);
/** Let the clients begin. */
void workload_start(struct workload *workload);
bool workload_finished(const struct workload *workload);
/** How many operations members of this set still have to answer. */
uint32_t workload_open_at(const struct workload *workload, uint32_t members);
/** Ask `process` for an operation, now, with these levels; *done is set with the answer. */
struct record *workload_ask(struct workload *workload, enum action action, uint32_t key,
                            struct process *process, const struct quorum_levels *levels,
                            bool *done);
/** Read a key at r=all, now, from any node; *done is set with the answer.  NULL: no node runs. */
struct record *workload_read_all(struct workload *workload, uint32_t key, bool *done);

#endif
