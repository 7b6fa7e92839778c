/* SPDX-License-Identifier: Apache-2.0 */
/** Yesterday's disk while most voters are lost: the disk of one who is left is put back to older
 *  copies of itself while the others recover with it.  Not that of the member who is never lost:
 *  any two lists have it in common, and what all in common forgot nobody knows. */
#ifndef SIM_VOTERS_YESTERDAY_H
#define SIM_VOTERS_YESTERDAY_H

#include "sim/cluster/cluster.h"

struct voters_yesterday {
    struct cluster *cluster;
    const uint32_t *lost; /* members, as bits */
    uint32_t put_back;    /* likewise: their disks were */
    uint32_t left;        /* steps still to come */
    struct event event;
};

/** Draws whether it happens in this run, by a generator of its own. */
void voters_yesterday_init(struct voters_yesterday *yesterday, struct cluster *cluster,
                           const uint32_t *lost);
/** From now on.  cluster->never_lost is known. */
void voters_yesterday_begin(struct voters_yesterday *yesterday);
/** Something is accepted just now: the next step may come soon. */
void voters_yesterday_hurry(struct voters_yesterday *yesterday);
void voters_yesterday_end(struct voters_yesterday *yesterday);

#endif
