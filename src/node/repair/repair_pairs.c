/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of replicas: this shard's of a partition, and another owner's, for each number of replicas
 * in use.  Owners and members are taken from the epoch at each use. */
#include "node/repair/repair_internal.h"

enum { SLOTS = TARGETS_MAX * TARGETS_MAX }; /* n less 1, and place of the other owner */

/* A row that is not full yet has no owners beyond it: who would stand in there gets nothing. */
uint16_t repair_owners(const struct node *node, uint32_t partition, uint8_t n,
                       uint16_t ret_owners[TARGETS_MAX])
{
    uint8_t limit = ring_owner_limit(node->config.epoch, partition);
    return ring_preference(node->config.epoch, partition, ret_owners, n < limit ? n : limit);
}

int repair_place(const struct node *node, uint32_t partition, uint8_t n, uint16_t member)
{
    uint16_t owners[TARGETS_MAX];
    uint16_t count = repair_owners(node, partition, n, owners);
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] == member)
            return i;
    return -1;
}

uint32_t repair_ns(struct node *node)
{
    if (node->repair->ns == 0)
        node->repair->ns = property_table_ns(node);
    return node->repair->ns;
}

uint32_t repair_shared_ns(struct node *node, uint32_t partition, uint16_t member)
{
    uint32_t shared = 0;
    for (uint8_t n = 1; n <= TARGETS_MAX; n++)
        if ((repair_ns(node) >> n & 1) != 0 &&
            repair_place(node, partition, n, node->config.self) >= 0 &&
            repair_place(node, partition, n, member) >= 0)
            shared |= UINT32_C(1) << n;
    return shared;
}

static bool pair_of_slot(struct node *node, uint32_t partition, uint16_t slot, bool begins,
                         struct replica_pair *ret)
{
    uint8_t n = (uint8_t)(slot / TARGETS_MAX + 1), place = slot % TARGETS_MAX;
    uint16_t owners[TARGETS_MAX];
    uint16_t count = repair_owners(node, partition, n, owners);
    int own = repair_place(node, partition, n, node->config.self);
    if (own < 0 || place >= count || place == own || (begins && place < own))
        return false;
    *ret = (struct replica_pair){ partition, owners[place], n };
    return true;
}

bool repair_pair_next(struct node *node, uint32_t *partition, uint16_t *slot, bool begins,
                      struct replica_pair *ret)
{
    for (; *partition < node->repair->partition_count; (*partition)++, *slot = 0) {
        if (placement_store(node, *partition) == NULL)
            continue;
        while (*slot < SLOTS) {
            uint16_t n = *slot / TARGETS_MAX + 1;
            if ((repair_ns(node) >> n & 1) == 0 || *slot % TARGETS_MAX >= n)
                *slot = (uint16_t)(n * TARGETS_MAX);
            else if (pair_of_slot(node, *partition, (*slot)++, begins, ret))
                return true;
        }
    }
    return false;
}

uint64_t repair_pair_count(struct node *node, bool begins, uint8_t n)
{
    uint32_t partition = 0;
    uint16_t slot = 0;
    uint64_t count = 0;
    struct replica_pair pair;
    while (repair_pair_next(node, &partition, &slot, begins, &pair))
        count += n == 0 || pair.n == n;
    return count;
}

bool repair_pair_begin(struct node *node, const struct replica_pair *pair, uint32_t demand)
{
    struct repair_partition *partition = repair_partition(node, pair->partition);
    if (partition == NULL || !placement_reachable(node, pair->member))
        return false;
    partition->compared_us = node->now_us;
    return exchange_open(node, pair->partition, pair->member, pair->n, demand);
}
