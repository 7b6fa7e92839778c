/* SPDX-License-Identifier: Apache-2.0 */
/* Operations come in: what is refused at the door, and who takes the rest. */
#include "node/internal.h"

static kvorum_status refuse(struct node *node, const struct operation *operation,
                            const char **ret_reason)
{
    const struct node_limits *limits = &node->config.limits;
    if (node->left_epoch != 0) {
        *ret_reason = left_reason(node);
        return KVORUM_GONE;
    }
    if (!node->ready || node->counters.requests_active >= limits->requests) {
        node->counters.overloaded += node->ready;
        *ret_reason = node->ready ? "too many requests in flight on this node; retry later"
                                  : "this node is still starting; retry in a moment";
        return node->ready ? KVORUM_OVERLOADED : KVORUM_NOT_READY;
    }
    *ret_reason =
        reason_invalid(node, operation->key.size == 0      ? "Key cannot be zero-length"
                             : operation->bucket.size == 0 ? "Bucket cannot be zero-length"
                                                           : NULL);
    if (*ret_reason != NULL)
        return KVORUM_INVALID;
    if (operation->key.size > NODE_KEY_SIZE_MAX || operation->bucket.size > NODE_BUCKET_SIZE_MAX ||
        operation->type.size > NODE_TYPE_SIZE_MAX || operation->value.size > limits->value_size) {
        node->counters.too_large++;
        *ret_reason = reason_printf(
            node, "key %zu B (limit %d), bucket %zu B (limit %d), value %zu B (limit %llu)",
            operation->key.size, NODE_KEY_SIZE_MAX, operation->bucket.size, NODE_BUCKET_SIZE_MAX,
            operation->value.size, (unsigned long long)limits->value_size);
        return KVORUM_TOO_LARGE;
    }
    return KVORUM_OK;
}

uint64_t node_submit(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                     void *context)
{
    node_enter(node);
    uint64_t id = 0;
    struct answer refused = { .reason = "" };
    refused.status = refuse(node, operation, &refused.reason);
    if (refused.status != KVORUM_OK)
        on_answer(context, &refused);
    else if (composite_needed(operation))
        id = composite_start(node, operation, on_answer, context);
    else if (operation->kind == OPERATION_GET)
        id = read_start(node, operation, on_answer, context);
    else
        id = write_start(node, operation, on_answer, context);
    node_leave(node);
    return id;
}

void node_cancel(struct node *node, uint64_t id)
{
    struct map_item *item = map_find(&node->requests, id);
    if (item == NULL)
        return;
    struct request *request = LIST_ENTRY(item, struct request, by_id);
    request->answered = true;
    request->on_answer = NULL;
    if (request->kind == REQUEST_LIST)
        list_cancel(node, request);
}
