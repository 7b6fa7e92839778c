/* SPDX-License-Identifier: Apache-2.0 */
/** Levels by zone: which targets stand where, and whether enough of them have answered.
 *
 *  Owners only: a stand-in holds a copy for later, it is no replica of any zone.  Each zone is
 *  counted by itself, so that answers of one never help another:
 *
 *      zone a: 2 owners, needs 2    local_quorum, asked in a    2 answers of a
 *      zone b: 1 owner,  needs 1    each_quorum                 2 of a and 1 of b
 *
 *  While a partition moves both sets of owners have their own numbers (put.h: `set`,
 *  `other_set`). */
#ifndef CLUSTER_ZONES_H
#define CLUSTER_ZONES_H

#include "cluster/replication/quorum.h"

enum { ZONE_NOWHERE = 255 };

struct target_zone {
    uint32_t owners;              /* bit i: target i stands there, and is an owner of either set */
    uint8_t places, other_places; /* owners there of the one set and the other, also those whose
                                      place a stand-in has taken */
};

struct target_zones {
    uint8_t count; /* of zones with owners; 0: no level is about zones */
    uint8_t local; /* that of the coordinator, or ZONE_NOWHERE */
    struct target_zone zones[REPLICAS_MAX];
};

static inline uint8_t zone_places(const struct target_zone *zone, bool other)
{
    return other ? zone->other_places : zone->places;
}

/** Answers that a zone must give: a majority of its owners, 0 where it has none. */
static inline uint8_t zone_need(const struct target_zone *zone, bool other)
{
    uint8_t places = zone_places(zone, other);
    return places == 0 ? 0 : (uint8_t)(places / 2 + 1);
}

/** Zone `at` must give answers for `level` (an enum zone_level) in the one set or the other. */
bool zone_counts(const struct target_zones *zones, uint8_t level, bool other, uint8_t at);
/** The targets in `answered` are enough for `level`, LOCAL or EACH.  LOCAL never is met where the
 *  zone of the coordinator has no owner. */
bool zones_level_met_by(const struct target_zones *zones, uint8_t level, bool other,
                        uint32_t answered);
/** The same, where NONE asks nothing, and of no zones. */
static inline bool zones_met_by(const struct target_zones *zones, uint8_t level, bool other,
                                uint32_t answered)
{
    return level == ZONE_LEVEL_NONE || zones_level_met_by(zones, level, other, answered);
}
/** Without `missing` it cannot be met, were all other owners to answer. */
bool zones_level_hopeless_without(const struct target_zones *zones, uint8_t level, bool other,
                                  uint32_t missing);
static inline bool zones_hopeless_without(const struct target_zones *zones, uint8_t level,
                                          bool other, uint32_t missing)
{
    return level != ZONE_LEVEL_NONE && zones_level_hopeless_without(zones, level, other, missing);
}
/** The least number of answers that may be enough; 0: none ever is, or nothing is asked. */
uint8_t zones_least(const struct target_zones *zones, uint8_t level, bool other);

/** Of the answers that are needed, how many are there: zones_least where it is met, and less where
 *  it is not.  What a zone gives beyond its need does not count. */
uint8_t zones_given(const struct target_zones *zones, uint8_t level, bool other, uint32_t answered);

#endif
