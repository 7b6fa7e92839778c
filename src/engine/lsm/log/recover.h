/* SPDX-License-Identifier: Apache-2.0 */
/** What the log holds comes back when a store is opened. */
#ifndef ENGINE_LSM_RECOVER_H
#define ENGINE_LSM_RECOVER_H

#include "engine/lsm/internal.h"

/** Replay the log and begin a new segment. */
KVORUM_CHECKED kvorum_status lsm_recover(struct lsm *lsm, bool fresh);

#endif
