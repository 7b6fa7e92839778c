/* SPDX-License-Identifier: Apache-2.0 */
/** Which compaction to do next: a pure function of the levels.
 *
 *  Level 0 is due when it has `level0_trigger` tables; level i when it is larger than
 *  level1_size * multiplier^(i-1).  The highest ratio to that goes first.  A compaction takes
 *      from level 0   all its tables (those that are not busy, and form a suffix: the oldest ones)
 *      from level i   one table, round robin by key so that work spreads over the whole level
 *  and every table of the next level that meets them.  Nothing to meet: a *move*, which rewrites
 *  nothing (not from level 0 with more than one table, unless they do not overlap each other).
 *  A table is *busy* while a compaction uses it; two compactions never share one, and never write
 *  overlapping intervals into one level.
 *  A table of which more than half are deletions is due as if its level were full. */
#ifndef ENGINE_LSM_PICKER_H
#define ENGINE_LSM_PICKER_H

#include "engine/lsm/levels.h"

struct lsm_policy {
    size_t level0_trigger;
    uint64_t level1_size, multiplier;
    uint64_t table_size;       /* of output tables, about */
    uint64_t overlap_size_max; /* of the grandparents that one output table may meet */
};

/** The last key compacted of each level, so that the next one goes on behind it. */
struct lsm_picker_cursor {
    struct buffer key[ENGINE_LEVELS];
};

struct lsm_pick {
    int level, target; /* target: level + 1, or the same when the lowest level is rewritten */
    struct lsm_table **inputs;
    size_t input_count;        /* of `level` first, then of `target` */
    size_t upper_count;        /* how many of them are of `level` */
    struct bytes lower, upper; /* the interval of all inputs; views into tables */
    bool move;
};

/** True: *ret_pick is due, its tables are marked busy, and lsm_pick_done is owed.  False: nothing
 *  is due, or all that is due is busy, or memory ran out. */
bool lsm_pick_next(const struct lsm_levels *levels, const struct lsm_policy *policy,
                   struct lsm_picker_cursor *cursor, struct lsm_pick *ret_pick);
/** The same for all of [lower, upper) in `level`, due or not (manual compaction).  With level ==
 *  target: rewrite in place. */
bool lsm_pick_range(const struct lsm_levels *levels, int level, int target, struct bytes lower,
                    struct bytes upper, struct lsm_pick *ret_pick);
void lsm_pick_done(struct lsm_pick *pick); /* not busy any more; frees the list */

/** How full a level is: 1.0 and more is due. */
double lsm_level_score(const struct lsm_levels *levels, const struct lsm_policy *policy, int level);
/** Bytes that compactions would have to move until nothing is due, about. */
uint64_t lsm_pending_size(const struct lsm_levels *levels, const struct lsm_policy *policy);

#endif
