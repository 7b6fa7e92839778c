/* SPDX-License-Identifier: Apache-2.0 */
/** A bucket of its own is written, read, listed and dropped, again and again, beside the operations
 *  of the other clients and under the faults of the run.
 *
 *  Every operation remembers which generation of the bucket the member knew that was asked.  Half
 *  of the writes are to a key that nobody else writes: a lost one cannot hide behind another. */
#ifndef SIM_DROPS_H
#define SIM_DROPS_H

#include "sim/cluster/cluster.h"

#define DROPS_BUCKET "dropped"
#define DROPS_NEVER UINT64_MAX

enum { DROPS_CLIENTS = 3, DROPS_OPERATIONS_MAX = 150, DROPS_SHARED_KEYS = 4 };

enum drops_action { DROPS_PUT, DROPS_GET, DROPS_LIST, DROPS_DROP };
enum drops_state { DROPS_OPEN, DROPS_ANSWERED, DROPS_LOST };

struct drops;

struct drops_operation {
    struct drops *drops;
    int32_t id;
    enum drops_action action;
    enum drops_state state;
    kvorum_status status;
    uint32_t key;
    uint16_t member, shard;
    uint32_t life;       /* of the member */
    uint64_t generation; /* that it knew */
    uint64_t latest;     /* that it knew at the end */
    uint64_t invoked_us, done_us;
    uint64_t list;     /* its id in the node */
    bool found;        /* GET: there was a value */
    uint64_t from, to; /* GET: of which generations all of it may be */
    bool wants_page;
};

struct drops_client {
    struct drops *drops;
    struct event event;
    struct drops_operation *open;
};

struct drops {
    struct cluster *cluster;
    bool enabled, stopped;
    struct drops_client clients[DROPS_CLIENTS];
    struct drops_operation *operations; /* in the order in which they were begun */
    int32_t count, capacity;
    uint32_t looked_at[SIM_MEMBERS_MAX]; /* by member: the life whose stores were looked at */
    uint64_t confirmed[SIM_MEMBERS_MAX]; /* by member: the generation that it is known to have */
};

void drops_init(struct drops *drops, struct cluster *cluster, bool enabled);
void drops_begin(struct drops *drops);
/** Nothing new is begun. */
void drops_stop(struct drops *drops);
/** What was begun has ended. */
bool drops_finished(const struct drops *drops);
/** All members go by one generation, and have reclaimed the others. */
bool drops_settled(const struct drops *drops);
void drops_done(struct drops *drops);
/** Everything is whole again: read all keys.  False: the run is over. */
bool drops_read_all(struct drops *drops);

/** The generation that a shard knows. */
uint64_t drops_generation(const struct process *process, uint16_t shard);

#endif
