/* SPDX-License-Identifier: Apache-2.0 */
/** Which compaction to do next: a function of the levels and of what is under way.
 *
 *  Level 0 is due when it has `level0_trigger` tables; level i when it is as large as level1_size *
 *  multiplier^(i-1); the lowest possible level never.  The highest ratio to that goes first; tables
 *  that are busy do not count.  A compaction takes
 *      from level 0   its tables from the oldest up to the first that is busy
 *      from level i   one table, round robin by key so that work spreads over the whole level
 *  and every table of the next level that meets the interval from the first of them to the last.
 *  Nothing to meet: a *move*, which rewrites nothing (not when that lays a table over more than
 *  overlap_size_max of the level below; not from level 0 when its tables overlap each other).
 *
 *  A table below level 0 of which more than half are deletions (of keys or ranges) is due as if its
 *  level were full, as long as there are tables in lower levels; it is rewritten, not moved, where
 *  nothing lies below, which gets rid of them.
 *
 *  Level 0 is due earlier when reads pay for it.  Each look at one of its tables in vain is
 *  *waste*, in bytes that a compaction could have moved meanwhile.  With
 *
 *      waste / written     how much reads have wasted for each byte that was written
 *      lasting             bytes that will be written until level 0 is as full again, or would have
 *                          been due anyway
 *
 *  their product is what a compaction now will have saved by then, when reads and writes go on as
 *  they did; it is due when that is what it costs, the bytes of its inputs.  So where nothing is
 *  written little waste will do, and beside writes it has to be as much as what is written more.
 *  LevelDB's seek compactions are the model; there a table has a fixed number of looks.
 *
 *  Tables taken *early* in this way still count for the trigger, so what was overwritten is gone
 *  when it would have been without them.
 *
 *  A table is *busy* while a compaction uses it; two compactions never share one, and never write
 *  overlapping intervals into one level.  Why no newer version of a key ever lands below an older
 *  one: what is taken from level 0 leaves nothing older behind that meets it; below level 0 all
 *  that meets comes along.
 *
 *  When level 0 is due but cannot start, level 1 does not start either: it would keep level 0
 *  waiting for ever.
 *
 *  Thread: the caller holds one mutex around all calls, and around the change of levels.  The
 *  levels that a pick came from (or others with its tables) are referenced until lsm_pick_done. */
#ifndef ENGINE_LSM_PICKER_H
#define ENGINE_LSM_PICKER_H

#include "engine/lsm/levels/levels.h"

struct lsm_policy {
    size_t level0_trigger;
    uint64_t level1_size, multiplier;
    uint64_t table_size;       /* of output tables, about */
    uint64_t overlap_size_max; /* of the grandparents that one output table may meet; 0: no limit */
};

/** The last key compacted of each level, so that the next one goes on behind it.  buffer_init and
 *  buffer_done are the caller's; empty: from the start. */
struct lsm_picker_cursor {
    struct buffer key[ENGINE_LEVELS];
};

/** What reads have to do with it; NULL: nothing. */
struct lsm_reads {
    uint64_t waste;   /* bytes' worth, since level 0 last changed */
    uint64_t written; /* bytes meanwhile; above 0 when waste is */
    size_t early;     /* tables of level 0 taken early since it was last due by its count */
};

struct lsm_pick_span;

struct lsm_pick {
    int level, target; /* target: level + 1, or the same when the lowest level is rewritten */
    struct lsm_table **inputs;
    size_t input_count;        /* of `level` first, then of `target` */
    size_t upper_count;        /* how many of them are of `level` */
    struct bytes lower, upper; /* the interval of all inputs; views into tables */
    bool move;
    struct lsm_pick_span *span; /* the picker's */
};

/** True: *ret_pick is due, its tables are marked busy, and lsm_pick_done is owed.  False: nothing
 *  is due, or all that is due is busy, or memory ran out. */
bool lsm_pick_next(const struct lsm_levels *levels, const struct lsm_policy *policy,
                   const struct lsm_reads *reads, struct lsm_picker_cursor *cursor,
                   struct lsm_pick *ret_pick);
/** The same for all of [lower, upper) in `level`, due or not (manual compaction).  `target`: level
 *  + 1, or below level 0 `level` itself: rewrite in place.  From level 0 come also older tables
 *  that meet those taken.  False: there is nothing, something of it is busy, or memory ran out. */
bool lsm_pick_range(const struct lsm_levels *levels, int level, int target, struct bytes lower,
                    struct bytes upper, struct lsm_pick *ret_pick);
void lsm_pick_done(struct lsm_pick *pick); /* not busy any more; frees the list */

/** How full a level is, busy tables included: 1.0 and more is due.  The lowest possible: 0. */
double lsm_level_score(const struct lsm_levels *levels, const struct lsm_policy *policy,
                       const struct lsm_reads *reads, int level);
/** Bytes that compactions would have to move until nothing is due, about. */
uint64_t lsm_pending_size(const struct lsm_levels *levels, const struct lsm_policy *policy);

#endif
