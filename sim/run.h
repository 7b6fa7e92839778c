/* SPDX-License-Identifier: Apache-2.0 */
/** One run: a world from a seed, a cluster in it, a workload under faults, then healing, and what
 *  must be true at the end.
 *
 *      found, all healthy -> bucket properties -> workload with faults -> heal -> restart all
 *        -> hints drain -> read every key at r=all, twice -> replicas equal, nothing in flight
 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "sim/world.h"

struct run_options {
    uint64_t seed;
    uint32_t operation_count; /* 0: 150 */
    bool tracing;
    bool store;   /* play with one store alone: store.h */
    bool handoff; /* with handoff alone: handoff.h; operation_count: keys */
};

struct run_result {
    struct violation violation;
    uint64_t trace_hash;
    uint64_t event_count, virtual_us;
    uint64_t operations, acknowledged; /* submitted; answered OK */
    char plan[1024];
};

void run(const struct run_options *options, struct run_result *ret_result);

#endif
