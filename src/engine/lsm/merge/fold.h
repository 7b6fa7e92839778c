/* SPDX-License-Identifier: Apache-2.0 */
/** Operands of one key on their way to a base, as a read meets them; then the value they make. */
#ifndef ENGINE_LSM_FOLD_H
#define ENGINE_LSM_FOLD_H

#include "base/buffer.h"
#include "engine/engine.h"

struct lsm_fold {
    struct buffer bytes; /* copies of the operands, one behind the other */
    size_t *ends;
    size_t count, capacity;
};

void lsm_fold_init(struct lsm_fold *fold);
void lsm_fold_done(struct lsm_fold *fold);
void lsm_fold_reset(struct lsm_fold *fold);
/** Copy another operand.  False: no memory. */
bool lsm_fold_add(struct lsm_fold *fold, struct bytes operand);
/** What the operands make of `base` (NULL: absent), appended to `ret_value`.  `newest_first`: the
 *  order in which they were added.  CORRUPT, NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_fold_apply(const struct lsm_fold *fold, bool newest_first,
                                            const struct engine_merge_operator *merge,
                                            struct bytes key, const struct bytes *base,
                                            struct buffer *ret_value);

#endif
