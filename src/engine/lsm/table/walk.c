/* SPDX-License-Identifier: Apache-2.0 */
/* A table read block by block, going on behind what is damaged.
 *
 *      head, deleted ranges, filter     looked at when the walk begins
 *      index                            tells which keys a block that cannot be read had
 *      blocks of entries                from `place` on, until the budget is spent
 *
 *  Without foot, properties or index nobody knows which keys are missing: all of the table's may
 *  be, whatever a salvage finds of them. */
#include "engine/lsm/table/walk.h"

#include "engine/lsm/table/block_cursor.h"
#include "engine/lsm/table/window.h"

#include "base/planted.h"

#include <stdlib.h>

struct walker {
    struct lsm_table *table;
    struct lsm_table_walk *walk;
    const char *name;
    struct table_open open; /* only file, foot, filter and index */
    struct table_properties properties;
    struct table_block_cursor cursor;
    struct table_window window;
    struct buffer upper;
    bool usable; /* the index can be followed */
};

static kvorum_status tell(struct walker *w, uint64_t offset, kvorum_status status, const char *what,
                          struct bytes lower, struct bytes upper, bool lost)
{
    const struct engine_loss loss = {
        .damage = { w->name, offset, what, status }, .lost = lost, .lower = lower, .upper = upper
    };
    return w->walk->loss(w->walk->context, &loss);
}

/* Everything that the table had may be missing. */
static kvorum_status tell_all(struct walker *w, uint64_t offset, kvorum_status status,
                              const char *what)
{
    return tell(w, offset, status, what, w->table->meta.lower, w->table->meta.upper, true);
}

/* Nothing is missing, and yet readers are stopped, or will be. */
static kvorum_status tell_part(struct walker *w, uint64_t offset, kvorum_status status,
                               const char *what)
{
    return tell(w, offset, status, what, (struct bytes){ 0 }, (struct bytes){ 0 }, false);
}

/* --- parts --------------------------------------------------------------------------------- */

/* A place that cannot be read at once may be readable the second time. */
static kvorum_status read_part(struct walker *w, uint64_t offset, enum table_block_type type,
                               size_t skew, struct table_raw *ret_raw)
{
    kvorum_status status =
        table_file_block(w->open.file, &w->open.foot, offset, type, skew, ret_raw);
    if (status == KVORUM_IO)
        status = table_file_block(w->open.file, &w->open.foot, offset, type, skew, ret_raw);
    w->walk->size += status == KVORUM_OK ? ret_raw->raw.size : 0;
    return status;
}

static kvorum_status walk_head(struct walker *w)
{
    uint8_t bytes[TABLE_HEAD_SIZE];
    struct table_head head;
    kvorum_status status = table_file_read(w->open.file, 0, bytes, sizeof(bytes));
    if (status == KVORUM_OK)
        status = table_head_decode(bytes_make(bytes, sizeof(bytes)), &head);
    if (status == KVORUM_NO_MEMORY)
        return status;
    bool same = status == KVORUM_OK && lsm_id_equal(&head.store, &w->properties.store) &&
                lsm_id_equal(&head.file, &w->properties.meta.file) &&
                head.number == w->properties.meta.number;
    w->walk->size += sizeof(bytes);
    return same ? KVORUM_OK : tell_part(w, 0, KVORUM_CORRUPT, "the head is damaged");
}

static kvorum_status visit_range(void *context, const struct lsm_range *range)
{
    const struct walker *w = context;
    return w->walk->range == NULL ? KVORUM_OK : w->walk->range(w->walk->context, range);
}

/* What a deleted range hid comes back with its loss: all of the table's keys are in doubt. */
static kvorum_status walk_ranges(struct walker *w)
{
    struct table_raw raw;
    uint64_t offset = w->open.foot.ranges;
    if (offset == 0)
        return KVORUM_OK;
    kvorum_status status = read_part(w, offset, TABLE_RANGES, 0, &raw);
    if (status == KVORUM_OK) {
        status = table_ranges_visit(raw.raw, w->table->meta.ranges, visit_range, w);
        table_raw_done(&raw);
    }
    if (status == KVORUM_CORRUPT || status == KVORUM_IO)
        return tell_all(w, offset, status, "the deleted ranges are damaged");
    return status;
}

static kvorum_status walk_filter(struct walker *w)
{
    struct table_raw raw;
    uint64_t offset = w->open.foot.filter;
    if (offset == 0)
        return KVORUM_OK;
    kvorum_status status = read_part(w, offset, TABLE_FILTER, TABLE_FILTER_HEADER_SIZE, &raw);
    if (status == KVORUM_OK) {
        if (!table_filter_parse(raw.raw, &w->open.filter))
            status = KVORUM_CORRUPT;
        table_raw_done(&raw);
    }
    return status == KVORUM_OK || status == KVORUM_NO_MEMORY
               ? status
               : tell_part(w, offset, status, "the filter is damaged");
}

static kvorum_status load_index(struct walker *w)
{
    struct table_raw raw;
    uint64_t offset = w->open.foot.index;
    kvorum_status status = read_part(w, offset, TABLE_INDEX, 0, &raw);
    if (status == KVORUM_OK) {
        status = table_index_parse(raw.raw, TABLE_HEAD_SIZE, &w->open.index);
        table_raw_done(&raw);
    }
    if (status == KVORUM_NO_MEMORY)
        return status;
    w->usable = status == KVORUM_OK && table_index_covers(&w->open, &w->properties);
    return KVORUM_OK;
}

/* --- blocks of entries ----------------------------------------------------------------------- */

static kvorum_status walk_entries(struct walker *w)
{
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < w->cursor.view.count && status == KVORUM_OK; i++) {
        struct lsm_entry entry;
        status = table_block_cursor_at(&w->cursor, i, &entry);
        if (status == KVORUM_OK && w->walk->entry != NULL)
            status = w->walk->entry(w->walk->context, &entry);
    }
    return status;
}

static kvorum_status check_entries(struct walker *w)
{
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < w->cursor.view.count && status == KVORUM_OK; i++) {
        struct lsm_entry entry;
        status = table_block_cursor_at(&w->cursor, i, &entry);
    }
    return status;
}

/* From the separator before it, which may be a key that goes on here, to its own. */
static kvorum_status tell_block(struct walker *w, size_t place, kvorum_status status)
{
    struct bytes lower =
        place == 0 ? w->table->meta.lower : table_index_separator(&w->open.index, place - 1);
    buffer_reset(&w->upper);
    buffer_append_bytes(&w->upper, table_index_separator(&w->open.index, place));
    buffer_append_u8(&w->upper, 0);
    if (w->upper.failed)
        return KVORUM_NO_MEMORY;
    return tell(w, w->open.index.offsets[place], status, "a block of entries is damaged", lower,
                buffer_bytes(&w->upper), true);
}

static kvorum_status walk_block(struct walker *w, size_t place)
{
    struct bytes raw;
    kvorum_status status = table_window_block(&w->window, &w->open, place, false, &raw);
    if (status == KVORUM_IO) { /* what stands beside a bad place may be read alone */
        w->window.ahead = 1;
        status = table_window_block(&w->window, &w->open, place, false, &raw);
    }
    w->walk->size += table_index_block_size(&w->open.index, place);
    if (status == KVORUM_OK) { /* all of it, before any of it is handed on */
        table_block_cursor_view(&w->cursor, raw.data, raw.size);
        status = check_entries(w);
    }
    if (status == KVORUM_NO_MEMORY)
        return status;
    return status == KVORUM_OK ? walk_entries(w) : tell_block(w, place, status);
}

static kvorum_status walk_blocks(struct walker *w)
{
    struct lsm_table_walk *walk = w->walk;
    kvorum_status status = KVORUM_OK;
    while (status == KVORUM_OK && walk->place < w->open.index.count && walk->size < walk->budget)
        status = walk_block(w, walk->place++);
    walk->finished = walk->place >= w->open.index.count;
    return status;
}

/* --- without an index ------------------------------------------------------------------------ */

static kvorum_status pass_entry(void *context, const struct lsm_entry *entry)
{
    const struct walker *w = context;
    return w->walk->entry == NULL ? KVORUM_OK : w->walk->entry(w->walk->context, entry);
}

/* Entries are handed on only by who needs them: to look for them reads all of the file. */
static kvorum_status walk_rubble(struct walker *w, kvorum_status why)
{
    uint64_t lost_size = 0;
    w->walk->finished = true;
    w->walk->size += w->table->meta.size;
    kvorum_status status = tell_all(w, 0, why, "foot, properties or index are damaged");
    if (status != KVORUM_OK || !w->walk->salvage)
        return status;
    status = lsm_table_salvage(w->table->inside->disk, w->table->inside->path, pass_entry,
                               visit_range, w, &lost_size);
    bool nothing = status == KVORUM_CORRUPT || status == KVORUM_NOT_FOUND ||
                   status == KVORUM_FOREIGN || status == KVORUM_IO;
    return nothing ? KVORUM_OK : status;
}

/* A planted bug's. */
static kvorum_status skip(struct walker *w)
{
    w->walk->finished = true;
    return KVORUM_OK;
}

/* --- all of it ----------------------------------------------------------------------------- */

static kvorum_status walk_parts(struct walker *w)
{
    kvorum_status status = load_index(w);
    if (status != KVORUM_OK)
        return status;
    if (!w->usable && PLANTED(SCRUB_SKIPS_THE_FOOT))
        return skip(w);
    if (!w->usable)
        return walk_rubble(w, KVORUM_CORRUPT);
    if (w->walk->place == 0) {
        status = walk_head(w);
        if (status == KVORUM_OK)
            status = walk_ranges(w);
        if (status == KVORUM_OK)
            status = walk_filter(w);
    }
    return status == KVORUM_OK ? walk_blocks(w) : status;
}

static void walker_init(struct walker *w, struct lsm_table *table, struct lsm_table_walk *walk)
{
    const char *slash = strrchr(table->inside->path, '/');
    *w = (struct walker){ .table = table, .walk = walk };
    w->name = slash == NULL ? table->inside->path : slash + 1;
    table_block_cursor_init(&w->cursor);
    table_window_init(&w->window, TABLE_WINDOW_MAX);
    buffer_init(&w->upper, ENGINE_KEY_SIZE_MAX + 1);
}

static void walker_done(struct walker *w)
{
    if (w->open.file != NULL)
        w->open.file->ops->close(w->open.file);
    table_index_done(&w->open.index);
    table_block_cursor_done(&w->cursor);
    table_window_done(&w->window);
    buffer_done(&w->upper);
}

kvorum_status lsm_table_walk(struct lsm_table *table, struct lsm_table_walk *walk)
{
    struct walker w;
    struct table_raw raw;
    walk->size = 0;
    walk->finished = false;
    walker_init(&w, table, walk);
    kvorum_status status =
        table_open_file(table->inside->disk, table->inside->path, &table->inside->store,
                        &table->meta, 0, &w.open.file, &w.open.foot, &w.properties, &raw);
    if (status == KVORUM_OK) {
        status = walk_parts(&w);
        table_raw_done(&raw);
    } else if (PLANTED(SCRUB_SKIPS_THE_FOOT)) {
        status = skip(&w);
    } else if (status != KVORUM_NO_MEMORY) {
        status = walk_rubble(&w, status);
    }
    walker_done(&w);
    return status;
}
