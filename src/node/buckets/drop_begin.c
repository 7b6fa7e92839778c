/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody asks for a drop: here, or on another shard of this node, which hands it to shard 0. */
#include "codec/protobuf.h"
#include "node/buckets/drop_internal.h"

enum { PATIENCE_SLACK_US = 1000 * 1000 };

static struct request *open_drop(struct node *node, struct bytes type, struct bytes bucket,
                                 node_answer_fn on_answer, void *context)
{
    struct request *request = request_open(node, REQUEST_DROP);
    struct drop *drop = request == NULL ? NULL : arena_new(&request->arena, struct drop);
    bool first = node->config.shard == 0;
    bool fine = drop != NULL && arena_copy(&request->arena, type, &drop->type) &&
                arena_copy(&request->arena, bucket, &drop->bucket);
    if (fine && first)
        drop->agreed =
            arena_allocate_zero(&request->arena, RING_MEMBERS_MAX * sizeof(*drop->agreed));
    uint64_t patience_us = gossip_patience_us(node) + PATIENCE_SLACK_US;
    uint64_t due_us =
        first ? DROP_ASK_AGAIN_US : 3 * patience_us; /* shard 0's answer comes first */
    if (!fine || (first && drop->agreed == NULL) ||
        !request_register(node, request, node->now_us + due_us)) {
        if (request != NULL)
            request_close(node, request);
        return NULL;
    }
    drop->end_us = node->now_us + patience_us;
    request->drop = drop;
    request->on_answer = on_answer;
    request->context = context;
    return request;
}

static void hand_over(struct node *node, struct request *request)
{
    Peer__Drop body = PEER__DROP__INIT;
    body.ask = DROP_ASK_DECIDE;
    body.type = protobuf_data(request->drop->type);
    body.bucket = protobuf_data(request->drop->bucket);
    if (!node_send(node, (struct net_address){ node->config.self, 0 }, MESSAGE_DROP, request->id,
                   node_pack(node, &body.base), (struct bytes){ 0 }))
        drop_end(node, request, KVORUM_OVERLOADED,
                 "nothing was dropped: this node is overloaded; retry");
}

static const char *drop_problem(const struct node *node, struct bytes type, struct bytes bucket)
{
    if (bucket.size == 0 || bucket.size > NODE_BUCKET_SIZE_MAX || type.size > NODE_TYPE_SIZE_MAX)
        return "bucket name: empty or too long";
    return node->ready ? NULL : "the node is still starting";
}

static void begin(struct node *node, struct bytes type, struct bytes bucket,
                  node_answer_fn on_answer, void *context)
{
    struct answer refused = { .status = node->ready ? KVORUM_INVALID : KVORUM_NOT_READY,
                              .reason = drop_problem(node, type, bucket) };
    struct request *request = NULL;
    if (node->left_epoch != 0)
        refused = (struct answer){ .status = KVORUM_GONE, .reason = left_reason(node) };
    if (refused.reason == NULL) {
        request = open_drop(node, type, bucket, on_answer, context);
        refused = (struct answer){ .status = KVORUM_NO_MEMORY, .reason = "out of memory" };
    }
    if (request == NULL)
        on_answer(context, &refused);
    else if (node->config.shard != 0)
        hand_over(node, request);
    else
        drop_attempt(node, request);
}

void node_drop_bucket(struct node *node, struct bytes type, struct bytes bucket,
                      node_answer_fn on_answer, void *context)
{
    node_enter(node);
    begin(node, type.size == 0 ? BYTES_LITERAL("default") : type, bucket, on_answer, context);
    node_leave(node);
}

/* --- for another shard of this node ----------------------------------------------------------- */

static void errand_answer(void *context, const struct answer *outcome)
{
    struct drop_errand *errand = context;
    drop_answer(errand->node, errand->to, errand->request_id, outcome->status, outcome->reason, 0);
    list_remove(&errand->link);
    free(errand);
}

void drop_run_errand(struct node *node, struct net_address from, uint64_t request_id,
                     const Peer__Drop *asked)
{
    struct drop_errand *errand = malloc(sizeof(*errand));
    if (errand == NULL) {
        drop_answer(node, from, request_id, KVORUM_NO_MEMORY, "out of memory", 0);
        return;
    }
    *errand = (struct drop_errand){ .node = node, .to = from, .request_id = request_id };
    list_append(&node->drops->errands, &errand->link);
    begin(node, protobuf_bytes(asked->type), protobuf_bytes(asked->bucket), errand_answer, errand);
}
