/* SPDX-License-Identifier: Apache-2.0 */
/* Suspicions: two replicas may differ, and are compared soon.  A read found a difference, a member
 * came back, an exchange ended in vain. */
#include "node/repair/repair_internal.h"

#include "base/planted.h"

enum { RETURN_US = 10 * 1000 * 1000 };

static void add_suspect(struct repair_partition *partition, uint16_t member)
{
    for (uint8_t i = 0; i < partition->suspect_count; i++)
        if (partition->suspects[i] == member)
            return;
    if (partition->suspect_count < TARGETS_MAX)
        partition->suspects[partition->suspect_count++] = member;
}

static void suspect_after(struct node *node, uint32_t number, uint16_t member, uint64_t delay_us)
{
    struct repair_partition *partition = repair_partition(node, number);
    if (partition == NULL)
        return;
    uint16_t owners[TARGETS_MAX];
    uint16_t count = repair_owners(node, number, TARGETS_MAX, owners);
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] != node->config.self && (member == RING_NO_MEMBER || member == owners[i]))
            add_suspect(partition, owners[i]);
    if (partition->suspect_count == 0)
        return;
    uint64_t least_us = 0;
    if (partition->compared_us > 0)
        least_us = partition->compared_us + node->config.repair.suspect_us;
    if (list_empty(&partition->suspect)) {
        partition->suspect_us = node->now_us + delay_us;
        list_append(&node->repair->suspects, &partition->suspect);
    }
    if (partition->suspect_us < least_us)
        partition->suspect_us = least_us;
    repair_wake(node);
}

void repair_suspect(struct node *node, uint32_t partition, uint16_t member)
{
    if (placement_store(node, partition) != NULL)
        suspect_after(node, partition, member, 0);
}

/* A while later: hints go first. */
static void suspect_all(struct node *node, uint16_t member)
{
    for (uint32_t p = 0; p < node->repair->partition_count; p++)
        if (placement_store(node, p) != NULL &&
            repair_place(node, p, TARGETS_MAX, node->config.self) >= 0)
            suspect_after(node, p, member, RETURN_US);
}

void repair_on_return(struct node *node, uint16_t member)
{
    PROBE("repair: a member came back");
    suspect_all(node, member);
}

void repair_on_lost(struct node *node)
{
    if (node->repair == NULL)
        return;
    PROBE("repair: a member was removed, and what it held with it");
    suspect_all(node, RING_NO_MEMBER);
}

/* --- following them --------------------------------------------------------------------------- */

/* Every n of which both are owners: usually one. */
static void compare_suspect(struct node *node, struct repair_partition *partition)
{
    uint16_t member = partition->suspects[--partition->suspect_count];
    uint32_t shared = repair_shared_ns(node, partition->number, member);
    for (uint8_t n = 1; n <= TARGETS_MAX; n++)
        if ((shared >> n & 1) != 0)
            repair_pair_begin(node, &(struct replica_pair){ partition->number, member, n }, 0);
}

static struct repair_partition *next_suspect(const struct node *node)
{
    const struct list *suspects = &node->repair->suspects;
    for (const struct list *item = suspects->next; item != suspects; item = item->next) {
        struct repair_partition *partition = LIST_ENTRY(item, struct repair_partition, suspect);
        if (partition->suspect_us <= node->now_us)
            return partition;
    }
    return NULL;
}

/* One that ends at once in vain is suspected again, for later. */
void repair_suspects_tick(struct node *node)
{
    struct repair_partition *partition;
    while (exchanges_have_room(node) && (partition = next_suspect(node)) != NULL) {
        PROBE("repair: a suspicion was followed");
        compare_suspect(node, partition);
        if (partition->suspect_count == 0)
            list_remove(&partition->suspect);
    }
}

uint64_t repair_suspects_due_us(const struct node *node)
{
    uint64_t due_us = UINT64_MAX;
    const struct list *suspects = &node->repair->suspects;
    if (!exchanges_have_room(node))
        return due_us;
    for (const struct list *item = suspects->next; item != suspects; item = item->next) {
        uint64_t own_us = LIST_ENTRY(item, struct repair_partition, suspect)->suspect_us;
        due_us = own_us < due_us ? own_us : due_us;
    }
    return due_us;
}
