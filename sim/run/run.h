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

#include "sim/kinds.h"
#include "sim/world/world.h"

struct run_options {
    uint64_t seed;
    enum kind kind;
    uint32_t operation_count; /* 0: as many as its kind has by default */
    bool tracing;
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
    bool clustered;                    /* clients write to members of a cluster, */
    bool durable;                      /* and no fault may cost what was acknowledged */
    uint64_t deletes;                  /* acknowledged, and held to: nothing may bring them back */
    uint32_t joined, gone; /* members that came, and that left, were removed or replaced */
    char plan[1024];
};

void run(const struct run_options *options, struct run_result *ret_result);

#endif
