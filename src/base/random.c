/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <assert.h>

#include "base/hash.h"

void random_init(struct random *random, uint64_t seed)
{
    /* splitmix64: a counter in steps of the golden ratio, mixed; four of them are never all zero */
    for (int i = 0; i < 4; i++)
        random->state[i] = hash_mix64(seed += 0x9e3779b97f4a7c15ull);
}

static uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t random_next(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t limit)
{
    assert(limit > 0);
    /* Lemire 2019: the high half of next * limit is the answer; the low half tells the few draws
     * that would favour some answers, 2^64 mod limit of them. */
    unsigned __int128 product = (unsigned __int128)random_next(random) * limit;
    if ((uint64_t)product >= limit)
        return (uint64_t)(product >> 64);
    uint64_t unfair = -limit % limit;
    while ((uint64_t)product < unfair)
        product = (unsigned __int128)random_next(random) * limit;
    return (uint64_t)(product >> 64);
}

bool random_chance(struct random *random, uint32_t numerator, uint32_t denominator)
{
    return random_below(random, denominator) < numerator;
}

double random_unit(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1p-53;
}

struct random random_fork(struct random *random)
{
    struct random child;
    random_init(&child, random_next(random));
    return child;
}
