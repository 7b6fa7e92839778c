/* SPDX-License-Identifier: Apache-2.0 */
/** The bucket changes its mode while some members are away, and they come back as soon as the
 *  change was answered: with an old table of properties, together with the clients' operations.
 *
 *      begin: some are stopped, crash, are paused or cut off
 *        --> somebody asks a member that is there, again until it is answered OK
 *              --> all come back at once
 */
#ifndef SIM_MODES_H
#define SIM_MODES_H

#include "sim/clients/history.h"
#include "sim/cluster/cluster.h"

struct mode_change {
    struct cluster *cluster;
    struct history *history;
    struct event event;
    bool away, asked, done, no_absence;
    uint16_t member; /* who was asked, and in which of its lives */
    uint32_t life;
};

/** The properties of the bucket where its mode is `siblings`.  Its r is one that no default has and
 *  that no operation asks for, since each brings its own: by it the decision is told from another,
 *  and from none. */
void modes_properties(const struct plan *plan, bool siblings, struct bucket_properties *ret);
void mode_change_init(struct mode_change *change, struct cluster *cluster, struct history *history);
/** Begin after `delay_us`. */
void mode_change_begin(struct mode_change *change, uint64_t delay_us);
/** Whoever is still away comes back; the change itself goes on until it is done. */
void mode_change_end_absence(struct mode_change *change);
void mode_change_done(struct mode_change *change);

#endif
