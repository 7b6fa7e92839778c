/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning and end, dispatch, and orders that come to another shard than 0. */
#include "node/recover/recover.h"

#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"

/* --- life ----------------------------------------------------------------------------------- */

/* For another shard of this node. */
struct errand {
    struct list link; /* node->recover->shards */
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

kvorum_status recover_open(struct node *node)
{
    if (node->config.shard != 0 || node->config.disk == NULL)
        return KVORUM_OK;
    struct recover *recover = calloc(1, sizeof(*recover));
    if (recover == NULL)
        return KVORUM_NO_MEMORY;
    node->recover = recover;
    buffer_init(&recover->accepted, EPOCH_RECORD_MAX);
    buffer_init(&recover->errand.begun, EPOCH_RECORD_MAX);
    buffer_init(&recover->errand.vote, EPOCH_RECORD_MAX);
    buffer_init(&recover->errand.record, EPOCH_RECORD_MAX);
    buffer_init(&recover->errand.proposal, EPOCH_RECORD_MAX);
    arena_init(&recover->errand.arena, RING_MEMBERS_MAX * (RING_NAME_MAX + 64));
    list_init(&recover->shards);
    recovery_init(&recover->machine, node->epochs->proposer.life);
    acceptor_init(&recover->acceptor, ring_line(node->config.epoch->number));
    recover->save = epochs_save_open(recover_vote_write, recover_vote_saved);
    return recover->save == NULL ? KVORUM_NO_MEMORY : recover_vote_load(node);
}

void recover_close(struct node *node)
{
    struct recover *recover = node->recover;
    if (recover == NULL)
        return;
    struct list *item;
    while ((item = list_take_first(&recover->shards)) != NULL)
        free(LIST_ENTRY(item, struct errand, link));
    heap_remove(&node->timers, &recover->timer);
    epochs_save_leave(recover->save);
    buffer_done(&recover->accepted);
    buffer_done(&recover->errand.begun);
    buffer_done(&recover->errand.vote);
    buffer_done(&recover->errand.record);
    buffer_done(&recover->errand.proposal);
    arena_done(&recover->errand.arena);
    free(recover);
    node->recover = NULL;
}

struct heap_item *recover_timer(struct node *node)
{
    return node->recover == NULL ? NULL : &node->recover->timer;
}

void recover_tick(struct node *node)
{
    recover_ask_tick(node);
}

void recover_on_adopted(struct node *node, struct bytes record)
{
    struct acceptor_effects effects;
    const struct acceptor_event event = { .kind = ACCEPTOR_DECIDED,
                                          .number = ring_line(node->config.epoch->number) };
    if (node->recover == NULL)
        return;
    acceptor_step(&node->recover->acceptor, &event, &effects);
    recover_ask_on_adopted(node, record);
}

/* --- another shard -------------------------------------------------------------------------- */

static void tell_shard(void *context, const Peer__RecoverReport *report)
{
    struct errand *errand = context;
    node_send(errand->node, errand->to, MESSAGE_RECOVER_ANSWER, errand->request_id,
              node_pack(errand->node, &report->base), (struct bytes){ 0 });
    list_remove(&errand->link);
    free(errand);
}

static void hand_over(struct node *node, const struct recover_order *order,
                      recover_report_fn on_report, void *context)
{
    PROBE("recover: another shard than 0 was asked");
    Peer__Recover body = PEER__RECOVER__INIT;
    struct request *request = request_open(node, REQUEST_RECOVER);
    kvorum_status status = KVORUM_NO_MEMORY;
    if (request == NULL) {
        recover_refuse(on_report, context, status, kvorum_status_text(status));
        return;
    }
    body.ask = order->does ? RECOVER_ASK_DO : RECOVER_ASK_PLAN;
    body.lost = (char **)order->lost;
    body.n_lost = order->lost_count;
    body.expected = order->expected;
    body.switched_off = order->switched_off;
    request->recover = arena_allocate(&request->arena, sizeof(*request->recover));
    uint64_t end_us = node->now_us + RECOVER_TIMEOUT_US + RECOVER_SLACK_US;
    if (request->recover != NULL && request_register(node, request, end_us)) {
        *request->recover = (struct recover_wish){ on_report, context };
        bool sent = node_send(node, (struct net_address){ node->config.self, 0 }, MESSAGE_RECOVER,
                              request->id, node_pack(node, &body.base), (struct bytes){ 0 });
        status = sent ? KVORUM_OK : KVORUM_OVERLOADED;
    }
    if (status == KVORUM_OK)
        return;
    recover_refuse(on_report, context, status, kvorum_status_text(status));
    request_close(node, request);
}

static void on_order(struct node *node, struct net_address from, const struct message *message,
                     const Peer__Recover *body)
{
    struct errand *errand = calloc(1, sizeof(*errand));
    if (errand == NULL)
        return; /* its deadline will tell */
    *errand = (struct errand){ .node = node, .to = from, .request_id = message->request_id };
    list_append(&node->recover->shards, &errand->link);
    const struct recover_order order = { .does = body->ask == RECOVER_ASK_DO,
                                         .lost = (const char *const *)body->lost,
                                         .lost_count = (uint16_t)body->n_lost,
                                         .expected = body->expected,
                                         .switched_off = body->switched_off };
    recover_begin(node, &order, tell_shard, errand);
}

static void pass_report(struct node *node, struct request *request, const struct message *message)
{
    const Peer__RecoverReport *report =
        node_unpack(node, &peer__recover_report__descriptor, message->body);
    struct recover_wish wish = *request->recover;
    if (report == NULL) {
        node->counters.messages_bad++;
        return;
    }
    request_close(node, request);
    wish.on_report(wish.context, report);
}

void recover_on_deadline(struct node *node, struct request *request)
{
    struct recover_wish wish = *request->recover;
    request_close(node, request);
    recover_refuse(wish.on_report, wish.context, KVORUM_TIMEOUT,
                   "outcome unknown: this node was too busy. Next: kvorum cluster status");
}

void node_recover(struct node *node, const struct recover_order *order, recover_report_fn on_report,
                  void *context)
{
    node_enter(node);
    if (node->left_epoch != 0)
        recover_refuse(on_report, context, KVORUM_GONE, left_reason(node));
    else if (node->config.shard != 0)
        hand_over(node, order, on_report, context);
    else if (node->recover == NULL)
        recover_refuse(on_report, context, KVORUM_UNSUPPORTED, "this node keeps no epochs");
    else
        recover_begin(node, order, on_report, context);
    node_leave(node);
}

/* --- messages ------------------------------------------------------------------------------- */

void recover_on_message(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__Recover *body = node_unpack(node, &peer__recover__descriptor, message->body);
    bool own = from.member == node->config.self;
    if (body == NULL || node->recover == NULL)
        node->counters.messages_bad++;
    else if (body->ask == RECOVER_ASK_LOOK)
        recover_vote_on_look(node, from, message);
    else if (body->ask == RECOVER_ASK_PREPARE)
        recover_vote_on_prepare(node, from, message, body);
    else if (body->ask == RECOVER_ASK_ACCEPT)
        recover_vote_on_accept(node, from, message, body);
    else if (own && body->n_lost <= RING_MEMBERS_MAX &&
             (body->ask == RECOVER_ASK_PLAN || body->ask == RECOVER_ASK_DO))
        on_order(node, from, message, body);
    else
        node->counters.messages_bad++;
}

void recover_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    bool own = from.member == node->config.self && from.shard == 0;
    struct request *request = own ? request_find(node, message->request_id, REQUEST_RECOVER) : NULL;
    if (request != NULL) {
        pass_report(node, request, message);
        return;
    }
    const Peer__RecoverAnswer *body =
        node_unpack(node, &peer__recover_answer__descriptor, message->body);
    if (body == NULL)
        node->counters.messages_bad++;
    else if (node->recover != NULL)
        recover_ask_on_answer(node, from, message, body);
}
