/* SPDX-License-Identifier: Apache-2.0 */
/* Entries to a file: blocks go out as they fill; hashes, index and ranges are kept for the end. */
#include "base/hash.h"
#include "base/planted.h"
#include "engine/lsm/table/block_writer.h"
#include "engine/lsm/table/cache.h"
#include "engine/lsm/table/filter.h"
#include "engine/lsm/table/hashes.h"
#include "engine/lsm/table/index.h"
#include "engine/lsm/table/output.h"

#include <assert.h>
#include <stdlib.h>

enum {
    BLOCK_SIZE = 4096,
    BLOCK_SIZE_MAX = 64 << 20,
    GROUP_SIZE = 16,
    KEY_ROOM = ENGINE_KEY_SIZE_MAX + 1
};

struct lsm_table_writer {
    struct disk *disk;
    char *path;
    struct table_output output;
    struct table_block_writer block;
    struct table_index_writer index;
    struct table_hashes hashes;
    size_t block_limit; /* bytes of a block in the file and in the cache */
    unsigned filter_bits;
    kvorum_status failure;
    struct table_properties properties; /* bounds: not before the end */
    struct buffer ranges, range_upper;
    bool unbounded;      /* a range without an upper bound */
    struct buffer lower; /* the smallest key or lower bound so far */
    struct buffer last;  /* key of the last entry */
    uint64_t last_sequence;
    uint64_t last_framed; /* size of the block whose separator waits for the next key; 0: none */
};

uint64_t lsm_key_hash(struct bytes key)
{
    return hash64(key, 0);
}

/* --- begin and end ------------------------------------------------------------------------- */

static void destroy(struct lsm_table_writer *writer)
{
    table_block_writer_done(&writer->block);
    table_index_writer_done(&writer->index);
    table_hashes_done(&writer->hashes);
    table_compressor_done(&writer->output.compressor);
    buffer_done(&writer->ranges);
    buffer_done(&writer->range_upper);
    buffer_done(&writer->lower);
    buffer_done(&writer->last);
    free(writer->output.data);
    free(writer->path);
    free(writer);
}

static unsigned group_shift(unsigned interval)
{
    unsigned shift = 0;
    while (shift < TABLE_GROUP_SHIFT_MAX && (2u << shift) <= interval)
        shift++;
    return shift;
}

static struct lsm_table_writer *allocate(struct disk *disk, const char *path,
                                         const struct lsm_table_options *options)
{
    struct lsm_table_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return NULL;
    unsigned interval = options->restart_interval;
    writer->disk = disk;
    writer->path = strdup(path);
    writer->block_limit = options->block_size == 0 ? BLOCK_SIZE : options->block_size;
    if (writer->block_limit > BLOCK_SIZE_MAX)
        writer->block_limit = BLOCK_SIZE_MAX;
    writer->filter_bits = options->filter_bits;
    table_block_writer_init(&writer->block, group_shift(interval == 0 ? GROUP_SIZE : interval));
    table_index_writer_init(&writer->index);
    buffer_init(&writer->ranges, TABLE_BLOCK_SIZE_MAX);
    buffer_init(&writer->range_upper, KEY_ROOM);
    buffer_init(&writer->lower, KEY_ROOM);
    buffer_init(&writer->last, KEY_ROOM);
    bool ready = table_compressor_init(&writer->output.compressor, options->compression);
    if (!ready || writer->path == NULL) {
        destroy(writer);
        return NULL;
    }
    return writer;
}

static kvorum_status begin_file(struct lsm_table_writer *writer)
{
    uint8_t head[TABLE_HEAD_SIZE];
    struct table_head ids = { writer->properties.store, writer->properties.meta.file,
                              writer->properties.meta.number };
    table_head_encode(&ids, head);
    return table_output_append(&writer->output, bytes_make(head, sizeof(head)));
}

kvorum_status lsm_table_writer_create(struct disk *disk, const char *path,
                                      const struct lsm_id *store, const struct lsm_id *file,
                                      uint64_t number, const struct lsm_table_options *options,
                                      struct lsm_table_writer **ret_writer)
{
    struct lsm_table_writer *writer = allocate(disk, path, options);
    if (writer == NULL)
        return KVORUM_NO_MEMORY;
    writer->output.id = *file;
    writer->properties = (struct table_properties){
        .store = *store,
        .meta = { .number = number, .file = *file, .sequence_min = UINT64_MAX },
        .compression = options->compression,
    };
    kvorum_status status = begin_file(writer);
    if (status == KVORUM_OK)
        status = disk->ops->open(disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE,
                                 &writer->output.file);
    if (status != KVORUM_OK) {
        destroy(writer);
        return status;
    }
    *ret_writer = writer;
    return KVORUM_OK;
}

void lsm_table_writer_abandon(struct lsm_table_writer *writer)
{
    if (writer == NULL)
        return;
    writer->output.file->ops->close(writer->output.file);
    /* What cannot be removed now is a file that no manifest names: the next open removes it. */
    (void)!writer->disk->ops->remove(writer->disk, writer->path);
    destroy(writer);
}

/* --- entries ------------------------------------------------------------------------------- */

/* The last block's separator is known when the key behind it is. */
static bool index_last(struct lsm_table_writer *writer, struct bytes next)
{
    uint8_t small[256];
    struct bytes last = buffer_bytes(&writer->last);
    uint8_t *key = last.size <= sizeof(small) ? small : malloc(last.size);
    if (key == NULL)
        return false;
    size_t size = last.size;
    if (next.size > 0)
        size = table_separator(last, next, key);
    else
        memcpy(key, last.data, size);
    bool added = table_index_writer_add(&writer->index, bytes_make(key, size), writer->last_framed);
    if (key != small)
        free(key);
    writer->last_framed = 0;
    return added;
}

static kvorum_status end_block(struct lsm_table_writer *writer)
{
    size_t raw_size = table_block_writer_size(&writer->block);
    uint8_t *raw = table_output_reserve(&writer->output, raw_size);
    if (raw == NULL)
        return KVORUM_NO_MEMORY;
    table_block_writer_finish(&writer->block, raw);
    writer->properties.blocks++;
    return table_output_block(&writer->output, TABLE_ENTRIES, raw_size, true, &writer->last_framed);
}

static bool note_key(struct lsm_table_writer *writer, const struct lsm_entry *entry, uint64_t hash,
                     bool same)
{
    if (same)
        return true;
    if (writer->properties.meta.entries == 0) {
        struct bytes lower = buffer_bytes(&writer->lower);
        if (writer->properties.meta.ranges == 0 || bytes_compare(entry->key, lower) < 0) {
            buffer_reset(&writer->lower);
            buffer_append_bytes(&writer->lower, entry->key);
        }
    }
    writer->properties.keys++;
    buffer_reset(&writer->last);
    buffer_append_bytes(&writer->last, entry->key);
    bool hashed = writer->filter_bits == 0 || table_hashes_add(&writer->hashes, hash);
    return hashed && !writer->last.failed && !writer->lower.failed;
}

static void note_sequence(struct lsm_table_meta *meta, uint64_t sequence)
{
    meta->sequence_min = sequence < meta->sequence_min ? sequence : meta->sequence_min;
    meta->sequence_max = sequence > meta->sequence_max ? sequence : meta->sequence_max;
}

static kvorum_status add(struct lsm_table_writer *writer, const struct lsm_entry *entry)
{
    struct lsm_table_meta *meta = &writer->properties.meta;
    int order = meta->entries == 0 ? -1 : bytes_compare(buffer_bytes(&writer->last), entry->key);
    assert(order < 0 || (order == 0 && entry->sequence < writer->last_sequence));
    if (writer->block.count > 0 && table_cached_size(table_block_writer_size_with(
                                       &writer->block, entry)) > writer->block_limit) {
        kvorum_status status = end_block(writer);
        if (status != KVORUM_OK)
            return status;
    }
    if (writer->last_framed > 0 && !index_last(writer, entry->key))
        return KVORUM_NO_MEMORY;
    uint64_t hash = lsm_key_hash(entry->key);
    if (!note_key(writer, entry, hash, order == 0) ||
        !table_block_writer_add(&writer->block, entry, hash))
        return KVORUM_NO_MEMORY;
    note_sequence(meta, entry->sequence);
    writer->last_sequence = entry->sequence;
    meta->entries++;
    meta->deletes += entry->kind == LSM_DELETE;
    return KVORUM_OK;
}

kvorum_status lsm_table_writer_add(struct lsm_table_writer *writer, const struct lsm_entry *entry)
{
    if (entry->key.size == 0 || entry->key.size > ENGINE_KEY_SIZE_MAX ||
        entry->value.size > ENGINE_VALUE_SIZE_MAX)
        return KVORUM_INVALID;
    if (writer->failure == KVORUM_OK)
        writer->failure = add(writer, entry);
    return writer->failure;
}

/* --- ranges -------------------------------------------------------------------------------- */

static void note_bounds(struct lsm_table_writer *writer, const struct lsm_range *range)
{
    const struct lsm_table_meta *meta = &writer->properties.meta;
    bool first = meta->entries == 0 && meta->ranges == 0;
    if (first || bytes_compare(range->lower, buffer_bytes(&writer->lower)) < 0) {
        buffer_reset(&writer->lower);
        buffer_append_bytes(&writer->lower, range->lower);
    }
    if (range->upper.size == 0)
        writer->unbounded = true;
    if (bytes_compare(range->upper, buffer_bytes(&writer->range_upper)) > 0) {
        buffer_reset(&writer->range_upper);
        buffer_append_bytes(&writer->range_upper, range->upper);
    }
}

kvorum_status lsm_table_writer_add_range(struct lsm_table_writer *writer,
                                         const struct lsm_range *range)
{
    if (range->lower.size > KEY_ROOM || range->upper.size > KEY_ROOM ||
        !lsm_below_upper(range->lower, range->upper))
        return KVORUM_INVALID;
    note_bounds(writer, range);
    write_sized(&writer->ranges, range->lower);
    write_sized(&writer->ranges, range->upper);
    write_varint(&writer->ranges, range->sequence);
    note_sequence(&writer->properties.meta, range->sequence);
    writer->properties.meta.ranges++;
    if (writer->ranges.failed || writer->range_upper.failed || writer->lower.failed)
        writer->failure = KVORUM_NO_MEMORY;
    return writer->failure;
}

/* --- the end ------------------------------------------------------------------------------- */

uint64_t lsm_table_writer_size(const struct lsm_table_writer *writer)
{
    uint64_t size = table_output_end(&writer->output) + writer->index.buffer.size +
                    writer->ranges.size + TABLE_FOOT_SIZE;
    if (writer->block.count > 0)
        size += table_block_writer_size(&writer->block);
    return size + writer->hashes.count * writer->filter_bits / 8;
}

bool lsm_table_writer_empty(const struct lsm_table_writer *writer)
{
    return writer->properties.meta.entries == 0 && writer->properties.meta.ranges == 0;
}

static kvorum_status write_bytes(struct lsm_table_writer *writer, enum table_block_type type,
                                 struct bytes raw, uint64_t *ret_offset)
{
    uint8_t *at = table_output_reserve(&writer->output, raw.size);
    if (at == NULL)
        return KVORUM_NO_MEMORY;
    memcpy(at, raw.data, raw.size);
    *ret_offset = table_output_end(&writer->output);
    return table_output_block(&writer->output, type, raw.size, false, NULL);
}

static kvorum_status write_filter(struct lsm_table_writer *writer, uint64_t *ret_offset)
{
    uint64_t size = table_filter_size(writer->hashes.count, writer->filter_bits);
    uint8_t *raw = table_output_reserve(&writer->output, size);
    if (raw == NULL)
        return KVORUM_NO_MEMORY;
    table_hashes_filter(&writer->hashes, writer->filter_bits, raw, size);
    *ret_offset = table_output_end(&writer->output);
    return table_output_block(&writer->output, TABLE_FILTER, size, false, NULL);
}

/* [lower, upper) of entries and ranges together; `upper` has the zero byte behind the last key. */
static kvorum_status make_bounds(struct lsm_table_writer *writer, struct lsm_table_meta *meta)
{
    struct buffer *upper = &writer->last;
    if (meta->entries > 0)
        buffer_append_u8(upper, 0);
    if (upper->failed)
        return KVORUM_NO_MEMORY;
    struct bytes bounds[2] = { buffer_bytes(&writer->lower), buffer_bytes(upper) };
    if (bytes_compare(buffer_bytes(&writer->range_upper), bounds[1]) > 0)
        bounds[1] = buffer_bytes(&writer->range_upper);
    if (writer->unbounded)
        bounds[1].size = 0;
    uint8_t *memory = malloc(bounds[0].size + bounds[1].size + 1);
    if (memory == NULL)
        return KVORUM_NO_MEMORY;
    meta->lower = bytes_make(memory, bounds[0].size);
    meta->upper = bytes_make(memory + bounds[0].size, bounds[1].size);
    if (bounds[0].size > 0)
        memcpy(memory, bounds[0].data, bounds[0].size);
    if (bounds[1].size > 0)
        memcpy(memory + bounds[0].size, bounds[1].data, bounds[1].size);
    return KVORUM_OK;
}

static kvorum_status write_foot(struct lsm_table_writer *writer, struct table_foot *foot)
{
    struct buffer encoded;
    uint8_t bytes[TABLE_FOOT_SIZE];
    buffer_init(&encoded, TABLE_BLOCK_SIZE_MAX);
    table_properties_encode(&writer->properties, &encoded);
    kvorum_status status = encoded.failed ? KVORUM_NO_MEMORY
                                          : write_bytes(writer, TABLE_PROPERTIES,
                                                        buffer_bytes(&encoded), &foot->properties);
    buffer_done(&encoded);
    if (status != KVORUM_OK)
        return status;
    foot->store = writer->properties.store;
    foot->file = writer->properties.meta.file;
    foot->size = table_output_end(&writer->output) + TABLE_FOOT_SIZE;
    writer->properties.meta.size = foot->size;
    table_foot_encode(foot, bytes);
    return table_output_append(&writer->output, bytes_make(bytes, sizeof(bytes)));
}

static kvorum_status write_blocks(struct lsm_table_writer *writer, struct table_foot *foot)
{
    kvorum_status status = KVORUM_OK;
    if (writer->block.count > 0)
        status = end_block(writer);
    if (status == KVORUM_OK && writer->last_framed > 0 && !index_last(writer, (struct bytes){ 0 }))
        status = KVORUM_NO_MEMORY;
    writer->properties.entries_end = table_output_end(&writer->output);
    if (status == KVORUM_OK && writer->ranges.size > 0)
        status = write_bytes(writer, TABLE_RANGES, buffer_bytes(&writer->ranges), &foot->ranges);
    if (status == KVORUM_OK && writer->hashes.count > 0)
        status = write_filter(writer, &foot->filter);
    if (status == KVORUM_OK && writer->index.buffer.failed)
        status = KVORUM_NO_MEMORY;
    if (status == KVORUM_OK)
        status = write_bytes(writer, TABLE_INDEX, table_index_writer_finish(&writer->index),
                             &foot->index);
    return status;
}

kvorum_status lsm_table_writer_finish(struct lsm_table_writer *writer,
                                      struct lsm_table_meta *ret_meta)
{
    struct lsm_table_meta *meta = &writer->properties.meta;
    struct table_foot foot = { 0 };
    kvorum_status status = writer->failure;
    if (lsm_table_writer_empty(writer))
        meta->sequence_min = 0;
    if (status == KVORUM_OK)
        status = write_blocks(writer, &foot);
    if (status == KVORUM_OK)
        status = make_bounds(writer, meta);
    if (status == KVORUM_OK)
        status = write_foot(writer, &foot);
    if (status == KVORUM_OK && !PLANTED(TABLE_NOT_SYNCED))
        status = table_output_sync(&writer->output);
    if (status != KVORUM_OK) {
        free((void *)meta->lower.data);
        lsm_table_writer_abandon(writer);
        return status;
    }
    writer->output.file->ops->close(writer->output.file);
    *ret_meta = *meta;
    destroy(writer);
    return KVORUM_OK;
}
