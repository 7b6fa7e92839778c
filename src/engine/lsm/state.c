/* SPDX-License-Identifier: Apache-2.0 */
/* What readers look at, replaced as a whole.
 *
 *      lsm->state --> { active, frozen..., levels }     one pointer, loaded inside the epoch
 *
 * A reader loads the state and then `visible`.  In this order: a state loaded after the number
 * might have lost, to a flush, the very version that the number asks for. */
#include "engine/lsm/background/background.h"
#include "engine/lsm/internal.h"

#include <stdlib.h>

static void state_free(struct epoch_item *item)
{
    lsm_state_release((struct lsm_state *)item);
}

void lsm_state_reference(struct lsm_state *state)
{
    atomic_fetch_add_explicit(&state->references, 1, memory_order_relaxed);
}

void lsm_state_release(struct lsm_state *state)
{
    if (state == NULL || atomic_fetch_sub(&state->references, 1) != 1)
        return;
    lsm_memtable_release(state->active);
    for (size_t i = 0; i < state->frozen_count; i++)
        lsm_memtable_release(state->frozen[i]);
    lsm_levels_release(state->levels);
    lsm_blobs_release(state->blobs);
    free(state);
}

void lsm_state_copy(const struct lsm_state *from, struct lsm_state *ret)
{
    ret->active = from->active;
    memcpy(ret->frozen, from->frozen, sizeof(ret->frozen));
    ret->frozen_count = from->frozen_count;
    ret->levels = from->levels;
    ret->blobs = from->blobs;
}

struct lsm_state *lsm_state_now(struct lsm *lsm)
{
    return atomic_load_explicit(&lsm->state, memory_order_relaxed);
}

struct lsm_state *lsm_state_create(void)
{
    return malloc(sizeof(struct lsm_state));
}

void lsm_state_show(struct lsm *lsm, struct lsm_state *state, const struct lsm_state *next)
{
    struct lsm_state *before = lsm_state_now(lsm);
    lsm_state_copy(next, state);
    state->item = (struct epoch_item){ .free = state_free };
    state->references = 1;
    atomic_store(&lsm->state, state);
    if (before != NULL)
        epoch_retire(&lsm->epoch, &before->item);
}

kvorum_status lsm_state_set(struct lsm *lsm, const struct lsm_state *next)
{
    struct lsm_state *state = lsm_state_create();
    if (state == NULL)
        return KVORUM_NO_MEMORY;
    lsm_state_show(lsm, state, next);
    return KVORUM_OK;
}

static void reference_parts(const struct lsm_state *state)
{
    for (size_t i = 0; i < state->frozen_count; i++)
        lsm_memtable_reference(state->frozen[i]);
    lsm_levels_reference(state->levels);
    lsm_blobs_reference(state->blobs);
}

kvorum_status lsm_freeze(struct lsm *lsm)
{
    const struct lsm_state *now = lsm_state_now(lsm);
    if (now->active->changes == 0)
        return KVORUM_OK;
    if (now->frozen_count == LSM_FROZEN_MAX)
        return KVORUM_OVERLOADED;
    struct lsm_state next;
    lsm_state_copy(now, &next);
    next.active = lsm_memtable_create(&lsm->epoch, &lsm->spares);
    if (next.active == NULL)
        return KVORUM_NO_MEMORY;
    memmove(next.frozen + 1, next.frozen, next.frozen_count * sizeof(next.frozen[0]));
    next.frozen[0] = now->active;
    next.frozen_count++;
    struct lsm_memtable *frozen = now->active;
    reference_parts(&next);
    kvorum_status status = lsm_state_set(lsm, &next);
    if (status == KVORUM_OK) {
        lsm_memtable_freeze(frozen);
        lsm_reads_begin(lsm);
        lsm_snapshots_leave(lsm, frozen);
        return KVORUM_OK;
    }
    for (size_t i = 0; i < next.frozen_count; i++)
        lsm_memtable_release(next.frozen[i]);
    lsm_levels_release(next.levels);
    lsm_blobs_release(next.blobs);
    lsm_memtable_release(next.active);
    return status;
}
