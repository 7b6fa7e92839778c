/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns what is settled; now the owners of a partition change columns until each member has its
 * part in every column.  An exchange that brings both nearer is made on sight.  What remains takes
 * chains: for columns c and d, each partition is an edge from its owner in c to its owner in d, and
 * exchanging along a path moves one unit from its first member to its last, and nothing in between.
 */
#include <string.h>

#include "cluster/ring/plan.h"

struct path {
    bool *seen;
    uint32_t *from; /* member -> the partition through which it was reached */
};

static int64_t excess(const struct plan *plan, uint8_t column, uint16_t member)
{
    return (int64_t)*plan_column_load(plan, column, member) -
           (int64_t)*plan_column_target(plan, column, member);
}

static void exchange(struct plan *plan, uint32_t partition, uint8_t c, uint8_t d)
{
    uint16_t *row = plan_row(plan, partition);
    uint16_t first = row[c], second = row[d];
    --*plan_column_load(plan, c, first);
    ++*plan_column_load(plan, d, first);
    --*plan_column_load(plan, d, second);
    ++*plan_column_load(plan, c, second);
    row[c] = second;
    row[d] = first;
}

/* How much nearer to its targets a member comes that leaves column c for d: -2, 0 or 2. */
static int gain(const struct plan *plan, uint16_t member, uint8_t c, uint8_t d)
{
    return (excess(plan, c, member) > 0 ? 1 : -1) + (excess(plan, d, member) < 0 ? 1 : -1);
}

static bool exchange_on_sight(struct plan *plan)
{
    bool changed = false;
    for (uint32_t p = 0; p < plan->partition_count; p++) {
        const uint16_t *row = plan_row(plan, p);
        for (uint8_t c = 0; c < plan->column_count; c++) {
            for (uint8_t d = (uint8_t)(c + 1); d < plan->column_count; d++) {
                if (gain(plan, row[c], c, d) + gain(plan, row[d], d, c) <= 0)
                    continue;
                exchange(plan, p, c, d);
                changed = true;
            }
        }
    }
    return changed;
}

static void exchange_back(struct plan *plan, const struct path *path, uint16_t last, uint16_t first,
                          uint8_t c, uint8_t d)
{
    while (last != first) {
        uint32_t p = path->from[last];
        last = plan_row(plan, p)[c];
        exchange(plan, p, c, d);
    }
}

/* `first` has too much in c and too little in d: find somebody who does not mind the opposite. */
static bool exchange_along_path(struct plan *plan, struct path *path, uint16_t first, uint8_t c,
                                uint8_t d)
{
    memset(path->seen, 0, plan->member_count * sizeof(*path->seen));
    path->seen[first] = true;
    for (bool grew = true; grew;) {
        grew = false;
        for (uint32_t p = 0; p < plan->partition_count; p++) {
            uint16_t from = plan_row(plan, p)[c], to = plan_row(plan, p)[d];
            if (!path->seen[from] || path->seen[to])
                continue;
            path->seen[to] = grew = true;
            path->from[to] = p;
            if (gain(plan, to, d, c) >= 0) {
                exchange_back(plan, path, to, first, c, d);
                return true;
            }
        }
    }
    return false;
}

static void exchange_along_paths(struct plan *plan, struct path *path, uint8_t c, uint8_t d)
{
    for (uint16_t m = 0; m < plan->member_count; m++)
        while (gain(plan, m, c, d) == 2 && exchange_along_path(plan, path, m, c, d))
            ;
}

kvorum_status plan_balance_columns(struct plan *plan, struct arena *arena)
{
    struct path path = {
        .seen = arena_allocate(arena, plan->member_count * sizeof(*path.seen)),
        .from = arena_allocate(arena, plan->member_count * sizeof(*path.from)),
    };
    if (path.seen == NULL || path.from == NULL)
        return KVORUM_NO_MEMORY;
    while (exchange_on_sight(plan)) /* every exchange lowers the sum of all excesses */
        ;
    for (uint8_t c = 0; c < plan->column_count; c++)
        for (uint8_t d = 0; d < plan->column_count; d++)
            if (c != d)
                exchange_along_paths(plan, &path, c, d);
    return KVORUM_OK;
}
