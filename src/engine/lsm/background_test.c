/* SPDX-License-Identifier: Apache-2.0 */
/* When memtables are full. */
#include "engine/lsm/lsm.h"
#include "tests/support/fault_disk.h"
#include "tests/support/rows.h"

static struct fault_disk disk;
static struct engine *engine;
static struct engine_batch *batch;

static void open_store(uint64_t memtable_size)
{
    struct lsm_options options = { .disk = &disk.base,
                                   .path = "s",
                                   .identity_seed = 1,
                                   .create = true,
                                   .memtable_size = memtable_size,
                                   .segment_size = 4096 };
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
    open_store(1);
    for (uint64_t i = 0; i < 100; i++)
        write_one(i, false);
    assert_in_range(flushes(), 10, 100);
    close_store();
}

/* 2000 of them inside each other would take 16 MB, and copying 16 GB. */
static void test_ranges(void)
{
    open_store(64 * 1024);
    for (uint64_t i = 0; i < 2000; i++)
        write_one(i, true);
    assert_in_range(flushes(), 10, 1000);
    close_store();
}

static const struct named_test tests[] = {
    { "a memtable of the smallest size takes batches", test_smallest },
    { "deleted ranges fill a memtable", test_ranges },
};

int main(void)
{
    return RUN_TESTS("lsm background", tests);
}
