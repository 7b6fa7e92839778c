/* SPDX-License-Identifier: Apache-2.0 */
/* The replicated table of bucket properties: every shard of every node holds all of it.
 *
 *      record   stamp u64 | type sized | bucket sized | overrides sized     (empty overrides:
 *      reset) stored   in store 0 under 'p' type-size u8 type bucket
 *
 * The record with the larger (stamp, overrides) wins, so copies merge in any order; the generation,
 * which is written among the overrides, is apart from that: the larger one stays.  A change goes
 * to shard 0, which stores it and tells every member's shard 0 and its own other shards; whoever
 * was away finds out by the digest in gossip and is sent everything.
 *
 * "OK" says that the change is stored here and known to every member that is not known to be dead;
 * a link that broke under way is no answer, the digest in a later packet is. */
#include "base/hash.h"
#include "base/planted.h"
#include "codec/protobuf.h"
#include "codec/varint.h"
#include "node/drop.h"
#include "node/internal.h"
#include "node/repair.h"

enum { TABLE_RECORDS_MAX = 100000, UPDATE_SLACK_US = 1000 * 1000, OVERRIDES_MAX = 1024 };

struct record {
    struct map_item by_name;
    struct list due;    /* table->due, while older generations are to be reclaimed here */
    uint64_t reclaimed; /* generations before this one are gone here */
    uint64_t stamp;
    struct bytes type, bucket;
    struct bytes overrides; /* without the generation */
    struct bucket_properties properties;
    uint8_t memory[];
};

struct property_table {
    struct map records; /* by hash of (type, bucket) */
    uint64_t digest;    /* order-independent sum over the records */
    uint32_t storing;   /* batches on their way to the disk */
    bool not_stored;    /* one of them did not get there */
    uint64_t durable;   /* on other shards than 0: the last digest that is on disk there */
    uint32_t dropped;   /* records with a generation */
    struct list due;    /* records: reclaim.c */
    struct bucket_properties defaults;
};

struct property_update {
    struct bytes type, bucket; /* on shard 0 */
    uint64_t stamp;            /* there: of the record as it was told */
    uint64_t generation;       /* a drop: the one decided; 0: none */
    bool stored;
    bool *told; /* by member: it has the change on disk; NULL: shard 0 carries it out for us */
};

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

static struct record *find(const struct property_table *table, struct bytes type,
                           struct bytes bucket)
{
    struct map_item *item = map_find(&table->records, name_hash(type, bucket));
    if (item == NULL)
        return NULL;
    struct record *record = LIST_ENTRY(item, struct record, by_name);
    bool same = bytes_equal(record->type, type) && bytes_equal(record->bucket, bucket);
    return same ? record : NULL;
}

static struct record *record_make(uint64_t stamp, struct bytes type, struct bytes bucket,
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

static void record_free(struct record *record)
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
    struct record *record = record_make(incoming->stamp, incoming->type, incoming->bucket,
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
    struct record *old = find(table, type, bucket), *record;
    kvorum_status status = merge_made(table, old, incoming, &record);
    if (status != KVORUM_OK || record == NULL)
        return status;
    uint64_t key = name_hash(type, bucket);
    if (old == NULL && map_find(&table->records, key) != NULL) {
        record_free(record); /* two names with one 64-bit hash */
        return KVORUM_INTERNAL;
    }
    if (old != NULL)
        map_remove(&table->records, key);
    if (!map_insert(&table->records, &record->by_name, key)) {
        assert(old == NULL); /* there was room for that one, so nothing is lost here */
        record_free(record);
        return KVORUM_NO_MEMORY;
    }
    if (old != NULL)
        table->digest -= record_digest(old);
    note_generation(table, old, record);
    record_free(old);
    table->digest += record_digest(record);
    *ret_changed = true;
    return KVORUM_OK;
}

static kvorum_status table_merge(struct property_table *table, uint64_t stamp, struct bytes type,
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
        record = find(table, type, bucket);
    if (record != NULL)
        bucket_properties_apply(ret_properties, &record->properties);
    ret_mode->siblings = ret_properties->allow_mult == 1 && ret_properties->last_write_wins != 1;
    ret_mode->since = record == NULL ? 0 : record->stamp;
}

static uint8_t bucket_n(const struct property_table *table, struct bytes type, struct bytes bucket)
{
    struct bucket_properties properties = table->defaults;
    const struct record *record = find(table, type, bucket);
    if (record != NULL)
        bucket_properties_apply(&properties, &record->properties);
    return (uint8_t)properties.levels.n;
}

uint64_t drop_generation(const struct node *node, struct bytes type, struct bytes bucket)
{
    const struct property_table *table = node->properties;
    const struct record *record = table->dropped == 0 ? NULL : find(table, type, bucket);
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

/* --- records as bytes ----------------------------------------------------------------------- */

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

static void append_record(const struct record *record, struct buffer *buffer)
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

/* With all that an earlier batch did not bring to the disk. */
static kvorum_status store_records(struct node *node, struct record *const *records, size_t count,
                                   const struct commit_plan *plan)
{
    struct property_table *table = node->properties;
    struct engine *store = node->config.stores[0];
    kvorum_status status = KVORUM_OK;
    assert(node->config.shard == 0 && store != NULL);
    engine_batch_reset(node->batch);
    struct map_item *item = table->not_stored ? map_any(&table->records) : NULL;
    for (; item != NULL && status == KVORUM_OK; item = map_next(&table->records, item))
        status = put_record(node, LIST_ENTRY(item, struct record, by_name));
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

/* Merge all records of `bytes`; those that changed are listed in the scratch arena. */
static kvorum_status merge_records(struct node *node, struct bytes bytes,
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
        uint8_t n = bucket_n(node->properties, type, bucket);
        status = table_merge(node->properties, stamp, type, bucket, overrides, &merged);
        if (merged && bucket_n(node->properties, type, bucket) != n)
            repair_forget_trees(node);
        if (merged && count < limit)
            changed[count++] = find(node->properties, type, bucket);
    }
    *ret_changed = changed;
    *ret_count = count;
    if (!list_empty(&node->properties->due))
        reclaim_wake(node);
    return reader.failed ? KVORUM_CORRUPT : status;
}

/* --- opening -------------------------------------------------------------------------------- */

static kvorum_status load(struct node *node)
{
    struct engine_range range = { .lower = BYTES_LITERAL("p"), .upper = BYTES_LITERAL("q") };
    struct engine_iterator *iterator = NULL;
    kvorum_status status = engine_iterate(node->config.stores[0], &range, &iterator);
    if (status != KVORUM_OK)
        return status;
    struct record **changed;
    size_t count;
    for (engine_iterator_first(iterator); iterator->valid && status == KVORUM_OK;
         engine_iterator_next(iterator))
        status = merge_records(node, iterator->value, &changed, &count);
    if (status == KVORUM_OK)
        status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

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
    return load(node);
}

/* `member` has told us all, or knows no more than we do; another newcomer's word is nothing. */
static void learnt(struct node *node, uint16_t member)
{
    bool knows = node->config.epoch->members[member].state != MEMBER_JOINING;
    if (!node->newcomer || node->config.shard != 0 || !knows)
        return;
    node->ready = true;
    node->newcomer = false;
    PROBE("node: a newcomer learnt the buckets' properties");
    for (uint16_t shard = 1; shard < node->config.shard_count; shard++)
        property_push(node, (struct net_address){ node->config.self, shard });
}

void property_table_close(struct node *node)
{
    struct property_table *table = node->properties;
    if (table == NULL)
        return;
    struct map_item *item;
    while ((item = map_any(&table->records)) != NULL) {
        map_remove(&table->records, item->key);
        record_free(LIST_ENTRY(item, struct record, by_name));
    }
    map_done(&table->records);
    free(table);
    node->properties = NULL;
}

/* --- spreading ------------------------------------------------------------------------------ */

/* All that this shard goes by is on the disk of the node: values may be deleted for it. */
static bool is_durable(const struct node *node)
{
    const struct property_table *table = node->properties;
    if (node->config.shard == 0)
        return table->storing == 0 && !table->not_stored;
    return table->digest == table->durable;
}

enum tell { TELL_SOME, TELL_ALL, TELL_EVERYWHERE };

static bool send_records(struct node *node, struct net_address to, uint64_t request_id,
                         enum tell how, struct record *const *records, size_t count)
{
    Peer__Properties body = PEER__PROPERTIES__INIT;
    bool all = how == TELL_ALL;
    body.all = all;
    body.everywhere = how == TELL_EVERYWHERE;
    buffer_reset(&node->encoding);
    for (size_t i = 0; i < count; i++)
        append_record(records[i], &node->encoding);
    if (all)
        for (struct map_item *item = map_any(&node->properties->records); item != NULL;
             item = map_next(&node->properties->records, item))
            append_record(LIST_ENTRY(item, struct record, by_name), &node->encoding);
    return !node->encoding.failed &&
           node_send(node, to, MESSAGE_PROPERTIES, request_id, node_pack(node, &body.base),
                     buffer_bytes(&node->encoding));
}

/* Not from an event that has just changed the table: that is on no disk yet. */
static void tell_durable(struct node *node, uint16_t shard)
{
    Peer__Properties body = PEER__PROPERTIES__INIT;
    body.durable = node->properties->digest;
    if (node->properties->dropped > 0 && is_durable(node))
        node_send(node, (struct net_address){ node->config.self, shard }, MESSAGE_PROPERTIES, 0,
                  node_pack(node, &body.base), (struct bytes){ 0 });
}

static void tell_all_durable(struct node *node)
{
    for (uint16_t i = 1; i < node->config.shard_count; i++)
        tell_durable(node, i);
}

void property_push(struct node *node, struct net_address to)
{
    send_records(node, to, 0, TELL_ALL, NULL, 0);
}

/* Other shards of a node start with an empty table and serve once shard 0 has sent its own. */
void property_pull(struct node *node)
{
    Peer__Properties body = PEER__PROPERTIES__INIT;
    body.pull = true;
    struct net_address own = { node->config.self, 0 };
    node_send(node, own, MESSAGE_PROPERTIES, 0, node_pack(node, &body.base), (struct bytes){ 0 });
}

static void tell_own_shards(struct node *node, struct record *const *records, size_t count)
{
    for (uint16_t i = 1; count > 0 && i < node->config.shard_count; i++)
        send_records(node, (struct net_address){ node->config.self, i }, 0, TELL_SOME, records,
                     count);
}

static void answer(struct node *node, struct net_address to, uint64_t request_id,
                   kvorum_status status, const char *reason)
{
    Peer__PropertiesAnswer body = PEER__PROPERTIES_ANSWER__INIT;
    body.status = status;
    body.reason = (char *)reason;
    if (request_id != 0)
        node_send(node, to, MESSAGE_PROPERTIES_ANSWER, request_id, node_pack(node, &body.base),
                  (struct bytes){ 0 });
}

/* --- changing ------------------------------------------------------------------------------- */

static void update_end(struct node *node, struct request *request, kvorum_status status,
                       const char *reason)
{
    struct answer answer = { .status = status, .reason = reason };
    request_answer(node, request, &answer);
    request_close(node, request);
}

static bool is_missing(const struct node *node, const struct property_update *update,
                       uint16_t member)
{
    return member != node->config.self && !update->told[member] &&
           node->peers[member].state != LIVENESS_DEAD;
}

/* A member that has just come may not know of a change that was stamped by a clock ahead of ours:
 * the later stamp wins everywhere, and ours would be told by nobody. */
static bool is_overtaken(const struct node *node, const struct property_update *update)
{
    const struct record *record = find(node->properties, update->type, update->bucket);
    if (record != NULL && (record->stamp == update->stamp || update->generation != 0))
        return false; /* a later drop has all the more dropped what this one was to drop */
    PROBE("node: a change of properties was overtaken by one with a later stamp");
    return true;
}

/* A drop that few know of could be undone by their death. */
static bool is_known_to_enough(const struct node *node, const struct property_update *update)
{
    const struct epoch *epoch = node->config.epoch;
    unsigned present = 0, told = 0;
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        if (epoch->members[i].state == MEMBER_GONE)
            continue;
        present++;
        told += i == node->config.self || update->told[i];
    }
    return update->generation == 0 || 2 * told > present;
}

/* Answered when it is stored here, and known to whoever is not known to be dead: now, since one
 * that was dead may be back. */
static void update_settle(struct node *node, struct request *request)
{
    const struct property_update *update = request->property_update;
    if (!update->stored || update->told == NULL || epochs_is_behind(node))
        return; /* a newer epoch may name members that have not been told */
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (is_missing(node, update, i) && !PLANTED(CHANGE_TOLD_TO_NOBODY))
            return;
    if (!is_known_to_enough(node, update))
        return;
    if (is_overtaken(node, update))
        update_end(node, request, KVORUM_CONFLICT,
                   "another change of the bucket's properties has a later stamp, and is in force. "
                   "Next: look at them, and repeat the change");
    else
        update_end(node, request, KVORUM_OK, "");
}

/* On shard 0: store, and tell everybody. */
static kvorum_status spread(struct node *node, struct request *request, struct record *record)
{
    struct property_update *update = request->property_update;
    struct commit_plan plan = { .kind = COMMIT_PROPERTIES, .request_id = request->id };
    uint16_t members = node->config.epoch->member_count;
    uint64_t id = request->id;
    update->told = arena_allocate_zero(&request->arena, RING_MEMBERS_MAX * sizeof(*update->told));
    update->stamp = record->stamp;
    if (update->told == NULL || !arena_copy(&request->arena, record->type, &update->type) ||
        !arena_copy(&request->arena, record->bucket, &update->bucket))
        return KVORUM_NO_MEMORY;
    /* One whose link is not up yet gets it after a packet of gossip; see property_on_digest. */
    for (uint16_t i = 0; i < members; i++)
        if (i != node->config.self && placement_reachable(node, i))
            (void)send_records(node, (struct net_address){ i, 0 }, id,
                               update->generation != 0 ? TELL_EVERYWHERE : TELL_SOME, &record, 1);
    tell_own_shards(node, &record, 1);
    return store_records(node, &record, 1, &plan);
}

/* On another shard: shard 0 of this node does it; its answer ends the request. */
static kvorum_status hand_over(struct node *node, struct request *request, struct record *record)
{
    struct net_address own = { node->config.self, 0 };
    return send_records(node, own, request->id, TELL_SOME, &record, 1) ? KVORUM_OK
                                                                       : KVORUM_OVERLOADED;
}

/* Leaves a member that fell silent the time to be found dead. */
static uint64_t update_timeout_us(const struct node *node)
{
    return gossip_patience_us(node) + UPDATE_SLACK_US;
}

static kvorum_status change(struct node *node, struct request *request, struct bytes type,
                            struct bytes bucket, const struct bucket_properties *overrides)
{
    struct buffer encoding;
    buffer_init(&encoding, 1024);
    if (overrides != NULL)
        bucket_properties_encode(overrides, &encoding);
    uint64_t stamp = hlc_now(&node->hlc, clock_wall_ms(node->config.clock));
    struct record *old = find(node->properties, type, bucket);
    if (old != NULL && stamp <= old->stamp)
        stamp = old->stamp + 1;
    bool changed = false;
    uint8_t n = bucket_n(node->properties, type, bucket);
    kvorum_status status = KVORUM_NO_MEMORY;
    if (!encoding.failed) /* half of an encoding would be another change, or a reset */
        status =
            table_merge(node->properties, stamp, type, bucket, buffer_bytes(&encoding), &changed);
    buffer_done(&encoding);
    if (status != KVORUM_OK)
        return status;
    if (changed && bucket_n(node->properties, type, bucket) != n)
        repair_forget_trees(node);
    uint64_t timeout_us = update_timeout_us(node);
    if (node->config.shard != 0) /* shard 0's comes first */
        timeout_us += UPDATE_SLACK_US;
    request->property_update = arena_allocate_zero(&request->arena, sizeof(struct property_update));
    if (request->property_update == NULL ||
        !request_register(node, request, node->now_us + timeout_us))
        return KVORUM_NO_MEMORY;
    struct record *record = find(node->properties, type, bucket);
    assert(record != NULL); /* merged above */
    return node->config.shard == 0 ? spread(node, request, record)
                                   : hand_over(node, request, record);
}

static const char *change_problem(struct node *node, struct bytes type, struct bytes bucket,
                                  const struct bucket_properties *effective)
{
    if (bucket.size == 0 || bucket.size > NODE_BUCKET_SIZE_MAX || type.size > NODE_TYPE_SIZE_MAX)
        return "bucket name: empty or too long";
    return node->ready ? bucket_properties_problem(effective) : "the node is still starting";
}

void node_set_properties(struct node *node, struct bytes type, struct bytes bucket,
                         const struct bucket_properties *overrides, bool reset,
                         node_answer_fn on_answer, void *context)
{
    node_enter(node);
    struct bytes named = type.size == 0 ? BYTES_LITERAL("default") : type;
    struct bucket_properties kept, effective;
    bucket_properties_init(&kept);
    struct record *old = find(node->properties, named, bucket);
    if (old != NULL)
        kept = old->properties;
    if (!reset)
        bucket_properties_apply(&kept, overrides);
    effective = node->properties->defaults;
    bucket_properties_apply(&effective, &kept);

    struct answer failed = { .status = KVORUM_INVALID };
    failed.reason =
        change_problem(node, named, bucket, reset ? &node->properties->defaults : &effective);
    struct request *request = NULL;
    if (failed.reason == NULL) {
        failed.status = KVORUM_NO_MEMORY;
        request = request_open(node, REQUEST_PROPERTIES);
    }
    if (request != NULL) {
        request->on_answer = on_answer;
        request->context = context;
        uint64_t id = request->id;
        failed.status = change(node, request, named, bucket, reset ? NULL : &kept);
        if (failed.status != KVORUM_OK) {
            request->on_answer = NULL;
            request_close(node, request);
        } else if ((request = request_find(node, id, REQUEST_PROPERTIES)) != NULL)
            update_settle(node, request);
    }
    if (failed.status != KVORUM_OK) {
        if (failed.reason == NULL)
            failed.reason = kvorum_status_text(failed.status);
        on_answer(context, &failed);
    }
    node_leave(node);
}

/* --- drops (node/drop.h) --------------------------------------------------------------------- */

/* A drop must be known to every shard here before anybody counts on it, so it goes through them one
 * after another, and comes back to shard 0 last.  It carries whom to answer. */
static void pass_on(struct node *node, struct net_address asker, const struct message *message)
{
    Peer__Properties body = PEER__PROPERTIES__INIT;
    uint16_t next = (uint16_t)((node->config.shard + 1) % node->config.shard_count);
    body.everywhere = true;
    body.asker_member = asker.member;
    body.asker_shard = asker.shard;
    node_send(node, (struct net_address){ node->config.self, next }, MESSAGE_PROPERTIES,
              message->request_id, node_pack(node, &body.base), message->tail);
}

/* Overrides that say nothing else. */
static void encode_generation(uint64_t generation, struct buffer *ret_encoding)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    properties.generation = generation;
    buffer_init(ret_encoding, OVERRIDES_MAX);
    bucket_properties_encode(&properties, ret_encoding);
}

static kvorum_status merge_generation(struct node *node, struct bytes type, struct bytes bucket,
                                      uint64_t generation, struct record **ret_record)
{
    struct buffer encoding;
    bool changed;
    encode_generation(generation, &encoding);
    kvorum_status status = encoding.failed ? KVORUM_NO_MEMORY
                                           : table_merge(node->properties, 0, type, bucket,
                                                         buffer_bytes(&encoding), &changed);
    buffer_done(&encoding);
    *ret_record = status == KVORUM_OK ? find(node->properties, type, bucket) : NULL;
    if (status == KVORUM_OK)
        reclaim_wake(node);
    return status;
}

bool property_pass_round(struct node *node, uint64_t request_id, struct bytes type,
                         struct bytes bucket, uint64_t generation)
{
    struct buffer encoding;
    encode_generation(generation, &encoding);
    buffer_reset(&node->encoding);
    write_u64(&node->encoding, 0);
    write_sized(&node->encoding, type);
    write_sized(&node->encoding, bucket);
    write_sized(&node->encoding, buffer_bytes(&encoding));
    bool fine = !encoding.failed && !node->encoding.failed;
    buffer_done(&encoding);
    const struct message message = { .request_id = request_id,
                                     .tail = buffer_bytes(&node->encoding) };
    if (fine)
        pass_on(node, (struct net_address){ node->config.self, 0 }, &message);
    return fine;
}

kvorum_status property_store_generation(struct node *node, uint64_t request_id, struct bytes type,
                                        struct bytes bucket)
{
    const struct commit_plan plan = { .kind = COMMIT_GENERATION, .request_id = request_id };
    struct record *record = find(node->properties, type, bucket), *made = NULL;
    struct bucket_properties none;
    if (record == NULL) {
        bucket_properties_init(&none);
        record = made = record_make(0, type, bucket, (struct bytes){ 0 }, &none);
    }
    kvorum_status status = KVORUM_NO_MEMORY;
    if (record != NULL)
        status = store_records(node, &record, 1, &plan);
    record_free(made);
    return status;
}

void property_decide_generation(struct node *node, struct bytes type, struct bytes bucket,
                                uint64_t generation, node_answer_fn on_answer, void *context)
{
    struct record *record;
    struct request *request = request_open(node, REQUEST_PROPERTIES);
    kvorum_status status = KVORUM_NO_MEMORY;
    uint64_t id = request == NULL ? 0 : request->id;
    if (request != NULL)
        request->property_update = arena_new(&request->arena, struct property_update);
    if (request != NULL && request->property_update != NULL &&
        request_register(node, request, node->now_us + update_timeout_us(node)))
        status = merge_generation(node, type, bucket, generation, &record);
    if (status == KVORUM_OK) {
        request->property_update->generation = generation;
        request->on_answer = on_answer;
        request->context = context;
        status = spread(node, request, record);
    }
    if (status == KVORUM_OK) {
        if ((request = request_find(node, id, REQUEST_PROPERTIES)) != NULL)
            update_settle(node, request);
        return;
    }
    const struct answer failed = { .status = status, .reason = kvorum_status_text(status) };
    if (request != NULL) {
        request->on_answer = NULL;
        request_close(node, request);
    }
    on_answer(context, &failed);
}

void property_hear(struct node *node, const struct key_address *address)
{
    static const struct commit_plan nobody = { .kind = COMMIT_PROPERTIES_ANSWER };
    struct record *record;
    if (merge_generation(node, address->type, address->bucket, address->generation, &record) !=
        KVORUM_OK)
        return; /* it comes again, with the next message or by gossip */
    if (node->config.shard != 0) {
        send_records(node, (struct net_address){ node->config.self, 0 }, 0, TELL_SOME, &record, 1);
        return;
    }
    tell_own_shards(node, &record, 1);
    (void)!store_records(node, &record, 1, &nobody);
}

void property_tell(struct node *node, struct net_address from, struct bytes type,
                   struct bytes bucket)
{
    struct record *record = find(node->properties, type, bucket);
    bool own = from.member == node->config.self;
    struct net_address to = { from.member, own ? from.shard : 0 };
    if (record != NULL)
        send_records(node, to, 0, TELL_SOME, &record, 1);
}

bool property_first_due(const struct node *node, struct drop_due *ret)
{
    struct list *due = &node->properties->due;
    if (list_empty(due) || !is_durable(node))
        return false;
    const struct record *record = LIST_ENTRY(due->next, struct record, due);
    *ret = (struct drop_due){ record->type, record->bucket, record->properties.generation };
    return true;
}

uint32_t property_count_due(const struct node *node)
{
    uint32_t count = 0;
    struct list *due = &node->properties->due;
    for (struct list *item = due->next; item != due; item = item->next)
        count++;
    return count;
}

bool property_all_due(struct node *node)
{
    struct property_table *table = node->properties;
    for (struct map_item *item = map_any(&table->records); item != NULL;
         item = map_next(&table->records, item)) {
        struct record *record = LIST_ENTRY(item, struct record, by_name);
        if (record->properties.generation == 0)
            continue;
        record->reclaimed = 0;
        list_remove(&record->due);
        list_append(&table->due, &record->due);
    }
    return table->dropped > 0;
}

void property_reclaimed(struct node *node, const struct drop_due *done)
{
    struct record *record = find(node->properties, done->type, done->bucket);
    if (record == NULL || record->reclaimed >= done->generation)
        return;
    record->reclaimed = done->generation;
    if (record->properties.generation <= record->reclaimed)
        list_remove(&record->due);
}

/* --- for another shard of this node ---------------------------------------------------------- */

struct property_errand {
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

static void errand_answer(void *context, const struct answer *outcome)
{
    struct property_errand *errand = context;
    answer(errand->node, errand->to, errand->request_id, outcome->status, outcome->reason);
}

static struct request *open_errand(struct node *node, struct net_address to, uint64_t request_id)
{
    struct request *request = request_open(node, REQUEST_PROPERTIES);
    if (request == NULL)
        return NULL;
    struct property_errand *errand = arena_new(&request->arena, struct property_errand);
    request->property_update = arena_new(&request->arena, struct property_update);
    if (errand == NULL || request->property_update == NULL ||
        !request_register(node, request, node->now_us + update_timeout_us(node))) {
        request_close(node, request);
        return NULL;
    }
    *errand = (struct property_errand){ node, to, request_id };
    request->on_answer = errand_answer;
    request->context = errand;
    return request;
}

/* The other shard's client is answered when every member that can be reached has the change. */
static void run_errand(struct node *node, struct net_address to, uint64_t request_id,
                       struct record *record)
{
    struct request *request = open_errand(node, to, request_id);
    kvorum_status status = KVORUM_NO_MEMORY;
    uint64_t id = request == NULL ? 0 : request->id;
    if (request != NULL)
        status = spread(node, request, record);
    if (request != NULL && status != KVORUM_OK) {
        request->on_answer = NULL;
        request_close(node, request);
    }
    if (status != KVORUM_OK)
        answer(node, to, request_id, status, kvorum_status_text(status));
    else if ((request = request_find(node, id, REQUEST_PROPERTIES)) != NULL)
        update_settle(node, request);
}

/* --- events --------------------------------------------------------------------------------- */

/* What is stored here stays, and whoever has not heard of it will by gossip; but until then
 * such a member may act by the old properties. */
static const char *unconfirmed(struct node *node, const struct property_update *update)
{
    struct buffer names;
    buffer_init(&names, 1024);
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (is_missing(node, update, i))
            buffer_printf(&names, "%s%s", names.size == 0 ? "" : ", ",
                          node->config.epoch->members[i].name);
    const char *reason = reason_printf(
        node,
        "the change is stored, but %.*s may be alive and has not confirmed it; until it hears of "
        "it, it acts by the old properties. Next: repeat the change, or see kvorum status",
        (int)names.size, names.size == 0 ? "" : (const char *)names.data);
    buffer_done(&names);
    return reason;
}

/* True: it is on its way through the shards.  Else they all know, and `from` is who wants to hear
 * of it. */
static bool goes_round(struct node *node, struct net_address *from, const Peer__Properties *body,
                       const struct message *message)
{
    bool begins = node->config.shard == 0 && from->member != node->config.self;
    struct net_address asker = { (uint16_t)body->asker_member, (uint16_t)body->asker_shard };
    struct record **changed;
    size_t count;
    if (!body->everywhere || node->config.shard_count == 1)
        return false;
    if (node->config.shard != 0 &&
        merge_records(node, message->tail, &changed, &count) != KVORUM_OK)
        return true; /* whoever waits for it asks again */
    if (begins || node->config.shard != 0) {
        pass_on(node, begins ? *from : asker, message);
        return true;
    }
    *from = asker;
    return false;
}

void property_on_message(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Properties *body = node_unpack(node, &peer__properties__descriptor, message->body);
    struct record **changed;
    size_t count = 0;
    if (body == NULL) {
        node->counters.messages_bad++;
        return;
    }
    if (body->pull) {
        if (node->ready) /* else it is told when we are */
            property_push(node, from);
        if (node->ready && node->config.shard == 0 && from.member == node->config.self)
            tell_durable(node, from.shard);
        return;
    }
    if (goes_round(node, &from, body, message))
        return;
    if (body->everywhere && from.member == node->config.self) {
        drop_on_everywhere(node, message->request_id);
        return;
    }
    kvorum_status status = merge_records(node, message->tail, &changed, &count);
    if (node->config.shard != 0) {
        bool own_node = from.member == node->config.self;
        node->ready |= status == KVORUM_OK && body->all && own_node;
        if (own_node && from.shard == 0 && body->durable != 0)
            node->properties->durable = body->durable;
        reclaim_wake(node);
        return;
    }
    if (status == KVORUM_OK && body->all)
        learnt(node, from.member);
    bool own = from.member == node->config.self; /* another shard of ours changed one record */
    if (status == KVORUM_OK && own && count == 1 && message->request_id != 0) {
        run_errand(node, from, message->request_id, changed[0]);
        return;
    }
    /* Also what is known already may not be on disk yet: who wants to know waits for it. */
    bool owed = count > 0 || message->request_id != 0 || node->properties->not_stored;
    if (status == KVORUM_OK && owed) {
        const struct commit_plan plan = { .kind = COMMIT_PROPERTIES_ANSWER,
                                          .to = from,
                                          .request_id = message->request_id };
        tell_own_shards(node, changed, count);
        status = store_records(node, changed, count, &plan);
    }
    if (status != KVORUM_OK)
        answer(node, from, message->request_id, status, kvorum_status_text(status));
}

/* Every change under way is told that `member` has it, or that its state changed.  The answer may
 * change the list: begin again after each. */
static void settle_all(struct node *node, uint16_t member, bool told)
{
    struct list *item = node->active.next;
    while (item != &node->active) {
        struct request *request = LIST_ENTRY(item, struct request, link);
        item = item->next;
        if (request->kind != REQUEST_PROPERTIES || request->property_update->told == NULL)
            continue;
        request->property_update->told[member] |= told;
        uint64_t id = request->id;
        update_settle(node, request);
        if (map_find(&node->requests, id) == NULL)
            item = node->active.next;
    }
}

void property_on_digest(struct node *node, uint16_t member, uint64_t digest)
{
    if (digest == node->properties->digest) {
        bool before = node->ready;
        learnt(node, member);
        if (!before && node->ready)
            tell_all_durable(node);
        settle_all(node, member, true);
    } else
        property_push(node, (struct net_address){ member, 0 });
}

void property_on_members(struct node *node)
{
    drop_on_members(node);
    settle_all(node, node->config.self, false);
}

void property_on_death(struct node *node, uint16_t member)
{
    drop_on_members(node);
    settle_all(node, member, false);
}

void property_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    Peer__PropertiesAnswer *body =
        node_unpack(node, &peer__properties_answer__descriptor, message->body);
    struct request *request = request_find(node, message->request_id, REQUEST_PROPERTIES);
    if (body == NULL)
        node->counters.messages_bad++;
    if (body == NULL || request == NULL)
        return;
    struct property_update *update = request->property_update;
    kvorum_status status = (kvorum_status)body->status;
    if (update->told == NULL && from.member == node->config.self)
        update_end(node, request, status, body->reason); /* shard 0 speaks for all */
    else if (update->told != NULL && status == KVORUM_OK) {
        update->told[from.member] = true;
        update_settle(node, request);
    }
}

void property_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status)
{
    struct property_table *table = node->properties;
    table->storing--;
    table->not_stored |= status != KVORUM_OK;
    tell_all_durable(node);
    reclaim_wake(node);
    if (plan->kind == COMMIT_GENERATION) {
        drop_on_stored(node, plan->request_id, status);
        return;
    }
    if (plan->kind == COMMIT_PROPERTIES_ANSWER) {
        answer(node, plan->to, plan->request_id, status, kvorum_status_text(status));
        return;
    }
    struct request *request = request_find(node, plan->request_id, REQUEST_PROPERTIES);
    if (request == NULL)
        return;
    request->property_update->stored = status == KVORUM_OK;
    if (status == KVORUM_OK)
        update_settle(node, request);
    else
        update_end(node, request, status, kvorum_status_text(status));
}

void property_on_deadline(struct node *node, struct request *request)
{
    const struct property_update *update = request->property_update;
    const char *reason = "the change was not stored in time. Next: repeat it";
    if (update->stored && update->told != NULL)
        reason = unconfirmed(node, update);
    update_end(node, request, KVORUM_TIMEOUT, reason);
}
