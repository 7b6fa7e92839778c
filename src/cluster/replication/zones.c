/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/replication/zones.h"

#include "base/planted.h"
#include "cluster/replication/targets.h"

bool zone_counts(const struct target_zones *zones, uint8_t level, bool other, uint8_t at)
{
    if (level == ZONE_LEVEL_LOCAL)
        return at == zones->local;
    return level == ZONE_LEVEL_EACH && zone_places(&zones->zones[at], other) > 0;
}

/* Nobody is asked for anything where the level is impossible. */
static bool has_places(const struct target_zones *zones, uint8_t level, bool other)
{
    return level != ZONE_LEVEL_LOCAL ||
           (zones->local < zones->count && zone_places(&zones->zones[zones->local], other) > 0);
}

bool zones_level_met_by(const struct target_zones *zones, uint8_t level, bool other,
                        uint32_t answered)
{
    if (!has_places(zones, level, other))
        return false;
    for (uint8_t i = 0; i < zones->count; i++) {
        uint32_t there = PLANTED(ZONES_NOT_TOLD_APART) ? UINT32_MAX : zones->zones[i].owners;
        if (zone_counts(zones, level, other, i) &&
            target_count_of(answered & there) < zone_need(&zones->zones[i], other))
            return false;
    }
    return true;
}

bool zones_level_hopeless_without(const struct target_zones *zones, uint8_t level, bool other,
                                  uint32_t missing)
{
    for (uint8_t i = 0; i < zones->count; i++) {
        const struct target_zone *zone = &zones->zones[i];
        uint8_t spare = (uint8_t)(zone_places(zone, other) - zone_need(zone, other));
        if (zone_counts(zones, level, other, i) && target_count_of(missing & zone->owners) > spare)
            return true;
    }
    return false;
}

uint8_t zones_least(const struct target_zones *zones, uint8_t level, bool other)
{
    uint8_t least = 0;
    for (uint8_t i = 0; i < zones->count; i++)
        if (zone_counts(zones, level, other, i))
            least = (uint8_t)(least + zone_need(&zones->zones[i], other));
    return least;
}

uint8_t zones_given(const struct target_zones *zones, uint8_t level, bool other, uint32_t answered)
{
    uint8_t given = 0;
    for (uint8_t i = 0; i < zones->count; i++) {
        uint8_t need = zone_need(&zones->zones[i], other);
        uint8_t have = target_count_of(answered & zones->zones[i].owners);
        if (zone_counts(zones, level, other, i))
            given = (uint8_t)(given + (have < need ? have : need));
    }
    return given;
}
