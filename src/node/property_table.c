/* SPDX-License-Identifier: Apache-2.0 */
/* The replicated table of bucket properties: every shard of every node holds all of it.
 *
 *      record   stamp u64 | type sized | bucket sized | overrides sized     (empty overrides:
 *      reset) stored   in store 0 under 'p' type-size u8 type bucket
 *
 * The record with the larger (stamp, overrides) wins, so copies merge in any order.  A change goes
 * to shard 0, which stores it and tells every member's shard 0 and its own other shards; whoever
 * was away finds out by the digest in heartbeats and is sent everything. */
#include "base/hash.h"
#include "codec/protobuf.h"
#include "codec/varint.h"
#include "node/internal.h"

enum { TABLE_RECORDS_MAX = 100000, UPDATE_TIMEOUT_US = 3 * 1000 * 1000 };

struct record {
    struct map_item by_name;
    uint64_t stamp;
    struct bytes type, bucket, overrides;
    struct bucket_properties properties;
    uint8_t memory[];
};

struct property_table {
    struct map records; /* by hash of (type, bucket) */
    uint64_t digest;    /* order-independent sum over the records */
    struct bucket_properties defaults;
};

struct property_update {
    bool stored;
    uint32_t waiting_count;
    uint16_t *waiting; /* members that have not answered */
};

/* --- the table ------------------------------------------------------------------------------ */

static uint64_t name_hash(struct bytes type, struct bytes bucket)
{
    struct bytes parts[] = { type, BYTES_LITERAL("\0"), bucket };
    return hash64_parts(parts, 3, 0);
}

static uint64_t record_digest(const struct record *record)
{
    struct bytes parts[] = { bytes_make(&record->stamp, sizeof(record->stamp)), record->overrides };
    return hash64_parts(parts, 2, record->by_name.key);
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
    return record;
}

/* Take a record if it is newer; *ret_changed tells.  INVALID, NO_MEMORY, TOO_LARGE. */
static kvorum_status table_merge(struct property_table *table, uint64_t stamp, struct bytes type,
                                 struct bytes bucket, struct bytes overrides, bool *ret_changed)
{
    *ret_changed = false;
    struct bucket_properties properties;
    kvorum_status status = bucket_properties_decode(overrides, &properties);
    if (status != KVORUM_OK || bucket.size == 0 || bucket.size > NODE_BUCKET_SIZE_MAX ||
        type.size > NODE_TYPE_SIZE_MAX)
        return KVORUM_INVALID;
    struct record *old = find(table, type, bucket);
    if (old != NULL && (old->stamp > stamp ||
                        (old->stamp == stamp && bytes_compare(old->overrides, overrides) >= 0)))
        return KVORUM_OK;
    if (old == NULL && table->records.count >= TABLE_RECORDS_MAX)
        return KVORUM_TOO_LARGE;
    uint64_t key = name_hash(type, bucket);
    struct record *record = record_make(stamp, type, bucket, overrides, &properties);
    if (record == NULL)
        return KVORUM_NO_MEMORY;
    if (old == NULL && map_find(&table->records, key) != NULL) {
        free(record); /* two names with one 64-bit hash */
        return KVORUM_INTERNAL;
    }
    if (old != NULL) {
        table->digest -= record_digest(old);
        map_remove(&table->records, key);
        free(old);
    }
    if (!map_insert(&table->records, &record->by_name, key)) {
        free(record);
        return KVORUM_NO_MEMORY;
    }
    table->digest += record_digest(record);
    *ret_changed = true;
    return KVORUM_OK;
}

uint64_t property_table_digest(const struct node *node)
{
    return node->properties->digest;
}

void property_table_get(struct node *node, struct bytes type, struct bytes bucket,
                        struct bucket_properties *ret_properties)
{
    const struct property_table *table = node->properties;
    *ret_properties = table->defaults;
    if (table->records.count == 0)
        return;
    const struct record *record = find(table, type, bucket);
    if (record != NULL)
        bucket_properties_apply(ret_properties, &record->properties);
}

void node_properties(struct node *node, struct bytes type, struct bytes bucket,
                     struct bucket_properties *ret_properties)
{
    struct bytes named = type.size == 0 ? BYTES_LITERAL("default") : type;
    property_table_get(node, named, bucket, ret_properties);
}

/* --- records as bytes ----------------------------------------------------------------------- */

static void append_record(const struct record *record, struct buffer *buffer)
{
    write_u64(buffer, record->stamp);
    write_sized(buffer, record->type);
    write_sized(buffer, record->bucket);
    write_sized(buffer, record->overrides);
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

static kvorum_status store_records(struct node *node, struct record *const *records, size_t count,
                                   const struct commit_plan *plan)
{
    struct engine *store = node->config.stores[0];
    assert(node->config.shard == 0 && store != NULL);
    engine_batch_reset(node->batch);
    for (size_t i = 0; i < count; i++) {
        struct bytes name = stored_name(&node->scratch, records[i]);
        buffer_reset(&node->encoding);
        append_record(records[i], &node->encoding);
        if (name.data == NULL || node->encoding.failed)
            return KVORUM_NO_MEMORY;
        kvorum_status status = engine_batch_put(node->batch, name, buffer_bytes(&node->encoding));
        if (status != KVORUM_OK)
            return status;
    }
    return replica_submit(node, store, node->batch, ENGINE_SYNC, plan);
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
        struct bytes overrides = read_sized(&reader, 1024);
        bool merged = false;
        if (reader.failed)
            break;
        (void)hlc_see(&node->hlc, stamp, clock_wall_ms(node->config.clock));
        status = table_merge(node->properties, stamp, type, bucket, overrides, &merged);
        if (merged && count < limit)
            changed[count++] = find(node->properties, type, bucket);
    }
    *ret_changed = changed;
    *ret_count = count;
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
    bucket_properties_init(&table->defaults);
    table->defaults.levels = node->config.default_levels;
    table->defaults.allow_mult = table->defaults.last_write_wins = 0;
    if (node->config.shard != 0) {
        property_pull(node);
        return KVORUM_OK;
    }
    node->ready = true;
    return load(node);
}

void property_table_close(struct node *node)
{
    struct property_table *table = node->properties;
    if (table == NULL)
        return;
    struct map_item *item;
    while ((item = map_any(&table->records)) != NULL) {
        map_remove(&table->records, item->key);
        free(LIST_ENTRY(item, struct record, by_name));
    }
    map_done(&table->records);
    free(table);
    node->properties = NULL;
}

/* --- spreading ------------------------------------------------------------------------------ */

static bool send_records(struct node *node, struct net_address to, uint64_t request_id, bool all,
                         struct record *const *records, size_t count)
{
    Peer__Properties body = PEER__PROPERTIES__INIT;
    body.all = all;
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

void property_push(struct node *node, struct net_address to)
{
    send_records(node, to, 0, true, NULL, 0);
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
        send_records(node, (struct net_address){ node->config.self, i }, 0, false, records, count);
}

static void answer(struct node *node, struct net_address to, uint64_t request_id,
                   kvorum_status status)
{
    Peer__PropertiesAnswer body = PEER__PROPERTIES_ANSWER__INIT;
    body.status = status;
    if (request_id != 0)
        node_send(node, to, MESSAGE_PROPERTIES_ANSWER, request_id, node_pack(node, &body.base),
                  (struct bytes){ 0 });
}

/* --- changing ------------------------------------------------------------------------------- */

static void update_settle(struct node *node, struct request *request)
{
    struct property_update *update = request->property_update;
    if (!update->stored || update->waiting_count > 0)
        return;
    struct answer done = { .status = KVORUM_OK, .reason = "" };
    request_answer(node, request, &done);
    request_close(node, request);
}

static bool is_waiting_for(const struct property_update *update, uint16_t member)
{
    for (uint32_t i = 0; i < update->waiting_count; i++)
        if (update->waiting[i] == member)
            return true;
    return false;
}

static void update_forget(struct node *node, struct request *request, uint16_t member)
{
    struct property_update *update = request->property_update;
    for (uint32_t i = 0; i < update->waiting_count; i++)
        if (update->waiting[i] == member) {
            update->waiting[i] = update->waiting[--update->waiting_count];
            break;
        }
    update_settle(node, request);
}

/* On shard 0: store, tell everybody, wait for those that can be reached. */
static kvorum_status spread(struct node *node, struct request *request, struct record *record)
{
    struct property_update *update = request->property_update;
    struct commit_plan plan = { .kind = COMMIT_PROPERTIES, .request_id = request->id };
    uint16_t members = node->config.epoch->member_count;
    uint64_t id = request->id;
    update->waiting = arena_allocate(&request->arena, members * sizeof(*update->waiting));
    if (update->waiting == NULL)
        return KVORUM_NO_MEMORY;
    for (uint16_t i = 0; i < members; i++)
        if (i != node->config.self && placement_reachable(node, i)) {
            /* One whose link is not up yet gets it after a heartbeat; see property_on_heartbeat. */
            (void)send_records(node, (struct net_address){ i, 0 }, id, false, &record, 1);
            update->waiting[update->waiting_count++] = i;
        }
    tell_own_shards(node, &record, 1);
    return store_records(node, &record, 1, &plan);
}

/* On another shard: shard 0 of this node does it; its answer ends the request. */
static kvorum_status hand_over(struct node *node, struct request *request, struct record *record)
{
    struct property_update *update = request->property_update;
    update->stored = true;
    update->waiting_count = 1;
    update->waiting = arena_allocate(&request->arena, sizeof(*update->waiting));
    if (update->waiting == NULL)
        return KVORUM_NO_MEMORY;
    update->waiting[0] = node->config.self;
    struct net_address own = { node->config.self, 0 };
    return send_records(node, own, request->id, false, &record, 1) ? KVORUM_OK : KVORUM_OVERLOADED;
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
    bool changed;
    kvorum_status status =
        table_merge(node->properties, stamp, type, bucket, buffer_bytes(&encoding), &changed);
    buffer_done(&encoding);
    if (status != KVORUM_OK)
        return status;
    uint64_t timeout_us =
        UPDATE_TIMEOUT_US * (node->config.shard == 0 ? 1u : 2u); /* shard 0's first */
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

/* --- for another shard of this node ---------------------------------------------------------- */

struct property_errand {
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

static void errand_answer(void *context, const struct answer *outcome)
{
    struct property_errand *errand = context;
    answer(errand->node, errand->to, errand->request_id, outcome->status);
}

static struct request *open_errand(struct node *node, struct net_address to, uint64_t request_id)
{
    struct request *request = request_open(node, REQUEST_PROPERTIES);
    if (request == NULL)
        return NULL;
    struct property_errand *errand = arena_new(&request->arena, struct property_errand);
    request->property_update = arena_new(&request->arena, struct property_update);
    if (errand == NULL || request->property_update == NULL ||
        !request_register(node, request, node->now_us + UPDATE_TIMEOUT_US)) {
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
        answer(node, to, request_id, status);
    else if ((request = request_find(node, id, REQUEST_PROPERTIES)) != NULL)
        update_settle(node, request);
}

/* --- events --------------------------------------------------------------------------------- */

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
        property_push(node, from);
        return;
    }
    kvorum_status status = merge_records(node, message->tail, &changed, &count);
    if (node->config.shard != 0) {
        node->ready |= status == KVORUM_OK && body->all && from.member == node->config.self;
        return;
    }
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    bool own = from.member == node->config.self; /* another shard of ours changed one record */
    if (status == KVORUM_OK && own && count == 1 && message->request_id != 0) {
        run_errand(node, from, message->request_id, changed[0]);
        return;
    }
    if (status == KVORUM_OK && count > 0) {
        status = store_records(node, changed, count, &nothing);
        tell_own_shards(node, changed, count);
    }
    answer(node, from, message->request_id, status);
}

/* A member whose table equals ours has all that we wait for. */
void property_on_heartbeat(struct node *node, uint16_t member)
{
    struct list *item = node->active.next;
    while (item != &node->active) {
        struct request *request = LIST_ENTRY(item, struct request, link);
        bool waits =
            request->kind == REQUEST_PROPERTIES && is_waiting_for(request->property_update, member);
        item = item->next;
        if (!waits)
            continue;
        update_forget(node, request, member);
        item = node->active.next; /* the answer may have changed the list */
    }
}

void property_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    struct request *request = request_find(node, message->request_id, REQUEST_PROPERTIES);
    if (request != NULL)
        update_forget(node, request, from.member);
}

void property_on_stored(struct node *node, struct request *request, kvorum_status status)
{
    if (status == KVORUM_OK) {
        request->property_update->stored = true;
        update_settle(node, request);
        return;
    }
    struct answer failed = { .status = status, .reason = kvorum_status_text(status) };
    request_answer(node, request, &failed);
    request_close(node, request);
}

void property_on_lost(struct node *node, struct request *request, uint16_t member)
{
    update_forget(node, request, member);
}

/* Who did not answer learns it from a heartbeat; what is stored here stays. */
void property_on_deadline(struct node *node, struct request *request)
{
    bool stored = request->property_update->stored;
    struct answer late = { .status = stored ? KVORUM_OK : KVORUM_TIMEOUT,
                           .reason = stored ? "" : "the change was not stored in time" };
    request_answer(node, request, &late);
    request_close(node, request);
}
