/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest's bytes as manifest.h lays them out.  Each content has one form: what is accepted is
 * written back as the same bytes. */
#include "engine/lsm/levels/manifest.h"

#include "base/hash.h"
#include "codec/varint.h"
#include "engine/lsm/blob/blob.h"
#include "engine/lsm/log/little.h"
#include "engine/lsm/merge/entry.h"

#include <assert.h>
#include <stdlib.h>

static const uint8_t magic[8] = { 'K', 'V', 'l', 's', 'm', 'M', 'A', 'N' };

enum {
    VERSION = 8,
    SIZE = 16,
    HEADER_SIZE = 88,
    FLAG_LOG_BEGINS = 1,
    CHECKSUM_SIZE = 8,
    TABLE_SIZE_MIN = 76, /* with two empty bounds and no shares */
    SHARE_SIZE_MIN = 2,
    BLOB_SIZE = 16,
};

/* The checksum leaves the magic out: damage to the magic alone is told from another file. */
static uint64_t checksum(struct bytes bytes)
{
    return hash64(bytes_make(bytes.data + sizeof(magic), bytes.size - sizeof(magic)), 0);
}

/* --- writing ------------------------------------------------------------------------------- */

static void write_header(struct buffer *buffer, const struct lsm_manifest *manifest)
{
    buffer_append(buffer, magic, sizeof(magic));
    write_u32(buffer, LSM_MANIFEST_VERSION);
    write_u32(buffer, (uint32_t)manifest->merge_name.size);
    write_u64(buffer, 0); /* known at the end */
    lsm_id_write(buffer, &manifest->store);
    write_u64(buffer, manifest->next_file);
    write_u64(buffer, manifest->flushed_sequence);
    write_u64(buffer, manifest->first_segment);
    write_u32(buffer, (uint32_t)manifest->table_count);
    write_u32(buffer, (uint32_t)manifest->blob_count);
    write_u64(buffer, manifest->flushed_batch);
    write_u32(buffer, manifest->log_begins ? FLAG_LOG_BEGINS : 0);
    write_u32(buffer, 0);
}

static void write_table(struct buffer *buffer, const struct lsm_manifest_table *table)
{
    const struct lsm_table_meta *meta = &table->meta;
    buffer_append_u8(buffer, (uint8_t)table->level);
    write_u64(buffer, meta->number);
    write_u64(buffer, meta->size);
    lsm_id_write(buffer, &meta->file);
    write_u64(buffer, meta->sequence_min);
    write_u64(buffer, meta->sequence_max);
    write_u64(buffer, meta->entries);
    write_u64(buffer, meta->deletes);
    write_u64(buffer, meta->ranges);
    write_sized(buffer, meta->lower);
    write_sized(buffer, meta->upper);
    write_varint(buffer, table->share_count);
    for (size_t i = 0; i < table->share_count; i++) {
        write_varint(buffer, table->shares[i].number);
        write_varint(buffer, table->shares[i].size);
    }
}

static void write_blob(struct buffer *buffer, const struct lsm_manifest_blob *blob)
{
    write_u64(buffer, blob->number);
    write_u64(buffer, blob->size);
}

void lsm_manifest_encode(const struct lsm_manifest *manifest, struct buffer *ret_bytes)
{
    size_t start = ret_bytes->size;
    assert(manifest->merge_name.size <= LSM_MANIFEST_NAME_SIZE_MAX);
    assert(manifest->table_count <= UINT32_MAX && manifest->blob_count <= UINT32_MAX);
    write_header(ret_bytes, manifest);
    buffer_append_bytes(ret_bytes, manifest->merge_name);
    for (size_t i = 0; i < manifest->table_count; i++)
        write_table(ret_bytes, &manifest->tables[i]);
    for (size_t i = 0; i < manifest->blob_count; i++)
        write_blob(ret_bytes, &manifest->blobs[i]);
    if (buffer_reserve(ret_bytes, CHECKSUM_SIZE) == NULL)
        return;
    little_put64(ret_bytes->data + start + SIZE, ret_bytes->size - start + CHECKSUM_SIZE);
    write_u64(ret_bytes, checksum(bytes_from(buffer_bytes(ret_bytes), start)));
}

/* --- reading ------------------------------------------------------------------------------- */

static kvorum_status judge(struct bytes bytes)
{
    if (bytes.size < sizeof(magic))
        return KVORUM_CORRUPT;
    bool ours = memcmp(bytes.data, magic, sizeof(magic)) == 0;
    if (bytes.size < HEADER_SIZE + CHECKSUM_SIZE)
        return ours ? KVORUM_CORRUPT : KVORUM_FOREIGN;
    size_t end = bytes.size - CHECKSUM_SIZE;
    bool intact = little_get64(bytes.data + SIZE) == bytes.size &&
                  little_get64(bytes.data + end) == checksum(bytes_make(bytes.data, end));
    uint32_t version = little_get32(bytes.data + VERSION);
    kvorum_status status = lsm_header_judge(ours, intact, version, LSM_MANIFEST_VERSION);
    if (status != KVORUM_OK)
        return status;
    return version == LSM_MANIFEST_VERSION ? KVORUM_OK : KVORUM_CORRUPT;
}

/* False: a flag or a byte that means nothing yet is set. */
static bool read_header(struct reader *reader, struct lsm_manifest *ret, uint32_t *ret_name_size)
{
    read_bytes(reader, sizeof(magic) + sizeof(uint32_t));
    *ret_name_size = read_u32(reader);
    read_u64(reader);
    ret->store = lsm_id_read(reader);
    ret->next_file = read_u64(reader);
    ret->flushed_sequence = read_u64(reader);
    ret->first_segment = read_u64(reader);
    ret->table_count = read_u32(reader);
    ret->blob_count = read_u32(reader);
    ret->flushed_batch = read_u64(reader);
    uint32_t flags = read_u32(reader), unused = read_u32(reader);
    ret->log_begins = (flags & FLAG_LOG_BEGINS) != 0;
    return (flags & ~(uint32_t)FLAG_LOG_BEGINS) == 0 && unused == 0;
}

static bool table_plausible(const struct lsm_manifest *manifest,
                            const struct lsm_manifest_table *table)
{
    const struct lsm_table_meta *meta = &table->meta;
    return table->level < ENGINE_LEVELS && meta->number > 0 && meta->number < manifest->next_file &&
           meta->size > 0 && meta->sequence_min <= meta->sequence_max &&
           meta->sequence_max <= manifest->flushed_sequence && meta->deletes <= meta->entries &&
           (meta->entries > 0 || meta->ranges > 0) && lsm_below_upper(meta->lower, meta->upper);
}

/* What they are shares of is looked at when it is known. */
static kvorum_status read_shares(struct reader *reader, struct arena *arena,
                                 struct lsm_manifest_table *ret)
{
    uint64_t count = read_varint(reader), before = 0;
    if (reader->failed || count > reader->rest.size / SHARE_SIZE_MIN)
        return KVORUM_CORRUPT;
    struct lsm_blob_share *shares = arena_allocate_zero(arena, count * sizeof(shares[0]));
    if (shares == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        shares[i].number = read_varint(reader);
        shares[i].size = read_varint(reader);
        if (reader->failed || shares[i].number <= before)
            return KVORUM_CORRUPT;
        before = shares[i].number;
    }
    ret->shares = shares;
    ret->share_count = count;
    return KVORUM_OK;
}

static bool read_table(struct reader *reader, const struct lsm_manifest *manifest,
                       struct lsm_manifest_table *ret)
{
    ret->level = read_u8(reader);
    ret->meta.number = read_u64(reader);
    ret->meta.size = read_u64(reader);
    ret->meta.file = lsm_id_read(reader);
    ret->meta.sequence_min = read_u64(reader);
    ret->meta.sequence_max = read_u64(reader);
    ret->meta.entries = read_u64(reader);
    ret->meta.deletes = read_u64(reader);
    ret->meta.ranges = read_u64(reader);
    ret->meta.lower = read_sized(reader, ENGINE_KEY_SIZE_MAX);
    ret->meta.upper = read_sized(reader, ENGINE_KEY_SIZE_MAX + 1);
    return !reader->failed && table_plausible(manifest, ret);
}

/* Levels ascend; level 0 is newest first; within another, each table begins where or after the one
 * before it ends. */
static bool tables_in_order(const struct lsm_manifest_table *a, const struct lsm_manifest_table *b)
{
    if (a->level != b->level)
        return a->level < b->level;
    if (a->level > 0)
        return a->meta.upper.size > 0 && bytes_compare(a->meta.upper, b->meta.lower) <= 0;
    if (a->meta.sequence_max != b->meta.sequence_max)
        return a->meta.sequence_max > b->meta.sequence_max;
    return a->meta.number > b->meta.number;
}

static kvorum_status read_tables(struct reader *reader, struct arena *arena,
                                 struct lsm_manifest *ret)
{
    if (ret->table_count > reader->rest.size / TABLE_SIZE_MIN)
        return KVORUM_CORRUPT;
    ret->tables = arena_allocate_zero(arena, ret->table_count * sizeof(ret->tables[0]));
    if (ret->tables == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t i = 0; i < ret->table_count; i++) {
        struct lsm_manifest_table *table = &ret->tables[i];
        if (!read_table(reader, ret, table) || (i > 0 && !tables_in_order(table - 1, table)))
            return KVORUM_CORRUPT;
        kvorum_status status = read_shares(reader, arena, table);
        if (status != KVORUM_OK)
            return status;
    }
    return KVORUM_OK;
}

static bool blob_plausible(const struct lsm_manifest *manifest, size_t index)
{
    const struct lsm_manifest_blob *blob = &manifest->blobs[index];
    uint64_t before = index > 0 ? manifest->blobs[index - 1].number : 0;
    return blob->number > before && blob->number < manifest->next_file &&
           blob->size > LSM_BLOB_HEADER_SIZE;
}

static kvorum_status read_blobs(struct reader *reader, struct arena *arena,
                                struct lsm_manifest *ret)
{
    if (ret->blob_count > reader->rest.size / BLOB_SIZE)
        return KVORUM_CORRUPT;
    ret->blobs = arena_allocate_zero(arena, ret->blob_count * sizeof(ret->blobs[0]));
    if (ret->blobs == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t i = 0; i < ret->blob_count; i++) {
        ret->blobs[i].number = read_u64(reader);
        ret->blobs[i].size = read_u64(reader);
        if (reader->failed || !blob_plausible(ret, i))
            return KVORUM_CORRUPT;
    }
    return KVORUM_OK;
}

static size_t find_blob(const struct lsm_manifest *manifest, uint64_t number)
{
    size_t low = 0, high = manifest->blob_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (manifest->blobs[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    bool there = low < manifest->blob_count && manifest->blobs[low].number == number;
    return there ? low : SIZE_MAX;
}

/* Takes the table's shares off what is free of each blob file. */
static bool shares_fit(const struct lsm_manifest *manifest, const struct lsm_manifest_table *table,
                       uint64_t *free_sizes)
{
    for (size_t i = 0; i < table->share_count; i++) {
        size_t blob = find_blob(manifest, table->shares[i].number);
        uint64_t size = table->shares[i].size;
        if (blob == SIZE_MAX || size < LSM_BLOB_RECORD_SIZE || size > free_sizes[blob])
            return false;
        free_sizes[blob] -= size;
    }
    return true;
}

static kvorum_status check_shares(const struct lsm_manifest *manifest, struct arena *arena)
{
    uint64_t *free_sizes = arena_allocate(arena, manifest->blob_count * sizeof(*free_sizes));
    if (free_sizes == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t i = 0; i < manifest->blob_count; i++)
        free_sizes[i] = manifest->blobs[i].size - LSM_BLOB_HEADER_SIZE;
    for (size_t i = 0; i < manifest->table_count; i++)
        if (!shares_fit(manifest, &manifest->tables[i], free_sizes))
            return KVORUM_CORRUPT;
    for (size_t i = 0; i < manifest->blob_count; i++)
        if (free_sizes[i] == manifest->blobs[i].size - LSM_BLOB_HEADER_SIZE)
            return KVORUM_CORRUPT;
    return KVORUM_OK;
}

static int number_order(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Tables and blob files share one row of numbers. */
static kvorum_status check_numbers(const struct lsm_manifest *manifest, struct arena *arena)
{
    size_t count = manifest->table_count + manifest->blob_count;
    uint64_t *numbers = arena_allocate(arena, count * sizeof(*numbers));
    if (numbers == NULL)
        return KVORUM_NO_MEMORY;
    for (size_t i = 0; i < manifest->table_count; i++)
        numbers[i] = manifest->tables[i].meta.number;
    for (size_t i = 0; i < manifest->blob_count; i++)
        numbers[manifest->table_count + i] = manifest->blobs[i].number;
    qsort(numbers, count, sizeof(*numbers), number_order);
    for (size_t i = 1; i < count; i++)
        if (numbers[i - 1] == numbers[i])
            return KVORUM_CORRUPT;
    return KVORUM_OK;
}

kvorum_status lsm_manifest_decode(struct bytes bytes, struct arena *arena,
                                  struct lsm_manifest *ret_manifest)
{
    struct lsm_manifest read = { 0 };
    uint32_t name_size;
    kvorum_status status = judge(bytes);
    if (status != KVORUM_OK)
        return status;
    struct reader reader = reader_of(bytes_make(bytes.data, bytes.size - CHECKSUM_SIZE));
    bool known = read_header(&reader, &read, &name_size);
    if (!known || name_size > LSM_MANIFEST_NAME_SIZE_MAX ||
        read.flushed_sequence > LSM_SEQUENCE_MAX)
        return KVORUM_CORRUPT;
    read.merge_name = read_bytes(&reader, name_size);
    if (reader.failed)
        return KVORUM_CORRUPT;
    status = read_tables(&reader, arena, &read);
    if (status == KVORUM_OK)
        status = read_blobs(&reader, arena, &read);
    if (status == KVORUM_OK && !reader_finished(&reader))
        status = KVORUM_CORRUPT;
    if (status == KVORUM_OK)
        status = check_numbers(&read, arena);
    if (status == KVORUM_OK)
        status = check_shares(&read, arena);
    if (status == KVORUM_OK)
        *ret_manifest = read;
    return status;
}
