/* SPDX-License-Identifier: Apache-2.0 */
/** The planner's working state and its steps, in the order in which plan.c takes them. */
#ifndef CLUSTER_RING_PLAN_H
#define CLUSTER_RING_PLAN_H

#include "cluster/ring/shares.h"

struct plan {
    uint32_t partition_count;
    uint16_t member_count;
    uint8_t column_count, zone_limit;
    struct ring_zones zones;
    const uint16_t *previous;  /* NULL, or like table */
    uint16_t *table;           /* partition * column_count + column -> member or RING_NO_MEMBER */
    uint32_t *targets, *loads; /* by member: replicas it should hold, holds */
    uint32_t *least, *most;    /* by member: targets that round its share as well as this one */
    uint32_t *column_targets, *column_loads; /* by column * member_count + member */
};

/** Whole numbers near the shares: every member's target, and its part of it in every column, such
 *  that every prefix of columns is as near its share as whole numbers allow.  Where rounding leaves
 *  a choice it favours what members hold already.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status plan_targets(struct plan *plan, const struct member *members,
                                          struct arena *arena);
/** The same for the columns alone, once totals have changed.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status plan_column_targets(struct plan *plan, struct arena *arena);
/** Fill every hole, with members below their targets if possible.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status plan_fill(struct plan *plan, struct arena *arena);
/** Replace single owners until nobody is below target.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status plan_balance(struct plan *plan, struct arena *arena);
/** Take back moves that were not needed, with loads that stay between `least` and `most`; where a
 *  load changes, so do targets.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status plan_save_moves(struct plan *plan, struct arena *arena);
/** Exchange the columns of two owners of a partition until the columns are balanced too: moves
 *  nothing for buckets that use all columns.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status plan_balance_columns(struct plan *plan, struct arena *arena);

/** True when `member` may own `partition` in the place of what `column` holds. */
bool plan_is_legal(const struct plan *plan, uint32_t partition, uint8_t column, uint16_t member);
/** Put `member` there in the place of the old owner, if any. */
void plan_place(struct plan *plan, uint32_t partition, uint8_t column, uint16_t member);

static inline uint16_t *plan_row(const struct plan *plan, uint32_t partition)
{
    return plan->table + (size_t)partition * plan->column_count;
}

/** The `i`th partition in an order that neither repeats nor runs along the table: neighbours in the
 *  table were filled one after the other, and have much in common. */
static inline uint32_t plan_visit(const struct plan *plan, uint32_t i, uint32_t salt)
{
    uint32_t step = (salt * 2654435761u + 40503u) | 1;
    return (i * step + salt * 97u) & (plan->partition_count - 1);
}

static inline uint32_t *plan_column_target(const struct plan *plan, uint8_t column, uint16_t member)
{
    return &plan->column_targets[(size_t)column * plan->member_count + member];
}

static inline uint32_t *plan_column_load(const struct plan *plan, uint8_t column, uint16_t member)
{
    return &plan->column_loads[(size_t)column * plan->member_count + member];
}

#endif
