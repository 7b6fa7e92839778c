/* SPDX-License-Identifier: Apache-2.0 */
/** Which key comes next, and whether it is read or written.  Pure; seeded, so a run can be
 *  repeated. */
#ifndef CLI_BENCH_WORKLOAD_H
#define CLI_BENCH_WORKLOAD_H

#include "base/random.h"

enum distribution { DISTRIBUTION_UNIFORM, DISTRIBUTION_ZIPF, DISTRIBUTION_SEQUENTIAL };

/** Numbers 0..count-1 of which number i comes with a probability near 1/(i+1)^0.99. */
struct zipf {
    uint64_t count;
    double zeta, zeta_two, alpha, eta;
};

/** Costs time proportional to count (about 50 ns each) once. */
void zipf_init(struct zipf *zipf, uint64_t count);
uint64_t zipf_next(const struct zipf *zipf, struct random *random);

struct workload {
    enum distribution distribution;
    uint64_t key_count;
    uint32_t get_weight, set_weight;
    const struct zipf *zipf; /* for DISTRIBUTION_ZIPF; may be shared */
    struct random random;
    uint64_t sequence, sequence_step; /* DISTRIBUTION_SEQUENTIAL */
};

uint64_t workload_key(struct workload *workload);
bool workload_is_set(struct workload *workload);

#endif
