/* SPDX-License-Identifier: Apache-2.0 */
/* A frozen memtable becomes a table of level 0.  The oldest goes first, so level 0 is in order. */
#include "engine/lsm/background/background.h"
#include "engine/lsm/background/output.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/levels/install.h"

#include <stdlib.h>

/* Without the mutex. */
static kvorum_status write_table(struct lsm *lsm, const struct lsm_memtable *memtable,
                                 struct lsm_output_plan *plan, struct lsm_outputs *ret_outputs)
{
    struct lsm_source *source;
    kvorum_status status = lsm_memtable_source(memtable, LSM_SEQUENCE_MAX, &source);
    if (status != KVORUM_OK)
        return status;
    plan->level = 0;
    plan->table_size = UINT64_MAX;
    plan->reduce.ranges = lsm_memtable_ranges(memtable);
    status = lsm_write_outputs(lsm, plan, source, ret_outputs);
    source->ops->close(source);
    return status;
}

static kvorum_status install_table(struct lsm *lsm, struct lsm_memtable *memtable,
                                   struct lsm_outputs *outputs)
{
    struct lsm_edit_add added = { .level = 0 };
    struct lsm_install install = { .flushed = memtable,
                                   .blobs = outputs->blobs,
                                   .blob_count = outputs->blob_count };
    if (outputs->count > 0) { /* always, but for a memtable whose merges came to nothing */
        added.table = outputs->tables[0];
        install.edit.added = &added;
        install.edit.added_count = 1;
    }
    uint64_t size = outputs->written_size;
    kvorum_status status = lsm_install(lsm, &install);
    lsm_outputs_done(outputs);
    if (status != KVORUM_OK)
        return status;
    lsm->counts.flushes++;
    lsm->counts.flushed_size += size;
    lsm->counts.levels[0].written_size += size;
    return KVORUM_OK;
}

kvorum_status lsm_flush_oldest(struct lsm *lsm)
{
    struct lsm_state *state = lsm_state_now(lsm);
    struct lsm_memtable *memtable = state->frozen[state->frozen_count - 1];
    struct lsm_output_plan plan = { .state = state };
    struct lsm_outputs outputs;
    uint64_t *snapshots = NULL;
    if (!lsm_snapshot_list(lsm, &snapshots, &plan.reduce.snapshot_count))
        return KVORUM_NO_MEMORY;
    plan.reduce.snapshots = snapshots;
    lsm_memtable_reference(memtable);
    lsm_state_reference(state);
    pthread_mutex_unlock(&lsm->mutex);
    kvorum_status status = write_table(lsm, memtable, &plan, &outputs);
    pthread_mutex_lock(&lsm->mutex);
    if (status == KVORUM_OK)
        status = install_table(lsm, memtable, &outputs);
    free(snapshots);
    lsm_memtable_release(memtable);
    lsm_state_release(state);
    return status;
}
