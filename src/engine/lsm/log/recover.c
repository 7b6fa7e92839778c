/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery of the log at open: which segments there are, and what comes after what.
 *
 *      names of the directory --> 1 .. n without a gap --> replay.c --> resume.c
 *
 * What is not needed any more goes only when all was replayed. */
#include "engine/lsm/log/recover.h"
#include "engine/lsm/log/recover_internal.h"

#include <stdlib.h>

/* --- names --------------------------------------------------------------------------------- */

static bool numbers_add(struct numbers *numbers, uint64_t number)
{
    if (numbers->count == numbers->capacity) {
        size_t capacity = numbers->capacity == 0 ? 64 : numbers->capacity * 2;
        uint64_t *list = realloc(numbers->list, capacity * sizeof(*list));
        if (list == NULL) {
            numbers->failed = true;
            return false;
        }
        numbers->list = list;
        numbers->capacity = capacity;
    }
    numbers->list[numbers->count++] = number;
    return true;
}

/* Names are sorted, and so then are the numbers. */
static bool see_name(void *context, const char *name)
{
    struct recovery *recovery = context;
    uint64_t number;
    if (lsm_file_parse(name, LSM_FILE_LOG, &number))
        return numbers_add(number < recovery->lsm->first_segment ? &recovery->flushed
                                                                 : &recovery->numbers,
                           number);
    if (lsm_file_parse(name, LSM_FILE_LOG_NEW, &number))
        return numbers_add(&recovery->leftovers, number);
    return true;
}

static kvorum_status find_segments(struct recovery *recovery)
{
    struct lsm *lsm = recovery->lsm;
    kvorum_status status = lsm->disk->ops->list(lsm->disk, lsm->path, see_name, recovery);
    if (status != KVORUM_OK)
        return status;
    bool failed =
        recovery->numbers.failed || recovery->leftovers.failed || recovery->flushed.failed;
    return failed ? KVORUM_NO_MEMORY : KVORUM_OK;
}

static void remove_all(struct lsm *lsm, const struct numbers *numbers, enum lsm_file kind)
{
    for (size_t i = 0; i < numbers->count; i++) {
        char path[LSM_PATH_SIZE];
        if (lsm_file_path(lsm, kind, numbers->list[i], path) == KVORUM_OK)
            (void)lsm->disk->ops->remove(lsm->disk, path);
    }
}

/* Spares that were never written to (one that stays does no harm: it is cut off when reused), and
 * segments whose batches are all in tables. */
static void remove_leftovers(struct recovery *recovery)
{
    if (recovery->lsm->options.read_only)
        return;
    remove_all(recovery->lsm, &recovery->leftovers, LSM_FILE_LOG_NEW);
    remove_all(recovery->lsm, &recovery->flushed, LSM_FILE_LOG);
}

/* --- what comes after what ----------------------------------------------------------------- */

static kvorum_status check_numbers(const struct recovery *recovery)
{
    const struct numbers *numbers = &recovery->numbers;
    uint64_t due = recovery->lsm->first_segment;
    for (size_t i = 0; i < numbers->count; i++, due++)
        if (numbers->list[i] != due)
            return lsm_recovery_damaged(recovery, due, 0, KVORUM_CORRUPT,
                                        "a segment of the log is missing");
    if (numbers->count == 0 && !recovery->lsm->log_begins)
        return lsm_recovery_damaged(recovery, due, 0, KVORUM_CORRUPT, "the log is gone");
    return KVORUM_OK;
}

static kvorum_status replay_segments(struct recovery *recovery)
{
    const struct numbers *numbers = &recovery->numbers;
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i + 1 < numbers->count && status == KVORUM_OK; i++)
        status = lsm_replay_whole(recovery, numbers->list[i]);
    return status == KVORUM_OK ? lsm_replay_last(recovery, numbers->list[numbers->count - 1])
                               : status;
}

static kvorum_status replay_all(struct recovery *recovery)
{
    const struct lsm *lsm = recovery->lsm;
    kvorum_status status = find_segments(recovery);
    if (status == KVORUM_OK)
        status = check_numbers(recovery);
    if (status == KVORUM_OK && recovery->numbers.count > 0)
        status = replay_segments(recovery);
    if (status != KVORUM_OK || lsm->options.read_only)
        return status;
    remove_leftovers(recovery);
    if (recovery->numbers.count == 0)
        return lsm_begin_log(recovery);
    return lsm->taken < lsm->flushed_batch ? lsm_begin_log_anew(recovery)
                                           : lsm_resume_log(recovery);
}

kvorum_status lsm_recover(struct lsm *lsm, bool fresh)
{
    struct recovery recovery = { .lsm = lsm };
    atomic_store(&lsm->visible, lsm->sequence);
    kvorum_status status = KVORUM_OK;
    if (!fresh || lsm->log_begins)
        status = replay_all(&recovery);
    else if (!lsm->options.read_only)
        status = lsm_begin_log(&recovery);
    lsm_recovery_leave(&recovery);
    free(recovery.numbers.list);
    free(recovery.leftovers.list);
    free(recovery.flushed.list);
    free(recovery.tail.offsets);
    lsm->written = lsm->synced = lsm->opened = lsm->taken;
    return status;
}
