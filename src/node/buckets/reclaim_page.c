/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a bucket's earlier generations in one partition.  Read, and compacted, by jobs,
 * so nothing of the node is touched here. */
#include <endian.h>

#include "base/planted.h"
#include "node/buckets/reclaim.h"

/* --- where ------------------------------------------------------------------------------------ */

struct bytes reclaim_marker_key(struct arena *arena, struct bytes type, struct bytes bucket)
{
    uint8_t *data = arena_allocate(arena, 2 + type.size + bucket.size);
    if (data == NULL)
        return (struct bytes){ 0 };
    data[0] = 'g';
    data[1] = (uint8_t)type.size;
    memcpy(data + 2, type.data, type.size);
    memcpy(data + 2 + type.size, bucket.data, bucket.size);
    return bytes_make(data, 2 + type.size + bucket.size);
}

bool reclaim_set_bounds(struct reclaim_page *page, const struct reclaim *reclaim,
                        uint32_t partition)
{
    struct arena *arena = &page->reading.arena;
    struct key_address address = { .type = buffer_bytes(&reclaim->type),
                                   .bucket = buffer_bytes(&reclaim->bucket),
                                   .partition = partition };
    page->lower[0] = store_key(arena, &address);
    page->upper[0] =
        page->lower[0].data == NULL ? page->lower[0] : store_key_end(arena, page->lower[0]);
    address.generation = 1;
    page->lower[1] = store_key(arena, &address);
    address.generation = reclaim->generation + PLANTED(RECLAIM_TOO_FAR);
    page->upper[1] = store_key(arena, &address);
    return page->upper[0].data != NULL && page->lower[1].data != NULL &&
           page->upper[1].data != NULL;
}

/* --- looking ---------------------------------------------------------------------------------- */

static kvorum_status read_marker(struct reclaim_page *page, const struct engine_read *how)
{
    struct engine_view view;
    uint64_t value = 0;
    kvorum_status status = engine_view_at(page->store, page->marker, how, &view);
    if (status == KVORUM_NOT_FOUND)
        return KVORUM_OK;
    if (status != KVORUM_OK)
        return status;
    if (view.value.size == sizeof(value))
        memcpy(&value, view.value.data, sizeof(value));
    engine_release(&view);
    page->marked = le64toh(value) >= page->generation;
    return KVORUM_OK;
}

static kvorum_status read_range(struct reclaim_page *page, int at, const struct engine_read *how)
{
    bool ranges = engine_can(page->store, ENGINE_RANGES);
    struct engine_range range = { .lower = page->lower[at], .upper = page->upper[at] };
    struct engine_iterator *iterator;
    uint64_t size = 0;
    range.keys_only = ranges;
    kvorum_status status = engine_iterate_at(page->store, &range, how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    page->found[at] = iterator->valid;
    for (; iterator->valid && !ranges; engine_iterator_next(iterator)) {
        if (page->count == RECLAIM_PAGE) {
            page->more = true;
            break;
        }
        if (!arena_copy(&page->reading.arena, iterator->key, &page->keys[page->count]))
            break;
        page->count++;
        page->size += iterator->key.size + iterator->value.size;
    }
    status = iterator->error;
    engine_iterator_close(iterator);
    if (status == KVORUM_OK && ranges && page->found[at] && !how->nowait)
        status = engine_range_size(page->store, &range, &size);
    page->size += size;
    return status;
}

kvorum_status reclaim_page_read(struct reading *reading, bool nowait)
{
    struct reclaim_page *page = (struct reclaim_page *)reading;
    const struct engine_read how = { .nowait = nowait };
    kvorum_status status = KVORUM_OK;
    page->marked = page->more = page->found[0] = page->found[1] = false;
    page->size = page->count = 0;
    if (page->marker.size > 0)
        status = read_marker(page, &how);
    for (int i = 0; i < 2 && status == KVORUM_OK && !page->marked; i++)
        status = read_range(page, i, &how);
    return status;
}

/* --- giving the room back --------------------------------------------------------------------- */

kvorum_status reclaim_compact(struct reading *reading, bool nowait)
{
    struct reclaim_page *page = (struct reclaim_page *)reading;
    kvorum_status status = KVORUM_OK;
    if (nowait)
        return KVORUM_WOULD_BLOCK;
    for (int i = 0; i < 2 && status == KVORUM_OK; i++) {
        struct engine_range range = { .lower = page->lower[i], .upper = page->upper[i] };
        if (page->found[i])
            status = engine_compact(page->store, &range);
    }
    return status;
}
