/* SPDX-License-Identifier: Apache-2.0 */
/** A place in a block of entries, with the key put together.
 *
 *  Forward inside a group only the rest of each key is copied: what keys share with the first one
 *  of their group shrinks from one to the next, so it is in place already. */
#ifndef ENGINE_LSM_TABLE_BLOCK_CURSOR_H
#define ENGINE_LSM_TABLE_BLOCK_CURSOR_H

#include "engine/lsm/table/block.h"

struct table_block_cursor {
    struct table_view view;
    size_t index;
    size_t group_end;   /* first entry behind the present group; 0: no group yet */
    struct bytes first; /* key of its first entry */
    uint8_t *key;
    size_t key_capacity; /* without slack */
};

void table_block_cursor_init(struct table_block_cursor *cursor);
void table_block_cursor_done(struct table_block_cursor *cursor);
/** Look at another block; no place in it yet. */
void table_block_cursor_view(struct table_block_cursor *cursor, const uint8_t *raw,
                             size_t raw_size);

/** Go to entry `index` < view.count.  The entry views the cursor and the block.  CORRUPT,
 *  NO_MEMORY. */
KVORUM_CHECKED kvorum_status table_block_cursor_at(struct table_block_cursor *cursor, size_t index,
                                                   struct lsm_entry *ret_entry);
KVORUM_CHECKED kvorum_status table_block_cursor_enter(struct table_block_cursor *cursor,
                                                      size_t index, struct lsm_entry *ret_entry);

/* Copies in steps of the slack: reads and writes up to TABLE_SLACK bytes too many. */
static inline void table_copy_slack(uint8_t *to, const uint8_t *from, size_t size)
{
    for (size_t at = 0; at < size; at += TABLE_SLACK)
        memcpy(to + at, from + at, TABLE_SLACK);
}

/** To the next entry; there is one.  As table_block_cursor_at. */
static inline kvorum_status table_block_cursor_next(struct table_block_cursor *cursor,
                                                    struct lsm_entry *ret_entry)
{
    size_t index = cursor->index + 1;
    struct table_item item;
    if (index >= cursor->group_end)
        return table_block_cursor_enter(cursor, index, ret_entry);
    if (!table_item(&cursor->view, index, &item) || item.shared > cursor->first.size)
        return KVORUM_CORRUPT;
    size_t size = item.shared + item.rest.size;
    if (size - 1 >= cursor->key_capacity) /* too long for now, or empty */
        return table_block_cursor_at(cursor, index, ret_entry);
    table_copy_slack(cursor->key + item.shared, item.rest.data, item.rest.size);
    uint64_t tag = table_tag(&cursor->view, index);
    cursor->index = index;
    *ret_entry = (struct lsm_entry){ bytes_make(cursor->key, size), item.value, tag >> 2,
                                     (enum lsm_kind)(tag & 3) };
    return KVORUM_OK;
}

#endif
