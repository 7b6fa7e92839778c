/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seams/jobs.h"

#include "sim/seams/fiber.h"

#include <stdlib.h>

struct task {
    struct event event;
    struct list link;
    struct sim_jobs *jobs;
    struct job *job;
    bool worked;
    struct fiber *fiber; /* of a lengthy job: other events come between its steps */
};

static void task_run_job(void *context)
{
    struct job *job = context;
    job->work(job);
}

/* False: it pauses. */
static bool task_work(struct task *task)
{
    if (task->job->urgency != JOB_LENGTHY) {
        task->job->work(task->job);
        return true;
    }
    if (task->fiber == NULL)
        task->fiber = fiber_create(task_run_job, task->job);
    return fiber_go(task->fiber);
}

static void task_finish(struct task *task)
{
    struct job *job = task->job;
    list_remove(&task->link);
    fiber_destroy(task->fiber);
#ifndef __clang_analyzer__ /* does not see that what left the list is never met there again */
    free(task);
#endif
    job->done(job);
}

static void task_run(struct event *event)
{
    struct task *task = LIST_ENTRY(event, struct task, event);
    struct sim_jobs *jobs = task->jobs;
    if (task->worked)
        task_finish(task);
    else {
        task->worked = task_work(task);
        world_after(jobs->world, event, choose_delay(jobs->world, jobs->latency_us));
    }
    if (jobs->after_step != NULL)
        jobs->after_step(jobs->context);
}

static void sim_submit(struct jobs *base, struct job *job)
{
    struct sim_jobs *jobs = LIST_ENTRY(base, struct sim_jobs, base);
    struct task *task = calloc(1, sizeof(*task));
    if (task == NULL)
        abort();
    event_init(&task->event, jobs->gate, task_run);
    task->jobs = jobs;
    task->job = job;
    list_append(&jobs->tasks, &task->link);
    world_after(jobs->world, &task->event, choose_delay(jobs->world, jobs->latency_us));
}

static const struct jobs_ops sim_jobs_ops = { .submit = sim_submit };

void sim_jobs_init(struct sim_jobs *jobs, struct world *world, struct gate *gate,
                   uint64_t latency_us)
{
    *jobs = (struct sim_jobs){
        .base = { &sim_jobs_ops }, .world = world, .gate = gate, .latency_us = latency_us
    };
    list_init(&jobs->tasks);
}

void sim_jobs_drain(struct sim_jobs *jobs)
{
    struct list *link;
    while ((link = list_take_first(&jobs->tasks)) != NULL) {
        struct task *task = LIST_ENTRY(link, struct task, link);
        world_cancel(jobs->world, &task->event);
        if (task->worked || task_work(task))
            task_finish(task);
        else
            list_append(&jobs->tasks, link); /* one may wait for another */
    }
}
