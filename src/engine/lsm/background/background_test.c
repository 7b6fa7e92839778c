/* SPDX-License-Identifier: Apache-2.0 */
/* When memtables are full. */
#include "engine/lsm/lsm.h"
#include "tests/support/fault_power.h"
#include "tests/support/rows.h"
#include <pthread.h>

static struct fault_disk disk;
static struct engine *engine;
static struct engine_batch *batch;
static struct jobs *given_jobs;

static void open_store(uint64_t memtable_size, uint64_t segment_size)
{
    struct lsm_options options = { .disk = &disk.base,
                                   .path = "s",
                                   .jobs = given_jobs,
                                   .identity_seed = 1,
                                   .create = true,
                                   .memtable_size = memtable_size,
                                   .segment_size = segment_size };
    fault_disk_init(&disk);
    batch = engine_batch_create();
    assert_non_null(batch);
    assert_int_equal(lsm_open(&options, &engine), KVORUM_OK);
}

static void close_store(void)
{
    engine_batch_destroy(batch);
    engine_close(engine);
    fault_disk_done(&disk);
}

static uint64_t flushes(void)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats.flushes;
}

static void write_one(uint64_t number, bool range)
{
    char key[32];
    int size = snprintf(key, sizeof(key), "key %08llu", (unsigned long long)number);
    struct bytes at = bytes_make(key, (size_t)size);
    engine_batch_reset(batch);
    kvorum_status status = range ? engine_batch_delete_range(batch, at, (struct bytes){ 0 })
                                 : engine_batch_put(batch, at, at);
    assert_int_equal(status, KVORUM_OK);
    assert_int_equal(engine_write(engine, batch, ENGINE_NONE), KVORUM_OK);
}

static void test_smallest(void)
{
    open_store(1, 4096);
    for (uint64_t i = 0; i < 100; i++)
        write_one(i, false);
    assert_in_range(flushes(), 10, 100);
    close_store();
}

/* 2000 of them inside each other would take 16 MB, and copying 16 GB. */
static void test_ranges(void)
{
    open_store(64 * 1024, 4096);
    for (uint64_t i = 0; i < 2000; i++)
        write_one(i, true);
    assert_in_range(flushes(), 10, 1000);
    close_store();
}

/* Jobs that come to nothing until they are asked to run. */
struct idle_jobs {
    struct jobs jobs;
    struct job *first;
};

static void idle_submit(struct jobs *jobs, struct job *job)
{
    struct idle_jobs *self = (struct idle_jobs *)jobs;
    job->next = self->first;
    self->first = job;
}

static const struct jobs_ops idle_ops = { .submit = idle_submit };

static void run_idle(struct idle_jobs *self)
{
    while (self->first != NULL) {
        struct job *job = self->first;
        self->first = job->next;
        job->work(job);
        job->done(job);
    }
}

/* --- who writes while another flushes ------------------------------------------------------- */

static struct disk_ops hooked_ops;
static unsigned hooked_syncs, hooked_writes;

static void ignore_done(struct engine_commit *commit, kvorum_status status)
{
    (void)commit;
    (void)status;
}

/* Each finds the memtable full and fills the next one.  Submitted, since one that waits would wait
 * for the flush it is called from. */
static void write_large(void)
{
    static const uint8_t value[6000];
    struct engine_commit commit = { .done = ignore_done };
    engine_batch_reset(batch);
    struct bytes large = bytes_make(value, sizeof(value));
    assert_int_equal(engine_batch_put(batch, bytes_of_string("key"), large), KVORUM_OK);
    assert_int_equal(engine_submit(engine, batch, ENGINE_NONE, &commit), KVORUM_OK);
}

/* Of the two files that a flush syncs, at the first one another writer fills a memtable. */
static kvorum_status hooked_sync(struct disk_file *file)
{
    if (hooked_syncs++ % 2 == 0 && hooked_writes < 50) {
        if (hooked_writes++ == 0)
            write_large();
        write_large();
    }
    return fault_sync(file);
}

static kvorum_status hooked_open(struct disk *base, const char *path, unsigned flags,
                                 struct disk_file **ret_file)
{
    kvorum_status status = fault_open(base, path, flags, ret_file);
    if (status == KVORUM_OK)
        (*ret_file)->ops = &hooked_ops;
    return status;
}

static void test_flush_ends(void)
{
    struct idle_jobs jobs = { { &idle_ops }, NULL };
    given_jobs = &jobs.jobs;
    open_store(4096, 1 << 20);
    given_jobs = NULL;
    hooked_ops = fault_disk_ops;
    hooked_ops.open = hooked_open;
    hooked_ops.sync = hooked_sync;
    write_one(1, false);
    disk.base.ops = &hooked_ops;
    assert_int_equal(engine_flush(engine), KVORUM_OK);
    assert_in_range(hooked_writes, 1, 5);
    disk.base.ops = &fault_disk_ops;
    close_store();
    run_idle(&jobs);
}

/* --- memtables that nobody flushes ---------------------------------------------------------- */

/* As many as a store takes while its jobs do not run.  Returns how many batches that were. */
static uint64_t fill(void)
{
    static const uint8_t value[3000];
    for (uint64_t i = 0;; i++) {
        static struct engine_commit commit = { .done = ignore_done };
        engine_batch_reset(batch);
        assert_int_equal(
            engine_batch_put(batch, bytes_make(&i, sizeof(i)), bytes_make(value, sizeof(value))),
            KVORUM_OK);
        kvorum_status status = engine_submit(engine, batch, ENGINE_NONE, &commit);
        if (status == KVORUM_OVERLOADED)
            return i;
        assert_int_equal(status, KVORUM_OK);
    }
}

/* The power fails behind the flush, and the log was never synced. */
static void check_flushed(uint64_t count)
{
    struct fault_disk survivor;
    struct engine *again;
    struct engine_view view;
    fault_disk_crash(&disk, disk.journal_count, FAULT_DROP, 1, &survivor);
    struct lsm_options options = {
        .disk = &survivor.base, .path = "s", .identity_seed = 2, .segment_size = 4096
    };
    assert_int_equal(lsm_open(&options, &again), KVORUM_OK);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(engine_view(again, bytes_make(&i, sizeof(i)), &view), KVORUM_OK);
        engine_release(&view);
    }
    engine_close(again);
    fault_disk_done(&survivor);
}

static void test_flush_all(void)
{
    struct idle_jobs jobs = { { &idle_ops }, NULL };
    given_jobs = &jobs.jobs;
    open_store(4096, 1 << 20);
    given_jobs = NULL;
    uint64_t count = fill();
    assert_int_equal(engine_flush(engine), KVORUM_OK);
    check_flushed(count);
    run_idle(&jobs);
    close_store();
    run_idle(&jobs);
}

/* --- writers without jobs ------------------------------------------------------------------- */

static pthread_t second;
static struct engine_batch *second_batch;
static bool second_runs;
static kvorum_status second_status;

/* More than may be frozen while the first writer flushes. */
static void *write_beside(void *context)
{
    struct engine_batch *own = context;
    for (int i = 0; i < 3 && second_status == KVORUM_OK; i++)
        second_status = engine_write(engine, own, ENGINE_NONE);
    return NULL;
}

static kvorum_status paused_sync(struct disk_file *file)
{
    struct engine_stats stats = { 0 };
    if (!second_runs) {
        static const uint8_t value[6000];
        second_batch = engine_batch_create();
        assert_non_null(second_batch);
        assert_int_equal(engine_batch_put(second_batch, bytes_of_string("key"),
                                          bytes_make(value, sizeof(value))),
                         KVORUM_OK);
        second_runs = true;
        assert_int_equal(pthread_create(&second, NULL, write_beside, second_batch), 0);
        while (stats.stalls == 0)
            engine_stats(engine, &stats);
    }
    return fault_sync(file);
}

static kvorum_status paused_open(struct disk *base, const char *path, unsigned flags,
                                 struct disk_file **ret_file)
{
    kvorum_status status = hooked_open(base, path, flags, ret_file);
    hooked_ops.sync = paused_sync;
    return status;
}

static void test_two_writers(void)
{
    open_store(4096, 1 << 20);
    hooked_ops = fault_disk_ops;
    hooked_ops.open = paused_open;
    write_one(1, false);
    disk.base.ops = &hooked_ops;
    assert_int_equal(engine_flush(engine), KVORUM_OK);
    assert_int_equal(pthread_join(second, NULL), 0);
    assert_int_equal(second_status, KVORUM_OK);
    engine_batch_destroy(second_batch);
    disk.base.ops = &fault_disk_ops;
    close_store();
}

static const struct named_test tests[] = {
    { "a memtable of the smallest size takes batches", test_smallest },
    { "deleted ranges fill a memtable", test_ranges },
    { "a flush ends although others go on writing", test_flush_ends },
    { "a flush takes everything, also when no more memtables can be frozen", test_flush_all },
    { "without jobs a writer waits for another one that flushes", test_two_writers },
};

int main(void)
{
    return RUN_TESTS("lsm background", tests);
}
