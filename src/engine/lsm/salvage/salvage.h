/* SPDX-License-Identifier: Apache-2.0 */
/** Saves from a damaged store all that is provably intact, into a new one.
 *
 *      tables named by the manifest (without one: all there are)
 *          --> intact blocks --> merged, newest version of each key --\
 *      large values from blob files ----------------------------------> batches --> new store
 *      records of the log that are not in tables yet ------------------/
 *
 *  Nothing is made up: every key and value passed a checksum.  What damage took away is reported,
 *  but cannot always be told from what never was: an older version of a key comes back where the
 *  block with the newer one is lost, and a deleted key where the deletion is.
 *
 *  Merges are carried out on what lay below them; where that may be lost, the key is left out and
 *  reported. */
#ifndef ENGINE_LSM_SALVAGE_H
#define ENGINE_LSM_SALVAGE_H

#include "engine/lsm/lsm.h"

struct lsm_salvage_report {
    uint64_t tables, segments; /* looked at */
    uint64_t keys;             /* saved from tables */
    uint64_t batches;          /* saved from the log, after those */
    uint64_t damages;          /* reported */
    uint64_t lost_size;        /* bytes of files that could not be used */
};

/** Save the store `from` into the new store `to` (its directory missing or empty: else EXISTS),
 *  both as for lsm_open; `to->create` is taken for granted, merges need `to->merge`.  `report` is
 *  called for each damage, and may be NULL.  `from` is not changed.  Blocks: long.
 *  OK also when there was damage: see *ret_report.
 *  NOT_FOUND (no directory), FOREIGN (no file of a store in it), LOCKED, NEWER_FORMAT; and, for
 *  what is written, what engine_write answers: `to` is incomplete then, and to be removed. */
KVORUM_CHECKED kvorum_status lsm_salvage(const struct lsm_options *from,
                                         const struct lsm_options *to,
                                         void (*report)(void *context,
                                                        const struct engine_damage *damage),
                                         void *context, struct lsm_salvage_report *ret_report);

#endif
