/* SPDX-License-Identifier: Apache-2.0 */
/** The tables of a store at one moment: level 0 newest first, whose intervals may overlap, and the
 *  levels below, each sorted and without overlaps.  Newer versions of a key are always higher up
 *  (in level 0: earlier in the list).
 *
 *  Immutable: a change makes another one.  Reference counted, since readers and iterators keep what
 *  they started with; with the last reference to it goes a table that no levels hold.
 *  Thread: any. */
#ifndef ENGINE_LSM_LEVELS_H
#define ENGINE_LSM_LEVELS_H

#include "engine/engine.h"
#include "engine/lsm/table/table.h"

struct lsm_level {
    struct lsm_table **tables;
    const uint64_t *upper_prefixes; /* key_prefix of their upper bounds: most of a search is here */
    size_t count;
    uint64_t size; /* bytes of files */
};

struct lsm_levels {
    _Atomic uint32_t references;
    size_t ranged_count; /* tables that hold deletions of ranges */
    struct lsm_level level[ENGINE_LEVELS];
};

/** Tables that come and go.  Views; added tables bring one reference each, which the new levels
 *  take over. */
struct lsm_edit {
    struct lsm_edit_add {
        int level;
        struct lsm_table *table;
    } * added;
    size_t added_count;
    struct lsm_table **removed;
    size_t removed_count;
};

KVORUM_CHECKED kvorum_status lsm_levels_create(struct lsm_levels **ret_levels); /* empty */
/** `old` with `edit`; NO_MEMORY changes nothing.  Tables of level 0 stand by their largest sequence
 *  number, and of two with the same, the one with the larger number is newer.  Asserts that levels
 *  below 0 stay without overlaps, and that what is removed was there. */
KVORUM_CHECKED kvorum_status lsm_levels_edit(const struct lsm_levels *old,
                                             const struct lsm_edit *edit,
                                             struct lsm_levels **ret_levels);
struct lsm_levels *lsm_levels_reference(struct lsm_levels *levels);
void lsm_levels_release(struct lsm_levels *levels); /* NULL is fine */

/** For a level put together by hand: fill and use `prefixes`, one for each table, which it keeps.
 *  */
void lsm_level_index(struct lsm_level *level, uint64_t *prefixes);
/** In a level below 0: index of the first table whose upper bound is above `key` (it may begin
 *  behind it); `count` when there is none. */
size_t lsm_level_find(const struct lsm_level *level, struct bytes key);
/** The table of a level below 0 that may hold `key`, or NULL. */
struct lsm_table *lsm_level_table(const struct lsm_level *level, struct bytes key);
/** Tables in all levels. */
static inline size_t lsm_levels_table_count(const struct lsm_levels *levels)
{
    size_t count = 0;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        count += levels->level[i].count;
    return count;
}
/** Lowest level that holds tables; -1: there are none. */
int lsm_levels_lowest(const struct lsm_levels *levels);
/** True when a level below `level` has a table that meets [lower, upper). */
bool lsm_levels_below(const struct lsm_levels *levels, int level, struct bytes lower,
                      struct bytes upper);

/** One source over a level below 0, opening tables as it gets there, one at a time.  The caller
 *  keeps a reference to the levels meanwhile.  A sequential scan offers no `previous`. */
KVORUM_CHECKED kvorum_status lsm_level_source(const struct lsm_level *level,
                                              const struct lsm_table_scan *scan,
                                              struct lsm_source **ret_source);

#endif
