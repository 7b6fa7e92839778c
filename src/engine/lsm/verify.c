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

/* --- values out of line -------------------------------------------------------------------- */

static void report_damage(struct verification *verification, enum lsm_file kind, uint64_t number,
                          uint64_t offset, const char *what, kvorum_status status)
{
    char name[LSM_NAME_SIZE];
    lsm_file_name(kind, number, name);
    struct engine_damage damage = {
        .file = name, .offset = offset, .what = what, .status = status
    };
    pass_on(verification, &damage);
}

/* A damaged table was reported when it was looked at itself. */
static kvorum_status beyond_damage(kvorum_status status)
{
    return status == KVORUM_NO_MEMORY ? status : KVORUM_OK;
}

/* What is damaged here was reported, but NO_MEMORY, which is no damage. */
static kvorum_status verify_value(struct lsm *lsm, const struct lsm_table *table,
                                  struct bytes place, struct buffer *memory,
                                  struct lsm_blob_tally *tally, struct verification *verification)
{
    struct lsm_blob_address address;
    struct bytes value;
    if (!lsm_blob_address_decode(place, &address)) {
        report_damage(verification, LSM_FILE_TABLE, table->meta.number, 0,
                      "an address of a value out of line is damaged", KVORUM_CORRUPT);
        return KVORUM_OK;
    }
    if (!lsm_blob_tally_add(tally, address.number, address.size))
        return KVORUM_NO_MEMORY;
    kvorum_status status = lsm_blob_read(lsm, place, memory, &value);
    if (status != KVORUM_OK && status != KVORUM_NO_MEMORY)
        report_damage(verification, LSM_FILE_BLOB, address.number, address.offset,
                      "a value that a table points to cannot be read", status);
    return beyond_damage(status);
}

/* Too much claimed keeps garbage, too little lets go what is needed. */
static void compare_shares(const struct lsm_table *table, const struct lsm_blob_tally *tally,
                           struct verification *verification)
{
    size_t count = table->shares == NULL ? 0 : table->shares->count;
    bool same = count == tally->count;
    for (size_t i = 0; i < count && same; i++)
        same = table->shares->list[i].number == tally->list[i].number &&
               table->shares->list[i].size == tally->list[i].size;
    if (!same)
        report_damage(verification, LSM_FILE_TABLE, table->meta.number, 0,
                      "it refers to other blob files than the manifest says", KVORUM_CORRUPT);
}

static kvorum_status verify_values(struct lsm *lsm, const struct lsm_table *table,
                                   struct lsm_source *source, struct verification *verification)
{
    kvorum_status status = KVORUM_OK;
    struct lsm_blob_tally tally = { 0 };
    struct buffer memory;
    buffer_init(&memory, LSM_BLOB_RECORD_SIZE_MAX);
    for (; source->valid && status == KVORUM_OK; source->ops->next(source))
        if (source->entry.kind == LSM_BLOB)
            status = verify_value(lsm, table, source->entry.value, &memory, &tally, verification);
    if (status == KVORUM_OK && source->status == KVORUM_OK)
        compare_shares(table, &tally, verification);
    buffer_done(&memory);
    lsm_blob_tally_done(&tally);
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
            status = verify_values(lsm, level->tables[i], source, verification);
            source->ops->close(source);
        }
        epoch_leave(guard);
        status = beyond_damage(status);
    }
    return status;
}

kvorum_status lsm_blob_header_check(struct lsm *lsm, const struct lsm_blob_file *blob)
{
    uint8_t header[LSM_BLOB_HEADER_SIZE];
    struct disk_file *file;
    size_t size = 0;
    kvorum_status status = lsm->disk->ops->open(lsm->disk, blob->path, DISK_READ, &file);
    if (status == KVORUM_NOT_FOUND)
        return KVORUM_CORRUPT;
    if (status != KVORUM_OK)
        return status;
    status = file->ops->pread(file, header, sizeof(header), 0, &size);
    file->ops->close(file);
    return status == KVORUM_OK
               ? lsm_blob_header_judge(bytes_make(header, size), &lsm->store, blob->number)
               : status;
}

/* Reads do not need the headers. */
static kvorum_status verify_blobs(struct lsm *lsm, const struct lsm_state *state,
                                  struct verification *verification)
{
    kvorum_status status = KVORUM_OK;
    if (state->blobs == NULL || state->blobs->count == 0)
        return KVORUM_OK;
    for (size_t i = 0; i < state->blobs->count && status == KVORUM_OK; i++) {
        const struct lsm_blob_file *file = state->blobs->uses[i].file;
        status = lsm_blob_header_check(lsm, file);
        if (status != KVORUM_OK && status != KVORUM_NO_MEMORY)
            report_damage(verification, LSM_FILE_BLOB, file->number, 0, "the header is damaged",
                          status);
        status = beyond_damage(status);
    }
    for (int i = 0; i < ENGINE_LEVELS && status == KVORUM_OK; i++)
        status = verify_level(lsm, &state->levels->level[i], verification);
    return status;
}

/* --- all of it ----------------------------------------------------------------------------- */

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
    if (status == KVORUM_OK)
        status = verify_blobs(lsm, state, &verification);
    lsm_state_release(state);
    return status == KVORUM_OK && verification.damaged ? KVORUM_CORRUPT : status;
}

/* With so much of its values out of line as lies in the range of the table itself. */
static uint64_t table_range_size(struct lsm_table *table, const struct engine_range *range)
{
    uint64_t size = lsm_table_range_size(table, range->lower, range->upper);
    double part = (double)size / (double)table->meta.size;
    for (size_t i = 0; table->shares != NULL && i < table->shares->count && size > 0; i++)
        size += (uint64_t)((double)table->shares->list[i].size * part);
    return size;
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
            size += table_range_size(levels->level[i].tables[j], range);
    epoch_leave(guard);
    *ret_size = size;
    return KVORUM_OK;
}
