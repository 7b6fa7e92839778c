/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a membership.  A member that gave all away, or that others removed while it was away,
 * is told by whoever it speaks to: the answer to its HELLO, or to a message that was under way,
 * carries the record of an epoch that does not list it.  epochs.c writes it to the disk first, so
 * that the next start knows.
 *
 * From then on this shard keeps the epoch in which it was a member, for whoever looks in, and does
 * nothing: it takes no operations and no messages, sends none, and begins no background work.  What
 * clients wait for is answered by its deadlines at the latest.  It is final: an id is used once. */
#include "base/planted.h"
#include "node/internal.h"

bool left_by(const struct node *node, const struct epoch *epoch)
{
    uint16_t self = node->config.self;
    const struct member *was = &node->config.epoch->members[self];
    if (self >= epoch->member_count)
        return true; /* it came in an epoch that a recovery went back behind */
    const struct member *now = &epoch->members[self];
    return now->state == MEMBER_GONE || memcmp(&was->id, &now->id, NODE_ID_SIZE) != 0;
}

void left_begin(struct node *node, uint64_t number)
{
    PROBE("node: a member heard that it is none any more");
    node->left_epoch = number;
    node->ready = node->newcomer = false;
    epochs_drop_late(node);
    node_fail_all(node);
    if (node->config.shard == 0)
        log_error(node->config.log,
                  "this node left the cluster, or was removed from it: it serves nothing "
                  "any more",
                  LOG_U64("epoch", number),
                  LOG_TEXT("next", "stop it; on an empty data directory it can join again"));
    if (node->config.epoch_changed != NULL)
        node->config.epoch_changed(node->config.epoch_context);
}

void left_tell(struct node *node, struct net_address from, uint64_t number)
{
    const struct epoch *epoch = node->config.epoch;
    if (from.member < epoch->member_count && number < epoch->number)
        epochs_send_record(node, (struct net_address){ from.member, 0 });
}

const char *left_reason(struct node *node)
{
    return reason_printf(
        node,
        "this node left the cluster, or was removed from it, as epoch %llu says: it "
        "holds nothing of it any more. Next: ask another node; stop this one, and "
        "start it on an empty data directory if it is to join again",
        (unsigned long long)node->left_epoch);
}

uint64_t node_left_epoch(const struct node *node)
{
    return node->left_epoch;
}
