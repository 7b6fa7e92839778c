/* SPDX-License-Identifier: Apache-2.0 */
/* Water-filling: the basin of all members is filled to one level (share / weight); whoever would
 * rise above one replica of each partition is full, and the rest rises further.  A zone that would
 * rise above its limit becomes a basin of its own, and what it cannot take flows to the others. */
#include "cluster/ring/shares.h"

#include <assert.h>
#include <string.h>

#define COMMON_BASIN UINT16_MAX

struct basins {
    const struct member *members;
    uint16_t count;
    uint64_t member_limit; /* all amounts in 2^-SHARE_BITS */
    uint16_t of[RING_MEMBERS_MAX];
    uint64_t *shares;
};

void ring_zones_init(struct ring_zones *zones, const struct member *members, uint16_t count)
{
    assert(count <= RING_MEMBERS_MAX);
    zones->count = 0;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t j = 0;
        while (j < i && strcmp(members[i].zone, members[j].zone) != 0)
            j++;
        zones->of[i] = j < i ? zones->of[j] : zones->count++;
    }
}

/* One level for all that are not full; true when some became full: the level was too low. */
static bool fill_once(struct basins *basins, uint16_t basin, uint64_t total)
{
    uint64_t weight = 0;
    for (uint16_t i = 0; i < basins->count; i++) {
        if (basins->of[i] != basin)
            continue;
        if (basins->shares[i] == basins->member_limit)
            total -= basins->member_limit;
        else
            weight += basins->members[i].weight;
    }
    bool overflowed = false;
    for (uint16_t i = 0; i < basins->count; i++) {
        if (basins->of[i] != basin || basins->shares[i] == basins->member_limit)
            continue;
        uint64_t share = total * basins->members[i].weight / weight;
        overflowed |= share > basins->member_limit;
        basins->shares[i] = share > basins->member_limit ? basins->member_limit : share;
    }
    return overflowed;
}

static void fill(struct basins *basins, uint16_t basin, uint64_t total)
{
    for (uint16_t i = 0; i < basins->count; i++)
        if (basins->of[i] == basin)
            basins->shares[i] = 0;
    while (fill_once(basins, basin, total))
        ;
}

static void sum_zones(const struct ring_zones *zones, const uint64_t *shares, uint16_t count,
                      uint64_t *ret_sums)
{
    memset(ret_sums, 0, zones->count * sizeof(*ret_sums));
    for (uint16_t i = 0; i < count; i++)
        ret_sums[zones->of[i]] += shares[i];
}

/* Zones above `limit` leave the common basin; returns how many. */
static uint16_t split_zones(struct basins *basins, const struct ring_zones *zones, uint64_t limit)
{
    uint64_t sums[RING_MEMBERS_MAX];
    sum_zones(zones, basins->shares, basins->count, sums);
    bool split[RING_MEMBERS_MAX] = { 0 };
    uint16_t split_count = 0;
    for (uint16_t i = 0; i < basins->count; i++) {
        uint16_t zone = zones->of[i];
        if (basins->of[i] != COMMON_BASIN || sums[zone] <= limit)
            continue;
        basins->of[i] = zone;
        split_count += !split[zone];
        split[zone] = true;
    }
    for (uint16_t zone = 0; zone < zones->count; zone++)
        if (split[zone])
            fill(basins, zone, limit);
    return split_count;
}

void ring_shares(const struct ring_zones *zones, const struct member *members, uint16_t count,
                 uint32_t partitions, uint8_t replicas, uint8_t zone_limit, uint64_t *ret_shares)
{
    struct basins basins = {
        members, count, (uint64_t)partitions << SHARE_BITS, { 0 }, ret_shares
    };
    for (uint16_t i = 0; i < count; i++)
        basins.of[i] = COMMON_BASIN;
    uint64_t total = basins.member_limit * replicas;
    uint64_t limit = basins.member_limit * zone_limit;
    uint16_t split_count;
    do {
        fill(&basins, COMMON_BASIN, total);
        split_count = split_zones(&basins, zones, limit);
        total -= split_count * limit;
    } while (split_count > 0);
}

/* Smallest limit under which the zones' members hold all replicas of a partition. */
static uint8_t least_limit(const uint16_t *sizes, uint16_t zone_count, uint8_t replicas)
{
    for (uint8_t limit = 1; limit < replicas; limit++) {
        uint32_t room = 0;
        for (uint16_t zone = 0; zone < zone_count; zone++)
            room += sizes[zone] < limit ? sizes[zone] : limit;
        if (room >= replicas)
            return limit;
    }
    return replicas;
}

uint8_t ring_zone_limit(const struct ring_zones *zones, const struct member *members,
                        uint16_t count, uint8_t replicas)
{
    uint16_t sizes[RING_MEMBERS_MAX] = { 0 };
    uint64_t shares[RING_MEMBERS_MAX], sums[RING_MEMBERS_MAX];
    for (uint16_t i = 0; i < count; i++)
        sizes[zones->of[i]]++;
    uint8_t limit = least_limit(sizes, zones->count, replicas);
    if (zones->count >= replicas)
        return limit;
    ring_shares(zones, members, count, 1, replicas, replicas, shares);
    sum_zones(zones, shares, count, sums);
    for (uint16_t zone = 0; zone < zones->count; zone++)
        if (sums[zone] > (uint64_t)limit << SHARE_BITS)
            return replicas;
    return limit;
}
