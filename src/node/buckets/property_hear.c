/* SPDX-License-Identifier: Apache-2.0 */
/* What others tell: their records go into the table, and when they are on disk, that is said. */
#include "node/buckets/property_internal.h"

#include "base/planted.h"

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
        property_merge_records(node, message->tail, &changed, &count) != KVORUM_OK)
        return true; /* whoever waits for it asks again */
    if (begins || node->config.shard != 0) {
        property_pass_on(node, begins ? *from : asker, message);
        return true;
    }
    *from = asker;
    return false;
}

static void on_pull(struct node *node, struct net_address from)
{
    if (!node->ready)
        return; /* it is told when we are */
    property_push(node, from);
    if (node->config.shard == 0 && from.member == node->config.self)
        property_tell_durable(node, from.shard);
}

/* Any shard but 0, which tells it everything. */
static void on_records_of_shard_0(struct node *node, struct net_address from,
                                  const Peer__Properties *body, struct bytes records)
{
    struct record **changed;
    size_t count;
    bool own_node = from.member == node->config.self;
    kvorum_status status = property_merge_records(node, records, &changed, &count);
    node->ready |= status == KVORUM_OK && body->all && own_node;
    if (own_node && from.shard == 0 && body->durable != 0)
        node->properties->durable = body->durable;
    reclaim_wake(node);
}

static void on_records(struct node *node, struct net_address from, const Peer__Properties *body,
                       const struct message *message)
{
    struct record **changed;
    size_t count = 0;
    uint64_t id = message->request_id;
    kvorum_status status = property_merge_records(node, message->tail, &changed, &count);
    if (status != KVORUM_OK && count > 0) /* what came before the record that could not be taken */
        node->properties->not_stored = true;
    if (status == KVORUM_OK && body->all)
        learnt(node, from.member);
    bool own = from.member == node->config.self; /* another shard of ours changed one record */
    if (status == KVORUM_OK && own && count == 1 && id != 0) {
        property_run_errand(node, from, id, changed[0]);
        return;
    }
    /* Also what is known already may not be on disk yet: who wants to know waits for it. */
    bool owed = count > 0 || id != 0 || node->properties->not_stored;
    if (status == KVORUM_OK && owed) {
        const struct commit_plan plan = { .kind = COMMIT_PROPERTIES_ANSWER,
                                          .to = from,
                                          .request_id = id };
        property_tell_own_shards(node, changed, count);
        status = property_store_records(node, changed, count, &plan);
    }
    if (status != KVORUM_OK)
        property_answer(node, from, id, status, kvorum_status_text(status));
}

void property_on_message(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Properties *body = node_unpack(node, &peer__properties__descriptor, message->body);
    if (body == NULL)
        node->counters.messages_bad++;
    else if (body->pull)
        on_pull(node, from);
    else if (goes_round(node, &from, body, message))
        return;
    else if (body->everywhere && from.member == node->config.self)
        drop_on_everywhere(node, message->request_id);
    else if (node->config.shard != 0)
        on_records_of_shard_0(node, from, body, message->tail);
    else
        on_records(node, from, body, message);
}

void property_on_digest(struct node *node, uint16_t member, uint64_t digest)
{
    if (digest == node->properties->digest) {
        node->properties->agreed = true;
        bool before = node->ready;
        learnt(node, member);
        if (!before && node->ready)
            property_tell_all_durable(node);
        property_settle_all(node, member, true);
    } else
        property_push(node, (struct net_address){ member, 0 });
}

void property_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status)
{
    struct property_table *table = node->properties;
    table->storing--;
    table->not_stored |= status != KVORUM_OK;
    property_tell_all_durable(node);
    reclaim_wake(node);
    if (plan->kind == COMMIT_GENERATION) {
        drop_on_stored(node, plan->request_id, status);
        return;
    }
    if (plan->kind == COMMIT_PROPERTIES_ANSWER) {
        property_answer(node, plan->to, plan->request_id, status, kvorum_status_text(status));
        return;
    }
    struct request *request = request_find(node, plan->request_id, REQUEST_PROPERTIES);
    if (request == NULL)
        return;
    request->property_update->stored = status == KVORUM_OK;
    if (status == KVORUM_OK)
        property_update_settle(node, request);
    else
        property_update_end(node, request, status, kvorum_status_text(status));
}
