/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in and out.  Each kind has one file that knows the rule: the table below. */
#include "codec/protobuf.h"
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/hints/hints.h"
#include "node/members/lives.h"
#include "node/recover/recover.h"
#include "node/repair/repair.h"
#include "node/tasks/tasks.h"

/* --- out ------------------------------------------------------------------------------------- */

static bool send_message(struct node *node, struct net_address to, const struct message *message)
{
    bool sent = net_send(node->config.net, to, message);
    node->counters.messages_out += sent;
    node->counters.messages_refused += !sent;
    return sent;
}

bool node_send(struct node *node, struct net_address to, uint8_t kind, uint64_t request_id,
               struct bytes body, struct bytes tail)
{
    struct message message = { kind, request_id, node->config.epoch->number, body, tail };
    return send_message(node, to, &message);
}

bool request_send(struct node *node, const struct request *request, struct net_address to,
                  uint8_t kind, struct bytes body, struct bytes tail)
{
    struct message message = { kind, request->id, request->epoch, body, tail };
    return send_message(node, to, &message);
}

struct bytes node_pack(struct node *node, const ProtobufCMessage *message)
{
    buffer_reset(&node->body);
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *at = buffer_reserve(&node->body, size + 1);
    if (at == NULL)
        return (struct bytes){ 0 };
    node->body.size = protobuf_c_message_pack(message, at);
    return buffer_bytes(&node->body);
}

void *node_unpack(struct node *node, const ProtobufCMessageDescriptor *descriptor,
                  struct bytes body)
{
    ProtobufCAllocator allocator;
    protobuf_arena_allocator(&node->scratch, &allocator);
    return protobuf_c_message_unpack(descriptor, &allocator, body.size, body.data);
}

/* --- in -------------------------------------------------------------------------------------- */

typedef void handler(struct node *node, struct net_address from, const struct message *message);

/* Links and founding, which are missing, are the process's business; GOSSIP comes before. */
static handler *const handlers[] = {
    [MESSAGE_GET] = replica_on_get,
    [MESSAGE_GET_ANSWER] = read_on_answer,
    [MESSAGE_MERGE] = replica_on_merge,
    [MESSAGE_MERGE_ANSWER] = write_on_answer,
    [MESSAGE_FORWARD] = forward_on_request,
    [MESSAGE_FORWARD_ANSWER] = forward_on_answer,
    [MESSAGE_LIST] = list_on_request,
    [MESSAGE_LIST_ANSWER] = list_on_answer,

    [MESSAGE_PROPERTIES] = property_on_message,
    [MESSAGE_PROPERTIES_ANSWER] = property_on_answer,
    [MESSAGE_DROP] = drop_on_question,
    [MESSAGE_DROP_ANSWER] = drop_on_answer,

    [MESSAGE_EPOCH_REQUEST] = epochs_on_request,
    [MESSAGE_EPOCH_ANSWER] = epochs_on_record,
    [MESSAGE_EPOCH_PREPARE] = epochs_on_ballot,
    [MESSAGE_EPOCH_ACCEPT] = epochs_on_ballot,
    [MESSAGE_EPOCH_VOTE] = epochs_on_vote,
    [MESSAGE_EPOCH_CHANGE] = epochs_on_change,
    [MESSAGE_EPOCH_CHANGE_ANSWER] = epochs_on_change_answer,
    [MESSAGE_RECOVER] = recover_on_message,
    [MESSAGE_RECOVER_ANSWER] = recover_on_answer,
    [MESSAGE_LIFE] = lives_on_question,
    [MESSAGE_LIFE_ANSWER] = lives_on_answer,

    [MESSAGE_STREAM] = handoff_on_stream,
    [MESSAGE_STREAM_ANSWER] = handoff_on_page,
    [MESSAGE_PROGRESS] = handoff_on_progress,
    [MESSAGE_REPAIR] = repair_on_question,
    [MESSAGE_REPAIR_ANSWER] = repair_on_answer,
    [MESSAGE_SUSPECT] = suspect_on_request,
    [MESSAGE_SUSPECT_ANSWER] = suspect_on_answer,
    [MESSAGE_COLLECT] = collect_on_question,
    [MESSAGE_COLLECT_ANSWER] = collect_on_answer,
    [MESSAGE_TASKS] = tasks_on_question,
    [MESSAGE_TASKS_ANSWER] = tasks_on_answer,
};

void node_dispatch(struct node *node, struct net_address from, const struct message *message)
{
    handler *handle = NULL;
    if (message->kind < sizeof(handlers) / sizeof(*handlers))
        handle = handlers[message->kind];
    if (handle == NULL)
        node->counters.messages_bad++;
    else
        handle(node, from, message);
}

/* A member that we do not know (yet), or not any more.  Its epoch is news all the same. */
static bool is_stranger(const struct node *node, uint16_t member)
{
    const struct epoch *epoch = node->config.epoch;
    return member >= epoch->member_count || epoch->members[member].state == MEMBER_GONE;
}

void node_receive(struct node *node, struct net_address from, const struct message *message)
{
    if (node->left_epoch != 0)
        return;
    node_enter(node);
    node->counters.messages_in++;
    if (is_stranger(node, from.member)) {
        node->counters.messages_bad++;
        epochs_hear(node, message->epoch, from);
        left_tell(node, from, message->epoch);
    } else if (message->kind == MESSAGE_GOSSIP) { /* it says itself who is behind */
        gossip_on_message(node, from, message);
    } else {
        if (node->config.shard == 0 && from.member != node->config.self)
            gossip_step(node, SWIM_HEARD, from.member);
        if (epochs_admit(node, from, message))
            node_dispatch(node, from, message);
    }
    node_leave(node);
}
