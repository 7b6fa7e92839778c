/* SPDX-License-Identifier: Apache-2.0 */
/* What a reduction costs an entry beside its source: 16-byte keys with 100-byte values.  Built by
 * hand: cc -O2 ... reduce_bench.c reduce{,_merge,_ranges}.c ranges.c */
#include "engine/lsm/merge/reduce.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COUNT = 1 << 20, ROUNDS = 8 };

struct array {
    struct lsm_source base;
    size_t at;
};

static char keys[COUNT][17];
static struct lsm_entry entries[COUNT];

static inline void array_show(struct array *array)
{
    array->base.valid = array->at < COUNT;
    if (array->base.valid)
        array->base.entry = entries[array->at];
}

static void array_first(struct lsm_source *base)
{
    struct array *array = (struct array *)base;
    array->at = 0;
    array_show(array);
}

static void array_next(struct lsm_source *base)
{
    struct array *array = (struct array *)base;
    array->at++;
    array_show(array);
}

static const struct lsm_source_ops array_ops = { .first = array_first, .next = array_next };

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double walk_alone(void)
{
    struct array array = { { .ops = &array_ops }, 0 };
    struct lsm_source *source = &array.base;
    uint64_t sum = 0;
    double begin = now_ns();
    for (int i = 0; i < ROUNDS; i++)
        for (source->ops->first(source); source->valid; source->ops->next(source))
            sum += source->entry.sequence;
    if (sum == 0)
        abort();
    return (now_ns() - begin) / ((double)COUNT * ROUNDS);
}

static double reduce_all(const struct lsm_reduce_options *options, size_t *ret_kept)
{
    struct array array = { { .ops = &array_ops }, 0 };
    struct lsm_entry entry;
    double begin = now_ns();
    *ret_kept = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct lsm_reduce *reduce;
        if (lsm_reduce_create(options, &array.base, &reduce) != KVORUM_OK)
            abort();
        while (lsm_reduce_next(reduce, &entry) == KVORUM_OK)
            ++*ret_kept;
        lsm_reduce_destroy(reduce);
    }
    *ret_kept /= ROUNDS;
    return (now_ns() - begin) / ((double)COUNT * ROUNDS);
}

static void fill(size_t versions)
{
    static const char value[100];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%016zu", i / versions);
        entries[i] = (struct lsm_entry){ bytes_make(keys[i], 16), bytes_make(value, 100),
                                         COUNT - i % versions, LSM_PUT };
    }
}

static void report(const char *what, const struct lsm_reduce_options *options)
{
    size_t kept;
    double alone = walk_alone(), reduced = reduce_all(options, &kept);
    printf("%-44s %7zu kept  %6.1f ns, its source %.1f\n", what, kept, reduced - alone, alone);
}

int main(void)
{
    static const uint64_t snapshots[] = { 10, COUNT - 2, COUNT + 5 };
    struct lsm_range list[200];
    static char bounds[200][2][17];
    struct lsm_ranges *ranges;
    for (size_t i = 0; i < 200; i++) {
        snprintf(bounds[i][0], 17, "%016zu", i * 5000);
        snprintf(bounds[i][1], 17, "%016zu", i * 5000 + 2500);
        list[i] =
            (struct lsm_range){ bytes_make(bounds[i][0], 16), bytes_make(bounds[i][1], 16), 5 };
    }
    if (lsm_ranges_create(list, 200, &ranges) != KVORUM_OK)
        abort();
    fill(1);
    report("one version of each key", &(struct lsm_reduce_options){ 0 });
    report("at the bottom", &(struct lsm_reduce_options){ .bottom = true });
    report("three snapshots",
           &(struct lsm_reduce_options){ .snapshots = snapshots, .snapshot_count = 3 });
    report("200 deleted ranges", &(struct lsm_reduce_options){ .ranges = ranges });
    fill(3);
    report("three versions of each key", &(struct lsm_reduce_options){ 0 });
    report("three versions, three snapshots",
           &(struct lsm_reduce_options){ .snapshots = snapshots, .snapshot_count = 3 });
    lsm_ranges_destroy(ranges);
    return 0;
}
