/* SPDX-License-Identifier: Apache-2.0 */
/** Snapshot iterator over a tree: what a snapshot at `sequence` sees, inside bounds, both ways.
 *  The engine around it says how long versions live and who may write meanwhile. */
#ifndef ENGINE_COMMON_SCAN_H
#define ENGINE_COMMON_SCAN_H

#include "engine/common/tree.h"
#include "engine/engine.h"

struct scan {
    struct engine_iterator iterator; /* first: the engine hands this out */
    const struct tree *tree;
    uint64_t sequence;
    struct tree_cursor cursor;
    struct bytes lower, upper; /* views into `bounds` */
    bool keys_only;
    uint8_t *bounds;
};

/** Copies the bounds.  False: no memory. */
bool scan_init(struct scan *scan, const struct engine_ops *ops, const struct tree *tree,
               uint64_t sequence, const struct engine_range *range);
void scan_done(struct scan *scan);
void scan_first(struct scan *scan);
void scan_last(struct scan *scan);
void scan_seek(struct scan *scan, struct bytes key);
void scan_next(struct scan *scan);
void scan_previous(struct scan *scan);

#endif
