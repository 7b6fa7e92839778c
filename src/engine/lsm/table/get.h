/* SPDX-License-Identifier: Apache-2.0 */
/** Steps of a point read, for reads of one and of many. */
#ifndef ENGINE_LSM_TABLE_GET_H
#define ENGINE_LSM_TABLE_GET_H

#include "engine/lsm/table/open.h"

/** Block `place`, from its slot or the disk. */
KVORUM_CHECKED kvorum_status table_get_block(struct table_open *open, size_t place, bool nowait,
                                             struct lsm_block **ret_block);
/** The search in block `place` and those behind it, past the filter. */
KVORUM_CHECKED kvorum_status table_get_from(struct table_open *open, size_t place,
                                            struct lsm_search *search);

#endif
