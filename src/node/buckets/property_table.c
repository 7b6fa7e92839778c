/* SPDX-License-Identifier: Apache-2.0 */
/* The replicated table of bucket properties: every shard of every node holds all of it.
 * The record with the larger (stamp, overrides) wins, so copies merge in any order; the generation,
 * which is written among the overrides, is apart from that: the larger one stays.  A change goes
 * to shard 0, which stores it and tells every member's shard 0 and its own other shards; whoever
 * was away finds out by the digest in gossip and is sent everything.
 *
 * "OK" says that the change is stored here and known to every member that is not known to be dead;
 * a link that broke under way is no answer, the digest in a later packet is. */
#include "base/hash.h"
#include "node/buckets/property_internal.h"

/* --- the table ------------------------------------------------------------------------------ */

static uint64_t name_hash(struct bytes type, struct bytes bucket)
{
    struct bytes parts[] = { type, BYTES_LITERAL("\0"), bucket };
    return hash64_parts(parts, 3, 0);
}

static uint64_t record_digest(const struct record *record)
{
    const uint64_t *generation = &record->properties.generation;
    struct bytes parts[] = { bytes_make(&record->stamp, sizeof(record->stamp)), record->overrides,
                             bytes_make(generation, sizeof(*generation)) };
    return hash64_parts(parts, *generation == 0 ? 2 : 3, record->by_name.key);
}

struct record *property_find(const struct property_table *table, struct bytes type,
                             struct bytes bucket)
{
    struct map_item *item = map_find(&table->records, name_hash(type, bucket));
    if (item == NULL)
        return NULL;
    struct record *record = LIST_ENTRY(item, struct record, by_name);
    bool same = bytes_equal(record->type, type) && bytes_equal(record->bucket, bucket);
    return same ? record : NULL;
}

struct record *property_record_make(uint64_t stamp, struct bytes type, struct bytes bucket,
                                    struct bytes overrides,
                                    const struct bucket_properties *properties)
{
    struct record *record = calloc(1, sizeof(*record) + type.size + bucket.size + overrides.size);
    if (record == NULL)
        return NULL;
    struct bytes *parts[] = { &type, &bucket, &overrides };
    uint8_t *at = record->memory;
    for (int i = 0; i < 3; i++) {
        if (parts[i]->size > 0)
            memcpy(at, parts[i]->data, parts[i]->size);
        parts[i]->data = at;
        at += parts[i]->size;
    }
    record->stamp = stamp;
    record->type = type;
    record->bucket = bucket;
    record->overrides = overrides;
    record->properties = *properties;
    list_init(&record->due);
    return record;
}

void property_record_free(struct record *record)
{
    if (record == NULL)
        return;
    list_remove(&record->due);
    free(record);
}

/* What `incoming` makes of the record there is; NULL: nothing new.  It is changed. */
static kvorum_status merge_made(struct property_table *table, const struct record *old,
                                struct record *incoming, struct record **ret_record)
{
    uint64_t generation = incoming->properties.generation;
    *ret_record = NULL;
    if (old != NULL && (old->stamp > incoming->stamp ||
                        (old->stamp == incoming->stamp &&
                         bytes_compare(old->overrides, incoming->overrides) >= 0))) {
        if (generation <= old->properties.generation)
            return KVORUM_OK;
        incoming->stamp = old->stamp;
        incoming->overrides = old->overrides;
        incoming->properties = old->properties;
    }
    if (old == NULL && table->records.count >= TABLE_RECORDS_MAX)
        return KVORUM_TOO_LARGE;
    if (old != NULL && old->properties.generation > generation)
        generation = old->properties.generation;
    incoming->properties.generation = generation;
    struct record *record = property_record_make(incoming->stamp, incoming->type, incoming->bucket,
                                                 incoming->overrides, &incoming->properties);
    if (record != NULL)
        record->reclaimed = old == NULL ? 0 : old->reclaimed;
    *ret_record = record;
    return record == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
}

static void note_generation(struct property_table *table, const struct record *old,
                            struct record *record)
{
    uint64_t generation = record->properties.generation;
    table->dropped += generation != 0 && (old == NULL || old->properties.generation == 0);
    if (generation > record->reclaimed)
        list_append(&table->due, &record->due);
}

/* Take a record if it is newer; *ret_changed tells.  INVALID, NO_MEMORY, TOO_LARGE. */
static kvorum_status merge_bare(struct property_table *table, struct record *incoming,
                                bool *ret_changed)
{
    struct bytes type = incoming->type, bucket = incoming->bucket;
    struct record *old = property_find(table, type, bucket), *record;
    kvorum_status status = merge_made(table, old, incoming, &record);
    if (status != KVORUM_OK || record == NULL)
        return status;
    uint64_t key = name_hash(type, bucket);
    if (old == NULL && map_find(&table->records, key) != NULL) {
        property_record_free(record); /* two names with one 64-bit hash */
        return KVORUM_INTERNAL;
    }
    if (old != NULL)
        map_remove(&table->records, key);
    if (!map_insert(&table->records, &record->by_name, key)) {
        assert(old == NULL); /* there was room for that one, so nothing is lost here */
        property_record_free(record);
        return KVORUM_NO_MEMORY;
    }
    if (old != NULL)
        table->digest -= record_digest(old);
    note_generation(table, old, record);
    property_record_free(old);
    table->digest += record_digest(record);
    *ret_changed = true;
    return KVORUM_OK;
}

kvorum_status property_merge(struct property_table *table, uint64_t stamp, struct bytes type,
                             struct bytes bucket, struct bytes overrides, bool *ret_changed)
{
    *ret_changed = false;
    struct record incoming = { .stamp = stamp, .type = type, .bucket = bucket };
    kvorum_status status = bucket_properties_decode(overrides, &incoming.properties);
    if (status != KVORUM_OK || bucket.size == 0 || bucket.size > NODE_BUCKET_SIZE_MAX ||
        type.size > NODE_TYPE_SIZE_MAX)
        return KVORUM_INVALID;
    struct buffer bare;
    buffer_init(&bare, OVERRIDES_MAX);
    incoming.overrides = overrides;
    if (incoming.properties.generation != 0) {
        status = bucket_properties_with_generation(overrides, 0, &bare);
        incoming.overrides = buffer_bytes(&bare);
    }
    if (status == KVORUM_OK && bare.failed)
        status = KVORUM_NO_MEMORY;
    if (status == KVORUM_OK)
        status = merge_bare(table, &incoming, ret_changed);
    buffer_done(&bare);
    return status;
}

/* Others take our digest for a promise, so until all is on disk it is one that nobody has. */
uint64_t property_table_digest(const struct node *node)
{
    const struct property_table *table = node->properties;
    return table->storing == 0 && !table->not_stored ? table->digest : ~table->digest;
}

void property_table_mode(struct node *node, struct bytes type, struct bytes bucket,
                         struct bucket_properties *ret_properties, struct object_mode *ret_mode)
{
    const struct property_table *table = node->properties;
    const struct record *record = NULL;
    *ret_properties = table->defaults;
    if (table->records.count > 0)
        record = property_find(table, type, bucket);
    if (record != NULL)
        bucket_properties_apply(ret_properties, &record->properties);
    ret_mode->siblings = ret_properties->allow_mult == 1 && ret_properties->last_write_wins != 1;
    ret_mode->since = record == NULL ? 0 : record->stamp;
}

uint8_t property_bucket_n(const struct property_table *table, struct bytes type,
                          struct bytes bucket)
{
    struct bucket_properties properties = table->defaults;
    const struct record *record = property_find(table, type, bucket);
    if (record != NULL)
        bucket_properties_apply(&properties, &record->properties);
    return (uint8_t)properties.levels.n;
}

uint64_t drop_generation(const struct node *node, struct bytes type, struct bytes bucket)
{
    const struct property_table *table = node->properties;
    const struct record *record = table->dropped == 0 ? NULL : property_find(table, type, bucket);
    return record == NULL ? 0 : record->properties.generation;
}

uint32_t property_table_ns(const struct node *node)
{
    const struct property_table *table = node->properties;
    uint32_t ns = UINT32_C(1) << table->defaults.levels.n;
    for (struct map_item *item = map_any((struct map *)&table->records); item != NULL;
         item = map_next(&table->records, item)) {
        const struct record *record = LIST_ENTRY(item, struct record, by_name);
        if (record->properties.levels.n >= 1 && record->properties.levels.n <= TARGETS_MAX)
            ns |= UINT32_C(1) << record->properties.levels.n;
    }
    return ns;
}

size_t property_table_name_buckets(const struct node *node, uint8_t n, size_t most,
                                   struct buffer *ret_names)
{
    const struct map *records = &node->properties->records;
    size_t count = 0;
    for (struct map_item *item = map_any((struct map *)records); item != NULL;
         item = map_next(records, item)) {
        const struct record *record = LIST_ENTRY(item, struct record, by_name);
        if (record->properties.levels.n != n || record->bucket.size == 0 || count++ >= most)
            continue;
        buffer_printf(ret_names, "%s%.*s", ret_names->size == 0 ? "" : ", ",
                      (int)record->bucket.size, (const char *)record->bucket.data);
    }
    return count;
}

void property_table_each(const struct node *node,
                         void (*visit)(void *context, struct bytes bucket,
                                       const struct bucket_properties *properties),
                         void *context)
{
    const struct map *records = &node->properties->records;
    for (struct map_item *item = map_any((struct map *)records); item != NULL;
         item = map_next(records, item)) {
        const struct record *record = LIST_ENTRY(item, struct record, by_name);
        struct bucket_properties properties = node->properties->defaults;
        bucket_properties_apply(&properties, &record->properties);
        visit(context, record->bucket, &properties);
    }
}

void property_table_get(struct node *node, struct bytes type, struct bytes bucket,
                        struct bucket_properties *ret_properties)
{
    struct object_mode mode;
    property_table_mode(node, type, bucket, ret_properties, &mode);
}

void node_properties(struct node *node, struct bytes type, struct bytes bucket,
                     struct bucket_properties *ret_properties)
{
    struct bytes named = type.size == 0 ? BYTES_LITERAL("default") : type;
    property_table_get(node, named, bucket, ret_properties);
}

bool property_table_agreed(const struct node *node)
{
    return node->properties->agreed;
}

uint8_t property_table_largest_n(const struct node *node)
{
    struct property_table *table = node->properties;
    uint32_t largest = node->config.default_levels.n;
    for (struct map_item *item = map_any(&table->records); item != NULL;
         item = map_next(&table->records, item)) {
        const struct record *record = LIST_ENTRY(item, struct record, by_name);
        if (record->properties.levels.n > largest)
            largest = record->properties.levels.n;
    }
    return (uint8_t)(largest < REPLICAS_MAX ? largest : REPLICAS_MAX);
}

/* --- opening ---------------------------------------------------------------------------------- */

kvorum_status property_table_open(struct node *node)
{
    struct property_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return KVORUM_NO_MEMORY;
    node->properties = table;
    map_init(&table->records);
    list_init(&table->due);
    bucket_properties_init(&table->defaults);
    table->defaults.levels = node->config.default_levels;
    table->defaults.allow_mult = table->defaults.last_write_wins = 0;
    const struct epoch *epoch = node->config.epoch;
    node->newcomer = epoch->members[node->config.self].state == MEMBER_JOINING;
    if (node->config.shard != 0) {
        property_pull(node);
        return KVORUM_OK;
    }
    node->ready = !node->newcomer;
    return property_load(node);
}

void property_table_close(struct node *node)
{
    struct property_table *table = node->properties;
    if (table == NULL)
        return;
    struct map_item *item;
    while ((item = map_any(&table->records)) != NULL) {
        map_remove(&table->records, item->key);
        property_record_free(LIST_ENTRY(item, struct record, by_name));
    }
    map_done(&table->records);
    free(table);
    node->properties = NULL;
}
