/* SPDX-License-Identifier: Apache-2.0 */
/* Placing records.  A record's segment and offset are settled when its batch is taken, while every
 * failure can still be answered with "nothing happened": its bytes then stand in the group's buffer
 * and its blocks are allocated in the file.
 *
 *      active  |header|r|r|r|.....|      r fits?  else the spare (prepared in time)
 *      spare   |header|...........|               else a segment made here and now, which blocks */
#include "engine/lsm/internal.h"
#include "engine/lsm/log/commit.h"
#include "engine/lsm/log/segment.h"

#include <stdlib.h>

enum { FILL_SYNCS = 16 };

void lsm_group_done(struct lsm_group *group)
{
    free(group->data);
    free(group->runs);
    *group = (struct lsm_group){ 0 };
}

static bool group_reserve(struct lsm_group *group, uint64_t size)
{
    if (group->capacity - group->size >= size)
        return true;
    size_t capacity = group->capacity == 0 ? 64 * 1024 : group->capacity;
    while (capacity - group->size < size)
        capacity *= 2;
    uint8_t *data = realloc(group->data, capacity);
    if (data == NULL)
        return false;
    group->data = data;
    group->capacity = capacity;
    return true;
}

static bool group_reserve_run(struct lsm_group *group)
{
    if (group->run_count < group->run_capacity)
        return true;
    size_t capacity = group->run_capacity == 0 ? 8 : group->run_capacity * 2;
    struct lsm_run *runs = realloc(group->runs, capacity * sizeof(*runs));
    if (runs == NULL)
        return false;
    group->runs = runs;
    group->run_capacity = capacity;
    return true;
}

/* The run that ends where the next record of the active segment begins; its place was reserved. */
static struct lsm_run *group_run(struct lsm_group *group, struct lsm_segment *segment)
{
    struct lsm_run *run = &group->runs[group->run_count];
    if (group->run_count > 0 && run[-1].segment == segment)
        return &run[-1];
    group->run_count++;
    *run = (struct lsm_run){ segment, segment->end, group->size, group->size };
    return run;
}

/* Who syncs again and again gets segments that are filled, which costs writing the log twice. */
static bool fills(const struct lsm *lsm)
{
    return lsm->segment_syncs >= FILL_SYNCS;
}

bool lsm_spare_due(const struct lsm *lsm)
{
    bool due = lsm->active->end > lsm->active->capacity / 2 || (fills(lsm) && !lsm->active->filled);
    return due && lsm->spare == NULL && !lsm->preparing && !lsm->spare_refused &&
           lsm->failure == KVORUM_OK;
}

void lsm_prepare_spare(struct lsm *lsm)
{
    struct lsm_segment *spare = NULL;
    uint64_t number = lsm->active->header.number + 1;
    bool filled = fills(lsm);
    lsm->preparing = true;
    pthread_mutex_unlock(&lsm->mutex);
    kvorum_status status = lsm_segment_create(lsm, number, lsm->segment_size, filled, &spare);
    pthread_mutex_lock(&lsm->mutex);
    lsm->preparing = false;
    lsm->spare = spare;
    lsm->spare_refused = status != KVORUM_OK;
    pthread_cond_broadcast(&lsm->changed);
}

/* Of a segment that holds records up to `end` and then one of `size` bytes: there must be room to
 * say that there is a next one. */
static uint64_t needed_capacity(uint64_t end, uint64_t size)
{
    return end + size + LSM_LOG_RECORD_SIZE;
}

/* A spare that can take a record of `size` bytes, made here if there is none. */
static kvorum_status have_spare(struct lsm *lsm, uint64_t size)
{
    size_t chain = 1; /* segments that are still to be left behind */
    for (const struct lsm_segment *at = lsm->named; at != lsm->active; at = at->next)
        chain++;
    if (!lsm_segment_notes_reserve(lsm, chain))
        return KVORUM_NO_MEMORY;
    uint64_t needed = needed_capacity(LSM_LOG_HEADER_SIZE, size);
    if (lsm->spare != NULL && lsm->spare->capacity >= needed)
        return KVORUM_OK;
    lsm_segment_close(lsm, lsm->spare, false); /* made anew under the same name */
    lsm->spare = NULL;
    uint64_t capacity = needed > lsm->segment_size ? needed : lsm->segment_size;
    return lsm_segment_create(lsm, lsm->active->header.number + 1, capacity, false, &lsm->spare);
}

static void activate_spare(struct lsm *lsm)
{
    struct lsm_segment *next = lsm->spare;
    next->header.first_sequence = lsm->taken + 1;
    next->header.previous_size = lsm->active->end;
    lsm->active->next = next;
    lsm->active = next;
    lsm->spare = NULL;
    lsm->spare_refused = false;
    lsm->segment_syncs = 0;
}

/* The rest of a segment that is not filled is given up for one that is. */
static bool leaves_early(const struct lsm *lsm, uint64_t size)
{
    return lsm->spare != NULL && lsm->spare->filled && !lsm->active->filled &&
           lsm->spare->capacity >= needed_capacity(LSM_LOG_HEADER_SIZE, size) &&
           lsm->active->end > LSM_LOG_HEADER_SIZE;
}

kvorum_status lsm_append_reserve(struct lsm *lsm, size_t payload_size, bool *ret_waited)
{
    uint64_t size = lsm_log_record_size(payload_size);
    if (!group_reserve(lsm->filling, size) || !group_reserve_run(lsm->filling))
        return KVORUM_NO_MEMORY;
    *ret_waited = false;
    bool fits = needed_capacity(lsm->active->end, size) <= lsm->active->capacity;
    if (fits && !leaves_early(lsm, size))
        return KVORUM_OK;
    if (lsm->preparing) {
        pthread_cond_wait(&lsm->changed, &lsm->mutex);
        *ret_waited = true;
        return KVORUM_OK;
    }
    kvorum_status status = have_spare(lsm, size);
    if (status == KVORUM_OK)
        activate_spare(lsm);
    return status;
}

void lsm_append(struct lsm *lsm, enum lsm_log_type type, struct bytes payload)
{
    uint64_t size = lsm_log_record_size(payload.size);
    struct lsm_group *group = lsm->filling;
    struct lsm_run *run = group_run(group, lsm->active);
    struct lsm_log_record record = { .sequence = lsm->taken + 1,
                                     .undurable = (uint32_t)(lsm->taken - lsm->synced),
                                     .type = type,
                                     .payload = payload };
    lsm_log_record_encode(&lsm->active->header.file, lsm->active->end, &record,
                          group->data + group->size);
    group->size += size;
    run->end = group->size;
    lsm->active->end += size;
    lsm->taken++;
}
