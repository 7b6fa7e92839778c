/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks for a change: on shard 0 it becomes a wish, in line; another shard hands it over. */
#include "base/text.h"
#include "codec/protobuf.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"

enum { OTHER_SHARD_SLACK_US = 1000 * 1000 };

static void refuse(node_answer_fn on_answer, void *context, kvorum_status status,
                   const char *reason)
{
    const struct answer answer = { .status = status, .reason = reason };
    on_answer(context, &answer);
}

static void wish(struct node *node, const struct change_request *request, node_answer_fn on_answer,
                 void *context)
{
    struct epochs *epochs = node->epochs;
    if (node->config.disk == NULL) {
        refuse(on_answer, context, KVORUM_UNSUPPORTED, "this node keeps no epochs");
        return;
    }
    struct epoch_wish *wish =
        epochs->wish_count >= CHANGES_WAITING_MAX ? NULL : calloc(1, sizeof(*wish));
    if (wish == NULL) {
        refuse(on_answer, context, KVORUM_OVERLOADED, "too many changes at once; retry later");
        return;
    }
    wish->request = *request;
    wish->on_answer = on_answer;
    wish->context = context;
    wish->deadline_us = node->now_us + CHANGE_TIMEOUT_US;
    list_init(&wish->link);
    list_append(&epochs->wishes, &wish->link);
    epochs->wish_count++;
    wishes_begin(node);
}

static void hand_over(struct node *node, const struct change_request *asked,
                      node_answer_fn on_answer, void *context)
{
    struct request *request = request_open(node, REQUEST_CHANGE);
    if (request == NULL) {
        refuse(on_answer, context, KVORUM_NO_MEMORY, "out of memory");
        return;
    }
    request->on_answer = on_answer;
    request->context = context;
    Peer__Join newcomer = PEER__JOIN__INIT;
    newcomer.node = protobuf_data(bytes_make(asked->newcomer.id.bytes, NODE_ID_SIZE));
    newcomer.name = (char *)asked->newcomer.name;
    newcomer.zone = (char *)asked->newcomer.zone;
    newcomer.address = (char *)asked->newcomer.address;
    newcomer.weight = asked->newcomer.weight;
    Peer__EpochChange change = PEER__EPOCH_CHANGE__INIT;
    change.ask = asked->kind;
    change.kind = asked->change.kind;
    change.name = (char *)asked->name;
    change.with = (char *)asked->with;
    change.weight = asked->change.weight;
    change.zone = (char *)asked->change.zone;
    change.expected = asked->expected;
    change.allow_zone_loss = asked->allow_zone_loss;
    change.newcomer = &newcomer;
    uint64_t deadline_us = node->now_us + CHANGE_TIMEOUT_US + OTHER_SHARD_SLACK_US;
    kvorum_status status = KVORUM_NO_MEMORY;
    if (request_register(node, request, deadline_us)) {
        bool sent =
            node_send(node, (struct net_address){ node->config.self, 0 }, MESSAGE_EPOCH_CHANGE,
                      request->id, node_pack(node, &change.base), (struct bytes){ 0 });
        status = sent ? KVORUM_OK : KVORUM_OVERLOADED;
    }
    if (status == KVORUM_OK)
        return;
    refuse(on_answer, context, status, kvorum_status_text(status));
    request->on_answer = NULL;
    request_close(node, request);
}

void node_change_epoch(struct node *node, const struct change_request *request,
                       node_answer_fn on_answer, void *context)
{
    node_enter(node);
    if (node->left_epoch != 0)
        refuse(on_answer, context, KVORUM_GONE, left_reason(node));
    else if (node->config.shard == 0)
        wish(node, request, on_answer, context);
    else
        hand_over(node, request, on_answer, context);
    node_leave(node);
}

/* --- for another shard ---------------------------------------------------------------------- */

struct change_errand {
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

static void errand_answer(void *context, const struct answer *answer)
{
    struct change_errand *errand = context;
    Peer__EpochChangeAnswer body = PEER__EPOCH_CHANGE_ANSWER__INIT;
    body.status = answer->status;
    body.reason = (char *)answer->reason;
    node_send(errand->node, errand->to, MESSAGE_EPOCH_CHANGE_ANSWER, errand->request_id,
              node_pack(errand->node, &body.base), (struct bytes){ 0 });
    free(errand);
}

static bool read_change(const Peer__EpochChange *change, struct change_request *ret)
{
    const Peer__Join *newcomer = change->newcomer;
    memset(ret, 0, sizeof(*ret));
    ret->kind = (enum change_ask)change->ask;
    ret->change.kind = (enum change_kind)change->kind;
    ret->change.weight = change->weight;
    ret->expected = change->expected;
    ret->allow_zone_loss = change->allow_zone_loss;
    if (newcomer == NULL || newcomer->node.len != NODE_ID_SIZE)
        return false;
    memcpy(ret->newcomer.id.bytes, newcomer->node.data, NODE_ID_SIZE);
    ret->newcomer.weight = newcomer->weight;
    return text_copy(ret->newcomer.name, sizeof(ret->newcomer.name), newcomer->name) &&
           text_copy(ret->newcomer.zone, sizeof(ret->newcomer.zone), newcomer->zone) &&
           text_copy(ret->newcomer.address, sizeof(ret->newcomer.address), newcomer->address) &&
           text_copy(ret->change.zone, sizeof(ret->change.zone), change->zone) &&
           text_copy(ret->name, sizeof(ret->name), change->name) &&
           text_copy(ret->with, sizeof(ret->with), change->with);
}

void epochs_on_change(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__EpochChange *change =
        node_unpack(node, &peer__epoch_change__descriptor, message->body);
    struct change_request request;
    struct change_errand *errand = NULL;
    if (from.member == node->config.self && node->config.shard == 0 && change != NULL &&
        read_change(change, &request))
        errand = calloc(1, sizeof(*errand));
    if (errand == NULL) {
        node->counters.messages_bad++;
        return;
    }
    *errand = (struct change_errand){ node, from, message->request_id };
    wish(node, &request, errand_answer, errand);
}

void epochs_on_change_answer(struct node *node, struct net_address from,
                             const struct message *message)
{
    struct request *request = request_find(node, message->request_id, REQUEST_CHANGE);
    const Peer__EpochChangeAnswer *answer =
        node_unpack(node, &peer__epoch_change_answer__descriptor, message->body);
    if (request == NULL || from.member != node->config.self || answer == NULL)
        return;
    const struct answer told = { .status = (kvorum_status)answer->status,
                                 .reason = answer->reason };
    request_answer(node, request, &told);
    request_close(node, request);
}

void epochs_on_deadline(struct node *node, struct request *request)
{
    const struct answer answer = { .status = KVORUM_TIMEOUT, .reason = wishes_lost_track };
    request_answer(node, request, &answer);
    request_close(node, request);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void wish_drop(struct epoch_wish *wish)
{
    if (wish != NULL && wish->on_answer == errand_answer)
        free(wish->context);
    free(wish);
}

void wishes_drop(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->epochs->wishes)) != NULL)
        wish_drop(LIST_ENTRY(item, struct epoch_wish, link));
    wish_drop(node->epochs->current);
    node->epochs->current = NULL;
}
