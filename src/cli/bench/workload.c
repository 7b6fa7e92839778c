/* SPDX-License-Identifier: Apache-2.0 */
/* Zipf numbers by inversion, the way YCSB draws them: Gray, Sundaresan, Englert, Baclawski and
 * Weinberger, "Quickly generating billion-record synthetic databases" (SIGMOD 1994), section
 * 3.2.  The two most frequent numbers are drawn exactly; the others by a power law fitted to the
 * rest of the mass.  Popular numbers are then scattered over the key space, as popular keys are
 * in practice. */
#include "cli/bench/workload.h"

#include <math.h>

#include "base/hash.h"

static const double skew = 0.99;

/* Sum of 1/i^skew for i up to count; beyond a million terms the integral is exact enough. */
static double zeta_of(uint64_t count)
{
    uint64_t summed = count < 1000000 ? count : 1000000;
    double sum = 0;
    for (uint64_t i = 1; i <= summed; i++)
        sum += pow((double)i, -skew);
    if (count > summed) {
        double from = (double)summed + 0.5, to = (double)count + 0.5;
        sum += (pow(to, 1 - skew) - pow(from, 1 - skew)) / (1 - skew);
    }
    return sum;
}

void zipf_init(struct zipf *zipf, uint64_t count)
{
    zipf->count = count;
    zipf->zeta = zeta_of(count);
    zipf->zeta_two = zeta_of(2);
    zipf->alpha = 1 / (1 - skew);
    zipf->eta = (1 - pow(2 / (double)count, 1 - skew)) / (1 - zipf->zeta_two / zipf->zeta);
}

uint64_t zipf_next(const struct zipf *zipf, struct random *random)
{
    double unit = random_unit(random), mass = unit * zipf->zeta;
    if (mass < 1 || zipf->count == 1)
        return 0;
    if (mass < zipf->zeta_two || zipf->count == 2)
        return 1;
    double number = (double)zipf->count * pow(zipf->eta * unit - zipf->eta + 1, zipf->alpha);
    return number >= (double)zipf->count ? zipf->count - 1 : (uint64_t)number;
}

uint64_t workload_key(struct workload *workload)
{
    switch (workload->distribution) {
    case DISTRIBUTION_ZIPF:
        return hash_mix64(zipf_next(workload->zipf, &workload->random)) % workload->key_count;
    case DISTRIBUTION_SEQUENTIAL: {
        uint64_t key = workload->sequence % workload->key_count;
        workload->sequence += workload->sequence_step;
        return key;
    }
    default:
        return random_below(&workload->random, workload->key_count);
    }
}

bool workload_is_set(struct workload *workload)
{
    return random_chance(&workload->random, workload->set_weight,
                         workload->get_weight + workload->set_weight);
}
