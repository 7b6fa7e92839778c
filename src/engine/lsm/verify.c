/* SPDX-License-Identifier: Apache-2.0 */
/* Reading everything, past the caches, and checking it. */
#include "engine/lsm/internal.h"

#include <stdlib.h>

struct verification {
    void (*report)(void *context, const struct engine_damage *damage);
    void *context;
    bool damaged;
};

static void pass_on(void *context, const struct engine_damage *damage)
{
    struct verification *verification = context;
    verification->damaged = true;
    verification->report(verification->context, damage);
}

static kvorum_status verify_tables(struct lsm *lsm, const struct lsm_state *state,
                                   struct verification *verification)
{
    kvorum_status status = KVORUM_OK;
    for (int i = 0; i < ENGINE_LEVELS; i++) {
        const struct lsm_level *level = &state->levels->level[i];
        for (size_t j = 0; j < level->count && status == KVORUM_OK; j++) {
            epoch_guard guard = epoch_enter(&lsm->epoch);
            status = lsm_table_verify(level->tables[j], pass_on, verification);
            epoch_leave(guard);
            if (status == KVORUM_CORRUPT) /* reported; the others are looked at all the same */
                status = KVORUM_OK;
        }
    }
    return status;
}

static void report_blob(struct verification *verification, struct bytes place, kvorum_status status)
{
    char name[LSM_NAME_SIZE] = "";
    struct lsm_blob_address address = { 0 };
    if (lsm_blob_address_decode(place, &address))
        lsm_file_name(LSM_FILE_BLOB, address.number, name);
    struct engine_damage damage = { .file = name,
                                    .offset = address.offset,
                                    .what = "a value that a table points to cannot be read",
                                    .status = status };
    pass_on(verification, &damage);
}

/* A damaged table was reported when it was looked at itself. */
static kvorum_status beyond_damage(kvorum_status status)
{
    return status == KVORUM_NO_MEMORY ? status : KVORUM_OK;
}

/* Every value out of line that some table points to.  NO_MEMORY is no damage. */
static kvorum_status verify_blobs(struct lsm *lsm, struct lsm_source *source,
                                  struct verification *verification)
{
    kvorum_status status = KVORUM_OK;
    struct buffer value;
    buffer_init(&value, (size_t)ENGINE_VALUE_SIZE_MAX + 1);
    for (; source->valid && status == KVORUM_OK; source->ops->next(source)) {
        if (source->entry.kind != LSM_BLOB)
            continue;
        buffer_reset(&value);
        status = lsm_blob_read(lsm, source->entry.value, &value);
        if (status != KVORUM_OK && status != KVORUM_NO_MEMORY)
            report_blob(verification, source->entry.value, status);
        status = beyond_damage(status);
    }
    buffer_done(&value);
    return status == KVORUM_OK ? beyond_damage(source->status) : status;
}

static kvorum_status verify_level(struct lsm *lsm, const struct lsm_level *level,
                                  struct verification *verification)
{
    struct lsm_table_scan scan = { .sequential = true };
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < level->count && status == KVORUM_OK; i++) {
        struct lsm_source *source;
        epoch_guard guard = epoch_enter(&lsm->epoch);
        status = lsm_table_source(level->tables[i], &scan, &source);
        if (status == KVORUM_OK) {
            source->ops->first(source);
            status = verify_blobs(lsm, source, verification);
            source->ops->close(source);
        }
        epoch_leave(guard);
        status = beyond_damage(status);
    }
    return status;
}

kvorum_status lsm_verify(struct engine *engine,
                         void (*report)(void *context, const struct engine_damage *damage),
                         void *context)
{
    struct lsm *lsm = (struct lsm *)engine;
    struct verification verification = { report, context, false };
    pthread_mutex_lock(&lsm->mutex);
    struct lsm_state *state = lsm_state_now(lsm);
    lsm_state_reference(state);
    pthread_mutex_unlock(&lsm->mutex);
    kvorum_status status = verify_tables(lsm, state, &verification);
    bool blobs = state->blobs != NULL && state->blobs->count > 0;
    for (int i = 0; i < ENGINE_LEVELS && blobs && status == KVORUM_OK; i++)
        status = verify_level(lsm, &state->levels->level[i], &verification);
    lsm_state_release(state);
    return status == KVORUM_OK && verification.damaged ? KVORUM_CORRUPT : status;
}

kvorum_status lsm_range_size(struct engine *engine, const struct engine_range *range,
                             uint64_t *ret_size)
{
    struct lsm *lsm = (struct lsm *)engine;
    uint64_t size = 0;
    epoch_guard guard = epoch_enter(&lsm->epoch);
    const struct lsm_levels *levels = atomic_load(&lsm->state)->levels;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < levels->level[i].count; j++)
            size += lsm_table_range_size(levels->level[i].tables[j], range->lower, range->upper);
    epoch_leave(guard);
    *ret_size = size;
    return KVORUM_OK;
}
