/* SPDX-License-Identifier: Apache-2.0 */
/** Reading a table past the cache, a part at a time, and telling which keys are lost with what is
 *  damaged instead of stopping there.  For scrubs, and for who rewrites a damaged table. */
#ifndef ENGINE_LSM_TABLE_WALK_H
#define ENGINE_LSM_TABLE_WALK_H

#include "engine/lsm/table/table.h"

struct lsm_table_walk {
    size_t place;    /* block to begin with; then: to go on with */
    uint64_t budget; /* bytes to read before it returns, about; at least a block is read */
    bool salvage;    /* of a table without an index, hand on what can be found all the same */
    /** Every entry and deleted range that is intact, in order.  NULL: not wanted.  Values out of
     *  line are not looked at. */
    kvorum_status (*entry)(void *context, const struct lsm_entry *entry);
    kvorum_status (*range)(void *context, const struct lsm_range *range);
    /** Every damage, the views during the call only.  A place is damaged that gives IO twice. */
    kvorum_status (*loss)(void *context, const struct engine_loss *loss);
    void *context;
    uint64_t size; /* read by this call, bytes */
    bool finished; /* nothing is left behind `place` */
};

/** What a callback answered; NO_MEMORY.  Damage is no error of the walk. */
KVORUM_CHECKED kvorum_status lsm_table_walk(struct lsm_table *table, struct lsm_table_walk *walk);

#endif
