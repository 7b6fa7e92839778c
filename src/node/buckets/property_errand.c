/* SPDX-License-Identifier: Apache-2.0 */
/* On shard 0: a change that a client asked another shard of this node for.  That client is answered
 * when every member that can be reached has it. */
#include "node/buckets/property_internal.h"

struct property_errand {
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

static void errand_answer(void *context, const struct answer *outcome)
{
    struct property_errand *errand = context;
    property_answer(errand->node, errand->to, errand->request_id, outcome->status, outcome->reason);
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

void property_run_errand(struct node *node, struct net_address to, uint64_t request_id,
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
        property_answer(node, to, request_id, status, kvorum_status_text(status));
    else if ((request = request_find(node, id, REQUEST_PROPERTIES)) != NULL)
        property_update_settle(node, request);
}
