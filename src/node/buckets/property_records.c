/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the table as bytes: in messages, and on disk.
 *
 *      stamp u64 | type sized | bucket sized | overrides sized     (empty overrides: reset)
 *
 * stored in store 0 under 'p' type-size u8 type bucket. */
#include "codec/varint.h"
#include "node/buckets/property_internal.h"
#include "node/records.h"
#include "node/repair/repair.h"

/* --- from the table --------------------------------------------------------------------------- */

static void append_in(const struct record *record, uint64_t generation, struct buffer *buffer)
{
    write_u64(buffer, record->stamp);
    write_sized(buffer, record->type);
    write_sized(buffer, record->bucket);
    if (generation == 0) {
        write_sized(buffer, record->overrides);
        return;
    }
    struct buffer whole;
    buffer_init(&whole, 2 * OVERRIDES_MAX);
    kvorum_status status = bucket_properties_with_generation(record->overrides, generation, &whole);
    assert(status == KVORUM_OK); /* decoded when it came */
    (void)status;
    buffer->failed |= whole.failed;
    write_sized(buffer, buffer_bytes(&whole));
    buffer_done(&whole);
}

void property_append_record(const struct record *record, struct buffer *buffer)
{
    append_in(record, record->properties.generation, buffer);
}

static struct bytes stored_name(struct arena *arena, const struct record *record)
{
    size_t size = 2 + record->type.size + record->bucket.size;
    uint8_t *data = arena_allocate(arena, size);
    if (data == NULL)
        return (struct bytes){ 0 };
    data[0] = 'p';
    data[1] = (uint8_t)record->type.size;
    memcpy(data + 2, record->type.data, record->type.size);
    memcpy(data + 2 + record->type.size, record->bucket.data, record->bucket.size);
    return bytes_make(data, size);
}

static kvorum_status put_record(struct node *node, const struct record *record)
{
    struct bytes name = stored_name(&node->scratch, record);
    uint64_t staged = drop_staged(node, record->type, record->bucket);
    uint64_t generation = record->properties.generation;
    buffer_reset(&node->encoding);
    append_in(record, staged > generation ? staged : generation, &node->encoding);
    if (name.data == NULL || node->encoding.failed)
        return KVORUM_NO_MEMORY;
    return engine_batch_put(node->batch, name, buffer_bytes(&node->encoding));
}

kvorum_status property_put_all(struct node *node)
{
    kvorum_status status = KVORUM_OK;
    if (node->properties == NULL)
        return KVORUM_OK;
    for (struct map_item *item = map_any(&node->properties->records);
         item != NULL && status == KVORUM_OK; item = map_next(&node->properties->records, item))
        status = put_record(node, LIST_ENTRY(item, struct record, by_name));
    return status;
}

kvorum_status property_store_records(struct node *node, struct record *const *records, size_t count,
                                     const struct commit_plan *plan)
{
    struct property_table *table = node->properties;
    struct engine *store = node->config.stores[0];
    kvorum_status status = KVORUM_OK;
    assert(node->config.shard == 0 && store != NULL);
    engine_batch_reset(node->batch);
    if (table->not_stored)
        status = property_put_all(node);
    for (size_t i = 0; i < count && status == KVORUM_OK; i++)
        status = put_record(node, records[i]);
    bool whole = status == KVORUM_OK;
    if (whole) {
        table->not_stored = false; /* again when it fails, now or later */
        table->storing++;          /* until property_on_stored */
        status = replica_submit(node, store, node->batch, ENGINE_SYNC, plan);
        table->storing -= status != KVORUM_OK;
    }
    table->not_stored |= status != KVORUM_OK;
    return status;
}

/* --- into the table --------------------------------------------------------------------------- */

kvorum_status property_merge_records(struct node *node, struct bytes bytes,
                                     struct record ***ret_changed, size_t *ret_count)
{
    size_t limit = bytes.size / 11 + 1, count = 0; /* 11: the smallest record */
    struct record **changed = arena_allocate(&node->scratch, limit * sizeof(struct record *));
    struct reader reader = reader_of(bytes);
    kvorum_status status = changed == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
    while (status == KVORUM_OK && !reader.failed && reader.rest.size > 0) {
        uint64_t stamp = read_u64(&reader);
        struct bytes type = read_sized(&reader, NODE_TYPE_SIZE_MAX);
        struct bytes bucket = read_sized(&reader, NODE_BUCKET_SIZE_MAX);
        struct bytes overrides = read_sized(&reader, OVERRIDES_MAX + 16);
        bool merged = false;
        if (reader.failed)
            break;
        (void)hlc_see(&node->hlc, stamp, clock_wall_ms(node->config.clock));
        uint8_t n = property_bucket_n(node->properties, type, bucket);
        status = property_merge(node->properties, stamp, type, bucket, overrides, &merged);
        if (merged && property_bucket_n(node->properties, type, bucket) != n)
            repair_forget_trees(node);
        if (merged && count < limit)
            changed[count++] = property_find(node->properties, type, bucket);
    }
    *ret_changed = changed;
    *ret_count = count;
    if (!list_empty(&node->properties->due))
        reclaim_wake(node);
    return reader.failed ? KVORUM_CORRUPT : status;
}

static kvorum_status load_record(struct node *node, struct bytes key, struct bytes value,
                                 void *context)
{
    struct record **changed;
    size_t count;
    (void)key; /* what it names the value names too */
    (void)context;
    return property_merge_records(node, value, &changed, &count);
}

kvorum_status property_load(struct node *node)
{
    static const struct record_area properties = { "properties of buckets", "p", "q" };
    return records_load(node, node->config.stores[0], &properties, load_record, NULL);
}
