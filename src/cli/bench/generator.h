/* SPDX-License-Identifier: Apache-2.0 */
/** The load: clients on one thread's epoll loop, each with a pipeline of requests kept full.
 *
 *  Latency is from a request's hand-over to the connection until its reply was parsed.  A lost
 *  connection counts what it had under way as errors and is made again.
 *  Thread: each generator its own; `done` and `stop` are for others.  Blocks: generator_run. */
#ifndef CLI_BENCH_GENERATOR_H
#define CLI_BENCH_GENERATOR_H

#include <stdatomic.h>

#include "base/histogram.h"
#include "cli/bench/wire.h"
#include "cli/bench/workload.h"
#include "cli/endpoint.h"

struct generator_settings {
    const struct wire *wire;
    struct wire_settings wire_settings;
    struct endpoint *nodes; /* resolved */
    uint32_t node_count;
    uint32_t pipeline, value_size;
    uint64_t deadline_us; /* of the monotonic clock; 0: none */
};

struct generator {
    /* set by the caller */
    const struct generator_settings *settings;
    struct workload workload;
    uint32_t client_count, first_client; /* first_client: for spreading over the nodes */
    uint64_t requests;                   /* how many to send; UINT64_MAX: until the deadline */

    /* results */
    struct histogram gets, sets; /* microseconds */
    uint64_t errors, misses, reconnects;
    char first_error[256]; /* "" when there was none */
    int problem; /* errno when no connection could be made at all; then nothing was sent */
    bool out_of_memory;
    _Atomic uint64_t done;
    atomic_bool stop;
};

void generator_run(struct generator *generator);

#endif
