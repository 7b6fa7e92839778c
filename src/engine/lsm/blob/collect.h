/* SPDX-License-Identifier: Apache-2.0 */
/** Garbage collection of blob files: values move out of files that are *worn*, which are more than
 *  half garbage, until these are empty.
 *
 *  Any compaction that passes over a table moves values of its worn files on the way.  What no
 *  compaction passes over is rewritten in place, one table a step, when no other compaction is due:
 *      - more than a third of all blob files is garbage, and the table, by its share, keeps more
 *        of it than it is large itself: its rewriting, and the values it moves, are paid back in
 *        disk space at once; or
 *      - more than half of them is garbage; then the table that keeps the most for its size.
 *  Below that it is cheaper to wait for compactions that pass by.
 *  So while nothing is due, blob files take at most twice what tables refer to.  Meanwhile it may
 *  be more by what one step moves: about `limit` bytes, see below.  When they take more than four
 *  times as much, since other compactions are always due, it is *urgent*: every other compaction is
 *  such a step then.  (Versions that are superseded
 *  in a higher level and not compacted yet are referred to, as inline ones take space in tables.)
 *
 *  What a table keeps: of each worn file, the part of its garbage that goes with the table's share
 *  of its live bytes.
 *
 *  Tables of level 0 are left alone: each has its own blob files, all of whose records it refers
 *  to.  Files whose values cannot be read are left alone too.
 *
 *  Pure functions of levels and files; thread: as picker.h says. */
#ifndef ENGINE_LSM_COLLECT_H
#define ENGINE_LSM_COLLECT_H

#include "engine/lsm/blob/blobs.h"
#include "engine/lsm/levels/picker.h"

/** True: a table should be rewritten for its blob files' sake, and none of its is busy. */
bool lsm_collect_due(const struct lsm_levels *levels, const struct lsm_blobs *blobs);
/** More than three quarters of all blob files are garbage. */
bool lsm_collect_urgent(const struct lsm_blobs *blobs);
/** As lsm_collect_due, and picked, as by lsm_pick_next. */
bool lsm_collect_pick(const struct lsm_levels *levels, const struct lsm_blobs *blobs,
                      struct lsm_pick *ret_pick);

/** The files out of which a compaction of `tables` moves values: worn ones, those with the fewest
 *  live bytes first, as long as the tables refer to `limit` bytes of them at most; one at least, if
 *  there is one. */
struct lsm_victims {
    uint64_t *numbers; /* ascending; or NULL */
    size_t count;
};

/** False: no memory. */
bool lsm_victims_choose(const struct lsm_blobs *blobs, struct lsm_table *const *tables,
                        size_t table_count, uint64_t limit, struct lsm_victims *ret_victims);
bool lsm_victims_have(const struct lsm_victims *victims, uint64_t number);
void lsm_victims_done(struct lsm_victims *victims);

#endif
