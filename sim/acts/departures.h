/* SPDX-License-Identifier: Apache-2.0 */
/** Members that go: one leaves, one is lost for good (its power fails, and nobody repairs it), or
 *  is taken for lost while it is alive, and is removed or replaced by a newcomer.  Whoever is no
 *  member any more goes on for a while, as machines do, and is switched off when the cluster is
 *  healed. */
#ifndef SIM_DEPARTURES_H
#define SIM_DEPARTURES_H

#include "cluster/epoch/change.h"
#include "sim/cluster/cluster.h"

struct departures {
    struct cluster *cluster;
    uint16_t lost;   /* who is to be removed; RING_NO_MEMBER: nobody */
    uint16_t losses; /* so far */
};

void departures_init(struct departures *departures, struct cluster *cluster);
/** What is to be asked for next, to let somebody leave, or have one who is lost removed.  May take
 *  his power first.  False: nobody can go now. */
bool departures_draw(struct departures *departures, struct change_request *ret);
/** The same for him who is lost already; `step` counts up.  False: nobody is, or he is gone. */
bool departures_insist(struct departures *departures, uint32_t step, struct change_request *ret);
/** Nobody is lost who could still be removed. */
bool departures_settled(const struct departures *departures);
/** Whoever is lost and cannot be removed, since too few are left, is repaired and comes back. */
void departures_give_back(struct departures *departures);
/** Those who are members no more are switched off. */
void departures_retire(struct departures *departures);

#endif
