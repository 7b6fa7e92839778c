/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit. Whoever needs a batch on disk and finds no flush running becomes the leader: it
 * swaps the groups, writes all that was taken so far with one write and one sync, and wakes the
 * rest, of whom most find their batch done; the next leader is one of the others.
 *
 *      taken    1 2 3 4 5 6 7 8 9
 *               |-synced-|-flushing-|-filling
 *
 * A write or sync that fails is never tried again: the kernel may have marked the pages clean.
 * What was not synced by then has an unknown fate, and the store takes no more. */
#include "engine/lsm/log/commit.h"
#include "base/planted.h"
#include "engine/lsm/log/segment.h"

#include <assert.h>
#include <stdlib.h>

enum { GROUP_KEEP_SIZE = 4 * LSM_COMMIT_SIZE };

/* The segment before is made durable first: the header of the next says that it is. */
static kvorum_status rotate_to(struct lsm *lsm, struct lsm_segment *segment)
{
    struct lsm_segment *before = lsm->named;
    kvorum_status status = before->file->ops->sync(before->file);
    if (status == KVORUM_OK && PLANTED(NEXT_SAID_EARLY))
        lsm_segment_has_next(before->file, &before->header.file, before->end,
                             segment->header.first_sequence);
    if (status == KVORUM_OK)
        status = lsm_segment_publish(lsm, segment);
    if (status != KVORUM_OK)
        return status;
    lsm_segment_has_next(before->file, &before->header.file, before->end,
                         segment->header.first_sequence);
    const struct lsm_segment_note note = { before->header.number,
                                           segment->header.first_sequence - 1, before->end };
    pthread_mutex_lock(&lsm->mutex);
    lsm_segment_note(lsm, &note);
    lsm->named = segment;
    lsm_write_back_wait(lsm); /* it may still be at the one before */
    pthread_mutex_unlock(&lsm->mutex);
    PROBE("lsm: the log went on in another segment");
    lsm_segment_close(lsm, before, false);
    return KVORUM_OK;
}

static kvorum_status write_group(struct lsm *lsm, const struct lsm_group *group, bool sync)
{
    for (size_t i = 0; i < group->run_count; i++) {
        const struct lsm_run *run = &group->runs[i];
        struct bytes bytes = bytes_make(group->data + run->begin, run->end - run->begin);
        kvorum_status status = KVORUM_OK;
        if (run->segment != lsm->named)
            status = rotate_to(lsm, run->segment);
        if (status == KVORUM_OK)
            status = lsm_segment_write(lsm, run->segment, bytes, run->offset, sync);
        if (status != KVORUM_OK)
            return status;
    }
    return KVORUM_OK;
}

bool lsm_group_rotates(const struct lsm *lsm)
{
    const struct lsm_group *group = lsm->filling;
    return group->run_count > 1 || (group->run_count == 1 && group->runs[0].segment != lsm->named);
}

/* One very large group is no reason to hold its memory for ever. */
static void group_reset(struct lsm_group *group)
{
    if (group->capacity > GROUP_KEEP_SIZE)
        lsm_group_done(group);
    group->size = group->run_count = 0;
}

static void commit_succeeded(struct lsm *lsm, uint64_t last, bool sync)
{
    lsm->written = last;
    if (!sync)
        return;
    lsm->named->safe_end = lsm->named->end;
    lsm->counts.syncs++;
    lsm->segment_syncs++;
    lsm->counts.synced_batches += last - lsm->synced;
    lsm->synced = last;
}

void lsm_poison(struct lsm *lsm, kvorum_status status, const char *what)
{
    if (lsm->failure != KVORUM_OK)
        return;
    lsm->failure = status;
    log_error(lsm->log, what, LOG_TEXT("store", lsm->path), LOG_U64("synced_batch", lsm->synced),
              LOG_STATUS(status), LOG_TEXT("consequence", "the store takes no more changes"));
    pthread_cond_broadcast(&lsm->changed);
}

static void commit_failed(struct lsm *lsm, uint64_t last, kvorum_status status)
{
    lsm->failure_last = last;
    lsm_poison(lsm, status, "the log cannot be written");
}

void lsm_commit_group(struct lsm *lsm)
{
    assert(!lsm->commit_running && lsm->failure == KVORUM_OK);
    struct lsm_group *group = lsm->filling;
    uint64_t last = lsm->taken;
    bool sync = lsm->sync_wanted;
    lsm->filling = lsm->flushing;
    lsm->flushing = group;
    lsm->sync_wanted = false;
    lsm->commit_running = true;
    pthread_mutex_unlock(&lsm->mutex);

    kvorum_status status = write_group(lsm, group, sync);
    bool forgotten =
        PLANTED(ACK_BEFORE_SYNC) || (PLANTED(MAPPED_NOT_SYNCED) && lsm->named->memory != NULL);
    if (status == KVORUM_OK && sync && !forgotten)
        status = lsm->named->file->ops->sync(lsm->named->file);

    pthread_mutex_lock(&lsm->mutex);
    lsm->log_size += group->size;
    group_reset(group);
    lsm->commit_running = false;
    if (status == KVORUM_OK)
        commit_succeeded(lsm, last, sync);
    else
        commit_failed(lsm, last, status);
    pthread_cond_broadcast(&lsm->changed);
}

bool lsm_reached(const struct lsm *lsm, uint64_t batch, bool sync)
{
    return batch <= (sync ? lsm->synced : lsm->written);
}

kvorum_status lsm_outcome(const struct lsm *lsm, uint64_t batch, bool sync)
{
    if (lsm_reached(lsm, batch, sync))
        return KVORUM_OK;
    assert(lsm->failure != KVORUM_OK);
    return batch <= lsm->failure_last ? lsm->failure : KVORUM_POISONED;
}

void lsm_commit_until(struct lsm *lsm, uint64_t batch, bool sync)
{
    while (!lsm_reached(lsm, batch, sync) && lsm->failure == KVORUM_OK) {
        lsm->sync_wanted |= sync;
        if (lsm->commit_running)
            pthread_cond_wait(&lsm->changed, &lsm->mutex);
        else
            lsm_commit_group(lsm);
    }
}
