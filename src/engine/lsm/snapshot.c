/* SPDX-License-Identifier: Apache-2.0 */
/* Held snapshots: a sequence number that flushes and compactions heed, and a stay in the active
 * memtable's `readers`, so that it does not use again what the snapshot sees.  Frozen memtables use
 * nothing again, and later ones hold only newer versions. */
#include "engine/lsm/internal.h"

#include <assert.h>
#include <stdlib.h>

kvorum_status lsm_snapshot_take(struct engine *engine, struct engine_snapshot **ret_snapshot)
{
    struct lsm *lsm = (struct lsm *)engine;
    struct engine_snapshot *snapshot = malloc(sizeof(*snapshot));
    if (snapshot == NULL)
        return KVORUM_NO_MEMORY;
    pthread_mutex_lock(&lsm->mutex);
    snapshot->memtable = lsm_state_now(lsm)->active;
    lsm_memtable_reference(snapshot->memtable);
    snapshot->guard = guard_enter(&snapshot->memtable->readers);
    snapshot->sequence = atomic_load(&lsm->visible);
    list_append(&lsm->snapshots, &snapshot->list);
    lsm->snapshot_count++;
    pthread_mutex_unlock(&lsm->mutex);
    *ret_snapshot = snapshot;
    return KVORUM_OK;
}

static void leave(struct engine_snapshot *snapshot)
{
    if (snapshot->memtable == NULL)
        return;
    guard_leave(snapshot->guard);
    lsm_memtable_release(snapshot->memtable);
    snapshot->memtable = NULL;
}

void lsm_snapshot_release(struct engine *engine, struct engine_snapshot *snapshot)
{
    struct lsm *lsm = (struct lsm *)engine;
    pthread_mutex_lock(&lsm->mutex);
    list_remove(&snapshot->list);
    lsm->snapshot_count--;
    leave(snapshot);
    pthread_mutex_unlock(&lsm->mutex);
    free(snapshot);
}

void lsm_snapshots_leave(struct lsm *lsm, struct lsm_memtable *memtable)
{
    for (struct list *at = lsm->snapshots.next; at != &lsm->snapshots; at = at->next) {
        struct engine_snapshot *snapshot = (struct engine_snapshot *)at;
        if (snapshot->memtable == memtable)
            leave(snapshot);
    }
}

bool lsm_snapshot_list(const struct lsm *lsm, uint64_t **ret_sequences, size_t *ret_count)
{
    uint64_t *sequences = malloc((lsm->snapshot_count + 1) * sizeof(*sequences));
    size_t count = 0;
    if (sequences == NULL)
        return false;
    for (const struct list *at = lsm->snapshots.next; at != &lsm->snapshots; at = at->next) {
        uint64_t sequence = ((const struct engine_snapshot *)at)->sequence;
        if (count == 0 || sequences[count - 1] != sequence)
            sequences[count++] = sequence;
    }
    *ret_sequences = sequences;
    *ret_count = count;
    return true;
}
