/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest on disk, and the state that readers see: changed together, one change at a time.
 *
 *      1  next levels, next manifest                     nothing happened yet
 *      2  MANIFEST.new written and synced                a failure leaves the store as it was
 *      3  renamed over MANIFEST, directory synced        a failure: nobody knows which one is there
 *      4  state swapped, old files removed
 *
 * Both manifests of step 3 describe the store truly as long as no file of either goes away, so
 * after a failure there everything stays, and the engine takes no more writes. */
#include "engine/lsm/levels/install.h"
#include "base/planted.h"
#include "engine/lsm/levels/install_internal.h"
#include "engine/lsm/log/commit.h"

#include <assert.h>
#include <stdlib.h>

/* --- writing ------------------------------------------------------------------------------- */

static void list_tables(const struct lsm_levels *levels, struct lsm_manifest_table *list)
{
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < levels->level[i].count; j++) {
            const struct lsm_table *table = levels->level[i].tables[j];
            *list++ = (struct lsm_manifest_table){
                .level = i,
                .meta = table->meta,
                .shares = table->shares == NULL ? NULL : table->shares->list,
                .share_count = table->shares == NULL ? 0 : table->shares->count,
            };
        }
}

static void list_blobs(const struct lsm_blobs *blobs, struct lsm_manifest_blob *list)
{
    for (size_t i = 0; blobs != NULL && i < blobs->count; i++) {
        const struct lsm_blob_file *file = blobs->uses[i].file;
        list[i] = (struct lsm_manifest_blob){ file->number, file->size };
    }
}

struct bytes lsm_merge_name(const struct lsm *lsm)
{
    const struct engine_merge_operator *merge = lsm->options.merge;
    return merge == NULL ? (struct bytes){ 0 } : bytes_of_string(merge->name);
}

kvorum_status lsm_manifest_bytes(const struct lsm *lsm, struct lsm_manifest *manifest,
                                 const struct lsm_levels *levels, const struct lsm_blobs *blobs,
                                 struct buffer *ret_bytes)
{
    size_t tables = lsm_levels_table_count(levels), files = blobs == NULL ? 0 : blobs->count;
    manifest->store = lsm->store;
    manifest->next_file = lsm->next_file;
    manifest->merge_name = lsm_merge_name(lsm);
    manifest->tables = malloc((tables + 1) * sizeof(manifest->tables[0]));
    manifest->blobs = malloc((files + 1) * sizeof(manifest->blobs[0]));
    bool good = manifest->tables != NULL && manifest->blobs != NULL;
    if (good) {
        list_tables(levels, manifest->tables);
        list_blobs(blobs, manifest->blobs);
        manifest->table_count = tables;
        manifest->blob_count = files;
        lsm_manifest_encode(manifest, ret_bytes);
    }
    free(manifest->tables);
    free(manifest->blobs);
    return good && !ret_bytes->failed ? KVORUM_OK : KVORUM_NO_MEMORY;
}

/* --- installing ---------------------------------------------------------------------------- */

/* The first segment that a replay needs. */
static uint64_t first_segment(const struct lsm *lsm, uint64_t flushed_batch)
{
    uint64_t first = lsm->first_segment;
    for (size_t i = 0; i < lsm->note_count && lsm->notes[i].last_batch <= flushed_batch; i++)
        first = lsm->notes[i].number + 1;
    return first;
}

static bool added_again(const struct lsm_edit *edit, const struct lsm_table *table)
{
    for (size_t i = 0; i < edit->added_count; i++)
        if (edit->added[i].table == table)
            return true;
    return false;
}

/* Their files go with the last state that shows them. */
static void retire_tables(const struct lsm_edit *edit)
{
    for (size_t i = 0; i < edit->removed_count; i++)
        if (!added_again(edit, edit->removed[i]))
            atomic_store(&edit->removed[i]->obsolete, true);
}

static void release_blobs(const struct lsm_install *install)
{
    for (size_t i = 0; i < install->blob_count; i++)
        lsm_blob_file_release(install->blobs[i]);
}

/* What never became part of the store; `keep`: it may have. */
static void abandon_added(const struct lsm_install *install, bool keep)
{
    const struct lsm_edit *edit = &install->edit;
    for (size_t i = 0; i < edit->added_count; i++) {
        bool moved = false;
        for (size_t j = 0; j < edit->removed_count; j++)
            moved |= edit->removed[j] == edit->added[i].table;
        if (!moved && !keep)
            atomic_store(&edit->added[i].table->obsolete, true);
    }
    for (size_t i = 0; i < install->blob_count && !keep; i++)
        atomic_store(&install->blobs[i]->obsolete, true);
}

struct change {
    struct lsm_state *state; /* memory for it: what comes after the manifest must not fail */
    struct lsm_levels *levels;
    struct lsm_blobs *blobs;
    struct lsm_manifest manifest;
    struct buffer bytes;
};

/* One that only moves has its place already. */
void lsm_number_tables(struct lsm *lsm, const struct lsm_edit *edit)
{
    for (size_t i = 0; i < edit->added_count; i++)
        if (edit->added[i].table->shown == 0)
            edit->added[i].table->shown = ++lsm->tables_shown;
}

/* Memtables may have been frozen since; the flushed one is still the oldest. */
static void swap(struct lsm *lsm, const struct lsm_install *install, const struct change *change)
{
    struct lsm_state next;
    lsm_state_copy(lsm_state_now(lsm), &next);
    if (install->flushed != NULL) {
        assert(next.frozen[next.frozen_count - 1] == install->flushed);
        next.frozen_count--;
    }
    next.levels = change->levels;
    next.blobs = change->blobs;
    lsm_memtable_reference(next.active);
    for (size_t i = 0; i < next.frozen_count; i++)
        lsm_memtable_reference(next.frozen[i]);
    lsm_state_show(lsm, change->state, &next);
}

/* Step 1. */
static kvorum_status prepare(struct lsm *lsm, const struct lsm_install *install,
                             struct change *change)
{
    const struct lsm_state *now = lsm_state_now(lsm);
    const struct lsm_memtable *flushed = install->flushed;
    struct lsm_manifest *manifest = &change->manifest;
    kvorum_status status = lsm_levels_edit(now->levels, &install->edit, &change->levels);
    if (status != KVORUM_OK)
        return status;
    status = lsm_blobs_edit(now->blobs, &install->edit, install->blobs, install->blob_count,
                            &change->blobs);
    if (status != KVORUM_OK)
        return status;
    change->state = lsm_state_create();
    if (change->state == NULL)
        return KVORUM_NO_MEMORY;
    manifest->flushed_batch = flushed == NULL ? lsm->flushed_batch : flushed->batch_last;
    manifest->flushed_sequence = flushed == NULL ? lsm->flushed_sequence : flushed->sequence_last;
    manifest->first_segment = first_segment(lsm, manifest->flushed_batch);
    manifest->log_begins = lsm->log_begins;
    return lsm_manifest_bytes(lsm, manifest, change->levels, change->blobs, &change->bytes);
}

static void count_flushed(struct lsm *lsm, const struct lsm_memtable *flushed)
{
    lsm->counts.puts += flushed == NULL ? 0 : flushed->puts;
    lsm->counts.deletes += flushed == NULL ? 0 : flushed->deletes;
}

static kvorum_status install_alone(struct lsm *lsm, const struct lsm_install *install)
{
    struct change change = { 0 };
    bool unsure = false;
    buffer_init(&change.bytes, LSM_MANIFEST_SIZE_MAX);
    kvorum_status status = prepare(lsm, install, &change);
    if (status == KVORUM_OK && PLANTED(LOG_REMOVED_EARLY)) {
        lsm->first_segment = change.manifest.first_segment;
        lsm_remove_segments(lsm);
    }
    if (status == KVORUM_OK) {
        pthread_mutex_unlock(&lsm->mutex);
        status =
            lsm_write_whole(lsm->disk, lsm->path, "MANIFEST", buffer_bytes(&change.bytes), &unsure);
        pthread_mutex_lock(&lsm->mutex);
    }
    buffer_done(&change.bytes);
    if (status == KVORUM_OK) {
        struct lsm_blobs *old_blobs = lsm_blobs_reference(lsm_state_now(lsm)->blobs);
        lsm_number_tables(lsm, &install->edit);
        swap(lsm, install, &change);
        retire_tables(&install->edit);
        lsm_blobs_retire(old_blobs, change.blobs);
        lsm_blobs_release(old_blobs);
        lsm->flushed_batch = change.manifest.flushed_batch;
        lsm->flushed_sequence = change.manifest.flushed_sequence;
        lsm->first_segment = change.manifest.first_segment;
        count_flushed(lsm, install->flushed);
        return KVORUM_OK;
    }
    free(change.state);
    if (status == KVORUM_NO_SPACE)
        PROBE("lsm: no room for a manifest");
    if (unsure)
        PROBE("lsm: nobody knows which manifest is on the disk");
    if (unsure)
        lsm_poison(lsm, status, "the manifest cannot be renewed");
    abandon_added(install, unsure);
    if (change.levels != NULL)
        lsm_levels_release(change.levels);
    else
        for (size_t i = 0; i < install->edit.added_count; i++)
            lsm_table_release(install->edit.added[i].table);
    if (change.blobs != NULL)
        lsm_blobs_release(change.blobs);
    else
        release_blobs(install);
    return status;
}

kvorum_status lsm_install(struct lsm *lsm, const struct lsm_install *install)
{
    while (lsm->installing)
        pthread_cond_wait(&lsm->changed, &lsm->mutex);
    if (lsm->failure != KVORUM_OK) {
        abandon_added(install, false);
        for (size_t i = 0; i < install->edit.added_count; i++)
            lsm_table_release(install->edit.added[i].table);
        release_blobs(install);
        return KVORUM_POISONED;
    }
    lsm->installing = true;
    kvorum_status status = install_alone(lsm, install);
    if (status == KVORUM_OK)
        lsm_remove_segments(lsm);
    lsm->installing = false;
    pthread_cond_broadcast(&lsm->changed);
    return status;
}

/* --- old segments -------------------------------------------------------------------------- */

/* One that cannot be removed now is removed at the next open. */
void lsm_remove_segments(struct lsm *lsm)
{
    size_t count = 0;
    while (count < lsm->note_count && lsm->notes[count].number < lsm->first_segment)
        lsm->log_size -= lsm->notes[count++].size;
    if (count == 0)
        return;
    uint64_t first = lsm->notes[0].number;
    lsm->note_count -= count;
    memmove(lsm->notes, lsm->notes + count, lsm->note_count * sizeof(lsm->notes[0]));
    pthread_mutex_unlock(&lsm->mutex);
    for (uint64_t number = first; number < first + count; number++) {
        char path[LSM_PATH_SIZE];
        if (lsm_file_path(lsm, LSM_FILE_LOG, number, path) == KVORUM_OK)
            (void)lsm->disk->ops->remove(lsm->disk, path);
    }
    pthread_mutex_lock(&lsm->mutex);
}
