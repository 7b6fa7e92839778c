/* SPDX-License-Identifier: Apache-2.0 */
#include "os/jobs_thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/list.h"
#include "tests/support/rows.h"

static void count_wakeup(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

struct counted_job {
    struct job job;
    struct jobs *jobs;
    pthread_t owner;
    int again; /* how often `done` submits it once more */
    int worked, done;
};

static void work(struct job *job)
{
    struct counted_job *counted = LIST_ENTRY(job, struct counted_job, job);
    assert_false(pthread_equal(pthread_self(), counted->owner));
    assert_int_equal(counted->worked, counted->done);
    counted->worked++;
}

static void done(struct job *job)
{
    struct counted_job *counted = LIST_ENTRY(job, struct counted_job, job);
    assert_true(pthread_equal(pthread_self(), counted->owner));
    counted->done++;
    assert_int_equal(counted->worked, counted->done);
    if (counted->again-- > 0)
        jobs_submit(counted->jobs, job);
}

static struct counted_job make_job(struct jobs *jobs, int again)
{
    struct counted_job job = { .jobs = jobs, .owner = pthread_self(), .again = again };
    job.job = (struct job){ .work = work, .done = done };
    return job;
}

static struct jobs *start(unsigned threads, atomic_int *wakeups)
{
    struct jobs *jobs;
    assert_int_equal(jobs_thread_start(threads, count_wakeup, wakeups, &jobs), KVORUM_OK);
    return jobs;
}

static void test_every_job_runs(void)
{
    enum { JOBS = 100, AGAIN = 20 };
    atomic_int wakeups = 0;
    struct jobs *jobs = start(4, &wakeups);
    struct counted_job all[JOBS];
    for (int i = 0; i < JOBS; i++) {
        all[i] = make_job(jobs, AGAIN);
        jobs_submit(jobs, &all[i].job);
        assert_int_equal(all[i].done, 0);
    }
    size_t drained = 0;
    while (drained < (size_t)JOBS * (AGAIN + 1))
        drained += jobs_thread_drain(jobs, true);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(all[i].done, AGAIN + 1);
    assert_int_equal(jobs_thread_drain(jobs, true), 0);
    assert_true(atomic_load(&wakeups) > 0);
    assert_null(jobs_thread_stop(jobs));
}

static void test_stop_finishes(void)
{
    atomic_int wakeups = 0;
    struct jobs *jobs = start(2, &wakeups);
    struct counted_job job = make_job(jobs, 10);
    jobs_submit(jobs, &job.job);
    jobs_thread_stop(jobs);
    assert_int_equal(job.done, 11);
}

static void test_wakeup(void)
{
    atomic_int wakeups = 0;
    struct jobs *jobs = start(1, &wakeups);
    for (int i = 0; i < 100; i++) {
        struct counted_job job = make_job(jobs, 0);
        jobs_submit(jobs, &job.job);
        while (atomic_load(&wakeups) == i)
            continue;
        assert_int_equal(jobs_thread_drain(jobs, false), 1);
    }
    assert_int_equal(jobs_thread_drain(jobs, false), 0);
    jobs_thread_stop(jobs);
    assert_int_equal(atomic_load(&wakeups), 100);
}

static void test_idle(void)
{
    struct jobs *jobs;
    assert_int_equal(jobs_thread_start(3, NULL, NULL, &jobs), KVORUM_OK);
    assert_int_equal(jobs_thread_drain(jobs, true), 0);
    jobs_thread_stop(jobs);
    assert_null(jobs_thread_stop(NULL));
}

static atomic_bool may_end;

static void work_long(struct job *job)
{
    (void)job;
    while (!atomic_load(&may_end))
        sched_yield();
}

static void done_counting(struct job *job)
{
    LIST_ENTRY(job, struct counted_job, job)->done++;
}

/* More of them than threads, and none ends before the others were served. */
static void test_lengthy_jobs_leave_room(void)
{
    enum { LENGTHY = 5 };
    atomic_int wakeups = 0;
    struct jobs *jobs = start(3, &wakeups);
    struct counted_job all[LENGTHY], urgent = make_job(jobs, 0), soon = make_job(jobs, 0);
    atomic_store(&may_end, false);
    for (int i = 0; i < LENGTHY; i++) {
        all[i] = (struct counted_job){
            .job = { .work = work_long, .done = done_counting, .urgency = JOB_LENGTHY }
        };
        jobs_submit(jobs, &all[i].job);
    }
    urgent.job.urgency = JOB_FIRST;
    jobs_submit(jobs, &soon.job);
    jobs_submit(jobs, &urgent.job);
    while (soon.done + urgent.done < 2)
        jobs_thread_drain(jobs, true);
    atomic_store(&may_end, true);
    jobs_thread_stop(jobs);
    for (int i = 0; i < LENGTHY; i++)
        assert_int_equal(all[i].done, 1);
}

static const struct named_test tests[] = {
    { "lengthy jobs leave room for the others", test_lengthy_jobs_leave_room },
    { "work runs elsewhere and done here, each once", test_every_job_runs },
    { "stop finishes what was submitted, by done too", test_stop_finishes },
    { "a wakeup follows a finished job", test_wakeup },
    { "waiting without jobs returns at once", test_idle },
};

int main(void)
{
    return RUN_TESTS("jobs", tests);
}
