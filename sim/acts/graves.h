/* SPDX-License-Identifier: Apache-2.0 */
/** Tombstones that are collected: `kvorum-sim --collect`.  They are while clients and faults are
 *  at work; not while replicas are compared at the end, since a COMMIT reaches one before the
 *  other; and then again, until none is left. */
#ifndef SIM_GRAVES_H
#define SIM_GRAVES_H

#include "sim/cluster/cluster.h"

/** No round begins any more, and those under way end.  False: a violation was found. */
bool graves_rest(struct cluster *cluster);
/** In a healthy cluster every tombstone goes, in the end.  False: a violation was found. */
bool graves_vanish(struct cluster *cluster);

#endif
