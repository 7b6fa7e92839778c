/* SPDX-License-Identifier: Apache-2.0 */
/* Proportional shares under caps ("water-filling"): whoever's share is above the cap gets the cap, the
 * rest is shared again among the others, until nobody is above.  Zones first, then members in each. */
#include "cluster/ring/targets.h"

#include <string.h>

uint16_t ring_zones(const struct member *members, uint16_t count, uint16_t *ret_zones)
{
    uint16_t zones = 0;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t j = 0;
        while (j < i && strcmp(members[i].zone, members[j].zone) != 0)
            j++;
        ret_zones[i] = j < i ? ret_zones[j] : zones++;
    }
    return zones;
}

struct share {
    uint64_t weight;
    uint64_t cap;
    uint64_t amount;
    uint64_t remainder; /* of the division, for rounding */
    bool capped;
};

static bool cap_once(struct share *shares, uint16_t count, uint64_t *left, uint64_t *weight)
{
    bool capped = false;
    uint64_t pool = *left, sum = *weight;
    for (uint16_t i = 0; i < count; i++) {
        struct share *share = &shares[i];
        if (share->capped || share->weight * pool <= share->cap * sum)
            continue;
        share->capped = capped = true;
        share->amount = share->cap;
        *left -= share->cap;
        *weight -= share->weight;
    }
    return capped;
}

/* Whole parts first, then one more for the largest remainders. */
static void round_shares(struct share *shares, uint16_t count, uint64_t left, uint64_t weight)
{
    uint64_t given = 0;
    for (uint16_t i = 0; i < count; i++) {
        struct share *share = &shares[i];
        if (share->capped)
            continue;
        share->amount = weight == 0 ? 0 : share->weight * left / weight;
        share->remainder = weight == 0 ? 0 : share->weight * left % weight + 1;
        given += share->amount;
    }
    while (given < left) {
        struct share *best = NULL;
        for (uint16_t i = 0; i < count; i++) {
            struct share *share = &shares[i];
            bool fits = !share->capped && share->remainder > 0 && share->amount < share->cap;
            if (fits && (best == NULL || share->remainder > best->remainder))
                best = share;
        }
        if (best == NULL)
            return; /* the caps hold less than the total */
        best->amount++;
        best->remainder = 0;
        given++;
    }
}

static void fill(struct share *shares, uint16_t count, uint64_t total)
{
    uint64_t weight = 0, capacity = 0;
    for (uint16_t i = 0; i < count; i++) {
        weight += shares[i].weight;
        capacity += shares[i].cap;
    }
    uint64_t left = total < capacity ? total : capacity;
    while (weight > 0 && cap_once(shares, count, &left, &weight))
        ;
    round_shares(shares, count, left, weight);
}

static void fill_members(const struct member *members, const uint16_t *zones, uint16_t count,
                         uint16_t zone, uint32_t partitions, uint64_t total, struct share *shares,
                         uint32_t *ret_targets)
{
    uint16_t used = 0;
    for (uint16_t i = 0; i < count; i++)
        if (zone == RING_NO_MEMBER || zones[i] == zone)
            shares[used++] = (struct share){ .weight = members[i].weight, .cap = partitions };
    fill(shares, used, total);
    used = 0;
    for (uint16_t i = 0; i < count; i++)
        if (zone == RING_NO_MEMBER || zones[i] == zone)
            ret_targets[i] = (uint32_t)shares[used++].amount;
}

static void fill_zones(const struct member *members, const uint16_t *zones, uint16_t count,
                       uint16_t zone_count, uint32_t partitions, uint64_t total,
                       struct share *shares)
{
    for (uint16_t z = 0; z < zone_count; z++)
        shares[z] = (struct share){ .cap = partitions };
    for (uint16_t i = 0; i < count; i++)
        shares[zones[i]].weight += members[i].weight;
    fill(shares, zone_count, total);
}

kvorum_status ring_targets(const struct member *members, const uint16_t *zones, uint16_t count,
                           uint32_t partitions, uint64_t total, bool spread, struct arena *arena,
                           uint32_t *ret_targets)
{
    struct share *shares = arena_allocate(arena, 2ull * count * sizeof(*shares));
    if (shares == NULL)
        return KVORUM_NO_MEMORY;
    struct share *zone_shares = shares + count;
    if (!spread) {
        fill_members(members, zones, count, RING_NO_MEMBER, partitions, total, shares, ret_targets);
        return KVORUM_OK;
    }
    uint16_t zone_count = 0;
    for (uint16_t i = 0; i < count; i++)
        zone_count = zones[i] >= zone_count ? (uint16_t)(zones[i] + 1) : zone_count;
    fill_zones(members, zones, count, zone_count, partitions, total, zone_shares);
    for (uint16_t z = 0; z < zone_count; z++)
        fill_members(members, zones, count, z, partitions, zone_shares[z].amount, shares,
                     ret_targets);
    return KVORUM_OK;
}
