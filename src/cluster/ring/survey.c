/* SPDX-License-Identifier: Apache-2.0 */
/* What a table is worth: how even it is, and which failures it outlives. */
#include <assert.h>

#include "cluster/ring/shares.h"

/* The shares of members[0..count) as if there were no others. */
static double imbalance_among(const struct epoch *epoch, const struct member *members,
                              const uint32_t *held, uint16_t count)
{
    struct ring_zones zones;
    uint64_t shares[RING_MEMBERS_MAX];
    uint8_t columns = epoch->replica_count < count ? epoch->replica_count : (uint8_t)count;
    ring_zones_init(&zones, members, count);
    uint8_t limit = ring_zone_limit(&zones, members, count, columns);
    ring_shares(&zones, members, count, epoch->partition_count, columns, limit, shares);
    double worst = 0;
    for (uint16_t m = 0; m < count; m++) {
        double share = (double)(shares[m] > 0 ? shares[m] : 1) / (1 << SHARE_BITS);
        worst = held[m] / share > worst ? held[m] / share : worst;
    }
    return worst;
}

/* ACTIVE members and what they hold, without the others; returns how many. */
static uint16_t leave_out(const struct epoch *epoch, struct member *ret_members, uint32_t *held)
{
    uint16_t count = 0;
    for (uint16_t m = 0; m < epoch->member_count; m++) {
        if (epoch->members[m].state != MEMBER_ACTIVE)
            continue;
        ret_members[count] = epoch->members[m];
        held[count++] = held[m];
    }
    return count;
}

double ring_imbalance(const struct epoch *epoch)
{
    uint32_t held[RING_MEMBERS_MAX] = { 0 };
    size_t places = (size_t)epoch->partition_count * epoch->replica_count;
    for (size_t i = 0; i < places; i++)
        if (epoch->table[i] < epoch->member_count)
            held[epoch->table[i]]++;
    struct arena arena;
    arena_init(&arena, RING_MEMBERS_MAX * sizeof(struct member) + 4096);
    struct member *active = arena_allocate(&arena, epoch->member_count * sizeof(*active));
    uint16_t count = active == NULL ? 0 : leave_out(epoch, active, held);
    double worst = count == 0 ? 0 : imbalance_among(epoch, active, held, count);
    arena_done(&arena);
    return worst;
}

/* How many of `sizes` may go, the largest first, while at most `spare` owners go with them. */
static uint16_t groups_lost(uint8_t *sizes, uint16_t count, uint16_t spare)
{
    for (uint16_t lost = 0;; lost++) {
        uint16_t largest = 0;
        for (uint16_t i = 1; i < count; i++)
            if (sizes[i] > sizes[largest])
                largest = i;
        if (count == 0 || sizes[largest] == 0 || sizes[largest] > spare)
            return lost;
        spare = (uint16_t)(spare - sizes[largest]);
        sizes[largest] = 0;
    }
}

/* Owners of one partition, told apart by `group_of` (NULL: by member): how many groups may go,
 * whichever they are, until no majority of the `n` owners is left.  An owner that is missing from
 * the table is lost already. */
static uint16_t partition_survives(const struct epoch *epoch, uint32_t partition, uint16_t n,
                                   const uint16_t *group_of)
{
    uint16_t owners[RING_MEMBERS_MAX], groups[RING_MEMBERS_MAX];
    uint8_t sizes[RING_MEMBERS_MAX];
    uint8_t limit = ring_owner_limit(epoch, partition);
    uint16_t count = ring_preference(epoch, partition, owners, n < limit ? n : limit);
    uint16_t group_count = 0, held = 0;
    for (uint16_t i = 0; i < count; i++) {
        if (owners[i] >= epoch->member_count)
            continue;
        uint16_t group = group_of == NULL ? owners[i] : group_of[owners[i]];
        uint16_t at = 0;
        while (at < group_count && groups[at] != group)
            at++;
        if (at == group_count) {
            groups[group_count++] = group;
            sizes[at] = 0;
        }
        sizes[at]++;
        held++;
    }
    uint16_t majority = (uint16_t)(n / 2 + 1);
    return held < majority ? 0 : groups_lost(sizes, group_count, (uint16_t)(held - majority));
}

void ring_survives(const struct epoch *epoch, uint8_t n, uint16_t *ret_nodes, uint16_t *ret_zones)
{
    struct ring_zones zones;
    ring_zones_init(&zones, epoch->members, epoch->member_count);
    uint16_t owners = ring_owner_count(epoch);
    uint16_t effective = n < owners ? n : owners;
    assert(effective >= 1);
    *ret_nodes = epoch->member_count;
    *ret_zones = zones.count;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        uint16_t by_node = partition_survives(epoch, p, effective, NULL);
        uint16_t by_zone = partition_survives(epoch, p, effective, zones.of);
        *ret_nodes = by_node < *ret_nodes ? by_node : *ret_nodes;
        *ret_zones = by_zone < *ret_zones ? by_zone : *ret_zones;
    }
}
