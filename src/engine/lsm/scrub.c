/* SPDX-License-Identifier: Apache-2.0 */
/* Reading all tables in small steps.  They go by in the order in which they became part of the
 * store: what compactions put in their place comes later.  A table with a number from `end` on was
 * begun after the scrub, and is not read; one with a lower number may have been written before it
 * though nobody shows it yet, so the scrub waits for who is making it. */
#include "engine/lsm/scrub.h"
#include "base/planted.h"
#include "engine/lsm/background/background.h"
#include "engine/lsm/table/walk.h"

/* --- values out of line ---------------------------------------------------------------------- */

void lsm_value_check_init(struct lsm_value_check *check, struct lsm *lsm)
{
    *check = (struct lsm_value_check){ .lsm = lsm };
    buffer_init(&check->memory, LSM_BLOB_RECORD_SIZE_MAX);
    buffer_init(&check->upper, ENGINE_KEY_SIZE_MAX + 1);
}

void lsm_value_check_done(struct lsm_value_check *check)
{
    buffer_done(&check->memory);
    buffer_done(&check->upper);
}

static kvorum_status read_value(struct lsm_value_check *check, struct bytes place)
{
    struct bytes value;
    kvorum_status status = lsm_blob_read(check->lsm, place, &check->memory, &value);
    if (status == KVORUM_IO) /* once more, as walks do */
        status = lsm_blob_read(check->lsm, place, &check->memory, &value);
    return status;
}

kvorum_status lsm_value_check(struct lsm_value_check *check, const struct lsm_entry *entry,
                              struct engine_loss *ret_loss)
{
    struct lsm_blob_address address = { 0 };
    kvorum_status status = KVORUM_CORRUPT;
    check->size = 0;
    if (entry->kind != LSM_BLOB)
        return KVORUM_OK;
    if (lsm_blob_address_decode(entry->value, &address)) {
        check->size = address.size;
        status = read_value(check, entry->value);
    }
    if (status == KVORUM_OK || status == KVORUM_NO_MEMORY)
        return status;
    lsm_file_name(LSM_FILE_BLOB, address.number, check->name);
    buffer_reset(&check->upper);
    buffer_append_bytes(&check->upper, entry->key);
    buffer_append_u8(&check->upper, 0);
    if (check->upper.failed)
        return KVORUM_NO_MEMORY;
    struct bytes upper = buffer_bytes(&check->upper);
    *ret_loss = (struct engine_loss){
        .damage = { check->name, address.offset, "a value that a table points to cannot be read",
                    status },
        .lost = true,
        .lower = bytes_make(upper.data, upper.size - 1),
        .upper = upper,
    };
    return status;
}

/* --- steps ----------------------------------------------------------------------------------- */

struct scrubbing {
    struct lsm_value_check check;
    struct lsm_table_walk walk;
    struct engine_scrub *scrub;
    void (*report)(void *context, const struct engine_loss *loss);
    void *context;
    bool making; /* tables that are to be read and not there yet */
};

static kvorum_status on_loss(void *context, const struct engine_loss *loss)
{
    const struct scrubbing *scrubbing = context;
    PROBE("lsm: a scrub met damage");
    scrubbing->report(scrubbing->context, loss);
    return KVORUM_OK;
}

static kvorum_status on_entry(void *context, const struct lsm_entry *entry)
{
    struct scrubbing *scrubbing = context;
    struct engine_loss loss;
    kvorum_status status = lsm_value_check(&scrubbing->check, entry, &loss);
    scrubbing->walk.size += scrubbing->check.size;
    scrubbing->scrub->blocks += scrubbing->check.size > 0;
    if (status == KVORUM_OK || status == KVORUM_NO_MEMORY)
        return status;
    return on_loss(context, &loss);
}

/* The first that was shown as `place`-th or later, with a number before `end`; NULL: there is none.
 */
static struct lsm_table *table_from(const struct lsm_levels *levels, uint64_t place, uint64_t end)
{
    struct lsm_table *found = NULL;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < levels->level[i].count; j++) {
            struct lsm_table *table = levels->level[i].tables[j];
            if (table->shown >= place && table->meta.number < end &&
                (found == NULL || table->shown < found->shown))
                found = table;
        }
    return found;
}

static kvorum_status step_table(struct scrubbing *scrubbing, struct lsm_table *table)
{
    struct engine_scrub *scrub = scrubbing->scrub;
    struct lsm_table_walk *walk = &scrubbing->walk;
    bool same = scrub->file == table->shown;
    *walk = (struct lsm_table_walk){
        .place = same ? (size_t)scrub->place : 0,
        .budget = scrub->budget - scrub->size,
        .entry = on_entry,
        .loss = on_loss,
        .context = scrubbing,
    };
    size_t before = walk->place;
    kvorum_status status = lsm_table_walk(table, walk);
    scrub->size += walk->size;
    scrub->blocks += walk->place - before;
    scrub->file = table->shown + walk->finished;
    scrub->place = walk->finished ? 0 : walk->place;
    return status;
}

/* The next table, or what comes behind the last one. */
static kvorum_status step_tables(struct scrubbing *scrubbing, const struct lsm_levels *levels)
{
    struct engine_scrub *scrub = scrubbing->scrub;
    struct lsm_table *table = table_from(levels, scrub->file, scrub->end);
    if (table != NULL)
        return step_table(scrubbing, table);
    scrub->waits = scrubbing->making;
    if (scrub->waits)
        PROBE("lsm: a scrub waited for a table that was being made");
    else
        lsm_scrub_files_begin(scrubbing->check.lsm, scrub);
    return KVORUM_OK;
}

kvorum_status lsm_scrub(struct engine *engine, struct engine_scrub *scrub,
                        void (*report)(void *context, const struct engine_loss *loss),
                        void *context)
{
    struct lsm *lsm = (struct lsm *)engine;
    struct scrubbing scrubbing = { .scrub = scrub, .report = report, .context = context };
    kvorum_status status = KVORUM_OK;
    lsm_value_check_init(&scrubbing.check, lsm);
    pthread_mutex_lock(&lsm->mutex);
    struct lsm_state *state = lsm_state_now(lsm);
    lsm_state_reference(state);
    if (scrub->end == 0)
        scrub->end = lsm->next_file;
    scrubbing.making = lsm_making_before(lsm, scrub->end);
    pthread_mutex_unlock(&lsm->mutex);
    scrub->size = scrub->blocks = 0;
    scrub->finished = scrub->waits = false;
    while (status == KVORUM_OK && !scrub->finished && !scrub->waits && scrub->size < scrub->budget)
        status = scrub->part == LSM_SCRUB_TABLES
                     ? step_tables(&scrubbing, state->levels)
                     : lsm_scrub_files(lsm, state, scrub, report, context);
    lsm_state_release(state);
    lsm_value_check_done(&scrubbing.check);
    return status;
}
