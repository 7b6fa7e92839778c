/* SPDX-License-Identifier: Apache-2.0 */
/** Seeded randomness, passed in wherever chance is needed (xoshiro256**, Blackman and Vigna 2018;
 *  seeded by splitmix64).  Not for secrets. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
/** Uniform in [0, limit), without modulo bias; limit >= 1. */
uint64_t random_below(struct random *random, uint64_t limit);
/** True with probability numerator / denominator. */
bool random_chance(struct random *random, uint32_t numerator, uint32_t denominator);
/** Uniform in [0, 1). */
double random_unit(struct random *random);
/** A generator for a sub-task, independent of how much the parent is used afterwards. */
struct random random_fork(struct random *random);

#endif
