/* SPDX-License-Identifier: Apache-2.0 */
/* Coordinating a write that another node, or another shard of this one, forwarded to us. */
#include "codec/protobuf.h"
#include "node/buckets/drop.h"
#include "node/coordinate/write_internal.h"

struct errand {
    struct list link;
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

static void errand_answer(void *context, const struct answer *answer)
{
    struct errand *errand = context;
    struct node *node = errand->node;
    Peer__ForwardAnswer body = PEER__FORWARD_ANSWER__INIT;
    body.status = answer->status;
    body.answered = answer->answered;
    body.needed = answer->needed;
    body.n = answer->n;
    body.stand_ins = answer->stand_ins;
    body.level = (char *)(answer->level == NULL ? "" : answer->level);
    body.reason = (char *)(answer->reason == NULL ? "" : answer->reason);
    buffer_reset(&node->encoding);
    if (answer->object != NULL)
        object_encode(answer->object, &node->encoding);
    node_send(node, errand->to, MESSAGE_FORWARD_ANSWER, errand->request_id,
              node_pack(node, &body.base), buffer_bytes(&node->encoding));
    list_remove(&errand->link);
    free(errand);
}

void forward_done(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->errands)) != NULL)
        free(LIST_ENTRY(item, struct errand, link));
}

void forward_on_request(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Forward *forward = node_unpack(node, &peer__forward__descriptor, message->body);
    struct operation operation;
    struct errand *errand = NULL;
    if (forward != NULL && forward_read(node, forward, message->tail, &operation))
        errand = calloc(1, sizeof(*errand));
    if (errand == NULL) {
        node->counters.messages_bad++;
        return; /* the asker's deadline answers */
    }
    *errand = (struct errand){ .node = node, .to = from, .request_id = message->request_id };
    list_append(&node->errands, &errand->link);
    if (!node->ready) { /* the bucket's mode and levels are not known yet */
        struct answer refused = { .status = KVORUM_NOT_READY };
        refused.reason = "the node asked to coordinate is still starting; retry in a moment";
        errand_answer(errand, &refused);
        return;
    }
    const struct key_address bucket = { .type = operation.type.size == 0 ? BYTES_LITERAL("default")
                                                                         : operation.type,
                                        .bucket = operation.bucket,
                                        .generation = operation.generation };
    if (drop_refuses(node, from, &bucket)) {
        struct answer refused = { .status = KVORUM_UNAVAILABLE, .reason = drop_retry_reason };
        errand_answer(errand, &refused);
        return;
    }
    write_start(node, &operation, errand_answer, errand);
}
