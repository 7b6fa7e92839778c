/* SPDX-License-Identifier: Apache-2.0 */
/* A store with the state of now, made of hard links: files are immutable, so both stores can have
 * them.  FORMAT comes last: without it the directory is not a store. */
#include "engine/lsm/background/background.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/levels/install.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAMES_SIZE_MAX = 1 << 30 }; /* of a directory, together */

static kvorum_status link_file(struct lsm *lsm, enum lsm_file kind, uint64_t number,
                               const char *directory)
{
    char from[LSM_PATH_SIZE], to[LSM_PATH_SIZE], name[LSM_NAME_SIZE];
    lsm_file_name(kind, number, name);
    kvorum_status status = lsm_path(lsm, name, from);
    int size = snprintf(to, sizeof(to), "%s/%s", directory, name);
    if (status == KVORUM_OK && (size < 0 || size >= LSM_PATH_SIZE))
        status = KVORUM_INVALID;
    return status == KVORUM_OK ? lsm->disk->ops->link(lsm->disk, from, to) : status;
}

static kvorum_status link_files(struct lsm *lsm, const struct lsm_state *state,
                                const char *directory)
{
    kvorum_status status = KVORUM_OK;
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        const struct lsm_level *level = &state->levels->level[i];
        for (size_t j = 0; j < level->count && status == KVORUM_OK; j++)
            status = link_file(lsm, LSM_FILE_TABLE, level->tables[j]->meta.number, directory);
    }
    for (size_t i = 0; state->blobs != NULL && i < state->blobs->count && status == KVORUM_OK; i++)
        status = link_file(lsm, LSM_FILE_BLOB, state->blobs->uses[i].file->number, directory);
    return status;
}

static kvorum_status make_empty_directory(struct lsm *lsm, const char *path)
{
    bool taken = false;
    kvorum_status status = lsm_make_directory(lsm->disk, path);
    if (status == KVORUM_OK)
        status = lsm_directory_taken(lsm->disk, path, &taken);
    return status == KVORUM_OK && taken ? KVORUM_EXISTS : status;
}

/* With the mutex: what the manifest over there says, of a state in which all is in tables. */
static kvorum_status describe(struct lsm *lsm, const struct lsm_state *state,
                              struct buffer *ret_bytes)
{
    struct lsm_manifest manifest = { .flushed_batch = lsm->flushed_batch,
                                     .flushed_sequence = lsm->flushed_sequence,
                                     .first_segment = 1,
                                     .log_begins = true };
    return lsm_manifest_bytes(lsm, &manifest, state->levels, state->blobs, ret_bytes);
}

static bool gather_name(void *context, const char *name)
{
    buffer_append(context, name, strlen(name) + 1);
    return true;
}

/* What was begun is no store and holds on to files; what cannot be removed stays. */
static void give_up(struct lsm *lsm, const char *directory)
{
    struct buffer names; /* gathered first: a directory is not changed while it is listed */
    buffer_init(&names, NAMES_SIZE_MAX);
    (void)lsm->disk->ops->list(lsm->disk, directory, gather_name, &names);
    for (size_t at = 0; at < names.size;) {
        const char *name = (const char *)names.data + at;
        char path[LSM_PATH_SIZE];
        int size = snprintf(path, sizeof(path), "%s/%s", directory, name);
        if (size > 0 && size < LSM_PATH_SIZE)
            (void)lsm->disk->ops->remove(lsm->disk, path);
        at += strlen(name) + 1;
    }
    (void)lsm->disk->ops->remove(lsm->disk, directory);
    buffer_done(&names);
}

static kvorum_status make_store(struct lsm *lsm, const struct lsm_state *state,
                                struct bytes manifest, const char *directory)
{
    bool unsure;
    kvorum_status status = make_empty_directory(lsm, directory);
    if (status != KVORUM_OK)
        return status;
    status = link_files(lsm, state, directory);
    if (status == KVORUM_OK)
        status = lsm_write_whole(lsm->disk, directory, "MANIFEST", manifest, &unsure);
    if (status == KVORUM_OK)
        status = lsm_format_write(lsm, directory);
    if (status != KVORUM_OK)
        give_up(lsm, directory);
    return status;
}

/* What was written before the call is in the state taken after the flush. */
kvorum_status lsm_checkpoint(struct engine *engine, const char *path)
{
    struct lsm *lsm = (struct lsm *)engine;
    struct buffer manifest;
    kvorum_status status = lsm_flush_all(engine);
    if (status != KVORUM_OK)
        return status;
    buffer_init(&manifest, LSM_MANIFEST_SIZE_MAX);
    pthread_mutex_lock(&lsm->mutex);
    while (lsm->installing)
        pthread_cond_wait(&lsm->changed, &lsm->mutex);
    struct lsm_state *state = lsm_state_now(lsm);
    lsm_state_reference(state);
    status = describe(lsm, state, &manifest);
    pthread_mutex_unlock(&lsm->mutex);
    if (status == KVORUM_OK)
        status = make_store(lsm, state, buffer_bytes(&manifest), path);
    lsm_state_release(state);
    buffer_done(&manifest);
    return status;
}
