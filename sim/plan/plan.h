/* SPDX-License-Identifier: Apache-2.0 */
/** What one run is made of, drawn at its start ("swarm": each run has a random subset of features,
 *  so that rare combinations happen and absent ones let the others go deep). */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "node/node.h"
#include "sim/plan/sizes.h"
#include "sim/seams/network.h"

#define SIM_BUCKET "bucket"

enum { SIM_STORES_MAX = 4, SIM_CLIENTS_MAX = 8, SIM_OPERATIONS_MAX = 4096 };

#define ACTION_LIST(X) /* what clients do */                                                       \
    X(GET, "get")                                                                                  \
    X(PUT_BLIND, "put")                                                                            \
    X(PUT_CONTEXT, "put with context")                                                             \
    X(PUT_OVERWRITE, "overwrite")                                                                  \
    X(PUT_IF_ABSENT, "put if absent")                                                              \
    X(PUT_IF_MATCH, "put if match")                                                                \
    X(DELETE_BLIND, "delete")                                                                      \
    X(DELETE_CONTEXT, "delete with context")                                                       \
    X(LIST, "list")                                                                                \
    X(PROPERTIES, "set properties")

enum action {
#define X(name, text) ACTION_##name,
    ACTION_LIST(X)
#undef X
        ACTION_COUNT
};

#define FAULT_LIST(X) /* what happens to the cluster */                                            \
    X(CRASH, "crash") /* power fails between two events */                                         \
    X(FUSE, "crash in a disk operation")                                                           \
    X(CRASH_ALL, "crash of all")                                                                   \
    X(STOP, "graceful restart")                                                                    \
    X(PAUSE, "pause")                                                                              \
    X(CUT, "one-way cut")                                                                          \
    X(HALVES, "halves")                                                                            \
    X(ISOLATE, "isolated node")                                                                    \
    X(CLOG, "clog")                                                                                \
    X(BREAK, "broken link")                                                                        \
    X(HEAL, "heal")                                                                                \
    X(WALL_STEP, "wall clock step")                                                                \
    X(DISK_ERRORS, "disk errors")                                                                  \
    X(DISK_FULL, "disk full")                                                                      \
    X(ZONE, "zone cut")                                                                            \
    X(HOUR_AHEAD, "wall clock an hour ahead")                                                      \
    X(YESTERDAY, "yesterday's disk") /* drawn by plan_put_back alone */                            \
    X(DECAY, "decay of a disk")      /* drawn by plan_decay alone */

enum fault {
#define X(name, text) FAULT_##name,
    FAULT_LIST(X)
#undef X
        FAULT_COUNT
};

struct plan {
    uint16_t member_count; /* founders */
    uint16_t joiner_count; /* who come later, and own nothing */
    uint64_t epoch_us;     /* mean time between two changes of the epoch; 0: none */
    bool departures;       /* members leave */
    uint16_t losses_max; /* and so many are lost, and removed or replaced: sim/acts/departures.h */
    uint8_t replica_count;
    uint32_t partition_count;
    uint16_t store_count[SIM_MEMBERS_MAX];
    bool memory; /* engine */
    bool mapped; /* the disks offer mappings, which logs use that are not synced each time */
    enum node_sync sync;
    uint64_t jobs_latency_us;
    struct lsm_options sizes; /* of its stores: sizes.h */

    struct quorum_levels levels;    /* of every operation, as numbers */
    bool varied_levels;             /* each operation draws its own r, w, ... */
    bool zoned;                     /* r, w and dw are levels by zone, and words */
    bool siblings;                  /* bucket mode; else last write wins */
    enum handoff_strategy strategy; /* of the bucket */
    bool mode_changes;              /* it was the other before: sim/acts/modes.h */
    bool mode_changes_first;        /* before the clients begin, and as they begin */
    struct node_limits limits;
    struct swim_config gossip;
    bool crashes; /* some fault forgets what was not synced */
    bool durable; /* what is acknowledged survives every fault of this run */
    bool strong;  /* durable, strict, R+W>N: reads must see acknowledged writes */

    uint32_t key_count, hot_keys; /* hot_keys of them get half of all operations; 0: none do */
    uint16_t client_count;
    uint32_t operation_count;
    uint32_t weights[ACTION_COUNT];
    uint32_t return_body; /* per million puts */
    uint32_t cancelled;   /* per million operations: the client goes away */
    uint32_t value_size_max;
    uint64_t think_us; /* mean pause of a client */
    uint32_t timeout_ms;

    struct network_faults network;
    uint32_t faults[FAULT_COUNT]; /* weights */
    uint64_t fault_interval_us;   /* mean; 0: none */
    uint64_t repair_us;           /* mean time until a fault is undone */
    int64_t drift_ppm_max, wall_offset_ms_max;

    struct node_repair_config repair;
    struct node_collect_config collect; /* age 0: no tombstones are collected */
    bool deletes_hold; /* an acknowledged delete survives every fault, whatever else does not */
    struct node_scrub_config scrub;
    bool decays;        /* disks are damaged under way: sim/cluster/decay.h */
    bool only_detected; /* and of the only replica: what is lost must be said to be */
    bool unread;        /* replicas must become equal before anything is read at the end */
    bool loses_object;  /* and once more, after one of them lost an object */
    bool lone_core;     /* a core alone must serve everything first: sim/acts/liveness.h */
    bool drops;         /* a bucket is dropped under way: sim/acts/drops.h */
};

const char *action_name(enum action action);
const char *fault_name(enum fault fault);
void plan_draw(struct world *world, uint32_t operation_count, struct plan *ret_plan);
/** How long gossip usually takes at most to find out that a member is dead. */
uint64_t plan_patience_us(const struct plan *plan);
/** Ask for majorities only, which any minority may be missing for. */
void plan_ask_majorities(struct plan *plan);
/** One member's disk is put back to an older state, again and again: sim/cluster/yesterday.h. */
void plan_put_back(struct world *world, struct plan *plan);
/** Tombstones are collected as soon as may be, while everything goes wrong: sim/acts/graves.h. */
void plan_collect(struct world *world, struct plan *plan);
/** Disks decay, and scrub themselves every few seconds: sim/cluster/decay.h. */
void plan_decay(struct world *world, struct plan *plan);
/** A core alone must serve everything, while the rest stays as it failed: sim/acts/liveness.h. */
void plan_lone_core(struct world *world, struct plan *plan);
/** A bucket of its own is dropped again and again: sim/acts/drops.h. */
void plan_drops(struct world *world, struct plan *plan);
/** Draw other levels for one operation; n stays. */
void plan_vary_levels(struct world *world, struct quorum_levels *levels);
/** One line for people. */
void plan_describe(const struct plan *plan, struct buffer *buffer);

#endif
