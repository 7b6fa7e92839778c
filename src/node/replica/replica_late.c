/* SPDX-License-Identifier: Apache-2.0 */
/* Questions that cannot be answered now: they are kept, and handled again from their beginning. */
#include "node/replica/replica_internal.h"

struct late_message {
    replica_handler *handle;
    struct net_address from;
    struct message message;
    uint64_t room_since_us;
};

static void handle_again(struct node *node, struct fetch *fetch)
{
    const struct late_message *late = fetch->input;
    /* An epoch may have come in between, and with it others who count. */
    if (!epochs_admit(node, late->from, &late->message))
        return;
    node->room_since_us = late->room_since_us;
    late->handle(node, late->from, &late->message);
    node->room_since_us = 0;
}

static struct fetch *keep_message(struct node *node, replica_handler *handle,
                                  struct net_address from, const struct message *message)
{
    struct fetch *fetch = fetch_open(node, handle_again, sizeof(struct late_message),
                                     message->body.size + message->tail.size);
    if (fetch == NULL)
        return NULL;
    struct late_message *late = fetch->input;
    *late = (struct late_message){ handle, from, *message, node->room_since_us };
    if (arena_copy(&fetch->arena, message->body, &late->message.body) &&
        arena_copy(&fetch->arena, message->tail, &late->message.tail))
        return fetch;
    fetch_close(node, fetch);
    return NULL;
}

kvorum_status replica_put_off(struct node *node, const struct key_address *address,
                              replica_handler *handle, struct net_address from,
                              const struct message *message)
{
    return replica_wait(node, address, keep_message(node, handle, from, message));
}

enum { ROOM_PATIENCE_US = 1000 * 1000 }; /* then the coordinator may look for a stand-in */

kvorum_status replica_wait_for_room(struct node *node, const struct key_address *address,
                                    struct net_address from, const struct message *message)
{
    struct bytes key = store_key(&node->scratch, address);
    if (node->room_since_us == 0)
        node->room_since_us = node->now_us;
    bool patient = node->now_us - node->room_since_us < ROOM_PATIENCE_US && key.data != NULL;
    struct fetch *fetch = patient ? keep_message(node, replica_on_merge, from, message) : NULL;
    node->room_since_us = 0;
    if (fetch == NULL) {
        node->counters.overloaded++;
        return KVORUM_OVERLOADED;
    }
    return fetch_wait_room(node, fetch, placement_store(node, address->partition), key);
}
