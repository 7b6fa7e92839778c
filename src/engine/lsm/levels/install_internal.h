/* SPDX-License-Identifier: Apache-2.0 */
/** What install.c and adopt.c share. */
#ifndef ENGINE_LSM_INSTALL_INTERNAL_H
#define ENGINE_LSM_INSTALL_INTERNAL_H

#include "engine/lsm/internal.h"

/** Of the merge operator that the store is opened with; empty: none. */
struct bytes lsm_merge_name(const struct lsm *lsm);
/** Give the tables that `edit` adds their places in the order in which tables joined the store. */
void lsm_number_tables(struct lsm *lsm, const struct lsm_edit *edit);

#endif
