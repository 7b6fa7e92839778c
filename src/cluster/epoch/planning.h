/* SPDX-License-Identifier: Apache-2.0 */
/** A plan in the making, among plan.c, plan_moves.c and plan_safety.c.
 *
 *  A commit that removes a lost member may come while partitions move, since they may be waiting
 *  for him.  What then becomes of each move:
 *
 *      write both, read old   given up and planned anew, from the owners until now that are left
 *      write both, read new   goes on, between what is left of both rows; it cannot be given up,
 *                             and ends as soon as who is left has it (plan_steps.h)
 *
 *  Rows that are short when the last move has ended are planned once more, by the epoch that ends
 *  it. */
#ifndef CLUSTER_EPOCH_PLANNING_H
#define CLUSTER_EPOCH_PLANNING_H

#include "cluster/epoch/change.h"

struct planning {
    const struct epoch *from;
    const struct change_options *options;
    struct arena *arena;
    struct change_plan *plan;
    bool *lost;      /* by slot: removed or replaced, so nothing can be copied from it */
    uint8_t columns; /* in the end */
    const char **why;
};

/** It survives a commit; `move` may be NULL. */
static inline bool planning_goes_on(const struct move *move)
{
    return move != NULL && move->phase == MOVE_WRITE_BOTH_READ_NEW;
}
/** Members and rows as the changes in planning->from have them; planning->lost is made. */
kvorum_status planning_make(struct planning *planning);
/** What is survived before, during and after. */
void planning_survival(const struct planning *planning);
/** Put the rows that moves which go on will reach into a table of `columns`. */
void planning_reach_moves(const struct epoch *from, uint8_t columns, uint16_t *table);
/** The owners in these rows are those that are left. */
void planning_evict_lost(const struct planning *planning, uint16_t *rows, uint32_t count,
                         uint8_t columns);
/** How far copies are spread over zones, before and after. */
void planning_spread(const struct planning *planning);
/** NOT_ALLOWED where the cluster would be weaker afterwards than it has to be. */
kvorum_status planning_check_safety(const struct planning *planning);
/** The moves of plan->next, from its table to plan->table.  False: no memory. */
bool planning_moves(const struct planning *planning);

#endif
