/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the damaged store are copied, without what is damaged, into tables of the new store's
 * directory under temporary names.  Those are read like any: merged, and reduced to the newest
 * version of each key, whatever levels they came from.
 *
 *      table-5.tbl  [ok][??][ok]  -->  salvage-5.new  [ok][ok]  --\
 *      table-7.tbl  [ok][ok]      -->  salvage-7.new  [ok][ok]  ---> merger -> reduce -> batches
 *      deleted ranges of all      -----------------------------/ */
#include "engine/lsm/merge/merger.h"
#include "engine/lsm/salvage/salvage_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CACHE_SIZE = 1024 * 1024 };

struct saving {
    struct salvage *salvage;
    struct epoch epoch;
    struct lsm_cache *cache;
    struct lsm_table **copies;
    size_t copy_count;
    struct lsm_range *range_list;
    size_t range_count, range_capacity;
    struct lsm_ranges *ranges;

    /* the copy at hand */
    struct lsm_table_writer *writer; /* or NULL */
    uint64_t number;
    struct buffer last; /* key of the last entry */
    uint64_t last_sequence;
    bool any;

    /* the key at hand */
    struct buffer key, value;
    struct buffer operands; /* newest first */
    size_t *ends;
    size_t operand_count, operand_capacity;
    uint64_t operand_sequence; /* of the last one */
};

/* --- copying ------------------------------------------------------------------------------- */

static kvorum_status copy_path(const struct saving *v, uint64_t number, char *ret_path)
{
    int size = snprintf(ret_path, LSM_PATH_SIZE, "%s/salvage-%016" PRIx64 ".new",
                        v->salvage->to->path, number);
    return size > 0 && size < LSM_PATH_SIZE ? KVORUM_OK : KVORUM_INVALID;
}

static kvorum_status begin_copy(struct saving *v)
{
    char path[LSM_PATH_SIZE];
    const struct lsm *source = v->salvage->source;
    const struct lsm_table_options options = { 0 };
    const struct lsm_id file = { v->number, ~v->number };
    kvorum_status status = copy_path(v, v->number, path);
    if (status != KVORUM_OK)
        return status;
    return lsm_table_writer_create(v->salvage->to->disk, path, &source->store, &file, v->number,
                                   &options, &v->writer);
}

/* Intact blocks in another order than they were written in are not from this table. */
static bool is_in_order(const struct saving *v, const struct lsm_entry *entry)
{
    if (!v->any)
        return true;
    int order = bytes_compare(entry->key, buffer_bytes(&v->last));
    return order > 0 || (order == 0 && entry->sequence < v->last_sequence);
}

static kvorum_status see_entry(void *context, const struct lsm_entry *entry)
{
    struct saving *v = context;
    if (!is_in_order(v, entry)) {
        salvage_damage(v->salvage, LSM_FILE_TABLE, v->number, 0, 0, KVORUM_CORRUPT,
                       "an entry is out of order");
        return KVORUM_OK;
    }
    kvorum_status status = v->writer == NULL ? begin_copy(v) : KVORUM_OK;
    if (status == KVORUM_OK)
        status = lsm_table_writer_add(v->writer, entry);
    buffer_reset(&v->last);
    buffer_append_bytes(&v->last, entry->key);
    v->last_sequence = entry->sequence;
    v->any = true;
    return status == KVORUM_OK && v->last.failed ? KVORUM_NO_MEMORY : status;
}

static kvorum_status see_range(void *context, const struct lsm_range *range)
{
    struct saving *v = context;
    struct lsm_range copy = *range;
    if (v->range_count == v->range_capacity) {
        size_t capacity = v->range_capacity == 0 ? 64 : v->range_capacity * 2;
        struct lsm_range *list = realloc(v->range_list, capacity * sizeof(*list));
        if (list == NULL)
            return KVORUM_NO_MEMORY;
        v->range_list = list;
        v->range_capacity = capacity;
    }
    if (!arena_copy(&v->salvage->arena, range->lower, &copy.lower) ||
        !arena_copy(&v->salvage->arena, range->upper, &copy.upper))
        return KVORUM_NO_MEMORY;
    v->range_list[v->range_count++] = copy;
    return KVORUM_OK;
}

static kvorum_status end_copy(struct saving *v)
{
    char path[LSM_PATH_SIZE];
    struct lsm_table_meta meta;
    struct lsm_table_writer *writer = v->writer;
    const struct salvage *s = v->salvage;
    v->writer = NULL;
    if (writer == NULL)
        return KVORUM_OK;
    kvorum_status status = lsm_table_writer_finish(writer, &meta);
    if (status != KVORUM_OK)
        return status;
    status = copy_path(v, v->number, path);
    if (status == KVORUM_OK)
        status = lsm_table_create(s->to->disk, path, &s->source->store, &meta, v->cache,
                                  &v->copies[v->copy_count]);
    if (status != KVORUM_OK) {
        free((void *)(uintptr_t)meta.lower.data);
        return status;
    }
    atomic_store(&v->copies[v->copy_count++]->obsolete, true); /* its file goes with it */
    return KVORUM_OK;
}

static const struct lsm_table_meta *meta_of(const struct salvage *s, uint64_t number)
{
    for (size_t i = 0; s->has_manifest && i < s->manifest.table_count; i++)
        if (s->manifest.tables[i].meta.number == number)
            return &s->manifest.tables[i].meta;
    return NULL;
}

/* The table at hand, or a part of it. */
static kvorum_status table_is_lost(struct saving *v, uint64_t lost_size, kvorum_status status,
                                   const char *what)
{
    struct salvage *s = v->salvage;
    const struct lsm_table_meta *meta = meta_of(s, v->number);
    salvage_damage(s, LSM_FILE_TABLE, v->number, 0, lost_size, status, what);
    s->all_doubtful |= meta == NULL;
    if (meta == NULL || salvage_doubt(s, meta->lower, meta->upper))
        return KVORUM_OK;
    return KVORUM_NO_MEMORY;
}

/* False: what `visit` answered, or memory; else the table itself is to blame. */
static bool is_of_table(kvorum_status status)
{
    return status == KVORUM_NOT_FOUND || status == KVORUM_CORRUPT || status == KVORUM_FOREIGN ||
           status == KVORUM_NEWER_FORMAT;
}

static kvorum_status copy_table(struct saving *v, uint64_t number)
{
    char path[LSM_PATH_SIZE];
    struct salvage *s = v->salvage;
    uint64_t lost = 0;
    v->number = number;
    v->any = false;
    s->result->tables++;
    kvorum_status status = lsm_file_path(s->source, LSM_FILE_TABLE, number, path);
    if (status != KVORUM_OK)
        return status;
    status = lsm_table_salvage(s->source->disk, path, see_entry, see_range, v, &lost);
    if (is_of_table(status)) {
        lsm_table_writer_abandon(v->writer);
        v->writer = NULL;
        const struct lsm_table_meta *meta = meta_of(s, number);
        return table_is_lost(v, meta == NULL ? 0 : meta->size, status,
                             "a table is missing, or nothing tells which it is");
    }
    if (status == KVORUM_OK && lost > 0)
        status = table_is_lost(v, lost, KVORUM_CORRUPT, "blocks of a table are damaged");
    return status == KVORUM_OK ? end_copy(v) : status;
}

static kvorum_status copy_tables(struct saving *v)
{
    const struct salvage_numbers *tables = &v->salvage->tables;
    kvorum_status status = KVORUM_OK;
    v->copies = calloc(tables->count + 1, sizeof(struct lsm_table *));
    if (v->copies == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t i = 0; i < tables->count && status == KVORUM_OK; i++)
        status = copy_table(v, tables->list[i]);
    lsm_table_writer_abandon(v->writer);
    v->writer = NULL;
    return status == KVORUM_OK && v->range_count > 0
               ? lsm_ranges_create(v->range_list, v->range_count, &v->ranges)
               : status;
}

/* --- writing what comes out ---------------------------------------------------------------- */

static bool operand_add(struct saving *v, struct bytes operand)
{
    if (v->operand_count == v->operand_capacity) {
        size_t capacity = v->operand_capacity == 0 ? 16 : v->operand_capacity * 2;
        size_t *ends = realloc(v->ends, capacity * sizeof(*ends));
        if (ends == NULL)
            return false;
        v->ends = ends;
        v->operand_capacity = capacity;
    }
    buffer_append_bytes(&v->operands, operand);
    v->ends[v->operand_count++] = v->operands.size;
    return !v->operands.failed;
}

/* Oldest first, on what was just written. */
static kvorum_status write_operands(struct saving *v)
{
    kvorum_status status = KVORUM_OK;
    struct bytes key = buffer_bytes(&v->key);
    for (size_t i = v->operand_count; i > 0 && status == KVORUM_OK; i--) {
        size_t begin = i == 1 ? 0 : v->ends[i - 2];
        struct bytes operand = bytes_make(v->operands.data + begin, v->ends[i - 1] - begin);
        status = engine_batch_merge(v->salvage->batch, key, operand);
    }
    return status;
}

/* The key is done: `base` is its value; NULL: none. */
static kvorum_status write_key(struct saving *v, const struct bytes *base)
{
    struct salvage *s = v->salvage;
    kvorum_status status = KVORUM_OK;
    bool merges = v->operand_count > 0;
    if (base == NULL && !merges)
        return KVORUM_OK;
    if (merges && (s->to->merge == NULL || salvage_is_doubtful(s, buffer_bytes(&v->key)))) {
        salvage_damage_in(s, "MANIFEST", 0, 0, KVORUM_CORRUPT,
                          "a key with merges is left out: what they belong on may be lost, or "
                          "their operator was not given");
        return KVORUM_OK;
    }
    if (base != NULL)
        status = engine_batch_put(s->batch, buffer_bytes(&v->key), *base);
    if (status == KVORUM_OK)
        status = write_operands(v);
    s->result->keys++;
    return status == KVORUM_OK ? salvage_write(s, false) : status;
}

static kvorum_status write_blob(struct saving *v, struct bytes place)
{
    struct lsm_blob_address address = { 0 };
    struct bytes value;
    kvorum_status status = lsm_blob_read(v->salvage->source, place, &v->value, &value);
    if (status == KVORUM_OK)
        return write_key(v, &value);
    if (status == KVORUM_NO_MEMORY)
        return status;
    (void)!lsm_blob_address_decode(place, &address);
    salvage_damage(v->salvage, LSM_FILE_BLOB, address.number, address.offset, address.size, status,
                   "the value of a key cannot be read");
    return KVORUM_OK;
}

static kvorum_status begin_key(struct saving *v, struct bytes key)
{
    kvorum_status status = write_key(v, NULL); /* operands with nothing below them */
    buffer_reset(&v->key);
    buffer_append_bytes(&v->key, key);
    buffer_reset(&v->operands);
    v->operand_count = 0;
    return status == KVORUM_OK && v->key.failed ? KVORUM_NO_MEMORY : status;
}

static kvorum_status write_entry(struct saving *v, const struct lsm_entry *entry)
{
    kvorum_status status = KVORUM_OK;
    if (v->operand_count == 0 || !bytes_equal(entry->key, buffer_bytes(&v->key)))
        status = begin_key(v, entry->key);
    if (status != KVORUM_OK)
        return status;
    bool again = v->operand_count > 0 && entry->sequence == v->operand_sequence;
    if (entry->kind == LSM_MERGE && again)
        return KVORUM_OK;
    v->operand_sequence = entry->sequence;
    if (entry->kind == LSM_MERGE)
        return operand_add(v, entry->value) ? KVORUM_OK : KVORUM_NO_MEMORY;
    if (again) /* a compaction made this of the operand and what was below it */
        v->operand_count--;
    if (entry->kind == LSM_PUT)
        status = write_key(v, &entry->value);
    else if (entry->kind == LSM_BLOB)
        status = write_blob(v, entry->value);
    else
        status = write_key(v, NULL);
    v->operand_count = 0;
    return status;
}

static kvorum_status write_all(struct saving *v, struct lsm_reduce *reduce)
{
    kvorum_status status = KVORUM_OK;
    while (status == KVORUM_OK) {
        struct lsm_entry entry;
        status = lsm_reduce_next(reduce, &entry);
        if (status == KVORUM_OK)
            status = write_entry(v, &entry);
        else if (status == KVORUM_NOT_FOUND)
            return begin_key(v, (struct bytes){ 0 });
    }
    return status;
}

/* --- merging ------------------------------------------------------------------------------- */

static kvorum_status open_source(struct saving *v, struct lsm_source **ret_source)
{
    const struct lsm_table_scan scan = { .sequential = true };
    struct lsm_source **list = calloc(v->copy_count + 1, sizeof(struct lsm_source *));
    size_t count = 0;
    kvorum_status status = list == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
    for (size_t i = 0; i < v->copy_count && status == KVORUM_OK; i++) {
        status = lsm_table_source(v->copies[i], &scan, &list[count]);
        count += status == KVORUM_OK;
    }
    if (status == KVORUM_OK)
        status = lsm_merger_create(list, count, ret_source);
    else
        for (size_t i = 0; i < count; i++)
            list[i]->ops->close(list[i]);
    free(list);
    return status;
}

/* Operands stay operands here, and are looked at one by one: without the manifest there may be
 * tables beside those that were made of them, and then what is in both must not count twice. */
static kvorum_status merge(struct saving *v)
{
    struct lsm_source *source;
    struct lsm_reduce *reduce = NULL;
    const struct lsm_reduce_options options = { .ranges = v->ranges };
    epoch_guard guard = epoch_enter(&v->epoch);
    kvorum_status status = open_source(v, &source);
    if (status == KVORUM_OK) {
        status = lsm_reduce_create(&options, source, &reduce);
        if (status == KVORUM_OK)
            status = write_all(v, reduce);
        lsm_reduce_destroy(reduce);
        source->ops->close(source);
    }
    epoch_leave(guard);
    return status == KVORUM_OK ? salvage_write(v->salvage, true) : status;
}

kvorum_status salvage_tables(struct salvage *s)
{
    struct saving v = { .salvage = s };
    epoch_init(&v.epoch);
    buffer_init(&v.last, ENGINE_KEY_SIZE_MAX + 1);
    buffer_init(&v.key, ENGINE_KEY_SIZE_MAX + 1);
    buffer_init(&v.value, LSM_BLOB_RECORD_SIZE_MAX);
    buffer_init(&v.operands, ENGINE_BATCH_SIZE_MAX);
    kvorum_status status = lsm_cache_create(&v.epoch, CACHE_SIZE, 0, 0, &v.cache);
    if (status == KVORUM_OK)
        status = copy_tables(&v);
    if (status == KVORUM_OK)
        status = merge(&v);
    for (size_t i = 0; i < v.copy_count; i++)
        lsm_table_release(v.copies[i]);
    epoch_drain(&v.epoch); /* the cache outlives the tables */
    lsm_cache_destroy(v.cache);
    epoch_done(&v.epoch);
    lsm_ranges_destroy(v.ranges);
    free(v.copies);
    free(v.range_list);
    free(v.ends);
    buffer_done(&v.last);
    buffer_done(&v.key);
    buffer_done(&v.value);
    buffer_done(&v.operands);
    return status;
}
