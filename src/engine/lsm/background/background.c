/* SPDX-License-Identifier: Apache-2.0 */
/* When flushes and compactions run, and what writers do meanwhile.
 *
 *      active memtable full --> frozen --> [flush] --> level 0 --> [compact] --> ...
 *
 *      level 0 has    trigger       slowdown                stop
 *                     compactions   writers pay for what    engine_write waits,
 *                     begin         they write, more and    engine_submit is refused
 *                                   more
 *
 * With a jobs object: one job flushes, and goes on compacting when it has flushed.  Without:
 * writers do it all, here.
 *
 * Slowing down needs no clock: a writer that has filled another MiB of the memtable waits until the
 * background has written as much as is due for it, from nothing at `slowdown` to PAY_MOST times as
 * much just before `stop`. */
#include "engine/lsm/background/background.h"
#include "base/planted.h"
#include "engine/lsm/background/jobs.h"

#include <assert.h>
#include <stdlib.h>

enum { PAY_STEP = 1024 * 1024, PAY_MOST = 8, KICKS_UNTIL_AGAIN = 256 };

bool lsm_progress(struct lsm *lsm, uint64_t size)
{
    pthread_mutex_lock(&lsm->mutex);
    lsm->progress += size;
    bool go_on = !lsm->closing;
    pthread_cond_broadcast(&lsm->changed);
    pthread_mutex_unlock(&lsm->mutex);
    return go_on;
}

/* Files and memory that nothing shows any more; not with the mutex, for it takes long. */
static void clean_up(struct lsm *lsm)
{
    pthread_mutex_unlock(&lsm->mutex);
    epoch_poll(&lsm->epoch);
    pthread_mutex_lock(&lsm->mutex);
}

/* --- flushes ------------------------------------------------------------------------------- */

static bool flush_is_due(struct lsm *lsm)
{
    return lsm_state_now(lsm)->frozen_count > 0 && !lsm->flushing_table && !lsm->closing &&
           lsm->failure == KVORUM_OK;
}

static void flush_one(struct lsm *lsm)
{
    struct lsm_maker maker;
    lsm->flushing_table = true;
    lsm_maker_begin(lsm, &maker);
    kvorum_status status = lsm_flush_oldest(lsm), before = lsm->flush_failure;
    lsm_maker_end(&maker);
    lsm->flushing_table = false;
    lsm->flush_failure = status == KVORUM_CLOSED ? KVORUM_OK : status;
    if (status == KVORUM_NO_SPACE)
        PROBE("lsm: no room for a flush");
    if (status == KVORUM_OK && before != KVORUM_OK)
        PROBE("lsm: a flush that had failed went well");
    if (lsm->compactions_running > 0)
        PROBE("lsm: a flush ended during a compaction");
    if (lsm->flush_failure != KVORUM_OK && status != before)
        log_warn(lsm->log, "a memtable could not be written to a table; it will be tried again",
                 LOG_TEXT("store", lsm->path), LOG_STATUS(status));
    pthread_cond_broadcast(&lsm->changed);
    clean_up(lsm);
}

static void flush_while_due(struct lsm *lsm)
{
    while (flush_is_due(lsm)) {
        flush_one(lsm);
        if (lsm->flush_failure != KVORUM_OK)
            return;
    }
}

/* --- compactions --------------------------------------------------------------------------- */

static bool may_compact(const struct lsm *lsm)
{
    return lsm->compactions_running < lsm->options.compactions && lsm->manual == 0 &&
           !lsm->closing && lsm->failure == KVORUM_OK &&
           (lsm->compaction_failure == KVORUM_OK || lsm->compaction_again);
}

static void compact_one(struct lsm *lsm, struct lsm_pick *pick)
{
    struct lsm_maker maker;
    lsm->compactions_running++;
    lsm->compaction_again = false;
    lsm_maker_begin(lsm, &maker);
    kvorum_status status = lsm_compact_pick(lsm, pick), before = lsm->compaction_failure;
    lsm_maker_end(&maker);
    lsm->compactions_running--;
    lsm->compaction_failure = status == KVORUM_CLOSED ? KVORUM_OK : status;
    lsm->counts.damage_met += status == KVORUM_CORRUPT;
    if (status == KVORUM_NO_SPACE)
        PROBE("lsm: no room for a compaction");
    if (status == KVORUM_OK && before != KVORUM_OK)
        PROBE("lsm: a compaction after one that had failed went well");
    if (lsm->compaction_failure != KVORUM_OK && status != before) {
        log_error(lsm->log, "a compaction failed: tables stay as they are",
                  LOG_TEXT("store", lsm->path), LOG_STATUS(status));
    }
    pthread_cond_broadcast(&lsm->changed);
    clean_up(lsm);
}

/* Blob files come last, for what else is due may empty them on its way; but it must not keep them
 * waiting for ever. */
static bool pick_next(struct lsm *lsm, struct lsm_pick *ret_pick)
{
    const struct lsm_state *now = lsm_state_now(lsm);
    bool first = !lsm->collected_last && lsm_collect_urgent(now->blobs);
    struct lsm_reads reads = lsm_reads_now(lsm);
    lsm->collected_last = first && lsm_collect_pick(now->levels, now->blobs, ret_pick);
    if (lsm->collected_last)
        return true;
    if (lsm_pick_next(now->levels, &lsm->policy, &reads, &lsm->cursor, ret_pick)) {
        lsm_reads_picked(lsm, ret_pick);
        return true;
    }
    lsm->collected_last = lsm_collect_pick(now->levels, now->blobs, ret_pick);
    return lsm->collected_last;
}

static bool compact_if_due(struct lsm *lsm)
{
    struct lsm_pick pick;
    if (!may_compact(lsm) || !pick_next(lsm, &pick))
        return false;
    compact_one(lsm, &pick);
    return true;
}

static bool compaction_is_due(struct lsm *lsm)
{
    const struct lsm_state *now = lsm_state_now(lsm);
    struct lsm_reads reads = lsm_reads_now(lsm);
    if (!may_compact(lsm))
        return false;
    for (int i = 0; i < ENGINE_LEVELS - 1; i++)
        if (lsm_level_score(now->levels, &lsm->policy, &reads, i) >= 1)
            return true;
    return lsm_collect_due(now->levels, now->blobs);
}

/* A job's work.  Flushes come first, also between two compactions. */
static void work(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->mutex);
    flush_while_due(lsm);
    lsm->flush_started = false; /* what is frozen from now on may start another */
    while (compact_if_due(lsm))
        flush_while_due(lsm);
    pthread_mutex_unlock(&lsm->mutex);
}

static void work_here(struct lsm *lsm)
{
    if (lsm->flushing_table || lsm->compactions_running > 0)
        return; /* another writer is at it, with the mutex let go */
    flush_while_due(lsm);
    while (lsm->flush_failure == KVORUM_OK && compact_if_due(lsm))
        flush_while_due(lsm);
}

/* A disk that was full may have room again, and what failed to be read or written goes to other
 * files and perhaps through another cable.  Damage stays. */
static bool may_try_again(const struct lsm *lsm)
{
    return lsm->compaction_failure != KVORUM_OK && lsm->compaction_failure != KVORUM_CORRUPT;
}

void lsm_background(struct lsm *lsm)
{
    lsm->compaction_again = may_try_again(lsm);
    if (lsm->jobs == NULL) {
        work_here(lsm);
        return;
    }
    if (lsm->flush_started || lsm->closing)
        return;
    if (flush_is_due(lsm) || (lsm->compactions_running == 0 && compaction_is_due(lsm)))
        lsm->flush_started = lsm_job_start(lsm, JOB_LENGTHY, work, NULL);
}

/* The first kick starts what an earlier life left undone; some later ones try again what failed,
 * which else would wait for a memtable to fill up. */
void lsm_background_kick(struct lsm *lsm)
{
    bool failed = lsm->flush_failure != KVORUM_OK || lsm->compaction_failure != KVORUM_OK;
    if (lsm->kicks++ == 0 || (failed && lsm->kicks % KICKS_UNTIL_AGAIN == 0))
        lsm_background(lsm);
}

/* --- writers ------------------------------------------------------------------------------- */

static void wait_for_change(struct lsm *lsm)
{
    pthread_cond_wait(&lsm->changed, &lsm->mutex);
}

/* How much a writer pays for a step, in parts of 256 of it. */
static uint64_t price(const struct lsm *lsm, size_t level0_count)
{
    uint64_t slowdown = lsm->options.level0_slowdown, stop = lsm->options.level0_stop;
    if (level0_count < slowdown)
        return 0;
    uint64_t over = level0_count - slowdown + 1;
    return 256 * PAY_MOST * over / (stop - slowdown + 1);
}

static bool background_is_at_work(const struct lsm *lsm)
{
    return lsm->compactions_running > 0 || lsm->flushing_table;
}

static void slow_down(struct lsm *lsm, bool *ret_waited)
{
    const struct lsm_state *now = lsm_state_now(lsm);
    uint64_t used = lsm_memtable_used(now->active);
    uint64_t price_now = price(lsm, now->levels->level[0].count);
    if (used < lsm->paid_used) /* another memtable */
        lsm->paid_used = 0;
    if (used < lsm->paid_used + PAY_STEP)
        return;
    if (price_now > 0 && background_is_at_work(lsm)) {
        uint64_t due = lsm->paid_progress + PAY_STEP / 256 * price_now;
        lsm->counts.slowdowns++;
        while (lsm->progress < due && background_is_at_work(lsm) && lsm->failure == KVORUM_OK) {
            wait_for_change(lsm);
            *ret_waited = true;
        }
    }
    lsm->paid_used = used;
    lsm->paid_progress = lsm->progress;
}

static bool is_stalled(struct lsm *lsm, bool may_wait)
{
    const struct lsm_state *now = lsm_state_now(lsm);
    size_t frozen_max = may_wait ? LSM_FROZEN_STALL : LSM_FROZEN_MAX;
    size_t level0_max = lsm->options.level0_stop;
    return now->frozen_count >= frozen_max || now->levels->level[0].count >= level0_max;
}

static kvorum_status stand_still(struct lsm *lsm, bool may_wait, bool *ret_waited)
{
    kvorum_status before =
        lsm->flush_failure != KVORUM_OK ? lsm->flush_failure : lsm->compaction_failure;
    lsm->counts.stalls++;
    lsm_background(lsm);
    if (!is_stalled(lsm, may_wait)) {
        *ret_waited = true;
        return KVORUM_OK;
    }
    if (before != KVORUM_OK)
        return before;
    if (lsm->flush_failure != KVORUM_OK)
        return lsm->flush_failure;
    if (!may_wait || (lsm->jobs == NULL && !background_is_at_work(lsm))) {
        PROBE("lsm: a batch was refused because flushes or compactions lag behind");
        return KVORUM_OVERLOADED;
    }
    wait_for_change(lsm);
    *ret_waited = true;
    return KVORUM_OK;
}

/* An empty memtable takes a batch, whatever it uses for itself. */
static bool is_full(struct lsm *lsm)
{
    const struct lsm_memtable *active = lsm_state_now(lsm)->active;
    return active->changes > 0 && lsm_memtable_used(active) >= lsm->options.memtable_size;
}

kvorum_status lsm_make_room(struct lsm *lsm, bool may_wait, bool *ret_waited)
{
    *ret_waited = false;
    if (!is_full(lsm)) {
        if (may_wait)
            slow_down(lsm, ret_waited);
        return KVORUM_OK;
    }
    if (is_stalled(lsm, may_wait))
        return stand_still(lsm, may_wait, ret_waited);
    kvorum_status status = lsm_freeze(lsm);
    if (status == KVORUM_OK)
        lsm_background(lsm);
    *ret_waited = true; /* doing it here lets the mutex go */
    return status;
}

/* --- by hand ------------------------------------------------------------------------------- */

/* The last batch in the memtable that is flushed next; UINT64_MAX: there is none. */
static uint64_t oldest_frozen(struct lsm *lsm)
{
    const struct lsm_state *now = lsm_state_now(lsm);
    return now->frozen_count > 0 ? now->frozen[now->frozen_count - 1]->batch_last : UINT64_MAX;
}

/* One memtable fewer is frozen, or will be soon. */
static kvorum_status flush_or_wait(struct lsm *lsm)
{
    if (lsm->failure != KVORUM_OK)
        return KVORUM_POISONED;
    if (lsm->closing)
        return KVORUM_CLOSED;
    if (lsm->flushing_table) {
        wait_for_change(lsm);
        return KVORUM_OK;
    }
    flush_one(lsm);
    return lsm->flush_failure;
}

/* Everything frozen by now, and what waits in the active memtable, is in tables when it returns. */
static kvorum_status flush_all(struct lsm *lsm)
{
    kvorum_status status = KVORUM_OK;
    while (status == KVORUM_OK && lsm_state_now(lsm)->frozen_count >= LSM_FROZEN_MAX)
        status = flush_or_wait(lsm);
    if (status == KVORUM_OK)
        status = lsm_freeze(lsm);
    const struct lsm_state *now = lsm_state_now(lsm);
    uint64_t last = now->frozen_count > 0 ? now->frozen[0]->batch_last : 0;
    while (status == KVORUM_OK && oldest_frozen(lsm) <= last) /* not what comes meanwhile */
        status = flush_or_wait(lsm);
    return status;
}

kvorum_status lsm_flush_all(struct engine *engine)
{
    struct lsm *lsm = (struct lsm *)engine;
    if (lsm->options.read_only)
        return KVORUM_NOT_ALLOWED;
    pthread_mutex_lock(&lsm->mutex);
    kvorum_status status = flush_all(lsm);
    lsm_background(lsm);
    pthread_mutex_unlock(&lsm->mutex);
    return status;
}

kvorum_status lsm_settle(struct engine *engine)
{
    struct lsm *lsm = (struct lsm *)engine;
    if (lsm->options.read_only)
        return KVORUM_NOT_ALLOWED;
    pthread_mutex_lock(&lsm->mutex);
    kvorum_status status = flush_all(lsm);
    while (status == KVORUM_OK) {
        if (compact_if_due(lsm))
            continue;
        if (!background_is_at_work(lsm))
            break;
        wait_for_change(lsm);
    }
    if (status == KVORUM_OK)
        status = lsm->failure != KVORUM_OK ? KVORUM_POISONED : lsm->compaction_failure;
    pthread_mutex_unlock(&lsm->mutex);
    epoch_poll(&lsm->epoch);
    return status;
}

static kvorum_status compact_range(struct lsm *lsm, int level, int target,
                                   const struct engine_range *range)
{
    struct lsm_pick pick;
    if (!lsm_pick_range(lsm_state_now(lsm)->levels, level, target, range->lower, range->upper,
                        &pick))
        return KVORUM_OK;
    struct lsm_maker maker;
    lsm->compactions_running++;
    lsm_maker_begin(lsm, &maker);
    kvorum_status status = lsm_compact_pick(lsm, &pick);
    lsm_maker_end(&maker);
    lsm->compactions_running--;
    pthread_cond_broadcast(&lsm->changed);
    return status;
}

/* Level by level downwards, then the lowest one in place, so that nothing superseded is left. */
static kvorum_status compact_all(struct lsm *lsm, const struct engine_range *range)
{
    kvorum_status status = KVORUM_OK;
    int lowest = lsm_levels_lowest(lsm_state_now(lsm)->levels);
    if (lowest < 1)
        lowest = 1;
    lsm->early_tables = 0;
    for (int level = 0; level < lowest && status == KVORUM_OK; level++)
        status = compact_range(lsm, level, level + 1, range);
    if (status == KVORUM_OK)
        status = compact_range(lsm, lowest, lowest, range);
    return status;
}

kvorum_status lsm_compact(struct engine *engine, const struct engine_range *range)
{
    struct lsm *lsm = (struct lsm *)engine;
    if (lsm->options.read_only)
        return KVORUM_NOT_ALLOWED;
    pthread_mutex_lock(&lsm->mutex);
    kvorum_status status = flush_all(lsm);
    while (status == KVORUM_OK && lsm->manual > 0)
        wait_for_change(lsm);
    lsm->manual++;
    while (status == KVORUM_OK && lsm->compactions_running > 0)
        wait_for_change(lsm);
    if (status == KVORUM_OK)
        status = compact_all(lsm, range);
    lsm->manual--;
    pthread_cond_broadcast(&lsm->changed);
    lsm_background(lsm);
    pthread_mutex_unlock(&lsm->mutex);
    epoch_poll(&lsm->epoch);
    return status;
}
