/* SPDX-License-Identifier: Apache-2.0 */
/** A sorted stream of entries: a memtable, a table, a level, or the merge of several.
 *
 *  Every version and every kind comes out, in the order of entry.h; deletions of ranges travel
 *  beside it (ranges.h).  `entry` views memory that holds until the next move or close.
 *  A move that fails leaves `valid` false and `status` not OK; the end is `valid` false and OK.
 *  Thread: one at a time. */
#ifndef ENGINE_LSM_SOURCE_H
#define ENGINE_LSM_SOURCE_H

#include "engine/lsm/merge/entry.h"
#include "kvorum/status.h"

enum { LSM_ASK_STEPS = 3 };

struct lsm_source {
    const struct lsm_source_ops *ops;
    bool valid;
    kvorum_status status;
    struct lsm_entry entry;
};

struct lsm_source_ops {
    void (*first)(struct lsm_source *source);
    void (*last)(struct lsm_source *source);
    /** To the first entry at or after (key, sequence). */
    void (*seek)(struct lsm_source *source, struct bytes key, uint64_t sequence);
    /** To the last entry whose key is below `key`. */
    void (*seek_before)(struct lsm_source *source, struct bytes key);
    /** A seek to `key` comes next: ask for the memory it will look at, in steps 0 (index),
     *  1 (block) and 2 (entries), each of which needs what the one before asked for.  Done for
     *  many sources step by step, their waits for memory overlap.  NULL: nothing to ask for. */
    void (*ask)(struct lsm_source *source, struct bytes key, unsigned step);
    void (*next)(struct lsm_source *source);     /* valid */
    void (*previous)(struct lsm_source *source); /* valid; NULL where only forward is offered */
    void (*close)(struct lsm_source *source);    /* frees it */
};

#endif
