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
#include "engine/lsm/internal.h"

#include "base/planted.h"
#include <assert.h>
#include <stdlib.h>

enum { MANIFEST_SIZE_MAX = 1 << 30, ARENA_LIMIT = 1 << 30 };

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

static struct bytes merge_name(const struct lsm *lsm)
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
    manifest->merge_name = merge_name(lsm);
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
static void number_tables(struct lsm *lsm, const struct lsm_edit *edit)
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
    buffer_init(&change.bytes, MANIFEST_SIZE_MAX);
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
        number_tables(lsm, &install->edit);
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

/* --- at open ------------------------------------------------------------------------------- */

kvorum_status lsm_manifest_begin(struct lsm *lsm)
{
    struct lsm_manifest manifest = { .first_segment = 1 };
    struct buffer bytes;
    bool unsure;
    const struct lsm_state *now = lsm_state_now(lsm);
    lsm->next_file = lsm->first_segment = 1;
    buffer_init(&bytes, MANIFEST_SIZE_MAX);
    kvorum_status status = lsm_manifest_bytes(lsm, &manifest, now->levels, NULL, &bytes);
    if (status == KVORUM_OK)
        status = lsm_write_whole(lsm->disk, lsm->path, "MANIFEST", buffer_bytes(&bytes), &unsure);
    buffer_done(&bytes);
    return status;
}

kvorum_status lsm_manifest_read(struct lsm *lsm, struct buffer *ret_bytes)
{
    char path[LSM_PATH_SIZE];
    struct disk_file *file;
    uint64_t size = 0;
    size_t read_size = 0;
    kvorum_status status = lsm_path(lsm, "MANIFEST", path);
    if (status == KVORUM_OK)
        status = lsm->disk->ops->open(lsm->disk, path, DISK_READ, &file);
    if (status != KVORUM_OK)
        return status == KVORUM_NOT_FOUND ? KVORUM_CORRUPT : status;
    status = file->ops->size(file, &size);
    uint8_t *at = status == KVORUM_OK && size <= MANIFEST_SIZE_MAX
                      ? buffer_reserve(ret_bytes, size + 1)
                      : NULL;
    if (status == KVORUM_OK && at == NULL)
        status = size > MANIFEST_SIZE_MAX ? KVORUM_CORRUPT : KVORUM_NO_MEMORY;
    if (status == KVORUM_OK)
        status = file->ops->pread(file, at, size, 0, &read_size);
    ret_bytes->size += read_size;
    file->ops->close(file);
    return status;
}

static kvorum_status copy_bounds(struct lsm_table_meta *meta)
{
    uint8_t *bounds = malloc(meta->lower.size + meta->upper.size + 1);
    if (bounds == NULL)
        return KVORUM_NO_MEMORY;
    memcpy(bounds, meta->lower.data, meta->lower.size);
    if (meta->upper.size > 0)
        memcpy(bounds + meta->lower.size, meta->upper.data, meta->upper.size);
    meta->upper.data = bounds + meta->lower.size;
    meta->lower.data = bounds;
    return KVORUM_OK;
}

/* A table that is not there, or has another size, is found out now and not by a reader later. */
static kvorum_status check_file(struct lsm *lsm, const char *path, uint64_t expected_size)
{
    struct disk_file *file;
    uint64_t size = 0;
    kvorum_status status = lsm->disk->ops->open(lsm->disk, path, DISK_READ, &file);
    if (status == KVORUM_OK) {
        status = file->ops->size(file, &size);
        file->ops->close(file);
    }
    if (status == KVORUM_NOT_FOUND || (status == KVORUM_OK && size != expected_size)) {
        log_error(lsm->log, "a file that the manifest names is missing, or not of its size",
                  LOG_TEXT("file", path), LOG_U64("size", size),
                  LOG_U64("expected", expected_size));
        return KVORUM_CORRUPT;
    }
    return status;
}

static struct lsm_blob_shares *copy_shares(const struct lsm_manifest_table *table)
{
    size_t size = table->share_count * sizeof(table->shares[0]);
    struct lsm_blob_shares *shares = malloc(sizeof(*shares) + size);
    if (shares == NULL)
        return NULL;
    shares->count = table->share_count;
    memcpy(shares->list, table->shares, size);
    return shares;
}

static kvorum_status open_table(struct lsm *lsm, const struct lsm_manifest_table *listed,
                                struct lsm_table **ret_table)
{
    struct lsm_table_meta meta = listed->meta;
    char path[LSM_PATH_SIZE];
    struct lsm_table *table;
    kvorum_status status = lsm_file_path(lsm, LSM_FILE_TABLE, meta.number, path);
    if (status == KVORUM_OK)
        status = check_file(lsm, path, meta.size);
    if (status == KVORUM_OK)
        status = copy_bounds(&meta);
    if (status != KVORUM_OK)
        return status;
    status = lsm_table_create(lsm->disk, path, &lsm->store, &meta, lsm->cache, &table);
    if (status != KVORUM_OK) {
        free((void *)(uintptr_t)meta.lower.data);
        return status;
    }
    status = lsm_table_load_ranges(table);
    if (status == KVORUM_OK && listed->share_count > 0) {
        table->shares = copy_shares(listed);
        status = table->shares == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
    }
    if (status != KVORUM_OK) {
        lsm_table_release(table);
        return status;
    }
    *ret_table = table;
    return KVORUM_OK;
}

/* As an edit of nothing, whose list has room. */
static kvorum_status open_tables(struct lsm *lsm, const struct lsm_manifest *manifest,
                                 struct lsm_edit *edit)
{
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < manifest->table_count && status == KVORUM_OK; i++) {
        struct lsm_edit_add *add = &edit->added[edit->added_count];
        add->level = manifest->tables[i].level;
        status = open_table(lsm, &manifest->tables[i], &add->table);
        edit->added_count += status == KVORUM_OK;
    }
    return status;
}

static kvorum_status open_blob(struct lsm *lsm, const struct lsm_manifest_blob *blob,
                               struct lsm_blob_file **ret_file)
{
    char path[LSM_PATH_SIZE];
    kvorum_status status = lsm_file_path(lsm, LSM_FILE_BLOB, blob->number, path);
    if (status == KVORUM_OK)
        status = check_file(lsm, path, blob->size);
    if (status != KVORUM_OK)
        return status;
    *ret_file = lsm_blob_file_create(lsm, blob->number, blob->size);
    return *ret_file == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
}

static kvorum_status open_blobs(struct lsm *lsm, const struct lsm_manifest *manifest,
                                const struct lsm_edit *edit, struct lsm_blobs **ret_blobs)
{
    struct lsm_blob_file **files = calloc(manifest->blob_count + 1, sizeof(struct lsm_blob_file *));
    size_t count = 0;
    kvorum_status status = files == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
    for (; count < manifest->blob_count && status == KVORUM_OK; count += status == KVORUM_OK)
        status = open_blob(lsm, &manifest->blobs[count], &files[count]);
    if (status == KVORUM_OK)
        status = lsm_blobs_edit(NULL, edit, files, count, ret_blobs);
    for (size_t i = 0; status != KVORUM_OK && i < count; i++)
        lsm_blob_file_release(files[i]);
    free(files);
    return status;
}

/* *ret_state gets its levels and blob files. */
static kvorum_status open_files(struct lsm *lsm, const struct lsm_manifest *manifest,
                                struct lsm_state *ret_state)
{
    struct lsm_levels *empty = NULL;
    struct lsm_edit edit = { .added = calloc(manifest->table_count + 1, sizeof(edit.added[0])) };
    kvorum_status status = edit.added == NULL ? KVORUM_NO_MEMORY : lsm_levels_create(&empty);
    if (status == KVORUM_OK)
        status = open_tables(lsm, manifest, &edit);
    if (status == KVORUM_OK)
        status = open_blobs(lsm, manifest, &edit, &ret_state->blobs);
    if (status == KVORUM_OK)
        status = lsm_levels_edit(empty, &edit, &ret_state->levels);
    number_tables(lsm, &edit);
    if (status != KVORUM_OK)
        for (size_t i = 0; i < edit.added_count; i++)
            lsm_table_release(edit.added[i].table);
    free(edit.added);
    lsm_levels_release(empty);
    return status;
}

static kvorum_status check_merge(struct lsm *lsm, const struct lsm_manifest *manifest)
{
    struct bytes ours = merge_name(lsm);
    if (ours.size == 0 || manifest->merge_name.size == 0 || bytes_equal(ours, manifest->merge_name))
        return KVORUM_OK;
    log_error(lsm->log, "the store was made with another merge operator",
              LOG_TEXT("store", lsm->path), LOG_BYTES("its", manifest->merge_name),
              LOG_BYTES("given", ours));
    return KVORUM_INVALID;
}

static kvorum_status adopt(struct lsm *lsm, const struct lsm_manifest *manifest)
{
    struct lsm_state next = { .active = lsm_state_now(lsm)->active };
    if (manifest->store.low != lsm->store.low || manifest->store.high != lsm->store.high) {
        log_error(lsm->log, "the manifest belongs to another store", LOG_TEXT("store", lsm->path));
        return KVORUM_FOREIGN;
    }
    kvorum_status status = check_merge(lsm, manifest);
    if (status == KVORUM_OK)
        status = open_files(lsm, manifest, &next);
    if (status == KVORUM_OK) {
        lsm_memtable_reference(next.active);
        status = lsm_state_set(lsm, &next);
        if (status != KVORUM_OK)
            lsm_memtable_release(next.active);
    }
    if (status != KVORUM_OK) {
        lsm_levels_release(next.levels);
        lsm_blobs_release(next.blobs);
        return status;
    }
    lsm->next_file = manifest->next_file;
    lsm->first_segment = manifest->first_segment;
    lsm->log_begins = manifest->log_begins;
    lsm->flushed_batch = manifest->flushed_batch;
    lsm->sequence = lsm->flushed_sequence = manifest->flushed_sequence;
    return KVORUM_OK;
}

kvorum_status lsm_manifest_load(struct lsm *lsm)
{
    struct lsm_manifest manifest;
    struct buffer bytes;
    struct arena arena;
    buffer_init(&bytes, MANIFEST_SIZE_MAX + 16);
    arena_init(&arena, ARENA_LIMIT);
    kvorum_status status = lsm_manifest_read(lsm, &bytes);
    if (status == KVORUM_OK)
        status = lsm_manifest_decode(buffer_bytes(&bytes), &arena, &manifest);
    if (status != KVORUM_OK)
        log_error(lsm->log, "the manifest cannot be read", LOG_TEXT("store", lsm->path),
                  LOG_TEXT("file", "MANIFEST"), LOG_STATUS(status));
    else
        status = adopt(lsm, &manifest);
    arena_done(&arena);
    buffer_done(&bytes);
    return status;
}

/* --- orphans ------------------------------------------------------------------------------- */

/* Names are gathered first: a directory is not changed while it is listed. */
struct orphans {
    struct lsm *lsm;
    struct buffer names; /* each with its NUL */
};

static bool is_named(const struct lsm *lsm, const char *name)
{
    const struct lsm_state *state = atomic_load(&lsm->state);
    uint64_t number;
    if (lsm_file_parse(name, LSM_FILE_BLOB, &number))
        return lsm_blobs_find(state->blobs, number) != NULL;
    if (!lsm_file_parse(name, LSM_FILE_TABLE, &number))
        return true;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < state->levels->level[i].count; j++)
            if (state->levels->level[i].tables[j]->meta.number == number)
                return true;
    return false;
}

/* One that cannot be removed keeps its name: none is given twice. */
static void pass_number(struct lsm *lsm, const char *name)
{
    uint64_t number;
    if ((lsm_file_parse(name, LSM_FILE_TABLE, &number) ||
         lsm_file_parse(name, LSM_FILE_BLOB, &number)) &&
        number >= lsm->next_file)
        lsm->next_file = number + 1;
}

static bool see_name(void *context, const char *name)
{
    struct orphans *orphans = context;
    pass_number(orphans->lsm, name);
    bool temporary = strcmp(name, "MANIFEST.new") == 0 || strcmp(name, "FORMAT.new") == 0;
    if (temporary || !is_named(orphans->lsm, name))
        buffer_append(&orphans->names, name, strlen(name) + 1);
    if (!temporary && !is_named(orphans->lsm, name))
        PROBE("lsm: an orphan was found");
    return true;
}

void lsm_remove_orphans(struct lsm *lsm)
{
    struct orphans orphans = { .lsm = lsm };
    buffer_init(&orphans.names, 1 << 24);
    (void)lsm->disk->ops->list(lsm->disk, lsm->path, see_name, &orphans);
    for (size_t at = 0; at < orphans.names.size;) {
        const char *name = (const char *)orphans.names.data + at;
        char path[LSM_PATH_SIZE];
        if (lsm_path(lsm, name, path) == KVORUM_OK)
            (void)lsm->disk->ops->remove(lsm->disk, path);
        at += strlen(name) + 1;
    }
    buffer_done(&orphans.names);
}
