/* SPDX-License-Identifier: Apache-2.0 */
/** Who holds which places, so that a place which one member may hand to another is found by a few
 *  looks instead of a walk over the whole table.
 *
 *      lists    of each member in each column: places that are new to it (fresh: to change one of
 *               those again moves nothing more), and places that it had before
 *      full     of each member's places, how many are in rows where a zone is at its limit: where
 *               that is all of them, nobody of that zone can take over from it, unless it is of the
 *               zone itself */
#ifndef CLUSTER_RING_PLAN_PLACES_H
#define CLUSTER_RING_PLAN_PLACES_H

#include "cluster/ring/plan.h"

struct plan_places {
    struct plan *plan;
    uint32_t *heads;         /* by freshness, column and member: its first place */
    uint32_t *next, *before; /* by place: partition * column_count + column */
    uint32_t *full;          /* by member, then zone */
};

#define NO_PLACE UINT32_MAX

/** Of a table without holes.  False: no memory. */
bool plan_places_init(struct plan_places *places, struct plan *plan, struct arena *arena);
/** plan_place, and the lists follow. */
void plan_places_give(struct plan_places *places, uint32_t place, uint16_t taker);
/** A place of `giver` in the column that `taker` may have, among its fresh ones or the others;
 *  NO_PLACE: there is none. */
uint32_t plan_places_find(const struct plan_places *places, uint16_t giver, uint16_t taker,
                          uint8_t column, bool fresh);

#endif
