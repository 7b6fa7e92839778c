/* SPDX-License-Identifier: Apache-2.0 */
/* Who is making tables that no state shows yet: a scrub that reads what had been written when it
 * began waits for them. */
#include "engine/lsm/background/background.h"
#include "engine/lsm/internal.h"

void lsm_maker_begin(struct lsm *lsm, struct lsm_maker *maker)
{
    maker->first_file = lsm->next_file;
    list_append(&lsm->makers, &maker->list);
}

void lsm_maker_end(struct lsm_maker *maker)
{
    list_remove(&maker->list);
}

bool lsm_making_before(struct lsm *lsm, uint64_t file)
{
    const struct list *oldest = list_first(&lsm->makers);
    return oldest != NULL && LIST_ENTRY(oldest, struct lsm_maker, list)->first_file < file;
}
