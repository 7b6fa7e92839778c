/* SPDX-License-Identifier: Apache-2.0 */
/* Entries are encoded as they come; the columns beside them go in front of them at the end, when it
 * is known how wide they must be. */
#include "engine/lsm/table/block_writer.h"

#include <assert.h>
#include <stdlib.h>

enum { COLUMNS_MIN = 64, ENTRIES_SIZE_MIN = 8 * 1024, WIDE = 4, NARROW = 2 };

void table_block_writer_init(struct table_block_writer *writer, unsigned group_shift)
{
    assert(group_shift <= TABLE_GROUP_SHIFT_MAX);
    *writer = (struct table_block_writer){ .group_shift = group_shift, .tag_min = UINT64_MAX };
}

void table_block_writer_done(struct table_block_writer *writer)
{
    free(writer->entries);
    free(writer->ends);
    free(writer->tags);
    free(writer->fingerprints);
    *writer = (struct table_block_writer){ 0 };
}

static bool grow_columns(struct table_block_writer *writer)
{
    size_t columns = writer->columns == 0 ? COLUMNS_MIN : writer->columns * 2;
    uint32_t *ends = realloc(writer->ends, columns * sizeof(*ends));
    if (ends != NULL)
        writer->ends = ends;
    uint64_t *tags = realloc(writer->tags, columns * sizeof(*tags));
    if (tags != NULL)
        writer->tags = tags;
    uint8_t *fingerprints = realloc(writer->fingerprints, columns);
    if (fingerprints != NULL)
        writer->fingerprints = fingerprints;
    if (ends == NULL || tags == NULL || fingerprints == NULL)
        return false;
    writer->columns = columns;
    return true;
}

static bool grow_entries(struct table_block_writer *writer, size_t size)
{
    size_t capacity = writer->capacity == 0 ? ENTRIES_SIZE_MIN : writer->capacity * 2;
    if (capacity < writer->size + size)
        capacity = writer->size + size;
    uint8_t *entries = realloc(writer->entries, capacity);
    if (entries == NULL)
        return false;
    writer->entries = entries;
    writer->capacity = capacity;
    return true;
}

static size_t encoded_size_max(const struct lsm_entry *entry)
{
    return 2 * 3 + entry->key.size + entry->value.size; /* two varints below 2^21 */
}

static void note_tag(struct table_block_writer *writer, uint64_t tag)
{
    writer->tags[writer->count] = tag;
    writer->tag_min = tag < writer->tag_min ? tag : writer->tag_min;
    writer->tag_max = tag > writer->tag_max ? tag : writer->tag_max;
}

static uint8_t *put(uint8_t *at, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

bool table_block_writer_add(struct table_block_writer *writer, const struct lsm_entry *entry,
                            uint64_t hash)
{
    size_t room = encoded_size_max(entry);
    if (writer->count == writer->columns && !grow_columns(writer))
        return false;
    if (writer->capacity - writer->size < room && !grow_entries(writer, room))
        return false;
    bool begins = (writer->count & (((size_t)1 << writer->group_shift) - 1)) == 0;
    struct bytes first = bytes_make(writer->entries + writer->first, writer->first_size);
    size_t shared = begins ? 0 : table_common(first, entry->key);
    uint8_t *at = varint_put(writer->entries + writer->size, shared);
    at = varint_put(at, entry->key.size - shared);
    if (begins) {
        writer->first = (size_t)(at - writer->entries);
        writer->first_size = entry->key.size;
    }
    at = put(at, bytes_from(entry->key, shared));
    at = put(at, entry->value);
    writer->size = (size_t)(at - writer->entries);
    writer->ends[writer->count] = (uint32_t)writer->size;
    writer->fingerprints[writer->count] = table_fingerprint(hash);
    note_tag(writer, entry->sequence << 2 | (uint64_t)entry->kind);
    writer->count++;
    return true;
}

static size_t tag_size(const struct table_block_writer *writer)
{
    uint64_t span = writer->count == 0 ? 0 : writer->tag_max - writer->tag_min;
    return span == 0 ? 0 : (71 - (size_t)__builtin_clzll(span)) / 8;
}

static size_t offset_size(size_t entries_size)
{
    return entries_size > UINT16_MAX ? WIDE : NARROW;
}

static size_t columns_size(size_t count, size_t entries_size, size_t tag)
{
    size_t offset = offset_size(entries_size);
    return TABLE_BLOCK_HEADER_SIZE + offset + count * (1 + offset + tag);
}

size_t table_block_writer_size(const struct table_block_writer *writer)
{
    return columns_size(writer->count, writer->size, tag_size(writer)) + writer->size;
}

size_t table_block_writer_size_with(const struct table_block_writer *writer,
                                    const struct lsm_entry *entry)
{
    struct table_block_writer with = { .count = writer->count + 1,
                                       .tag_min = writer->tag_min,
                                       .tag_max = writer->tag_max };
    uint64_t tag = entry->sequence << 2 | (uint64_t)entry->kind;
    with.tag_min = tag < with.tag_min ? tag : with.tag_min;
    with.tag_max = tag > with.tag_max ? tag : with.tag_max;
    with.size = writer->size + encoded_size_max(entry);
    return table_block_writer_size(&with);
}

static void put_columns(const struct table_block_writer *writer, uint8_t *at, size_t offset,
                        size_t tag)
{
    memcpy(at, writer->fingerprints, writer->count);
    at += writer->count;
    memset(at, 0, offset);
    at += offset;
    for (size_t i = 0; i < writer->count; i++, at += offset) {
        uint32_t end = htole32(writer->ends[i]); /* its low bytes come first */
        memcpy(at, &end, offset);
    }
    for (size_t i = 0; i < writer->count && tag > 0; i++, at += tag) {
        uint64_t value = htole64(writer->tags[i] - writer->tag_min);
        memcpy(at, &value, tag);
    }
}

void table_block_writer_finish(struct table_block_writer *writer, uint8_t *raw)
{
    size_t tag = tag_size(writer), offset = offset_size(writer->size);
    size_t columns = columns_size(writer->count, writer->size, tag);
    assert(writer->count > 0);
    little_put64(raw, writer->tag_min);
    little_put32(raw + 8, (uint32_t)writer->count);
    raw[12] = (uint8_t)writer->group_shift;
    raw[13] = (uint8_t)offset;
    raw[14] = (uint8_t)tag;
    raw[15] = 0;
    put_columns(writer, raw + TABLE_BLOCK_HEADER_SIZE, offset, tag);
    memcpy(raw + columns, writer->entries, writer->size);
    writer->size = 0;
    writer->count = 0;
    writer->tag_min = UINT64_MAX;
    writer->tag_max = 0;
}
