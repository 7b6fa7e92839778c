/* SPDX-License-Identifier: Apache-2.0 */
/** What runs that play with one thing alone need for it (handoff, voters): a cluster without a
 *  workload, of which one thing after another is asked.
 *
 *      solo_draw -> what the run draws besides, and what it says of itself
 *        -> solo_begin: all healthy -> solo_set_properties, solo_ask, ... -> solo_end
 *
 *  Embedded in what the run keeps. */
#ifndef SIM_SOLO_H
#define SIM_SOLO_H

#include "sim/clients/history.h"
#include "sim/cluster/cluster.h"
#include "sim/run/run.h"

enum { SOLO_HEAD_SIZE = 16, SOLO_ATTEMPTS_MAX = 30, SOLO_POLL_US = 100 * 1000 };

/** Until those who are healthy agree on who is there. */
#define SOLO_SETTLE_US (3 * SIM_SECOND)

struct solo {
    struct world *world;
    struct plan plan;
    struct cluster cluster;
    uint32_t keys; /* how many are written; history_key names them */
    uint64_t operations, acknowledged;
};

/** What the plans of a kind of runs are drawn from. */
struct solo_bounds {
    uint8_t members_min, replicas_min;  /* up to SIM_MEMBERS_MAX, and 3 */
    uint8_t latency_steps, delay_steps; /* how often these may double, from 50 and 200 us */
    uint32_t loss;                      /* of frames a million, in half of the runs */
    uint32_t keys_max;
};

struct asked {
    bool answered;
    kvorum_status status;
    bool found;                /* an object came along */
    char head[SOLO_HEAD_SIZE]; /* OK: how its winning value begins, as a text */
};

/** Who is asked next; it must run. */
typedef struct process *(*solo_choose_fn)(void *context);

void solo_draw(struct solo *solo, struct world *world, uint32_t keys,
               const struct solo_bounds *bounds);
/** Found the cluster; `ret_result->plan` says already what the run is made of. */
void solo_begin(struct solo *solo, const struct run_result *result);
/** Violation, trace and counts are in the result, and the cluster is gone. */
void solo_end(struct solo *solo, struct run_result *ret_result);

/** False: a violation was found. */
bool solo_pass_time(struct solo *solo, uint64_t duration_us);
uint16_t solo_choose_shard(struct solo *solo, const struct process *process);

/** Of a key of SIM_BUCKET, which must outlive the operation. */
struct operation solo_operation(enum operation_kind kind, const char *name);
uint32_t solo_partition(const struct solo *solo, const char *name);

/** Ask, and wait for the answer; there is none when the process ended first.  False: a violation
 *  was found. */
bool solo_ask(struct solo *solo, struct process *process, uint16_t shard,
              const struct operation *operation, struct asked *ret_asked);
/** Of SIM_BUCKET, by asking one after another until somebody agrees.  False: a violation. */
bool solo_set_properties(struct solo *solo, const struct bucket_properties *properties,
                         solo_choose_fn choose_process, void *context);

#endif
