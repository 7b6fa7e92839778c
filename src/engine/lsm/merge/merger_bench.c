/* SPDX-License-Identifier: Apache-2.0 */
/* What a step of a merge costs beside the step of its child: 16-byte keys, dealt to the children at
 * random or in runs.  Built by hand: cc -O2 ... merger_bench.c merger.c */
#include "engine/lsm/merge/merger.h"

#include "base/random.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COUNT = 1 << 20, CHILDREN_MAX = 16, ROUNDS = 5 };

/* The cheapest possible child. */
struct array {
    struct lsm_source base;
    const struct lsm_entry *entries;
    size_t count, at;
};

static void array_show(struct array *array)
{
    array->base.valid = array->at < array->count;
    if (array->base.valid)
        array->base.entry = array->entries[array->at];
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

static void array_close(struct lsm_source *base)
{
    (void)base;
}

static const struct lsm_source_ops array_ops = { .first = array_first,
                                                 .next = array_next,
                                                 .close = array_close };

static char keys[COUNT][17];
static struct lsm_entry dealt[CHILDREN_MAX][COUNT];

static double run(size_t children, size_t run_size)
{
    static struct array arrays[CHILDREN_MAX];
    struct lsm_source *list[CHILDREN_MAX], *merger;
    struct random random;
    struct timespec begin, end;
    uint64_t sum = 0;
    size_t child = 0;
    random_init(&random, 7);
    for (size_t i = 0; i < children; i++) {
        arrays[i] = (struct array){ { .ops = &array_ops }, dealt[i], 0, 0 };
        list[i] = &arrays[i].base;
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (i % run_size == 0)
            child = random_below(&random, children);
        dealt[child][arrays[child].count++] =
            (struct lsm_entry){ bytes_make(keys[i], 16), { 0 }, i, LSM_PUT };
    }
    if (lsm_merger_create(list, children, &merger) != KVORUM_OK)
        abort();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < ROUNDS; i++)
        for (merger->ops->first(merger); merger->valid; merger->ops->next(merger))
            sum += merger->entry.sequence;
    clock_gettime(CLOCK_MONOTONIC, &end);
    merger->ops->close(merger);
    if (sum != (uint64_t)ROUNDS * (COUNT - 1) * (COUNT / 2))
        abort();
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
           ((double)COUNT * ROUNDS);
}

int main(void)
{
    static const size_t children[] = { 1, 2, 4, 8, 16 }, runs[] = { 1, 16 };
    for (size_t i = 0; i < COUNT; i++)
        snprintf(keys[i], sizeof(keys[i]), "%016zu", i);
    printf("ns a step          alone in turns    runs of 16\n");
    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
        printf("%2zu children   ", children[i]);
        for (size_t j = 0; j < 2; j++)
            printf("%16.1f", run(children[i], runs[j]));
        printf("\n");
    }
    return 0;
}
