/* SPDX-License-Identifier: Apache-2.0 */
/** Log-linear histogram of non-negative integers (latencies in microseconds, sizes in bytes):
 *  32 linear buckets a power of two, so a quantile is at most 1/32 above the true value.
 *  Fixed memory, mergeable; counters stop at their maximum.  All zero is an empty histogram.
 *  Thread: one at a time. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 60 * 32 };

struct histogram {
    uint64_t count, sum, min, max;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
/** Smallest bucket bound (or the maximum, if that is less) that `quantile` (0..1) of the values do
 *  not exceed; 0 if empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
/** 0 if empty. */
double histogram_mean(const struct histogram *histogram);

#endif
