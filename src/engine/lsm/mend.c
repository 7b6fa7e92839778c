/* SPDX-License-Identifier: Apache-2.0 */
/* A damaged table is written anew from what is intact of it, at its own place:
 *
 *      walk     is anything damaged, and may all that is lost with it be lost?     no: leave it
 *      walk     intact entries, as they are, in all versions --> another table
 *      install  the one for the other
 *
 * Compactions stand still meanwhile, as for one by hand, so that nobody else has the table. */
#include "base/planted.h"
#include "engine/lsm/background/background.h"
#include "engine/lsm/background/output.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/levels/install.h"
#include "engine/lsm/scrub.h"
#include "engine/lsm/table/walk.h"
#include <stdlib.h>

struct mending {
    struct lsm *lsm;
    const struct engine_range *lost;
    size_t count;
    void (*report)(void *context, const struct engine_loss *loss);
    void *context;
    struct lsm_value_check check;
    bool damaged, uncovered;
    /* of the second walk */
    struct lsm_table_writer *writer;
    struct lsm_blob_tally tally;
};

/* --- what may be lost ------------------------------------------------------------------------ */

static bool covers(const struct engine_range *range, const struct engine_loss *loss)
{
    bool above = range->upper.size == 0 ||
                 (loss->upper.size > 0 && bytes_compare(loss->upper, range->upper) <= 0);
    return above && bytes_compare(range->lower, loss->lower) <= 0;
}

/* What cannot be read may be intact: a disk that fails is no reason to write a table without it. */
static bool may_be_lost(const struct mending *mending, const struct engine_loss *loss)
{
    if (loss->damage.status == KVORUM_IO)
        return false;
    for (size_t i = 0; i < mending->count; i++)
        if (covers(&mending->lost[i], loss))
            return true;
    return !loss->lost;
}

static kvorum_status judge_loss(void *context, const struct engine_loss *loss)
{
    struct mending *mending = context;
    mending->damaged = true;
    if (may_be_lost(mending, loss))
        return KVORUM_OK;
    mending->uncovered = true;
    mending->report(mending->context, loss);
    return KVORUM_OK;
}

static kvorum_status judge_entry(void *context, const struct lsm_entry *entry)
{
    struct mending *mending = context;
    struct engine_loss loss;
    kvorum_status status = lsm_value_check(&mending->check, entry, &loss);
    if (status == KVORUM_OK || status == KVORUM_NO_MEMORY)
        return status;
    return judge_loss(context, &loss);
}

/* --- the other table ------------------------------------------------------------------------- */

static kvorum_status keep_entry(void *context, const struct lsm_entry *entry)
{
    struct mending *mending = context;
    struct lsm_blob_address address;
    struct engine_loss loss;
    kvorum_status status = lsm_value_check(&mending->check, entry, &loss);
    if (status == KVORUM_NO_MEMORY)
        return status;
    if (status != KVORUM_OK)
        return judge_loss(context, &loss);
    if (entry->kind == LSM_BLOB && lsm_blob_address_decode(entry->value, &address) &&
        !lsm_blob_tally_add(&mending->tally, address.number, address.size))
        return KVORUM_NO_MEMORY;
    return lsm_table_writer_add(mending->writer, entry);
}

static kvorum_status keep_range(void *context, const struct lsm_range *range)
{
    struct mending *mending = context;
    return lsm_table_writer_add_range(mending->writer, range);
}

static kvorum_status make_table(struct mending *mending, const char *path,
                                struct lsm_table_meta *meta, struct lsm_table **ret_table)
{
    struct lsm *lsm = mending->lsm;
    struct lsm_table *table;
    kvorum_status status = lsm_table_create(lsm->disk, path, &lsm->store, meta, lsm->cache, &table);
    if (status != KVORUM_OK) {
        (void)!lsm->disk->ops->remove(lsm->disk, path);
        free((void *)(uintptr_t)meta->lower.data);
        return status;
    }
    if (!lsm_blob_tally_take(&mending->tally, &table->shares))
        status = KVORUM_NO_MEMORY;
    if (status == KVORUM_OK && meta->ranges > 0)
        status = lsm_table_load_ranges(table);
    if (status != KVORUM_OK) {
        atomic_store(&table->obsolete, true);
        lsm_table_release(table);
        return status;
    }
    *ret_table = table;
    return KVORUM_OK;
}

static kvorum_status open_writer(struct mending *mending, int level, char *ret_path)
{
    struct lsm *lsm = mending->lsm;
    struct lsm_table_options options = lsm_table_options_of(lsm, level);
    pthread_mutex_lock(&lsm->mutex);
    uint64_t number = lsm->next_file++;
    struct lsm_id file = lsm_new_id(lsm);
    pthread_mutex_unlock(&lsm->mutex);
    kvorum_status status = lsm_file_path(lsm, LSM_FILE_TABLE, number, ret_path);
    return status == KVORUM_OK ? lsm_table_writer_create(lsm->disk, ret_path, &lsm->store, &file,
                                                         number, &options, &mending->writer)
                               : status;
}

/* *ret_table: NULL when nothing was intact. */
static kvorum_status write_anew(struct mending *mending, struct lsm_table *table, int level,
                                struct lsm_table **ret_table)
{
    char path[LSM_PATH_SIZE];
    struct lsm_table_meta meta;
    struct lsm_table_walk walk = { .budget = UINT64_MAX,
                                   .salvage = true,
                                   .entry = keep_entry,
                                   .range = keep_range,
                                   .loss = judge_loss,
                                   .context = mending };
    *ret_table = NULL;
    kvorum_status status = open_writer(mending, level, path);
    if (status != KVORUM_OK)
        return status;
    status = lsm_table_walk(table, &walk);
    if (status == KVORUM_OK && mending->uncovered) /* more is damaged than a moment ago */
        status = KVORUM_CORRUPT;
    if (status != KVORUM_OK || lsm_table_writer_empty(mending->writer)) {
        lsm_table_writer_abandon(mending->writer);
        return status;
    }
    status = lsm_table_writer_finish(mending->writer, &meta);
    return status == KVORUM_OK ? make_table(mending, path, &meta, ret_table) : status;
}

/* --- one table, without the mutex ------------------------------------------------------------ */

static kvorum_status judge_table(struct mending *mending, struct lsm_table *table)
{
    struct lsm_table_walk walk = { .budget = UINT64_MAX,
                                   .salvage = true,
                                   .entry = judge_entry,
                                   .loss = judge_loss,
                                   .context = mending };
    mending->damaged = mending->uncovered = false;
    kvorum_status status = lsm_table_walk(table, &walk);
    return status == KVORUM_OK && mending->uncovered ? KVORUM_CORRUPT : status;
}

/* *ret_changed: the table goes, for *ret_table, or for nothing when that is NULL. */
static kvorum_status mend_table(struct mending *mending, struct lsm_table *table, int level,
                                bool *ret_changed, struct lsm_table **ret_table)
{
    *ret_changed = false;
    kvorum_status status = judge_table(mending, table);
    if (status == KVORUM_OK && mending->damaged) {
        status = write_anew(mending, table, level, ret_table);
        *ret_changed = status == KVORUM_OK;
    }
    lsm_blob_tally_done(&mending->tally);
    mending->tally = (struct lsm_blob_tally){ 0 };
    return status;
}

/* --- all of them, with the mutex -------------------------------------------------------------- */

static bool meets(const struct mending *mending, const struct lsm_table *table)
{
    for (size_t i = 0; i < mending->count; i++)
        if (lsm_below_upper(table->meta.lower, mending->lost[i].upper) &&
            lsm_below_upper(mending->lost[i].lower, table->meta.upper))
            return true;
    return false;
}

static struct lsm_table *next_table(const struct mending *mending, uint64_t number, uint64_t end,
                                    int *ret_level)
{
    const struct lsm_levels *levels = lsm_state_now(mending->lsm)->levels;
    struct lsm_table *found = NULL;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        for (size_t j = 0; j < levels->level[i].count; j++) {
            struct lsm_table *table = levels->level[i].tables[j];
            uint64_t own = table->meta.number;
            if (own < number || own >= end || !meets(mending, table) ||
                (found != NULL && own > found->meta.number))
                continue;
            found = table;
            *ret_level = i;
        }
    return found;
}

static kvorum_status exchange_table(struct mending *mending, struct lsm_table *table, int level)
{
    struct lsm *lsm = mending->lsm;
    struct lsm_table *other = NULL;
    bool changed;
    lsm_table_reference(table);
    pthread_mutex_unlock(&lsm->mutex);
    kvorum_status status = mend_table(mending, table, level, &changed, &other);
    pthread_mutex_lock(&lsm->mutex);
    if (changed) {
        PROBE("lsm: a damaged table was mended");
        struct lsm_edit_add added = { level, other };
        struct lsm_install install = { .edit = { &added, other != NULL, &table, 1 } };
        status = lsm_install(lsm, &install);
    }
    pthread_mutex_unlock(&lsm->mutex);
    lsm_table_release(table);
    pthread_mutex_lock(&lsm->mutex);
    return changed ? status : status == KVORUM_OK ? KVORUM_NOT_FOUND : status;
}

/* One that cannot be mended keeps no other from it. */
static kvorum_status mend_all(struct mending *mending, uint64_t *ret_mended)
{
    struct lsm *lsm = mending->lsm;
    kvorum_status status = KVORUM_OK;
    uint64_t number = 0, end = lsm->next_file;
    struct lsm_table *table;
    int level = 0;
    while (!lsm->closing && (table = next_table(mending, number, end, &level)) != NULL) {
        number = table->meta.number + 1;
        kvorum_status own = exchange_table(mending, table, level);
        *ret_mended += own == KVORUM_OK;
        if (own != KVORUM_OK && own != KVORUM_NOT_FOUND && status != KVORUM_CORRUPT)
            status = own;
    }
    return lsm->closing ? KVORUM_CLOSED : status;
}

static void wait_until(struct lsm *lsm)
{
    pthread_cond_wait(&lsm->changed, &lsm->mutex);
}

kvorum_status lsm_mend(struct engine *engine, const struct engine_range *lost, size_t count,
                       void (*report)(void *context, const struct engine_loss *loss), void *context,
                       uint64_t *ret_mended)
{
    struct lsm *lsm = (struct lsm *)engine;
    struct mending mending = {
        .lsm = lsm, .lost = lost, .count = count, .report = report, .context = context
    };
    if (lsm->options.read_only)
        return KVORUM_NOT_ALLOWED;
    lsm_value_check_init(&mending.check, lsm);
    pthread_mutex_lock(&lsm->mutex);
    while (lsm->manual > 0)
        wait_until(lsm);
    lsm->manual++;
    while (lsm->compactions_running > 0)
        wait_until(lsm);
    struct lsm_maker maker;
    lsm_maker_begin(lsm, &maker);
    kvorum_status status = mend_all(&mending, ret_mended);
    lsm_maker_end(&maker);
    lsm->manual--;
    if (*ret_mended > 0)
        lsm->compaction_failure = KVORUM_OK; /* damage may have stopped them */
    pthread_cond_broadcast(&lsm->changed);
    lsm_background(lsm);
    pthread_mutex_unlock(&lsm->mutex);
    lsm_value_check_done(&mending.check);
    epoch_poll(&lsm->epoch);
    return status;
}
