/* SPDX-License-Identifier: Apache-2.0 */
/* The last that this node does about epochs: that by which it is no member any more is on its disk,
 * and members/left.c has begun.
 *
 * If it was decided here, nobody else knows that it is: the voters accepted it, and wait to hear.
 * A node that left answers nobody, so now is the only time to tell.  What is lost on the way comes
 * up again with the next proposal of anybody.
 *
 * And whoever asked for a change is answered, since no timer of ours runs any more. */
#include "base/planted.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"

enum { TO_ALL_SIZE_MAX = 64 << 10 };

/* A large record goes to the voters only: others hear of it from them, and fetch it. */
static void tell_others(struct node *node, uint64_t number, struct bytes record)
{
    const struct epoch *epoch = node->config.epoch;
    Peer__EpochAnswer answer = PEER__EPOCH_ANSWER__INIT;
    answer.number = number;
    PROBE("node: a leaver told the others of the epoch by which it goes");
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (i != node->config.self && placement_reachable(node, i) &&
            (record.size <= TO_ALL_SIZE_MAX || epochs_voter_of(epoch, i) >= 0))
            node_send(node, (struct net_address){ i, 0 }, MESSAGE_EPOCH_ANSWER, 0,
                      node_pack(node, &answer.base), record);
}

static void answer_wish(struct node *node, struct epoch_wish *wish, bool granted)
{
    struct answer answer = { .status = granted ? KVORUM_OK : KVORUM_GONE,
                             .reason = granted ? "" : left_reason(node) };
    node->epochs->wish_count--;
    wish->on_answer(wish->context, &answer);
    free(wish);
}

void epochs_on_left(struct node *node, uint64_t number, struct bytes record)
{
    struct epochs *epochs = node->epochs;
    struct epoch_wish *current = epochs->current;
    struct list *item;
    if (wishes_decided(node))
        tell_others(node, number, record);
    epochs->current = NULL;
    if (current != NULL)
        answer_wish(node, current,
                    epochs->proposing == number && bytes_equal(record, buffer_bytes(&epochs->own)));
    while ((item = list_take_first(&epochs->wishes)) != NULL)
        answer_wish(node, LIST_ENTRY(item, struct epoch_wish, link), false);
}
