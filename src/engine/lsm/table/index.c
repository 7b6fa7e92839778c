/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/index.h"

#include "codec/varint.h"
#include "engine/lsm/log/little.h"
#include "engine/lsm/table/block.h"
#include "engine/lsm/table/format.h"
#include "engine/lsm/table/memory.h"

enum { INDEX_HEADER_SIZE = 8, INDEX_ENTRY_SIZE_MIN = 3 };

/* --- reading ------------------------------------------------------------------------------- */

static bool allocate(struct table_index *index, size_t count, size_t text_size)
{
    size_t leaves = (count + TABLE_LEAF_WIDTH - 1) / TABLE_LEAF_WIDTH;
    size_t texts = (count + 1) * sizeof(uint32_t);
    size_t size = leaves * sizeof(struct table_leaf) + leaves * sizeof(uint64_t) +
                  (count + 1) * sizeof(uint64_t) + texts + text_size + TABLE_SLACK;
    index->leaves = table_memory_create(&size);
    if (index->leaves == NULL)
        return false;
    index->memory_size = size;
    index->tops = (uint64_t *)(index->leaves + leaves);
    index->offsets = index->tops + leaves;
    index->texts = (uint32_t *)(index->offsets + count + 1);
    index->text = (uint8_t *)index->texts + texts;
    index->count = count;
    index->leaf_count = leaves;
    return true;
}

static bool parse_one(struct table_index *index, size_t i, struct reader *reader,
                      uint64_t text_size)
{
    struct bytes last = i == 0 ? (struct bytes){ 0 } : table_index_separator(index, i - 1);
    uint64_t shared = read_varint(reader);
    struct bytes rest = read_sized(reader, ENGINE_KEY_SIZE_MAX);
    uint64_t steps = read_varint(reader);
    if (reader->failed || shared > last.size || shared + rest.size == 0 ||
        shared + rest.size > ENGINE_KEY_SIZE_MAX)
        return false;
    uint64_t begin = index->texts[i];
    if (shared + rest.size > text_size - begin || steps < TABLE_FRAME_SIZE / TABLE_ALIGNMENT ||
        steps > table_framed_size(TABLE_BLOCK_SIZE_MAX) / TABLE_ALIGNMENT)
        return false;
    if (shared > 0)
        memcpy(index->text + begin, last.data, shared);
    if (rest.size > 0)
        memcpy(index->text + begin + shared, rest.data, rest.size);
    index->texts[i + 1] = (uint32_t)(begin + shared + rest.size);
    index->offsets[i + 1] = index->offsets[i] + steps * TABLE_ALIGNMENT;
    return i == 0 || bytes_compare(last, table_index_separator(index, i)) <= 0;
}

static uint64_t prefix_of(struct bytes key, size_t skip)
{
    uint64_t prefix = 0;
    size_t size = key.size - skip;
    memcpy(&prefix, key.data + skip, size < sizeof(prefix) ? size : sizeof(prefix));
    return be64toh(prefix);
}

static void fill_leaves(struct table_index *index)
{
    if (index->count == 0)
        return;
    index->common_size = table_common(table_index_separator(index, 0),
                                      table_index_separator(index, index->count - 1));
    for (size_t i = 0; i < index->leaf_count * TABLE_LEAF_WIDTH; i++) {
        struct table_leaf *leaf = &index->leaves[i / TABLE_LEAF_WIDTH];
        uint64_t prefix = UINT64_MAX;
        if (i < index->count)
            prefix = prefix_of(table_index_separator(index, i), index->common_size);
        leaf->prefixes[i % TABLE_LEAF_WIDTH] = prefix;
        atomic_init(&leaf->slots[i % TABLE_LEAF_WIDTH], NULL);
        if (i < index->count) /* the last one stays */
            index->tops[i / TABLE_LEAF_WIDTH] = prefix;
    }
}

kvorum_status table_index_parse(struct bytes raw, uint64_t begin, struct table_index *ret_index)
{
    struct table_index index = { 0 };
    struct reader reader = reader_of(raw);
    uint32_t count = read_u32(&reader), text_size = read_u32(&reader);
    if (reader.failed || count > reader.rest.size / INDEX_ENTRY_SIZE_MIN ||
        text_size > (uint64_t)count * ENGINE_KEY_SIZE_MAX)
        return KVORUM_CORRUPT;
    if (!allocate(&index, count, text_size))
        return KVORUM_NO_MEMORY;
    index.texts[0] = 0;
    index.offsets[0] = begin;
    bool good = true;
    for (size_t i = 0; i < count && good; i++)
        good = parse_one(&index, i, &reader, text_size);
    if (!good || !reader_finished(&reader) || index.texts[count] != text_size) {
        table_index_done(&index);
        return KVORUM_CORRUPT;
    }
    fill_leaves(&index);
    *ret_index = index;
    return KVORUM_OK;
}

void table_index_done(struct table_index *index)
{
    table_memory_destroy(index->leaves);
    *index = (struct table_index){ 0 };
}

/* --- searching ----------------------------------------------------------------------------- */

/* The first of `count` >= 1 numbers that is >= `wanted`.  No branch depends on what is there. */
static size_t lower_bound(const uint64_t *numbers, size_t count, uint64_t wanted)
{
    const uint64_t *base = numbers;
    while (count > 1) {
        size_t half = count / 2;
        base += base[half - 1] < wanted ? half : 0;
        count -= half;
    }
    return (size_t)(base - numbers) + (*base < wanted);
}

static void ask_for(const struct table_leaf *leaf)
{
    for (size_t at = 0; at < sizeof(*leaf); at += 64)
        __builtin_prefetch((const uint8_t *)leaf + at);
}

/* The first block whose prefix is >= `wanted`; count, or more: none. */
static size_t find_prefix(const struct table_index *index, size_t leaf, uint64_t wanted)
{
    if (leaf == index->leaf_count)
        return index->count;
    return leaf * TABLE_LEAF_WIDTH +
           lower_bound(index->leaves[leaf].prefixes, TABLE_LEAF_WIDTH, wanted);
}

static uint64_t prefix_at(const struct table_index *index, size_t block)
{
    return index->leaves[block / TABLE_LEAF_WIDTH].prefixes[block % TABLE_LEAF_WIDTH];
}

/* Among separators [low, high), whose prefixes are the same. */
static size_t find_tied(const struct table_index *index, size_t low, size_t high, struct bytes key)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(table_index_separator(index, middle), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct table_probe table_index_ask(const struct table_index *index, struct bytes key)
{
    size_t common = index->common_size, size = common < key.size ? common : key.size;
    int order = size == 0 ? 0 : memcmp(key.data, index->text, size);
    if (index->count == 0 || order > 0)
        return (struct table_probe){ .leaf = index->leaf_count };
    struct table_probe probe = { 0 }; /* below all: the first block, or a tie with it */
    if (order == 0 && key.size >= common) {
        probe.prefix = prefix_of(key, common);
        probe.leaf = lower_bound(index->tops, index->leaf_count, probe.prefix);
    }
    if (probe.leaf < index->leaf_count)
        ask_for(&index->leaves[probe.leaf]);
    return probe;
}

size_t table_index_find_at(const struct table_index *index, struct table_probe probe,
                           struct bytes key)
{
    size_t at = find_prefix(index, probe.leaf, probe.prefix);
    if (at >= index->count || prefix_at(index, at) != probe.prefix)
        return at < index->count ? at : index->count;
    size_t end = index->count;
    if (probe.prefix != UINT64_MAX) {
        size_t leaf = lower_bound(index->tops, index->leaf_count, probe.prefix + 1);
        end = find_prefix(index, leaf, probe.prefix + 1);
    }
    return find_tied(index, at, end < index->count ? end : index->count, key);
}

/* --- writing ------------------------------------------------------------------------------- */

void table_index_writer_init(struct table_index_writer *writer)
{
    *writer = (struct table_index_writer){ 0 };
    buffer_init(&writer->buffer, TABLE_BLOCK_SIZE_MAX);
    buffer_init(&writer->last, ENGINE_KEY_SIZE_MAX);
    write_u64(&writer->buffer, 0);
}

void table_index_writer_done(struct table_index_writer *writer)
{
    buffer_done(&writer->buffer);
    buffer_done(&writer->last);
}

bool table_index_writer_add(struct table_index_writer *writer, struct bytes separator,
                            uint64_t framed_size)
{
    size_t shared = table_common(buffer_bytes(&writer->last), separator);
    write_varint(&writer->buffer, shared);
    write_sized(&writer->buffer, bytes_from(separator, shared));
    write_varint(&writer->buffer, framed_size / TABLE_ALIGNMENT);
    buffer_reset(&writer->last);
    buffer_append_bytes(&writer->last, separator);
    writer->count++;
    writer->text_size += separator.size;
    return !writer->buffer.failed && !writer->last.failed && writer->text_size <= UINT32_MAX;
}

struct bytes table_index_writer_finish(struct table_index_writer *writer)
{
    little_put32(writer->buffer.data, writer->count);
    little_put32(writer->buffer.data + 4, (uint32_t)writer->text_size);
    return buffer_bytes(&writer->buffer);
}

/* --- separators ---------------------------------------------------------------------------- */

/* The shortest key above last[0..size) that keeps its first `from` bytes; 0: none is shorter. */
static size_t raise(struct bytes last, size_t from, uint8_t *ret_key)
{
    for (size_t at = from; at + 1 < last.size; at++) {
        if (last.data[at] == UINT8_MAX)
            continue;
        memcpy(ret_key, last.data, at);
        ret_key[at] = (uint8_t)(last.data[at] + 1);
        return at + 1;
    }
    return 0;
}

size_t table_separator(struct bytes last, struct bytes next, uint8_t *ret_key)
{
    size_t common = table_common(last, next), size = 0;
    if (common + 1 < last.size) {
        if (next.size > common + 1) {
            memcpy(ret_key, next.data, common + 1);
            return common + 1;
        }
        bool between = last.data[common] + 1 < next.data[common];
        size = raise(last, between ? common : common + 1, ret_key);
    }
    if (size == 0) {
        memcpy(ret_key, last.data, last.size);
        size = last.size;
    }
    return size;
}
