/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte of a table against what it should be.  Parts that can still be read are checked
 * whatever is wrong with others; without an index the entries cannot be. */
#include "engine/lsm/table/block_cursor.h"
#include "engine/lsm/table/window.h"

#include "base/hash.h"

#include <stdlib.h>

struct verifier {
    const struct lsm_table *table;
    const char *name;
    void (*report)(void *context, const struct engine_damage *damage);
    void *context;
    kvorum_status status;   /* of the first damage */
    struct table_open open; /* only file, foot, filter and index */
    struct table_properties properties;
    struct table_block_cursor cursor;
    struct table_window window;
    /* what was seen */
    uint64_t entries, deletes, keys, ranges, sequence_min, sequence_max;
    struct buffer last; /* key of the last entry */
    uint64_t last_sequence;
    struct buffer lower, upper; /* of all seen; upper empty and `unbounded`: beyond every key */
    bool unbounded;
};

static void damage(struct verifier *v, uint64_t offset, kvorum_status status, const char *what)
{
    const struct engine_damage found = { v->name, offset, what, status };
    if (v->status == KVORUM_OK)
        v->status = status;
    v->report(v->context, &found);
}

static void expect(struct verifier *v, bool good, uint64_t offset, const char *what)
{
    if (!good)
        damage(v, offset, KVORUM_CORRUPT, what);
}

static void note(struct verifier *v, struct bytes lower, struct bytes upper, bool closed,
                 uint64_t sequence)
{
    bool first = v->entries == 0 && v->ranges == 0;
    v->sequence_min = first || sequence < v->sequence_min ? sequence : v->sequence_min;
    v->sequence_max = first || sequence > v->sequence_max ? sequence : v->sequence_max;
    if (first || bytes_compare(lower, buffer_bytes(&v->lower)) < 0) {
        buffer_reset(&v->lower);
        buffer_append_bytes(&v->lower, lower);
    }
    v->unbounded = v->unbounded || (!closed && upper.size == 0);
    struct bytes so_far = buffer_bytes(&v->upper);
    int order = bytes_compare(upper, so_far);
    if (order > 0 || (order == 0 && closed)) {
        buffer_reset(&v->upper);
        buffer_append_bytes(&v->upper, upper);
        if (closed) /* a single key: up to behind it */
            buffer_append_u8(&v->upper, 0);
    }
}

/* --- blocks of entries ----------------------------------------------------------------------- */

static const char *judge_entry(struct verifier *v, size_t place, const struct lsm_entry *entry)
{
    uint64_t hash = lsm_key_hash(entry->key);
    int order = v->entries == 0 ? -1 : bytes_compare(buffer_bytes(&v->last), entry->key);
    if (order > 0 || (order == 0 && entry->sequence >= v->last_sequence))
        return "entries are out of order";
    if (bytes_compare(entry->key, table_index_separator(&v->open.index, place)) > 0)
        return "an entry lies above the separator of its block";
    if (place > 0 &&
        bytes_compare(entry->key, table_index_separator(&v->open.index, place - 1)) < 0)
        return "an entry lies below the separator of the block before";
    if (v->cursor.view.fingerprints[v->cursor.index] != table_fingerprint(hash))
        return "a fingerprint is not that of its key";
    if (!table_filter_may_have(&v->open.filter, hash))
        return "the filter does not know a key";
    return NULL;
}

static void count_entry(struct verifier *v, const struct lsm_entry *entry)
{
    bool same = v->entries > 0 && bytes_equal(buffer_bytes(&v->last), entry->key);
    note(v, entry->key, entry->key, true, entry->sequence);
    v->entries++;
    v->deletes += entry->kind == LSM_DELETE;
    v->keys += !same;
    v->last_sequence = entry->sequence;
    if (same)
        return;
    buffer_reset(&v->last);
    buffer_append_bytes(&v->last, entry->key);
}

static kvorum_status walk_block(struct verifier *v, size_t place)
{
    const char *worst = NULL;
    for (size_t i = 0; i < v->cursor.view.count; i++) {
        struct lsm_entry entry;
        kvorum_status status = table_block_cursor_at(&v->cursor, i, &entry);
        if (status != KVORUM_OK)
            return status;
        const char *what = judge_entry(v, place, &entry);
        worst = worst == NULL ? what : worst;
        count_entry(v, &entry);
    }
    expect(v, worst == NULL, v->open.index.offsets[place], worst);
    return KVORUM_OK;
}

/* One damage a block.  NO_MEMORY is no damage. */
static kvorum_status check_block(struct verifier *v, size_t place)
{
    struct bytes raw;
    kvorum_status status = table_window_block(&v->window, &v->open, place, false, &raw);
    if (status == KVORUM_OK) {
        table_block_cursor_view(&v->cursor, raw.data, raw.size);
        status = walk_block(v, place);
    } else if (status == KVORUM_IO) {
        v->window.ahead = 1; /* what stands beside a bad place may be read alone */
    }
    if (status == KVORUM_NO_MEMORY || v->last.failed || v->lower.failed || v->upper.failed)
        return KVORUM_NO_MEMORY;
    if (status != KVORUM_OK)
        damage(v, v->open.index.offsets[place], status, "a block of entries is damaged");
    return KVORUM_OK;
}

/* --- the other parts ------------------------------------------------------------------------- */

static kvorum_status visit_range(void *context, const struct lsm_range *range)
{
    struct verifier *v = context;
    note(v, range->lower, range->upper, false, range->sequence);
    v->ranges++;
    return KVORUM_OK;
}

/* Reads one of the blocks that the foot knows, and reports it.  OK also when it is damaged: then
 * ret_raw->memory is NULL. */
static kvorum_status read_part(struct verifier *v, uint64_t offset, enum table_block_type type,
                               const char *what, struct table_raw *ret_raw)
{
    *ret_raw = (struct table_raw){ 0 };
    kvorum_status status = table_file_block(v->open.file, &v->open.foot, offset, type,
                                            TABLE_FILTER_HEADER_SIZE, ret_raw);
    if (status != KVORUM_OK && status != KVORUM_NO_MEMORY)
        damage(v, offset, status, what);
    return status == KVORUM_NO_MEMORY ? status : KVORUM_OK;
}

static kvorum_status check_head(struct verifier *v)
{
    uint8_t bytes[TABLE_HEAD_SIZE];
    struct table_head head;
    kvorum_status status = table_file_read(v->open.file, 0, bytes, sizeof(bytes));
    if (status == KVORUM_OK)
        status = table_head_decode(bytes_make(bytes, sizeof(bytes)), &head);
    if (status == KVORUM_NO_MEMORY)
        return status;
    bool same = status == KVORUM_OK && lsm_id_equal(&head.store, &v->properties.store) &&
                lsm_id_equal(&head.file, &v->properties.meta.file) &&
                head.number == v->properties.meta.number;
    if (!same)
        damage(v, 0, status == KVORUM_IO ? status : KVORUM_CORRUPT, "the head is damaged");
    return KVORUM_OK;
}

static kvorum_status check_ranges(struct verifier *v)
{
    struct table_raw raw;
    uint64_t offset = v->open.foot.ranges;
    if (offset == 0)
        return KVORUM_OK;
    kvorum_status status =
        read_part(v, offset, TABLE_RANGES, "the deleted ranges are damaged", &raw);
    if (status != KVORUM_OK || raw.memory == NULL)
        return status;
    status = table_ranges_visit(raw.raw, v->table->meta.ranges, visit_range, v);
    expect(v, status == KVORUM_OK, offset, "the deleted ranges are damaged");
    table_raw_done(&raw);
    return KVORUM_OK;
}

static kvorum_status check_filter(struct verifier *v)
{
    uint64_t offset = v->open.foot.filter;
    if (offset == 0)
        return KVORUM_OK;
    kvorum_status status =
        read_part(v, offset, TABLE_FILTER, "the filter is damaged", &v->open.filter_raw);
    if (status == KVORUM_OK && v->open.filter_raw.memory != NULL)
        expect(v, table_filter_parse(v->open.filter_raw.raw, &v->open.filter), offset,
               "the filter is damaged");
    return status;
}

/* *ret_usable: it can be followed. */
static kvorum_status check_index(struct verifier *v, bool *ret_usable)
{
    struct table_raw raw;
    uint64_t offset = v->open.foot.index;
    *ret_usable = false;
    kvorum_status status = read_part(v, offset, TABLE_INDEX, "the index is damaged", &raw);
    if (status != KVORUM_OK || raw.memory == NULL)
        return status;
    status = table_index_parse(raw.raw, TABLE_HEAD_SIZE, &v->open.index);
    table_raw_done(&raw);
    if (status == KVORUM_NO_MEMORY)
        return status;
    *ret_usable = status == KVORUM_OK && table_index_covers(&v->open, &v->properties);
    expect(v, *ret_usable, offset, "the index is damaged");
    return KVORUM_OK;
}

static void check_totals(struct verifier *v)
{
    const struct lsm_table_meta *meta = &v->table->meta;
    uint64_t offset = v->open.foot.properties;
    if (v->status != KVORUM_OK) /* what could not be read is missing in the sums */
        return;
    expect(v,
           v->entries == meta->entries && v->deletes == meta->deletes &&
               v->ranges == meta->ranges && v->keys == v->properties.keys,
           offset, "the numbers of entries are not those that were written");
    expect(v, v->sequence_min == meta->sequence_min && v->sequence_max == meta->sequence_max,
           offset, "the sequence numbers are not those that were written");
    struct bytes upper = v->unbounded ? (struct bytes){ 0 } : buffer_bytes(&v->upper);
    expect(v, bytes_equal(buffer_bytes(&v->lower), meta->lower) && bytes_equal(upper, meta->upper),
           offset, "the bounds are not those of what was written");
}

/* --- all of it ----------------------------------------------------------------------------- */

static kvorum_status check_parts(struct verifier *v)
{
    bool usable = false;
    kvorum_status status = check_head(v);
    if (status == KVORUM_OK)
        status = check_ranges(v);
    if (status == KVORUM_OK)
        status = check_filter(v);
    if (status == KVORUM_OK)
        status = check_index(v, &usable);
    for (size_t i = 0; i < v->open.index.count && usable && status == KVORUM_OK; i++)
        status = check_block(v, i);
    if (status == KVORUM_OK)
        check_totals(v);
    return status;
}

static void verifier_init(struct verifier *v, struct lsm_table *table)
{
    const char *slash = strrchr(table->inside->path, '/');
    v->table = table;
    v->name = slash == NULL ? table->inside->path : slash + 1;
    table_block_cursor_init(&v->cursor);
    table_window_init(&v->window, TABLE_WINDOW_MAX);
    buffer_init(&v->last, ENGINE_KEY_SIZE_MAX);
    buffer_init(&v->lower, ENGINE_KEY_SIZE_MAX + 1);
    buffer_init(&v->upper, ENGINE_KEY_SIZE_MAX + 1);
}

static void verifier_done(struct verifier *v)
{
    if (v->open.file != NULL)
        v->open.file->ops->close(v->open.file);
    table_raw_done(&v->open.filter_raw);
    table_index_done(&v->open.index);
    table_block_cursor_done(&v->cursor);
    table_window_done(&v->window);
    buffer_done(&v->last);
    buffer_done(&v->lower);
    buffer_done(&v->upper);
    free(v);
}

kvorum_status lsm_table_verify(struct lsm_table *table,
                               void (*report)(void *context, const struct engine_damage *damage),
                               void *context)
{
    struct table_raw raw;
    struct verifier *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return KVORUM_NO_MEMORY;
    verifier_init(v, table);
    v->report = report;
    v->context = context;
    kvorum_status status =
        table_open_file(table->inside->disk, table->inside->path, &table->inside->store,
                        &table->meta, 0, &v->open.file, &v->open.foot, &v->properties, &raw);
    if (status == KVORUM_OK) {
        status = check_parts(v);
        table_raw_done(&raw);
    } else if (status != KVORUM_NO_MEMORY) {
        damage(v, 0, status, "the file is not the table that was written");
    }
    if (status == KVORUM_OK)
        status = v->status;
    verifier_done(v);
    return status;
}
