/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a block of entries: what passes the check is walked and searched in all ways, and
 * never leads outside. */
#include "engine/lsm/table/block_cursor.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void search(const struct table_view *view, const struct lsm_entry *entry)
{
    size_t index;
    struct bytes value;
    kvorum_status status = table_block_seek(view, entry->key, entry->sequence, &index);
    assert(status == KVORUM_CORRUPT || index <= view->count);
    table_block_prefetch(view, lsm_key_hash(entry->key));
    status = table_block_find(view, entry->key, lsm_key_hash(entry->key), entry->sequence, &index,
                              &value);
    assert(status != KVORUM_OK || index < view->count);
}

static size_t sum(const struct lsm_entry *entry)
{
    size_t total = 0;
    assert(entry->key.size > 0);
    for (size_t i = 0; i < entry->key.size; i++)
        total += entry->key.data[i];
    for (size_t i = 0; i < entry->value.size; i++)
        total += entry->value.data[i];
    return total;
}

static size_t walk(struct table_block_cursor *cursor)
{
    struct lsm_entry entry;
    size_t total = 0;
    kvorum_status status = table_block_cursor_at(cursor, 0, &entry);
    while (status == KVORUM_OK) {
        total += sum(&entry);
        search(&cursor->view, &entry);
        if (cursor->index + 1 >= cursor->view.count)
            break;
        status = table_block_cursor_next(cursor, &entry);
    }
    for (size_t i = cursor->view.count; i-- > 0;)
        if (table_block_cursor_at(cursor, i, &entry) == KVORUM_OK)
            total += sum(&entry);
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct table_block_cursor cursor;
    uint8_t *copy = malloc(size + TABLE_SLACK);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    memset(copy + size, 0, TABLE_SLACK);
    table_block_cursor_init(&cursor);
    if (table_view_check(copy, size)) {
        table_block_cursor_view(&cursor, copy, size);
        if (walk(&cursor) == SIZE_MAX)
            abort();
    }
    table_block_cursor_done(&cursor);
    free(copy);
    return 0;
}
