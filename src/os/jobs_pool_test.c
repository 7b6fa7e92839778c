/* SPDX-License-Identifier: Apache-2.0 */
#include "os/jobs_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "tests/support/rows.h"

enum { JOBS = 200, AGAIN = 20 };

struct counted_job {
    struct job job;
    struct jobs *jobs;
    int again; /* how often `done` submits it once more */
    int worked, done;
    pthread_t worker;
    atomic_int *inside_done;
};

static void work(struct job *job)
{
    struct counted_job *counted = LIST_ENTRY(job, struct counted_job, job);
    assert_int_equal(counted->worked, counted->done);
    counted->worked++;
    counted->worker = pthread_self();
}

static void done(struct job *job)
{
    struct counted_job *counted = LIST_ENTRY(job, struct counted_job, job);
    assert_int_equal(atomic_fetch_add(counted->inside_done, 1), 0);
    assert_true(pthread_equal(counted->worker, pthread_self()));
    counted->done++;
    assert_int_equal(counted->worked, counted->done);
    atomic_fetch_sub(counted->inside_done, 1);
    if (counted->again-- > 0)
        jobs_submit(counted->jobs, job);
}

static void run_jobs(unsigned threads)
{
    static struct counted_job all[JOBS];
    atomic_int inside_done = 0;
    struct jobs *jobs;
    assert_int_equal(jobs_pool_start(threads, &jobs), KVORUM_OK);
    for (int i = 0; i < JOBS; i++) {
        all[i] = (struct counted_job){
            .job = { work, done, NULL }, .jobs = jobs, .again = AGAIN, .inside_done = &inside_done
        };
        jobs_submit(jobs, &all[i].job);
    }
    assert_null(jobs_pool_stop(jobs));
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(all[i].done, AGAIN + 1);
}

static void test_one_worker(void)
{
    run_jobs(1);
}

static void test_many_workers(void)
{
    for (int i = 0; i < 10; i++)
        run_jobs(4);
}

struct meeting_job {
    struct job job;
    pthread_barrier_t *barrier;
};

static void meet(struct job *job)
{
    pthread_barrier_wait(LIST_ENTRY(job, struct meeting_job, job)->barrier);
}

static void do_nothing(struct job *job)
{
    (void)job;
}

/* Each waits for the other, so this ends only when both run at a time. */
static void test_side_by_side(void)
{
    pthread_barrier_t barrier;
    struct jobs *jobs;
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(jobs_pool_start(2, &jobs), KVORUM_OK);
    struct meeting_job pair[2] = { { { meet, do_nothing, NULL }, &barrier },
                                   { { meet, do_nothing, NULL }, &barrier } };
    jobs_submit(jobs, &pair[0].job);
    jobs_submit(jobs, &pair[1].job);
    jobs_pool_stop(jobs);
    pthread_barrier_destroy(&barrier);
}

static void test_idle(void)
{
    struct jobs *jobs;
    assert_int_equal(jobs_pool_start(3, &jobs), KVORUM_OK);
    assert_null(jobs_pool_stop(jobs));
    assert_null(jobs_pool_stop(NULL));
}

static const struct named_test tests[] = {
    { "one worker: work, then done, each once, and stop finishes what done submits",
      test_one_worker },
    { "many workers: the same, and no two done at a time", test_many_workers },
    { "work of two jobs runs side by side", test_side_by_side },
    { "a pool without jobs stops, and so does none", test_idle },
};

int main(void)
{
    return RUN_TESTS("jobs_pool", tests);
}
