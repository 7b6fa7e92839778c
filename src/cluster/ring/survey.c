/* SPDX-License-Identifier: Apache-2.0 */
/* What a table is worth: how even it is, and which failures it outlives. */
#include "cluster/ring/targets.h"

enum { SURVEY_MEMORY = 16 << 20 };

static void count_held(const struct epoch *epoch, uint32_t *held)
{
    size_t places = (size_t)epoch->partition_count * epoch->replica_count;
    for (size_t i = 0; i < places; i++)
        held[epoch->table[i]]++;
}

static double worst_ratio(const struct epoch *epoch, const uint32_t *held, const uint32_t *targets)
{
    double worst = 0;
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        double target = targets[i] == 0 ? 1 : targets[i];
        worst = held[i] / target > worst ? held[i] / target : worst;
    }
    return worst;
}

double ring_imbalance(const struct epoch *epoch)
{
    struct arena arena;
    arena_init(&arena, SURVEY_MEMORY);
    uint16_t members = epoch->member_count;
    uint16_t *zones = arena_allocate(&arena, members * sizeof(*zones));
    uint32_t *held = arena_allocate_zero(&arena, members * sizeof(*held));
    uint32_t *targets = arena_allocate(&arena, members * sizeof(*targets));
    double ratio = 0;
    if (zones != NULL && held != NULL && targets != NULL) {
        uint16_t zone_count = ring_zones(epoch->members, members, zones);
        bool spread = zone_count >= epoch->replica_count && zone_count > 1;
        uint64_t total = (uint64_t)epoch->partition_count * epoch->replica_count;
        count_held(epoch, held);
        if (ring_targets(epoch->members, zones, members, epoch->partition_count, total, spread,
                         &arena, targets) == KVORUM_OK)
            ratio = worst_ratio(epoch, held, targets);
    }
    arena_done(&arena);
    return ratio;
}

/* Zones that may go, the ones with most replicas of this partition first, before fewer than a majority
 * of its n owners are left. */
static uint16_t zones_survived(const struct epoch *epoch, const uint16_t *zones,
                               uint16_t zone_count, uint32_t partition, uint8_t n)
{
    uint8_t in_zone[RING_REPLICAS_MAX] = { 0 };
    uint16_t owners[RING_REPLICAS_MAX];
    uint16_t count = ring_preference(epoch, partition, owners, n);
    for (uint16_t i = 0; i < count; i++) {
        uint16_t first = 0; /* the first owner in the same zone counts for all of them */
        while (zones[owners[first]] != zones[owners[i]])
            first++;
        in_zone[first]++;
    }
    uint16_t may_go = (uint16_t)(count - (count / 2 + 1)), gone = 0;
    for (uint8_t size = RING_REPLICAS_MAX; size > 0; size--)
        for (uint16_t i = 0; i < count; i++)
            if (in_zone[i] == size) {
                if (size > may_go)
                    return gone;
                may_go = (uint16_t)(may_go - size);
                gone++;
            }
    return zone_count; /* it lives in so few zones that the others do not matter */
}

void ring_survives(const struct epoch *epoch, uint8_t n, uint16_t *ret_nodes, uint16_t *ret_zones)
{
    uint16_t zones[RING_MEMBERS_MAX];
    uint16_t members = epoch->member_count;
    n = n < RING_REPLICAS_MAX ? n : RING_REPLICAS_MAX;
    uint16_t effective = n < members ? n : members;
    uint16_t zone_count = ring_zones(epoch->members, members, zones);
    /* Whichever nodes go, they may all be owners of one partition. */
    *ret_nodes = effective == 0 ? 0 : (uint16_t)(effective - (effective / 2 + 1));
    *ret_zones = zone_count;
    for (uint32_t p = 0; zone_count > 1 && p < epoch->partition_count; p++) {
        uint16_t survived = zones_survived(epoch, zones, zone_count, p, (uint8_t)effective);
        *ret_zones = survived < *ret_zones ? survived : *ret_zones;
    }
    if (zone_count <= 1)
        *ret_zones = 0;
}
