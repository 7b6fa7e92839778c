/* SPDX-License-Identifier: Apache-2.0 */
/* Generations in the table of properties: node/buckets/drop.h decides them. */
#include "codec/protobuf.h"
#include "codec/varint.h"
#include "node/buckets/property_internal.h"

/* A drop must be known to every shard here before anybody counts on it, so it goes through them one
 * after another, and comes back to shard 0 last.  It carries whom to answer. */
void property_pass_on(struct node *node, struct net_address asker, const struct message *message)
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
                                           : property_merge(node->properties, 0, type, bucket,
                                                            buffer_bytes(&encoding), &changed);
    buffer_done(&encoding);
    *ret_record = status == KVORUM_OK ? property_find(node->properties, type, bucket) : NULL;
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
        property_pass_on(node, (struct net_address){ node->config.self, 0 }, &message);
    return fine;
}

kvorum_status property_store_generation(struct node *node, uint64_t request_id, struct bytes type,
                                        struct bytes bucket)
{
    const struct commit_plan plan = { .kind = COMMIT_GENERATION, .request_id = request_id };
    struct record *record = property_find(node->properties, type, bucket), *made = NULL;
    struct bucket_properties none;
    if (record == NULL) {
        bucket_properties_init(&none);
        record = made = property_record_make(0, type, bucket, (struct bytes){ 0 }, &none);
    }
    kvorum_status status = KVORUM_NO_MEMORY;
    if (record != NULL)
        status = property_store_records(node, &record, 1, &plan);
    property_record_free(made);
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
        request_register(node, request, node->now_us + property_update_timeout_us(node)))
        status = merge_generation(node, type, bucket, generation, &record);
    if (status == KVORUM_OK) {
        request->property_update->generation = generation;
        request->on_answer = on_answer;
        request->context = context;
        status = property_spread(node, request, record);
    }
    if (status == KVORUM_OK) {
        if ((request = request_find(node, id, REQUEST_PROPERTIES)) != NULL)
            property_update_settle(node, request);
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
        property_send_records(node, (struct net_address){ node->config.self, 0 }, 0, TELL_SOME,
                              &record, 1);
        return;
    }
    property_tell_own_shards(node, &record, 1);
    (void)!property_store_records(node, &record, 1, &nobody);
}

/* It is stored with whatever is stored next: until then others see a digest that nobody has, and
 * tell us all that they know, upon which it is. */
kvorum_status property_find_proven(struct node *node, const struct key_address *address)
{
    struct record *record;
    kvorum_status status =
        merge_generation(node, address->type, address->bucket, address->generation, &record);
    if (status != KVORUM_OK)
        return status;
    if (node->config.shard == 0)
        node->properties->not_stored = true;
    else
        property_send_records(node, (struct net_address){ node->config.self, 0 }, 0, TELL_SOME,
                              &record, 1);
    return KVORUM_OK;
}

void property_tell(struct node *node, struct net_address from, struct bytes type,
                   struct bytes bucket)
{
    struct record *record = property_find(node->properties, type, bucket);
    bool own = from.member == node->config.self;
    struct net_address to = { from.member, own ? from.shard : 0 };
    if (record != NULL)
        property_send_records(node, to, 0, TELL_SOME, &record, 1);
}

/* --- what is to be reclaimed ----------------------------------------------------------------- */

bool property_is_durable(const struct node *node)
{
    const struct property_table *table = node->properties;
    if (node->config.shard == 0)
        return table->storing == 0 && !table->not_stored;
    return table->digest == table->durable;
}

bool property_first_due(const struct node *node, struct drop_due *ret)
{
    struct list *due = &node->properties->due;
    if (list_empty(due) || !property_is_durable(node))
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
    struct record *record = property_find(node->properties, done->type, done->bucket);
    if (record == NULL || record->reclaimed >= done->generation)
        return;
    record->reclaimed = done->generation;
    if (record->properties.generation <= record->reclaimed)
        list_remove(&record->due);
}
