/* SPDX-License-Identifier: Apache-2.0 */
/** Looking for rot, and mending it: scrub.c, scrub_files.c, mend.c. */
#ifndef ENGINE_LSM_SCRUB_H
#define ENGINE_LSM_SCRUB_H

#include "engine/lsm/internal.h"

enum lsm_scrub_part { LSM_SCRUB_TABLES, LSM_SCRUB_LOG, LSM_SCRUB_REST }; /* in this order */

kvorum_status lsm_scrub(struct engine *engine, struct engine_scrub *scrub,
                        void (*report)(void *context, const struct engine_loss *loss),
                        void *context);

/** Tables are read; the rest comes now. */
void lsm_scrub_files_begin(struct lsm *lsm, struct engine_scrub *scrub);
/** A step over what is beside the tables.  `state` is referenced by the caller.  May wait for
 *  flushes and changes of tables.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status
lsm_scrub_files(struct lsm *lsm, struct lsm_state *state, struct engine_scrub *scrub,
                void (*report)(void *context, const struct engine_loss *loss), void *context);

/** Looks at the values out of line that a walk over a table comes across. */
struct lsm_value_check {
    struct lsm *lsm;
    struct buffer memory, upper;
    char name[LSM_NAME_SIZE];
    uint64_t size; /* of the last value, bytes in its file */
};

void lsm_value_check_init(struct lsm_value_check *check, struct lsm *lsm);
void lsm_value_check_done(struct lsm_value_check *check);
/** OK, also for entries without such a value.  CORRUPT, IO: the value cannot be read, and *ret_loss
 *  tells of it until the next call.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_value_check(struct lsm_value_check *check,
                                             const struct lsm_entry *entry,
                                             struct engine_loss *ret_loss);
kvorum_status lsm_mend(struct engine *engine, const struct engine_range *lost, size_t count,
                       void (*report)(void *context, const struct engine_loss *loss), void *context,
                       uint64_t *ret_mended);

#endif
