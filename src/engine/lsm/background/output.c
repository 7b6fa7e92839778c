/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that come out of a flush or compaction.
 *
 *      reduce --> | table | table | table ...        cut between two keys, when a table is large
 *                    \ large values --> blob file     enough or would meet too much of the level
 *                                                     after next
 *
 * Each table gets the deleted ranges of its stretch, [its cut, the next cut), so that they are
 * found in the table that a reader of those keys looks at. */
#include "engine/lsm/background/output.h"
#include "base/planted.h"
#include "engine/lsm/background/background.h"

#include <assert.h>
#include <stdlib.h>

enum { PROGRESS_SIZE = 1024 * 1024 };

struct output {
    struct lsm *lsm;
    const struct lsm_output_plan *plan;
    struct lsm_reduce *reduce;
    struct lsm_outputs *outputs;
    struct lsm_table_options options;

    struct lsm_table_writer *writer; /* of the table at hand, or NULL */
    uint64_t number;
    uint64_t reported_size; /* of the table at hand, to lsm_progress */
    bool cut_wanted;        /* at the first key above `key` */
    struct buffer key;      /* see cut_wanted */
    struct buffer begin;    /* of the stretch at hand */
    size_t grandparent;     /* index of the next one */
    uint64_t overlap_size;  /* of those met by the table at hand */

    struct lsm_blob_tally tally; /* blob files that the table at hand refers to */
    struct lsm_blob_writer blob;
    struct buffer value; /* read from a blob */
    uint8_t address[LSM_BLOB_ADDRESS_MAX];
};

/* --- one table ----------------------------------------------------------------------------- */

static kvorum_status blob_read(void *context, const struct lsm_entry *entry, struct buffer *memory,
                               struct bytes *ret_value)
{
    return lsm_blob_read(((struct output *)context)->lsm, entry->value, memory, ret_value);
}

static uint64_t next_number(struct lsm *lsm, struct lsm_id *ret_file)
{
    pthread_mutex_lock(&lsm->mutex);
    uint64_t number = lsm->next_file++;
    *ret_file = lsm_new_id(lsm);
    pthread_mutex_unlock(&lsm->mutex);
    return number;
}

static kvorum_status begin_table(struct output *o)
{
    char path[LSM_PATH_SIZE];
    struct lsm *lsm = o->lsm;
    struct lsm_id file;
    o->number = next_number(lsm, &file);
    o->reported_size = o->overlap_size = 0;
    kvorum_status status = lsm_file_path(lsm, LSM_FILE_TABLE, o->number, path);
    if (status != KVORUM_OK)
        return status;
    return lsm_table_writer_create(lsm->disk, path, &lsm->store, &file, o->number, &o->options,
                                   &o->writer);
}

static bool outputs_reserve(struct lsm_outputs *outputs)
{
    if (outputs->count < outputs->capacity)
        return true;
    size_t capacity = outputs->capacity == 0 ? 16 : outputs->capacity * 2;
    struct lsm_table **tables = realloc(outputs->tables, capacity * sizeof(struct lsm_table *));
    if (tables == NULL)
        return false;
    outputs->tables = tables;
    outputs->capacity = capacity;
    return true;
}

static kvorum_status add_range(void *context, const struct lsm_range *range)
{
    struct output *o = context;
    kvorum_status status = o->writer == NULL ? begin_table(o) : KVORUM_OK;
    return status == KVORUM_OK ? lsm_table_writer_add_range(o->writer, range) : status;
}

static kvorum_status make_table(struct output *o, struct lsm_table_meta *meta)
{
    char path[LSM_PATH_SIZE];
    struct lsm_table *table;
    kvorum_status status = lsm_file_path(o->lsm, LSM_FILE_TABLE, o->number, path);
    if (status == KVORUM_OK)
        status = lsm_table_create(o->lsm->disk, path, &o->lsm->store, meta, o->lsm->cache, &table);
    if (status != KVORUM_OK) {
        (void)!o->lsm->disk->ops->remove(o->lsm->disk, path);
        free((void *)(uintptr_t)meta->lower.data);
        return status;
    }
    o->outputs->tables[o->outputs->count++] = table;
    o->outputs->written_size += meta->size;
    if (!lsm_blob_tally_take(&o->tally, &table->shares))
        return KVORUM_NO_MEMORY;
    return meta->ranges == 0 ? KVORUM_OK : lsm_table_load_ranges(table);
}

/* The table at hand ends before `upper` (empty: the end of the inputs). */
static kvorum_status end_table(struct output *o, struct bytes upper)
{
    struct lsm_table_meta meta;
    struct lsm_table_writer *writer;
    kvorum_status status = KVORUM_OK;
    if (o->plan->reduce.ranges != NULL)
        status = lsm_reduce_ranges(o->reduce, buffer_bytes(&o->begin), upper, add_range, o);
    if (status != KVORUM_OK || o->writer == NULL)
        return status;
    if (!outputs_reserve(o->outputs))
        return KVORUM_NO_MEMORY;
    writer = o->writer;
    o->writer = NULL;
    status = lsm_table_writer_finish(writer, &meta);
    return status == KVORUM_OK ? make_table(o, &meta) : status;
}

/* --- cuts ---------------------------------------------------------------------------------- */

static bool copy(struct buffer *to, struct bytes from)
{
    buffer_reset(to);
    buffer_append_bytes(to, from);
    return !to->failed;
}

/* What the table at hand would have to be merged with one level further down. */
static bool meets_too_much(struct output *o, struct bytes key)
{
    if (o->plan->level + 1 >= ENGINE_LEVELS || o->plan->table_size == UINT64_MAX)
        return false;
    const struct lsm_level *below = &o->plan->state->levels->level[o->plan->level + 1];
    while (o->grandparent < below->count &&
           !lsm_below_upper(key, below->tables[o->grandparent]->meta.upper))
        o->overlap_size += below->tables[o->grandparent++]->meta.size;
    return o->overlap_size > o->lsm->policy.overlap_size_max;
}

static kvorum_status cut_before(struct output *o, struct bytes key)
{
    if (!o->cut_wanted || o->writer == NULL || bytes_equal(key, buffer_bytes(&o->key)))
        return KVORUM_OK;
    o->cut_wanted = false;
    if (o->plan->reduce.ranges != NULL)
        PROBE("lsm: a table was cut among deleted ranges");
    kvorum_status status = end_table(o, key);
    if (status == KVORUM_OK && !copy(&o->begin, key))
        status = KVORUM_NO_MEMORY;
    return status;
}

static kvorum_status after_entry(struct output *o, struct bytes key)
{
    uint64_t size = lsm_table_writer_size(o->writer);
    if (size >= o->reported_size + PROGRESS_SIZE) {
        uint64_t more = size - o->reported_size;
        o->reported_size = size;
        if (!lsm_progress(o->lsm, more))
            return KVORUM_CLOSED;
    }
    if (o->cut_wanted || (size < o->plan->table_size && !meets_too_much(o, key)))
        return KVORUM_OK;
    o->cut_wanted = true;
    return copy(&o->key, key) ? KVORUM_OK : KVORUM_NO_MEMORY;
}

/* --- values out of line -------------------------------------------------------------------- */

static kvorum_status end_blob(struct output *o)
{
    struct lsm_outputs *outputs = o->outputs;
    struct lsm_blob_file **blobs =
        realloc(outputs->blobs, (outputs->blob_count + 1) * sizeof(struct lsm_blob_file *));
    if (blobs == NULL)
        return KVORUM_NO_MEMORY;
    outputs->blobs = blobs;
    struct lsm_blob_file *file = lsm_blob_file_create(o->lsm, o->blob.number, o->blob.size);
    if (file == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = lsm_blob_writer_finish(o->lsm, &o->blob);
    if (status != KVORUM_OK) {
        lsm_blob_file_release(file);
        return status;
    }
    outputs->blobs[outputs->blob_count++] = file;
    outputs->written_size += file->size;
    return KVORUM_OK;
}

static kvorum_status put_out_of_line(struct output *o, struct lsm_entry *entry, struct bytes value)
{
    struct lsm_blob_address address;
    struct lsm_id unused;
    kvorum_status status = KVORUM_OK;
    if (o->blob.file != NULL && o->blob.size >= o->lsm->options.memtable_size)
        status = end_blob(o);
    if (status == KVORUM_OK && o->blob.file == NULL)
        status = lsm_blob_writer_open(o->lsm, next_number(o->lsm, &unused), &o->blob);
    if (status == KVORUM_OK)
        status = lsm_blob_writer_add(&o->blob, entry->key, value, &address);
    if (status != KVORUM_OK)
        return status;
    entry->kind = LSM_BLOB;
    entry->value = bytes_make(o->address, lsm_blob_address_encode(&address, o->address));
    return lsm_progress(o->lsm, address.size) ? KVORUM_OK : KVORUM_CLOSED;
}

/* A value in a file that is to be emptied goes to the new one.  One that is damaged stays where it
 * is, to be met by who reads it, and its file is not tried again: that stops no compaction. */
static kvorum_status move_blob(struct output *o, struct lsm_entry *entry)
{
    struct lsm_blob_address address;
    struct bytes value;
    if (!lsm_blob_address_decode(entry->value, &address) ||
        !lsm_victims_have(&o->plan->victims, address.number))
        return KVORUM_OK;
    kvorum_status status = lsm_blob_read(o->lsm, entry->value, &o->value, &value);
    if (status == KVORUM_OK) {
        PROBE("lsm: a value moved to a new blob file");
        return put_out_of_line(o, entry, value);
    }
    if (status != KVORUM_CORRUPT)
        return status;
    const struct lsm_blob_use *use = lsm_blobs_find(o->plan->state->blobs, address.number);
    atomic_store(&use->file->damaged, true);
    return KVORUM_OK;
}

static kvorum_status place_value(struct output *o, struct lsm_entry *entry)
{
    if (entry->kind == LSM_BLOB)
        return move_blob(o, entry);
    if (entry->kind == LSM_PUT && entry->value.size >= o->lsm->options.blob_size)
        return put_out_of_line(o, entry, entry->value);
    return KVORUM_OK;
}

/* A damaged address is met again by readers, who say so. */
static kvorum_status note_share(struct output *o, const struct lsm_entry *entry)
{
    struct lsm_blob_address address;
    if (entry->kind != LSM_BLOB || !lsm_blob_address_decode(entry->value, &address))
        return KVORUM_OK;
    return lsm_blob_tally_add(&o->tally, address.number, address.size) ? KVORUM_OK
                                                                       : KVORUM_NO_MEMORY;
}

/* --- all of it ----------------------------------------------------------------------------- */

static kvorum_status write_entry(struct output *o, struct lsm_entry *entry)
{
    kvorum_status status = cut_before(o, entry->key);
    if (status == KVORUM_OK)
        status = place_value(o, entry);
    if (status == KVORUM_OK && o->writer == NULL)
        status = begin_table(o);
    if (status == KVORUM_OK)
        status = lsm_table_writer_add(o->writer, entry);
    if (status == KVORUM_OK)
        status = note_share(o, entry);
    return status == KVORUM_OK ? after_entry(o, entry->key) : status;
}

static kvorum_status write_all(struct output *o)
{
    kvorum_status status = KVORUM_OK;
    while (status == KVORUM_OK) {
        struct lsm_entry entry;
        epoch_guard guard = epoch_enter(&o->lsm->epoch); /* one entry at a time: see epoch.h */
        status = lsm_reduce_next(o->reduce, &entry);
        epoch_leave(guard);
        if (status == KVORUM_OK)
            status = write_entry(o, &entry);
    }
    if (status == KVORUM_NOT_FOUND)
        status = end_table(o, o->plan->upper);
    return status == KVORUM_OK && o->blob.file != NULL ? end_blob(o) : status;
}

struct lsm_table_options lsm_table_options_of(const struct lsm *lsm, int level)
{
    const struct lsm_options *options = &lsm->options;
    static const enum lsm_compression compressions[] = { [LSM_PACK_DEFAULT] = LSM_STORED,
                                                         [LSM_PACK_NONE] = LSM_STORED,
                                                         [LSM_PACK_LZ4] = LSM_LZ4,
                                                         [LSM_PACK_ZSTD] = LSM_ZSTD };
    return (struct lsm_table_options){
        .block_size = options->block_size,
        .filter_bits = options->filter_bits == LSM_FILTER_BITS_NONE ? 0 : options->filter_bits,
        .compression = compressions[options->packing[level]],
    };
}

kvorum_status lsm_write_outputs(struct lsm *lsm, const struct lsm_output_plan *plan,
                                struct lsm_source *source, struct lsm_outputs *ret_outputs)
{
    struct output o = { .lsm = lsm, .plan = plan, .outputs = ret_outputs };
    struct lsm_reduce_options reduce = plan->reduce;
    o.options = lsm_table_options_of(lsm, plan->level);
    *ret_outputs = (struct lsm_outputs){ 0 };
    buffer_init(&o.key, ENGINE_KEY_SIZE_MAX + 1);
    buffer_init(&o.begin, ENGINE_KEY_SIZE_MAX + 1);
    buffer_init(&o.value, LSM_BLOB_RECORD_SIZE_MAX);
    reduce.merge = lsm->options.merge;
    reduce.blob_read = blob_read;
    reduce.context = &o;
    epoch_guard guard = epoch_enter(&lsm->epoch);
    kvorum_status status = lsm_reduce_create(&reduce, source, &o.reduce);
    epoch_leave(guard);
    if (status == KVORUM_OK && !copy(&o.begin, plan->lower))
        status = KVORUM_NO_MEMORY;
    if (status == KVORUM_OK)
        status = write_all(&o);
    lsm_table_writer_abandon(o.writer);
    lsm_blob_writer_abandon(lsm, &o.blob);
    if (status != KVORUM_OK)
        lsm_outputs_abandon(ret_outputs);
    lsm_reduce_destroy(o.reduce);
    buffer_done(&o.key);
    buffer_done(&o.begin);
    buffer_done(&o.value);
    lsm_blob_tally_done(&o.tally);
    return status;
}

void lsm_outputs_abandon(struct lsm_outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        atomic_store(&outputs->tables[i]->obsolete, true);
        lsm_table_release(outputs->tables[i]);
    }
    for (size_t i = 0; i < outputs->blob_count; i++) {
        atomic_store(&outputs->blobs[i]->obsolete, true);
        lsm_blob_file_release(outputs->blobs[i]);
    }
    lsm_outputs_done(outputs);
}

void lsm_outputs_done(struct lsm_outputs *outputs)
{
    free(outputs->tables);
    free(outputs->blobs);
    *outputs = (struct lsm_outputs){ 0 };
}

static bool join_blobs(struct lsm_outputs *outputs, const struct lsm_outputs *more)
{
    size_t count = outputs->blob_count + more->blob_count;
    if (more->blob_count == 0)
        return true;
    struct lsm_blob_file **blobs = realloc(outputs->blobs, count * sizeof(struct lsm_blob_file *));
    if (blobs == NULL)
        return false;
    memcpy(blobs + outputs->blob_count, more->blobs, more->blob_count * sizeof(blobs[0]));
    outputs->blobs = blobs;
    return true;
}

kvorum_status lsm_outputs_join(struct lsm_outputs *outputs, struct lsm_outputs *more)
{
    size_t count = outputs->count + more->count;
    struct lsm_table **tables = realloc(outputs->tables, (count + 1) * sizeof(struct lsm_table *));
    if (tables == NULL)
        return KVORUM_NO_MEMORY;
    outputs->tables = tables;
    outputs->capacity = count + 1;
    if (!join_blobs(outputs, more))
        return KVORUM_NO_MEMORY;
    if (more->count > 0)
        memcpy(tables + outputs->count, more->tables, more->count * sizeof(tables[0]));
    outputs->count = count;
    outputs->blob_count += more->blob_count;
    outputs->written_size += more->written_size;
    lsm_outputs_done(more);
    return KVORUM_OK;
}

/* --- deleted ranges of a table ------------------------------------------------------------- */

static kvorum_status collect(void *context, const struct lsm_range *range)
{
    struct lsm_ranges **ranges = context, *more;
    kvorum_status status = lsm_ranges_add(*ranges, range, &more);
    if (status != KVORUM_OK)
        return status;
    lsm_ranges_destroy(*ranges);
    *ranges = more;
    return KVORUM_OK;
}

kvorum_status lsm_table_load_ranges(struct lsm_table *table)
{
    if (table->ranges != NULL || table->meta.ranges == 0)
        return KVORUM_OK;
    kvorum_status status = lsm_table_read_ranges(table, collect, &table->ranges);
    if (status != KVORUM_OK) {
        lsm_ranges_destroy(table->ranges);
        table->ranges = NULL;
    }
    return status;
}
