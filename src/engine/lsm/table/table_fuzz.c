/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a table: opened, read in all ways, verified, salvaged.  Bytes that begin with 'R'
 * are repaired first (magics, ids and checksums made to fit), so that what lies behind them is
 * reached. */
#include "engine/lsm/table/file.h"

#include "base/hash.h"
#include "engine/lsm/log/little.h"
#include "tests/support/fault_disk.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct fault_disk disk;
    struct epoch epoch;
    struct lsm_cache *cache;
    struct lsm_table *table;
    size_t total;
};

/* --- repair -------------------------------------------------------------------------------- */

static const struct lsm_id file_id = { 0x2726252423222120, 0x2f2e2d2c2b2a2928 };

static void repair_foot(uint8_t *data, size_t size)
{
    uint8_t *bytes = data + size - TABLE_FOOT_SIZE;
    struct table_foot foot = {
        .ranges = little_get64(bytes),
        .filter = little_get64(bytes + 8),
        .index = little_get64(bytes + 16),
        .properties = little_get64(bytes + 24),
        .file = file_id,
        .size = size,
    };
    table_foot_encode(&foot, bytes);
}

static void repair(uint8_t *data, size_t size)
{
    struct table_head head = { .file = file_id, .number = data[48] };
    table_head_encode(&head, data);
    repair_foot(data, size);
    size_t offset = TABLE_HEAD_SIZE, end = size - TABLE_FOOT_SIZE;
    while (end - offset >= TABLE_FRAME_SIZE) {
        struct table_frame frame = {
            .stored_size = little_get32(data + offset + 12),
            .raw_size = little_get32(data + offset + 16),
            .type = (enum table_block_type)data[offset + 20],
            .compression = (enum lsm_compression)data[offset + 21],
        };
        uint64_t framed_size = table_framed_size(frame.stored_size);
        if (framed_size > end - offset)
            return;
        table_frame_encode(&file_id, offset, &frame, data + offset);
        offset += framed_size;
    }
}

/* --- reading ------------------------------------------------------------------------------- */

static size_t sum(const struct lsm_entry *entry)
{
    size_t total = 0;
    for (size_t i = 0; i < entry->key.size; i++)
        total += entry->key.data[i];
    for (size_t i = 0; i < entry->value.size; i++)
        total += entry->value.data[i];
    return total;
}

static void get(struct fuzz *f, const struct lsm_entry *entry)
{
    struct lsm_search search = { .key = entry->key,
                                 .hash = lsm_key_hash(entry->key),
                                 .sequence = entry->sequence };
    struct lsm_search *searches[] = { &search, &search };
    kvorum_status statuses[2];
    if (lsm_table_get(f->table, &search) == KVORUM_OK)
        f->total += sum(&search.found);
    lsm_table_get_many(f->table, searches, 2, statuses);
}

static void scan(struct fuzz *f, bool sequential)
{
    const struct lsm_table_scan how = { .sequential = sequential };
    struct lsm_source *source;
    if (lsm_table_source(f->table, &how, &source) != KVORUM_OK)
        return;
    int moves = 0;
    for (source->ops->first(source); source->valid && moves < 2000; moves++) {
        f->total += sum(&source->entry);
        get(f, &source->entry);
        source->ops->next(source);
    }
    for (source->ops->last(source); source->valid && moves < 4000; moves++) {
        f->total += sum(&source->entry);
        source->ops->previous(source);
    }
    source->ops->seek(source, BYTES_LITERAL("banana"), 11);
    source->ops->seek_before(source, BYTES_LITERAL("banana"));
    if (source->valid)
        f->total += sum(&source->entry);
    source->ops->close(source);
}

static void see_damage(void *context, const struct engine_damage *damage)
{
    ((struct fuzz *)context)->total += strlen(damage->what) + strlen(damage->file);
}

static kvorum_status see_entry(void *context, const struct lsm_entry *entry)
{
    ((struct fuzz *)context)->total += sum(entry);
    return KVORUM_OK;
}

static kvorum_status see_range(void *context, const struct lsm_range *range)
{
    ((struct fuzz *)context)->total += range->lower.size + range->upper.size;
    return KVORUM_OK;
}

/* What the manifest would say: the file's own word, or nothing. */
static void read_meta(struct fuzz *f, struct lsm_id *ret_store, struct lsm_table_meta *ret_meta)
{
    struct disk_file *file;
    struct table_foot foot;
    struct table_raw raw;
    struct table_properties properties;
    if (f->disk.base.ops->open(&f->disk.base, "db/t", DISK_READ, &file) != KVORUM_OK)
        abort();
    if (table_file_foot(file, &foot) == KVORUM_OK &&
        table_file_block(file, &foot, foot.properties, TABLE_PROPERTIES, 0, &raw) == KVORUM_OK) {
        if (table_properties_decode(raw.raw, &properties) == KVORUM_OK) {
            *ret_meta = properties.meta;
            ret_meta->size = foot.size;
            *ret_store = foot.store;
        }
        struct bytes lower = ret_meta->lower, upper = ret_meta->upper;
        uint8_t *bounds = malloc(lower.size + upper.size + 1);
        assert(bounds != NULL);
        if (lower.size > 0)
            memcpy(bounds, lower.data, lower.size);
        if (upper.size > 0)
            memcpy(bounds + lower.size, upper.data, upper.size);
        ret_meta->lower.data = bounds;
        ret_meta->upper.data = bounds + lower.size;
        table_raw_done(&raw);
    }
    file->ops->close(file);
}

static void read_table(struct fuzz *f)
{
    struct lsm_id store = { 0 };
    struct lsm_table_meta meta = { 0 };
    struct bytes keys[4];
    uint64_t lost;
    read_meta(f, &store, &meta);
    if (lsm_cache_create(&f->epoch, 64 * 1024, 0, 0, &f->cache) != KVORUM_OK ||
        lsm_table_create(&f->disk.base, "db/t", &store, &meta, f->cache, &f->table) != KVORUM_OK)
        abort();
    scan(f, false);
    scan(f, true);
    for (size_t i = lsm_table_split(f->table, 4, keys); i-- > 0;)
        f->total += lsm_table_range_size(f->table, keys[i], (struct bytes){ 0 });
    if (lsm_table_read_ranges(f->table, see_range, f) == KVORUM_OK)
        f->total++;
    if (lsm_table_verify(f->table, see_damage, f) == KVORUM_OK)
        f->total++;
    if (lsm_table_salvage(&f->disk.base, "db/t", see_entry, see_range, f, &lost) == KVORUM_OK)
        assert(lost <= f->disk.now.inodes[0]->size);
    lsm_table_release(f->table);
    lsm_cache_destroy(f->cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz *f = malloc(sizeof(*f));
    struct disk_file *file;
    if (f == NULL)
        return 0;
    f->total = 0;
    fault_disk_init(&f->disk);
    epoch_init(&f->epoch);
    if (f->disk.base.ops->open(&f->disk.base, "db/t", DISK_WRITE | DISK_CREATE, &file) != KVORUM_OK)
        abort();
    file->ops->close(file);
    fault_write(fault_disk_bytes(&f->disk, 0), 0, data, size);
    if (size >= TABLE_HEAD_SIZE + TABLE_FOOT_SIZE && data[0] == 'R')
        repair(f->disk.now.inodes[0]->data, size);
    read_table(f);
    epoch_done(&f->epoch);
    fault_disk_done(&f->disk);
    free(f);
    return 0;
}
