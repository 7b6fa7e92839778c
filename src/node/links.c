/* SPDX-License-Identifier: Apache-2.0 */
/* Links to other members break, and messages do not leave: what that means for whoever waits for an
 * answer. */
#include "node/internal.h"

/* --- a member cannot be asked any more ------------------------------------------------------- */

static void fail_request(struct node *node, struct request *request, uint16_t member)
{
    int target = request_target_of(request, member);
    if (request->parked)
        return;
    if (request->kind == REQUEST_GET && target >= 0)
        read_on_failed(node, request, (uint8_t)target);
    else if (request->kind == REQUEST_FORWARD && request->forward.member == member)
        forward_on_lost(node, request);
    else if (request->kind == REQUEST_LIST)
        list_on_lost(node, request, member);
    else if (request->kind == REQUEST_STREAM)
        handoff_on_lost(node, request, member);
}

/* A write in flight stays in flight: the member may have taken it.  Ids are collected first,
 * because an answer may end or start other requests. */
static void fail_requests(struct node *node, uint16_t member)
{
    uint64_t *ids = arena_allocate(&node->scratch, (node->requests.count + 1) * sizeof(*ids));
    size_t count = 0;
    if (ids == NULL)
        return; /* deadlines will do it */
    for (struct list *item = node->active.next; item != &node->active; item = item->next)
        ids[count++] = LIST_ENTRY(item, struct request, link)->id;
    for (size_t i = 0; i < count; i++) {
        struct map_item *found = map_find(&node->requests, ids[i]);
        if (found != NULL)
            fail_request(node, LIST_ENTRY(found, struct request, by_id), member);
    }
}

void node_fail_all(struct node *node)
{
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (i != node->config.self)
            fail_requests(node, i);
}

void node_link_lost(struct node *node, uint16_t member, bool refused)
{
    if (member >= node->config.epoch->member_count || member == node->config.self)
        return;
    node_enter(node);
    if (node->config.shard == 0)
        gossip_step(node, refused ? SWIM_LINK_REFUSED : SWIM_LINK_LOST, member);
    fail_requests(node, member);
    node_leave(node);
}

/* --- a message did not leave ----------------------------------------------------------------- */

static void fail_unsent(struct node *node, struct request *request, uint16_t member, uint8_t kind)
{
    int target = request_target_of(request, member);
    if (request->parked)
        return;
    if (kind == MESSAGE_FORWARD && request->kind == REQUEST_FORWARD &&
        request->forward.member == member)
        forward_on_unsent(node, request);
    else if (kind == MESSAGE_MERGE && request->kind == REQUEST_PUT && target >= 0)
        write_on_acknowledged(node, request, (uint8_t)target, KVORUM_UNAVAILABLE, false);
    else if (kind == MESSAGE_GET && request->kind == REQUEST_GET && target >= 0)
        read_on_failed(node, request, (uint8_t)target);
}

/* What did not leave had no effect there: that is more than a lost link says. */
void node_unsent(struct node *node, uint16_t member, const struct message *message)
{
    node_enter(node);
    struct map_item *found = map_find(&node->requests, message->request_id);
    if (found != NULL)
        fail_unsent(node, LIST_ENTRY(found, struct request, by_id), member, message->kind);
    node_leave(node);
}
