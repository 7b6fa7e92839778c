/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/block_cursor.h"

#include <assert.h>
#include <stdlib.h>

enum { KEY_SIZE_MIN = 256 };

void table_block_cursor_init(struct table_block_cursor *cursor)
{
    *cursor = (struct table_block_cursor){ 0 };
}

void table_block_cursor_done(struct table_block_cursor *cursor)
{
    free(cursor->key);
    *cursor = (struct table_block_cursor){ 0 };
}

void table_block_cursor_view(struct table_block_cursor *cursor, const uint8_t *raw, size_t raw_size)
{
    cursor->view = table_view_of(raw, raw_size);
    cursor->group_end = 0;
}

static bool grow(struct table_block_cursor *cursor, size_t size)
{
    size_t capacity = cursor->key_capacity == 0 ? KEY_SIZE_MIN : cursor->key_capacity * 2;
    if (capacity < size)
        capacity = size;
    uint8_t *key = realloc(cursor->key, capacity + TABLE_SLACK);
    if (key == NULL)
        return false;
    cursor->key = key;
    cursor->key_capacity = capacity;
    return true;
}

static kvorum_status enter_group(struct table_block_cursor *cursor, size_t index)
{
    size_t begin = table_group_first(&cursor->view, index);
    if (!table_group_key(&cursor->view, begin, &cursor->first) || cursor->first.size == 0)
        return KVORUM_CORRUPT;
    if (cursor->first.size > cursor->key_capacity && !grow(cursor, cursor->first.size))
        return KVORUM_NO_MEMORY;
    cursor->group_end = begin + ((size_t)1 << cursor->view.group_shift);
    if (cursor->group_end > cursor->view.count)
        cursor->group_end = cursor->view.count;
    return KVORUM_OK;
}

kvorum_status table_block_cursor_enter(struct table_block_cursor *cursor, size_t index,
                                       struct lsm_entry *ret_entry)
{
    cursor->group_end = 0;
    return table_block_cursor_at(cursor, index, ret_entry);
}

kvorum_status table_block_cursor_at(struct table_block_cursor *cursor, size_t index,
                                    struct lsm_entry *ret_entry)
{
    assert(index < cursor->view.count);
    if (cursor->group_end == 0 || index >= cursor->group_end ||
        index < table_group_first(&cursor->view, cursor->group_end - 1)) {
        kvorum_status status = enter_group(cursor, index);
        if (status != KVORUM_OK)
            return status;
    }
    struct table_item item;
    if (!table_item(&cursor->view, index, &item) || item.shared > cursor->first.size)
        return KVORUM_CORRUPT;
    size_t size = item.shared + item.rest.size;
    if (size > ENGINE_KEY_SIZE_MAX || size == 0)
        return KVORUM_CORRUPT;
    if (size > cursor->key_capacity && !grow(cursor, size))
        return KVORUM_NO_MEMORY;
    /* The whole first key: later forward moves rely on any part of it. */
    table_copy_slack(cursor->key, cursor->first.data, cursor->first.size);
    table_copy_slack(cursor->key + item.shared, item.rest.data, item.rest.size);
    uint64_t tag = table_tag(&cursor->view, index);
    cursor->index = index;
    *ret_entry = (struct lsm_entry){ bytes_make(cursor->key, size), item.value, tag >> 2,
                                     (enum lsm_kind)(tag & 3) };
    return KVORUM_OK;
}
