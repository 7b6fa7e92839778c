/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and writes of another generation than the one in force; and what a shard knows of drops,
 * from its beginning to its end. */
#include "base/planted.h"
#include "node/buckets/drop_internal.h"

const char drop_retry_reason[] = "the bucket was dropped meanwhile; retry";

bool drop_is_old(const struct node *node, const struct key_address *address)
{
    return address->generation < drop_generation(node, address->type, address->bucket);
}

bool drop_refuses(struct node *node, struct net_address from, const struct key_address *address)
{
    uint64_t own = drop_generation(node, address->type, address->bucket);
    if (address->generation == own)
        return false;
    if (address->generation > own) {
        PROBE("drop: a message told of a later generation");
        property_hear(node, address);
        return false;
    }
    PROBE("drop: a message of an earlier generation was refused");
    node->counters.drops_refused++;
    property_tell(node, from, address->type, address->bucket);
    return true;
}

kvorum_status drop_pin(struct node *node, struct key_address *address, uint64_t pinned)
{
    uint64_t own = address->generation;
    address->generation = pinned;
    if (pinned > own)
        property_hear(node, address);
    return pinned < own ? KVORUM_DROPPED : KVORUM_OK;
}

/* --- opening --------------------------------------------------------------------------------- */

kvorum_status drop_open(struct node *node)
{
    node->drops = calloc(1, sizeof(*node->drops));
    if (node->drops == NULL)
        return KVORUM_NO_MEMORY;
    list_init(&node->drops->errands);
    node->drops->to = RING_NO_MEMBER;
    return drop_keep_load(node, &node->drops->promised);
}

void drop_close(struct node *node)
{
    struct list *item;
    while (node->drops != NULL && (item = list_take_first(&node->drops->errands)) != NULL)
        free(LIST_ENTRY(item, struct drop_errand, link));
    free(node->drops);
    node->drops = NULL;
}
