/* SPDX-License-Identifier: Apache-2.0 */
/* Planning the next epoch takes milliseconds, and seconds where many of a thousand members change
 * at once: then it is done in a job, on copies, while the shard goes on.  What comes of it counts
 * only while the epoch that it began with is in force. */
#include "base/planted.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/replica/fetch.h"

#include <stdio.h>

enum {
    PLAN_ARENA_LIMIT = 256 << 20,
    INLINE_MAX = 1 << 18, /* members * partitions: some milliseconds */
    WHY_SIZE = 512,
};

/* Both kinds of questions. */
struct planning_job {
    struct reading reading; /* first */
    uint64_t number;        /* of the epoch that it begins with */
    struct bytes record;
    struct change_options options;
    struct arena arena; /* what is planned */
    struct epoch epoch;
    char why[WHY_SIZE];
    /* making the record of the next one */
    struct change_request request;
    struct buffer made;
    /* showing */
    struct change_plan plan;
    bool filled, told;
    node_plan_fn on_plan;
    void *context;
};

static struct planning_job *job_of(struct reading *reading)
{
    return (struct planning_job *)reading;
}

bool epochs_plans_beside(const struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    uint64_t work = (uint64_t)epoch->member_count * epoch->partition_count;
    uint64_t most = node->config.plan_inline_max == 0 ? INLINE_MAX : node->config.plan_inline_max;
    return node->config.jobs != NULL && work > most;
}

/* --- the job --------------------------------------------------------------------------------- */

static void job_drop(struct reading *reading)
{
    struct planning_job *job = job_of(reading);
    if (job->on_plan != NULL && !job->told)
        job->on_plan(job->context, &(struct node_plan){ .status = KVORUM_UNAVAILABLE,
                                                        .why = "this node is stopping" });
    buffer_done(&job->made);
    arena_done(&job->arena);
}

static struct planning_job *job_open(struct node *node)
{
    struct reading *reading = reading_open(sizeof(struct planning_job));
    struct planning_job *job = job_of(reading);
    if (reading == NULL)
        return NULL;
    arena_init(&job->arena, PLAN_ARENA_LIMIT);
    buffer_init(&job->made, PLAN_ARENA_LIMIT);
    reading->drop = job_drop;
    reading->job.urgency = JOB_LENGTHY;
    job->number = node->config.epoch->number;
    job->options = node_change_options(node);
    return job;
}

/* The epoch may be another one before the job is done. */
static bool take_epoch(struct planning_job *job, const struct epoch *epoch)
{
    struct buffer record;
    buffer_init(&record, PLAN_ARENA_LIMIT);
    epoch_encode(epoch, &record);
    bool taken = !record.failed && arena_copy(&job->arena, buffer_bytes(&record), &job->record);
    buffer_done(&record);
    return taken;
}

static void keep_why(struct planning_job *job, const char *why)
{
    snprintf(job->why, sizeof(job->why), "%s", why == NULL ? "" : why);
}

/* --- making the next epoch ------------------------------------------------------------------- */

static kvorum_status make_read(struct reading *reading, bool nowait)
{
    struct planning_job *job = job_of(reading);
    struct epoch next;
    const char *why = "";
    if (nowait)
        return KVORUM_WOULD_BLOCK;
    kvorum_status status = epoch_decode(job->record, &job->arena, &job->epoch);
    if (status == KVORUM_OK)
        status = change_apply(&job->epoch, &job->request, &job->options, &job->arena, &next, &why);
    if (status == KVORUM_OK)
        epoch_encode(&next, &job->made);
    keep_why(job, why);
    return job->made.failed ? KVORUM_NO_MEMORY : status;
}

static void make_done(struct node *node, struct reading *reading)
{
    struct planning_job *job = job_of(reading);
    bool outdated = job->number != node->config.epoch->number || node->left_epoch != 0;
    node->epochs->planning = false;
    if (outdated)
        PROBE("node: an epoch was adopted while the next one was planned");
    if (!outdated && node->epochs->current != NULL)
        wishes_planned(node, reading->status, buffer_bytes(&job->made), job->why);
    reading_close(reading);
    wishes_begin(node);
}

bool epochs_plan_beside(struct node *node, const struct change_request *request)
{
    struct planning_job *job = job_open(node);
    if (job == NULL)
        return false;
    job->request = *request;
    job->reading.read = make_read;
    job->reading.done = make_done;
    if (!take_epoch(job, node->config.epoch)) {
        reading_close(&job->reading);
        return false;
    }
    PROBE("node: an epoch was planned beside the shard's thread");
    node->epochs->planning = true;
    reading_submit(node, &job->reading);
    return true;
}

/* --- showing --------------------------------------------------------------------------------- */

static void tell(struct planning_job *job, const struct epoch *epoch, kvorum_status status,
                 const char *why)
{
    const struct node_plan told = {
        .epoch = epoch, .plan = &job->plan, .filled = job->filled, .status = status, .why = why
    };
    job->told = true;
    job->on_plan(job->context, &told);
}

static kvorum_status show_read(struct reading *reading, bool nowait)
{
    struct planning_job *job = job_of(reading);
    const char *why = "";
    if (nowait)
        return KVORUM_WOULD_BLOCK;
    kvorum_status status = epoch_decode(job->record, &job->arena, &job->epoch);
    if (status == KVORUM_OK)
        status =
            change_plan(&job->epoch, &job->options, &job->arena, &job->plan, &job->filled, &why);
    keep_why(job, why);
    return status;
}

static void show_done(struct node *node, struct reading *reading)
{
    struct planning_job *job = job_of(reading);
    (void)node;
    tell(job, &job->epoch, reading->status, job->why);
    reading_close(reading);
}

static void show_here(struct node *node, struct planning_job *job)
{
    const struct epoch *epoch = node->config.epoch;
    const char *why = "";
    kvorum_status status =
        change_plan(epoch, &job->options, &job->arena, &job->plan, &job->filled, &why);
    tell(job, epoch, status, why);
    reading_close(&job->reading);
}

void node_plan(struct node *node, node_plan_fn on_plan, void *context)
{
    node_enter(node);
    struct planning_job *job = job_open(node);
    bool beside = job != NULL && epochs_plans_beside(node);
    if (beside && !take_epoch(job, node->config.epoch)) {
        reading_close(&job->reading);
        job = NULL;
    }
    if (job == NULL) {
        on_plan(context, &(struct node_plan){ .status = KVORUM_NO_MEMORY, .why = "out of memory" });
    } else {
        job->on_plan = on_plan;
        job->context = context;
        job->reading.read = show_read;
        job->reading.done = show_done;
        if (beside)
            reading_submit(node, &job->reading);
        else
            show_here(node, job);
    }
    node_leave(node);
}
