/* SPDX-License-Identifier: Apache-2.0 */
/** One run: a world from a seed, a cluster in it, a workload under faults, then healing, and what
 *  must be true at the end.
 *
 *      found, all healthy -> bucket properties -> workload with faults -> heal -> restart all
 *        -> hints drain -> (anti-entropy makes replicas equal) -> read every key at r=all, twice
 *        -> replicas equal, nothing in flight
 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "sim/world.h"

struct run_options {
    uint64_t seed;
    uint32_t operation_count; /* 0: 150 */
    bool tracing;
    bool store;                     /* play with one store alone: store.h */
    bool gossip;                    /* gossip alone: gossip_run.h */
    bool liveness;                  /* a core alone must serve everything first: liveness.h */
    bool handoff;                   /* hinted handoff alone: handoff.h; operation_count: keys */
    bool voters;                    /* a lost majority of voters alone: voters.h */
    bool decay;                     /* disks are damaged under way: decay.h */
    bool yesterday;                 /* one member's disk is put back again and again: yesterday.h */
    bool drops;                     /* a bucket is dropped under way: drops.h */
    bool collect;                   /* tombstones are collected under way: graves.h */
    bool telling;                   /* print the outline, */
    int64_t told_key;               /* with operations of this key; -1: all */
    const struct tape *replay;      /* instead of chance; or NULL */
    uint64_t noise_seed;            /* with `replay`, but noise drawn from this; 0: from the tape */
    struct tape *ret_tape;          /* takes what was chosen; or NULL */
    const struct world **ret_world; /* is told the world while it lasts, for handlers of broken
                                       assertions; or NULL */
};

struct run_result {
    struct violation violation;
    uint64_t trace_hash;
    uint64_t event_count, virtual_us;
    uint64_t faulty_us;                /* of these, under clients and faults */
    uint64_t operations, acknowledged; /* submitted; answered OK */
    uint64_t asked;                    /* by clients, not by the run itself */
    uint32_t joined, gone; /* members that came, and that left, were removed or replaced */
    char plan[1024];
};

void run(const struct run_options *options, struct run_result *ret_result);

#endif
