/* SPDX-License-Identifier: Apache-2.0 */
/* What is on a page of a listing.  Read by a job, so nothing of the node is touched here. */
#include "node/coordinate/list_internal.h"

enum {
    PAGE_SIZE = 256 * 1024,
    COUNT_ENTRIES = 20000,
};

static struct bytes range_prefix(struct arena *arena, uint32_t partition, struct bytes type,
                                 struct bytes bucket, uint64_t generation)
{
    struct key_address address = { type, bucket, { 0 }, partition, generation };
    struct bytes prefix = store_key(arena, &address);
    if (prefix.data != NULL && bucket.size == 0)
        prefix.size -= 2; /* all buckets: without the size of the name */
    return prefix;
}

/* A reader would be shown a value.  When buckets are listed, each has a mode of its own, which a
 * job cannot ask for: there a value counts that a reader of some mode would be shown. */
static bool is_live(const struct page *page, struct arena *temporary, struct bytes encoding)
{
    struct object object;
    arena_reset(temporary);
    if (object_decode(encoding, temporary, &object) != KVORUM_OK ||
        object_expire(&object, page->now_ms, temporary, &object) != KVORUM_OK ||
        object_is_deleted(&object))
        return false;
    if (page->kind == LIST_BUCKETS || object.sibling_count <= 1)
        return true;
    return object_show(&object, page->mode, temporary, &object) == KVORUM_OK &&
           !object_is_deleted(&object);
}

static bool page_full(const struct page *page)
{
    return page->counted + page->count >= page->limit || page->size >= PAGE_SIZE;
}

static bool page_add(struct page *page, struct bytes name, uint64_t generation)
{
    if (page->kind == LIST_COUNT) {
        page->counted++;
        return true;
    }
    page->size += name.size + 8;
    page->generations[page->count] = generation;
    return arena_copy(page->arena, name, &page->names[page->count++]);
}

/* Where to go on after `key`: the next key, or the end of its bucket when buckets are listed. */
static struct bytes after(struct arena *arena, enum list_kind kind, struct bytes key)
{
    struct key_address address;
    if (kind == LIST_BUCKETS && store_key_parse(key, &address))
        return store_key_end(arena, range_prefix(arena, address.partition, address.type,
                                                 address.bucket, address.generation));
    uint8_t *data = arena_allocate(arena, key.size + 1);
    if (data == NULL)
        return (struct bytes){ 0 };
    memcpy(data, key.data, key.size);
    data[key.size] = 0;
    return bytes_make(data, key.size + 1);
}

/* Take what the iterator stands on, and move it on. */
static kvorum_status scan_entry(struct engine_iterator *iterator, struct arena *temporary,
                                struct page *page)
{
    struct key_address address;
    if (!store_key_parse(iterator->key, &address) || !is_live(page, temporary, iterator->value)) {
        engine_iterator_next(iterator);
        return KVORUM_OK;
    }
    struct bytes name = page->kind == LIST_BUCKETS ? address.bucket : address.key;
    struct bytes next = { 0 };
    bool kept = page_add(page, name, address.generation), full = page_full(page);
    if (page->kind == LIST_BUCKETS || full)
        next = after(page->arena, page->kind, iterator->key);
    if (!kept || (full && next.data == NULL))
        return KVORUM_NO_MEMORY;
    if (full)
        page->next = next;
    if (page->kind == LIST_BUCKETS)
        engine_iterator_seek(iterator, next);
    else
        engine_iterator_next(iterator);
    return KVORUM_OK;
}

static kvorum_status scan_range(struct engine *store, const struct engine_range *range, bool nowait,
                                struct page *page)
{
    const struct engine_read how = { .nowait = nowait };
    struct engine_iterator *iterator;
    struct arena temporary;
    kvorum_status status = engine_iterate_at(store, range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    arena_init(&temporary, SCRATCH_LIMIT);
    engine_iterator_first(iterator);
    while (iterator->valid && status == KVORUM_OK && page->next.size == 0)
        status = scan_entry(iterator, &temporary, page);
    if (status == KVORUM_OK)
        status = iterator->error;
    arena_done(&temporary);
    engine_iterator_close(iterator);
    return status;
}

static kvorum_status scan_partition(struct list_scan *scan, size_t index, bool nowait)
{
    const struct list_question *question = &scan->question;
    struct arena *arena = &scan->reading.arena;
    struct bytes prefix = range_prefix(arena, question->partitions[index], question->type,
                                       question->bucket, scan->generation);
    struct bytes cursor = question->cursor;
    if (prefix.data == NULL)
        return KVORUM_NO_MEMORY;
    struct engine_range range = { .lower = prefix, .upper = store_key_end(arena, prefix) };
    if (cursor.size > 0 && bytes_compare(cursor, prefix) > 0 && cursor.size >= 3 &&
        memcmp(cursor.data, prefix.data, 3) == 0)
        range.lower = cursor;
    if (range.upper.data == NULL)
        return KVORUM_NO_MEMORY;
    return scan_range(scan->stores[index], &range, nowait, &scan->page);
}

kvorum_status list_page_read(struct reading *reading, bool nowait)
{
    struct list_scan *scan = (struct list_scan *)reading;
    const struct list_question *question = &scan->question;
    struct page *page = &scan->page;
    struct bytes cursor = question->cursor;
    uint32_t from = cursor.size >= 3 ? (uint32_t)cursor.data[1] << 8 | cursor.data[2] : 0;
    *page = (struct page){
        .arena = &reading->arena, .kind = page->kind, .mode = page->mode, .now_ms = page->now_ms
    };
    page->limit = page->kind == LIST_COUNT ? COUNT_ENTRIES : LIST_PAGE_ENTRIES;
    page->names = arena_allocate(&reading->arena, (LIST_PAGE_ENTRIES + 1) * sizeof(*page->names));
    page->generations =
        arena_allocate(&reading->arena, (LIST_PAGE_ENTRIES + 1) * sizeof(*page->generations));
    if (page->names == NULL || page->generations == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < question->count && status == KVORUM_OK && page->next.size == 0; i++)
        if (question->partitions[i] >= from)
            status = scan_partition(scan, i, nowait);
    return status;
}
