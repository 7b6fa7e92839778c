/* SPDX-License-Identifier: Apache-2.0 */
/* A member that leaves owes others what it took for them while they were away.  Its hints would go
 * with it, and with them perhaps the only copy that an acknowledged write counted beside one owner.
 * So it takes no more of them, delivers those that it has, and the last move does not end before it
 * said that none is left: by then reads ask the new owners, one of whom coordinates what is
 * written.
 *
 *      its shards --dry--> its shard 0 --dry, in this epoch--> voters: the last move may end
 *
 * Who is away must come back for that, or be removed: then hints go to the owners of now.  One who
 * is removed itself cannot be waited for; what it held is found by comparisons (repair_on_lost). */
#include "base/planted.h"
#include "node/handoff/handoff.h"
#include "node/hints/hints.h"

enum { DRY_FOR_US = 2 * 1000 * 1000 }; /* it is said twice a second */

bool parting_is_leaving(const struct node *node)
{
    return node->config.epoch->members[node->config.self].state == MEMBER_LEAVING;
}

/* A write under way may end with an owner that did not answer, and a debt may wait for its turn. */
static bool may_owe(const struct node *node)
{
    for (const struct list *item = node->active.next; item != &node->active; item = item->next)
        if (LIST_ENTRY(item, struct request, link)->kind == REQUEST_PUT)
            return true;
    return node->fetch_lines.count > 0;
}

bool parting_is_dry(const struct node *node)
{
    if (parting_is_leaving(node) && may_owe(node))
        return false;
    const struct list *queues = &node->hints->queues;
    for (const struct list *item = queues->next; item != queues; item = item->next)
        if (LIST_ENTRY(item, struct hint_queue, link)->used.count > 0)
            return false;
    return true;
}

bool parting_all_dry(const struct node *node)
{
    const struct handoff *handoff = node->handoff;
    bool dry = parting_is_dry(node);
    for (uint16_t i = 1; i < node->config.shard_count; i++)
        dry &= handoff->shard_dry[i] && handoff->shard_epochs[i] == node->config.epoch->number;
    return dry;
}

void parting_on_told(struct node *node, uint16_t member, bool dry)
{
    node->handoff->dry_us[member] = dry ? node->now_us : 0;
}

/* The first who leaves and still owes something; RING_NO_MEMBER: none. */
static uint16_t find_debtor(const struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        uint64_t dry_us = node->handoff->dry_us[i];
        bool dry = dry_us != 0 && node->now_us - dry_us < DRY_FOR_US;
        if (epoch->members[i].state == MEMBER_LEAVING && !dry)
            return i;
    }
    return RING_NO_MEMBER;
}

/* Those who leave are gone with the last move: it is what is held back. */
uint32_t parting_hold_back(struct node *node, const struct handoff_step *steps, uint32_t count)
{
    uint32_t ended = 0;
    for (uint32_t i = 0; i < count; i++)
        ended += steps[i].kind == HANDOFF_END || steps[i].kind == HANDOFF_ABORT;
    if (ended < node->config.epoch->move_count || find_debtor(node) == RING_NO_MEMBER ||
        PLANTED(LEAVER_DROPS_HINTS))
        return count;
    PROBE("node: a leaver was held back until it owed nothing");
    return count - 1;
}
