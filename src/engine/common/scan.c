/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the leaves and stops at entries whose version at the snapshot is a value. */
#include "engine/common/scan.h"

#include <stdlib.h>

static struct bytes copy_bound(uint8_t *at, struct bytes bound)
{
    if (bound.size > 0)
        memcpy(at, bound.data, bound.size);
    return bytes_make(at, bound.size);
}

bool scan_init(struct scan *scan, const struct engine_ops *ops, const struct tree *tree,
               uint64_t sequence, const struct engine_range *range)
{
    uint8_t *bounds = malloc(range->lower.size + range->upper.size + 1);
    if (bounds == NULL)
        return false;
    *scan = (struct scan){ .iterator.ops = ops,
                           .tree = tree,
                           .sequence = sequence,
                           .keys_only = range->keys_only,
                           .bounds = bounds };
    scan->lower = copy_bound(bounds, range->lower);
    scan->upper = copy_bound(bounds + range->lower.size, range->upper);
    return true;
}

void scan_done(struct scan *scan)
{
    free(scan->bounds);
}

static bool inside(const struct scan *scan, struct bytes key)
{
    return bytes_compare(key, scan->lower) >= 0 &&
           (scan->upper.size == 0 || bytes_compare(key, scan->upper) < 0);
}

/* From the cursor on, in the direction of `step`, to the first entry the snapshot sees. */
static void settle(struct scan *scan, void (*step)(struct tree_cursor *cursor))
{
    struct engine_iterator *iterator = &scan->iterator;
    const struct entry *entry;
    iterator->valid = false;
    iterator->key = iterator->value = (struct bytes){ 0 };
    for (; (entry = tree_entry(&scan->cursor)) != NULL; step(&scan->cursor)) {
        if (!inside(scan, entry_key(entry)))
            return;
        const struct version *version = entry_version(entry, scan->sequence);
        if (version == NULL || version->deleted)
            continue;
        iterator->valid = true;
        iterator->key = entry_key(entry);
        if (!scan->keys_only)
            iterator->value = version_value(version);
        return;
    }
}

void scan_first(struct scan *scan)
{
    tree_seek(scan->tree, scan->lower, &scan->cursor);
    settle(scan, tree_next);
}

void scan_last(struct scan *scan)
{
    if (scan->upper.size > 0)
        tree_seek_before(scan->tree, scan->upper, &scan->cursor);
    else
        tree_last(scan->tree, &scan->cursor);
    settle(scan, tree_previous);
}

void scan_seek(struct scan *scan, struct bytes key)
{
    if (bytes_compare(key, scan->lower) < 0)
        key = scan->lower;
    tree_seek(scan->tree, key, &scan->cursor);
    settle(scan, tree_next);
}

void scan_next(struct scan *scan)
{
    tree_next(&scan->cursor);
    settle(scan, tree_next);
}

void scan_previous(struct scan *scan)
{
    tree_previous(&scan->cursor);
    settle(scan, tree_previous);
}
