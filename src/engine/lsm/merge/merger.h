/* SPDX-License-Identifier: Apache-2.0 */
/** Many sources as one, both ways.  Where two hold the same (key, sequence), which happens only for
 *  sequence 0, the child named first comes first.
 *
 *  Costs: moving on within the same child, which is what happens mostly, is one comparison with the
 *  runner-up; otherwise log2(children).  A child that fails stops the whole with its status.
 *  Measured with 16-byte keys: 10 ns a step with 4 children in runs of 16, 19 dealt at random.
 *  Where a child offers no `previous`, neither does the merger. */
#ifndef ENGINE_LSM_MERGER_H
#define ENGINE_LSM_MERGER_H

#include "engine/lsm/merge/source.h"

/** Own: the merger closes the children, also when this fails (NO_MEMORY).  The list is copied.
 *  One child is returned as it is; none gives an empty source. */
KVORUM_CHECKED kvorum_status lsm_merger_create(struct lsm_source **children, size_t count,
                                               struct lsm_source **ret_source);

#endif
