/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a record of the table, and whom that is known to; the table's own comment says when a
 * change is answered. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/buckets/property_internal.h"
#include "node/repair/repair.h"

/* --- when is it done? ------------------------------------------------------------------------- */

void property_update_end(struct node *node, struct request *request, kvorum_status status,
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
        property_update_end(
            node, request, KVORUM_CONFLICT,
            "another change of the bucket's properties has a later stamp, and is in force. "
            "Next: look at them, and repeat the change");
    else
        property_update_end(node, request, KVORUM_OK, "");
}

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

/* --- beginning -------------------------------------------------------------------------------- */

/* Later than what it replaces. */
static uint64_t choose_stamp(struct node *node, struct bytes type, struct bytes bucket)
{
    uint64_t stamp = hlc_now(&node->hlc, clock_wall_ms(node->config.clock));
    const struct record *old = property_find(node->properties, type, bucket);
    return old != NULL && stamp <= old->stamp ? old->stamp + 1 : stamp;
}

/* `overrides` NULL: none any more. */
static kvorum_status put_into_table(struct node *node, struct bytes type, struct bytes bucket,
                                    const struct bucket_properties *overrides)
{
    struct property_table *table = node->properties;
    struct buffer encoding;
    buffer_init(&encoding, 1024);
    if (overrides != NULL)
        bucket_properties_encode(overrides, &encoding);
    uint64_t stamp = choose_stamp(node, type, bucket);
    uint8_t n = property_bucket_n(table, type, bucket);
    bool changed = false;
    kvorum_status status = KVORUM_NO_MEMORY;
    if (!encoding.failed) /* half of an encoding would be another change, or a reset */
        status = property_merge(table, stamp, type, bucket, buffer_bytes(&encoding), &changed);
    buffer_done(&encoding);
    if (status == KVORUM_OK && changed && property_bucket_n(table, type, bucket) != n)
        repair_forget_trees(node);
    return status;
}

static kvorum_status change(struct node *node, struct request *request, struct bytes type,
                            struct bytes bucket, const struct bucket_properties *overrides)
{
    kvorum_status status = put_into_table(node, type, bucket, overrides);
    if (status != KVORUM_OK)
        return status;
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

/* OK: the request answers. */
static kvorum_status begin(struct node *node, struct bytes type, struct bytes bucket,
                           const struct bucket_properties *overrides, node_answer_fn on_answer,
                           void *context)
{
    struct request *request = request_open(node, REQUEST_PROPERTIES);
    if (request == NULL)
        return KVORUM_NO_MEMORY;
    request->on_answer = on_answer;
    request->context = context;
    uint64_t id = request->id;
    kvorum_status status = change(node, request, type, bucket, overrides);
    if (status != KVORUM_OK) {
        request->on_answer = NULL;
        request_close(node, request);
        return status;
    }
    request = request_find(node, id, REQUEST_PROPERTIES);
    if (request != NULL)
        property_update_settle(node, request);
    return KVORUM_OK;
}

/* NULL: nothing is against it. */
static const char *change_problem(struct node *node, struct bytes type, struct bytes bucket,
                                  const struct bucket_properties *effective,
                                  kvorum_status *ret_status)
{
    *ret_status = KVORUM_GONE;
    if (node->left_epoch != 0)
        return left_reason(node);
    *ret_status = KVORUM_INVALID;
    if (bucket.size == 0 || bucket.size > NODE_BUCKET_SIZE_MAX || type.size > NODE_TYPE_SIZE_MAX)
        return "bucket name: empty or too long";
    return node->ready ? bucket_properties_problem(effective) : "the node is still starting";
}

/* What the bucket overrides after the change, and what is in force for it then. */
static void apply_change(struct node *node, struct bytes type, struct bytes bucket,
                         const struct bucket_properties *change, struct bucket_properties *ret_kept,
                         struct bucket_properties *ret_effective)
{
    const struct record *old = property_find(node->properties, type, bucket);
    bucket_properties_init(ret_kept);
    if (old != NULL)
        *ret_kept = old->properties;
    bucket_properties_apply(ret_kept, change);
    *ret_effective = node->properties->defaults;
    bucket_properties_apply(ret_effective, ret_kept);
}

void node_set_properties(struct node *node, struct bytes type, struct bytes bucket,
                         const struct bucket_properties *overrides, bool reset,
                         node_answer_fn on_answer, void *context)
{
    node_enter(node);
    struct bytes named = type.size == 0 ? BYTES_LITERAL("default") : type;
    struct bucket_properties kept, effective = node->properties->defaults;
    if (!reset)
        apply_change(node, named, bucket, overrides, &kept, &effective);
    struct answer failed = { .status = KVORUM_OK };
    failed.reason = change_problem(node, named, bucket, &effective, &failed.status);
    if (failed.reason == NULL) {
        failed.status = begin(node, named, bucket, reset ? NULL : &kept, on_answer, context);
        failed.reason = kvorum_status_text(failed.status);
    }
    if (failed.status != KVORUM_OK)
        on_answer(context, &failed);
    node_leave(node);
}

/* --- events ----------------------------------------------------------------------------------- */

/* The answer may change the list: begin again after each. */
void property_settle_all(struct node *node, uint16_t member, bool told)
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

void property_on_members(struct node *node)
{
    drop_on_members(node);
    property_settle_all(node, node->config.self, false);
}

void property_on_death(struct node *node, uint16_t member)
{
    drop_on_members(node);
    property_settle_all(node, member, false);
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
        property_update_end(node, request, status, body->reason); /* shard 0 speaks for all */
    else if (update->told != NULL && status == KVORUM_OK) {
        update->told[from.member] = true;
        property_update_settle(node, request);
    }
}

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

void property_on_deadline(struct node *node, struct request *request)
{
    const struct property_update *update = request->property_update;
    const char *reason = "the change was not stored in time. Next: repeat it";
    if (update->stored && update->told != NULL)
        reason = unconfirmed(node, update);
    property_update_end(node, request, KVORUM_TIMEOUT, reason);
}
