/* SPDX-License-Identifier: Apache-2.0 */
/** One version of one key, as memtables, tables and compactions pass it on; and the order of them.
 *
 *  Order: keys ascending as bytes, versions of a key newest first.  (key, sequence) is unique in a
 *  store, except that compaction sets the sequence of what everyone sees to 0 at the lowest level.
 *
 *  Intervals of keys are half open everywhere, [lower, upper): an empty upper is beyond every key.
 *  The smallest upper bound of a single key is the key and a zero byte. */
#ifndef ENGINE_LSM_ENTRY_H
#define ENGINE_LSM_ENTRY_H

#include "base/bytes.h"

#define LSM_SEQUENCE_MAX (((uint64_t)1 << 56) - 1)

enum lsm_kind {
    LSM_DELETE = 0,
    LSM_PUT = 1,
    LSM_MERGE = 2, /* the value is an operand for what lies below */
    LSM_BLOB = 3,  /* the value is the address of the real one in a blob file */
    LSM_KINDS,
};

struct lsm_entry {
    struct bytes key, value;
    uint64_t sequence;
    enum lsm_kind kind;
};

/** Where (key, sequence) stands to `entry` in the order above. */
static inline int lsm_order(struct bytes key, uint64_t sequence, const struct lsm_entry *entry)
{
    int order = bytes_compare(key, entry->key);
    return order != 0 ? order : (sequence < entry->sequence) - (sequence > entry->sequence);
}

/** All versions below `sequence` of the keys in [lower, upper) are deleted. */
struct lsm_range {
    struct bytes lower, upper;
    uint64_t sequence;
};

static inline bool lsm_below_upper(struct bytes key, struct bytes upper)
{
    return upper.size == 0 || bytes_compare(key, upper) < 0;
}

static inline bool lsm_inside(struct bytes key, struct bytes lower, struct bytes upper)
{
    return bytes_compare(key, lower) >= 0 && lsm_below_upper(key, upper);
}

static inline bool lsm_intervals_meet(struct bytes lower, struct bytes upper, struct bytes lower2,
                                      struct bytes upper2)
{
    return lsm_below_upper(lower, upper2) && lsm_below_upper(lower2, upper);
}

#endif
