/* SPDX-License-Identifier: Apache-2.0 */
/* At open: what the manifest names becomes the first state, or there is none yet and the first is
 * written.
 *
 *      MANIFEST --> decoded --> of this store, with this merge operator?
 *                                   --> every file there and of its size?  --> levels, blobs, state
 *
 * Readers are shown nothing before all of it was found good. */
#include "engine/lsm/background/output.h"
#include "engine/lsm/levels/install.h"
#include "engine/lsm/levels/install_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_LIMIT = 1 << 30 };

/* --- the file ------------------------------------------------------------------------------ */

kvorum_status lsm_manifest_begin(struct lsm *lsm)
{
    struct lsm_manifest manifest = { .first_segment = 1 };
    struct buffer bytes;
    bool unsure;
    const struct lsm_state *now = lsm_state_now(lsm);
    lsm->next_file = lsm->first_segment = 1;
    buffer_init(&bytes, LSM_MANIFEST_SIZE_MAX);
    kvorum_status status = lsm_manifest_bytes(lsm, &manifest, now->levels, NULL, &bytes);
    if (status == KVORUM_OK)
        status = lsm_write_whole(lsm->disk, lsm->path, "MANIFEST", buffer_bytes(&bytes), &unsure);
    buffer_done(&bytes);
    return status;
}

kvorum_status lsm_manifest_read(struct lsm *lsm, struct buffer *ret_bytes)
{
    struct disk_file *file;
    uint64_t size = 0;
    size_t read_size = 0;
    kvorum_status status = lsm_open_own(lsm, "MANIFEST", &file);
    if (status != KVORUM_OK)
        return status;
    status = file->ops->size(file, &size);
    uint8_t *at = status == KVORUM_OK && size <= LSM_MANIFEST_SIZE_MAX
                      ? buffer_reserve(ret_bytes, size + 1)
                      : NULL;
    if (status == KVORUM_OK && at == NULL)
        status = size > LSM_MANIFEST_SIZE_MAX ? KVORUM_CORRUPT : KVORUM_NO_MEMORY;
    if (status == KVORUM_OK)
        status = file->ops->pread(file, at, size, 0, &read_size);
    ret_bytes->size += read_size;
    file->ops->close(file);
    return status;
}

/* --- tables -------------------------------------------------------------------------------- */

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

/* --- blob files ---------------------------------------------------------------------------- */

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

/* --- all of it ----------------------------------------------------------------------------- */

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
    lsm_number_tables(lsm, &edit);
    if (status != KVORUM_OK)
        for (size_t i = 0; i < edit.added_count; i++)
            lsm_table_release(edit.added[i].table);
    free(edit.added);
    lsm_levels_release(empty);
    return status;
}

static kvorum_status check_merge(struct lsm *lsm, const struct lsm_manifest *manifest)
{
    struct bytes ours = lsm_merge_name(lsm);
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
    buffer_init(&bytes, LSM_MANIFEST_SIZE_MAX + 16);
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
