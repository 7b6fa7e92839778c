/* SPDX-License-Identifier: Apache-2.0 */
/** Values below 32 have a bucket each.  Above, the bits of a value are
 *
 *      0...0 1 fffff x...x       exponent = place of the 1, f = which of its 32 buckets
 *
 *  and `shift` counts the x, the bits given up: row shift + 1 of the table, column f. */
#include "base/histogram.h"

#include <assert.h>

enum { COLUMNS = 32, COLUMN_BITS = 5 };

static_assert(HISTOGRAM_BUCKETS == (64 - COLUMN_BITS + 1) * COLUMNS, "a row for each exponent");

static unsigned bucket_of(uint64_t value)
{
    if (value < COLUMNS)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - COLUMN_BITS;
    return shift * COLUMNS + (unsigned)(value >> shift);
}

/* Largest value that falls into `bucket`. */
static uint64_t bucket_bound(unsigned bucket)
{
    if (bucket < COLUMNS)
        return bucket;
    unsigned shift = bucket / COLUMNS - 1;
    uint64_t leading = bucket % COLUMNS + COLUMNS;
    return (leading << shift) + ((1ull << shift) - 1);
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void add_to_bucket(uint32_t *bucket, uint32_t count)
{
    *bucket = *bucket > UINT32_MAX - count ? UINT32_MAX : *bucket + count;
}

void histogram_init(struct histogram *histogram)
{
    *histogram = (struct histogram){ 0 };
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (histogram->count == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->count++;
    histogram->sum = add_saturated(histogram->sum, value);
    add_to_bucket(&histogram->buckets[bucket_of(value)], 1);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count = add_saturated(into->count, from->count);
    into->sum = add_saturated(into->sum, from->sum);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        add_to_bucket(&into->buckets[i], from->buckets[i]);
}

/* How many values must lie at or below the quantile: rounded up, at least one. */
static uint64_t rank_of(double quantile, uint64_t count)
{
    double exact = quantile * (double)count;
    if (!(exact > 1))
        return 1;
    if (exact >= (double)count)
        return count;
    uint64_t rank = (uint64_t)exact;
    return (double)rank < exact ? rank + 1 : rank;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    if (histogram->count == 0)
        return 0;
    uint64_t rank = rank_of(quantile, histogram->count);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank) {
            uint64_t bound = bucket_bound(i);
            return bound < histogram->max ? bound : histogram->max;
        }
    }
    return histogram->max; /* a bucket saturated */
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
}
