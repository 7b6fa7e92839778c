/* SPDX-License-Identifier: Apache-2.0 */
/** Somebody changes the shape of the cluster, at random moments and through random members: new
 *  addresses, weights and zones, changes staged and cleared and committed, members that join. */
#ifndef SIM_EPOCHS_H
#define SIM_EPOCHS_H

#include "sim/acts/departures.h"

struct epoch_changes {
    struct cluster *cluster;
    struct event event;
    struct node_id newcomer; /* who asks to join next */
    struct departures departures;
    bool over;
    uint32_t step;        /* of what is asked for at the end, */
    uint64_t insisted_us; /* and when it was; 0: it was answered */
    uint64_t asked, answered, granted;
    uint64_t asked_us; /* the last time */
};

void epoch_changes_init(struct epoch_changes *changes, struct cluster *cluster);
void epoch_changes_begin(struct epoch_changes *changes);
/** Nothing new is asked for; who was listed meanwhile still comes. */
void epoch_changes_end(struct epoch_changes *changes);
/** Nothing that was asked for can still come about: all of it was answered, or its time is over,
 *  where the node that was asked has forgotten it. */
bool epoch_changes_settled(const struct epoch_changes *changes);
void epoch_changes_done(struct epoch_changes *changes);

#endif
