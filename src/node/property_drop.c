/* SPDX-License-Identifier: Apache-2.0 */
/* Generations in the table of properties: node/drop.h decides them. */
#include "codec/protobuf.h"
#include "codec/varint.h"
#include "node/property_internal.h"

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
