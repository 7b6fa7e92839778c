/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a record of the table, and telling everybody; the table's own comment says when a change
 * is answered. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/property_internal.h"
#include "node/repair.h"

/* --- spreading ------------------------------------------------------------------------------ */

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

/* Not from an event that has just changed the table: that is on no disk yet. */
static void tell_durable(struct node *node, uint16_t shard)
{
    Peer__Properties body = PEER__PROPERTIES__INIT;
    body.durable = node->properties->digest;
    if (node->properties->dropped > 0 && property_is_durable(node))
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
    const struct record *record = property_find(node->properties, update->type, update->bucket);
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
void property_update_settle(struct node *node, struct request *request)
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
kvorum_status property_spread(struct node *node, struct request *request, struct record *record)
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
            (void)property_send_records(node, (struct net_address){ i, 0 }, id,
                                        update->generation != 0 ? TELL_EVERYWHERE : TELL_SOME,
                                        &record, 1);
    property_tell_own_shards(node, &record, 1);
    return property_store_records(node, &record, 1, &plan);
}

/* On another shard: shard 0 of this node does it; its answer ends the request. */
static kvorum_status hand_over(struct node *node, struct request *request, struct record *record)
{
    struct net_address own = { node->config.self, 0 };
    return property_send_records(node, own, request->id, TELL_SOME, &record, 1) ? KVORUM_OK
                                                                                : KVORUM_OVERLOADED;
}

/* Leaves a member that fell silent the time to be found dead. */
uint64_t property_update_timeout_us(const struct node *node)
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
    struct record *old = property_find(node->properties, type, bucket);
    if (old != NULL && stamp <= old->stamp)
        stamp = old->stamp + 1;
    bool changed = false;
    uint8_t n = property_bucket_n(node->properties, type, bucket);
    kvorum_status status = KVORUM_NO_MEMORY;
    if (!encoding.failed) /* half of an encoding would be another change, or a reset */
        status = property_merge(node->properties, stamp, type, bucket, buffer_bytes(&encoding),
                                &changed);
    buffer_done(&encoding);
    if (status != KVORUM_OK)
        return status;
    if (changed && property_bucket_n(node->properties, type, bucket) != n)
        repair_forget_trees(node);
    uint64_t timeout_us = property_update_timeout_us(node);
    if (node->config.shard != 0) /* shard 0's comes first */
        timeout_us += UPDATE_SLACK_US;
    request->property_update = arena_allocate_zero(&request->arena, sizeof(struct property_update));
    if (request->property_update == NULL ||
        !request_register(node, request, node->now_us + timeout_us))
        return KVORUM_NO_MEMORY;
    struct record *record = property_find(node->properties, type, bucket);
    assert(record != NULL); /* merged above */
    return node->config.shard == 0 ? property_spread(node, request, record)
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
    struct record *old = property_find(node->properties, named, bucket);
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
    if (node->left_epoch != 0) {
        failed.status = KVORUM_GONE;
        failed.reason = left_reason(node);
    }
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
            property_update_settle(node, request);
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
        !request_register(node, request, node->now_us + property_update_timeout_us(node))) {
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
        status = property_spread(node, request, record);
    if (request != NULL && status != KVORUM_OK) {
        request->on_answer = NULL;
        request_close(node, request);
    }
    if (status != KVORUM_OK)
        answer(node, to, request_id, status, kvorum_status_text(status));
    else if ((request = request_find(node, id, REQUEST_PROPERTIES)) != NULL)
        property_update_settle(node, request);
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
        property_merge_records(node, message->tail, &changed, &count) != KVORUM_OK)
        return true; /* whoever waits for it asks again */
    if (begins || node->config.shard != 0) {
        property_pass_on(node, begins ? *from : asker, message);
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
    kvorum_status status = property_merge_records(node, message->tail, &changed, &count);
    if (node->config.shard != 0) {
        bool own_node = from.member == node->config.self;
        node->ready |= status == KVORUM_OK && body->all && own_node;
        if (own_node && from.shard == 0 && body->durable != 0)
            node->properties->durable = body->durable;
        reclaim_wake(node);
        return;
    }
    if (status != KVORUM_OK && count > 0)
        node->properties->not_stored =
            true; /* what came before the record that could not be taken */
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
        property_tell_own_shards(node, changed, count);
        status = property_store_records(node, changed, count, &plan);
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
        property_update_settle(node, request);
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
        property_update_settle(node, request);
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
        property_update_settle(node, request);
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
