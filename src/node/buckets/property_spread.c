/* SPDX-License-Identifier: Apache-2.0 */
/* Telling others: records, or all of them, or how far they are on disk. */
#include "codec/protobuf.h"
#include "node/buckets/property_internal.h"

bool property_send_records(struct node *node, struct net_address to, uint64_t request_id,
                           enum tell how, struct record *const *records, size_t count)
{
    Peer__Properties body = PEER__PROPERTIES__INIT;
    bool all = how == TELL_ALL;
    body.all = all;
    body.everywhere = how == TELL_EVERYWHERE;
    buffer_reset(&node->encoding);
    for (size_t i = 0; i < count; i++)
        property_append_record(records[i], &node->encoding);
    if (all)
        for (struct map_item *item = map_any(&node->properties->records); item != NULL;
             item = map_next(&node->properties->records, item))
            property_append_record(LIST_ENTRY(item, struct record, by_name), &node->encoding);
    return !node->encoding.failed &&
           node_send(node, to, MESSAGE_PROPERTIES, request_id, node_pack(node, &body.base),
                     buffer_bytes(&node->encoding));
}

void property_tell_durable(struct node *node, uint16_t shard)
{
    Peer__Properties body = PEER__PROPERTIES__INIT;
    body.durable = node->properties->digest;
    if (node->properties->dropped > 0 && property_is_durable(node))
        node_send(node, (struct net_address){ node->config.self, shard }, MESSAGE_PROPERTIES, 0,
                  node_pack(node, &body.base), (struct bytes){ 0 });
}

void property_tell_all_durable(struct node *node)
{
    for (uint16_t i = 1; i < node->config.shard_count; i++)
        property_tell_durable(node, i);
}

void property_push(struct node *node, struct net_address to)
{
    property_send_records(node, to, 0, TELL_ALL, NULL, 0);
}

/* Other shards of a node start with an empty table and serve once shard 0 has sent its own. */
void property_pull(struct node *node)
{
    Peer__Properties body = PEER__PROPERTIES__INIT;
    body.pull = true;
    struct net_address own = { node->config.self, 0 };
    node_send(node, own, MESSAGE_PROPERTIES, 0, node_pack(node, &body.base), (struct bytes){ 0 });
}

void property_tell_own_shards(struct node *node, struct record *const *records, size_t count)
{
    for (uint16_t i = 1; count > 0 && i < node->config.shard_count; i++)
        property_send_records(node, (struct net_address){ node->config.self, i }, 0, TELL_SOME,
                              records, count);
}

void property_answer(struct node *node, struct net_address to, uint64_t request_id,
                     kvorum_status status, const char *reason)
{
    Peer__PropertiesAnswer body = PEER__PROPERTIES_ANSWER__INIT;
    body.status = status;
    body.reason = (char *)reason;
    if (request_id != 0)
        node_send(node, to, MESSAGE_PROPERTIES_ANSWER, request_id, node_pack(node, &body.base),
                  (struct bytes){ 0 });
}
