/* SPDX-License-Identifier: Apache-2.0 */
/* When memtables are full. */
#include "engine/lsm/lsm.h"
#include "tests/support/fault_disk.h"
#include "tests/support/rows.h"

static struct fault_disk disk;
static struct engine *engine;
static struct engine_batch *batch;

static void open_store(uint64_t memtable_size, uint64_t segment_size)
{
    struct lsm_options options = { .disk = &disk.base,
                                   .path = "s",
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

/* --- who writes while another flushes ------------------------------------------------------- */

static struct disk_ops hooked_ops;
static unsigned hooked_syncs, hooked_writes;

/* Each finds the memtable full and fills the next one. */
static void write_large(void)
{
    static const uint8_t value[6000];
    engine_batch_reset(batch);
    struct bytes large = bytes_make(value, sizeof(value));
    assert_int_equal(engine_batch_put(batch, bytes_of_string("key"), large), KVORUM_OK);
    assert_int_equal(engine_write(engine, batch, ENGINE_NONE), KVORUM_OK);
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
    open_store(4096, 1 << 20);
    hooked_ops = fault_disk_ops;
    hooked_ops.open = hooked_open;
    hooked_ops.sync = hooked_sync;
    for (uint64_t i = 0; i < 5; i++)
        write_one(i, false);
    disk.base.ops = &hooked_ops;
    assert_int_equal(engine_flush(engine), KVORUM_OK);
    assert_in_range(hooked_writes, 1, 5);
    disk.base.ops = &fault_disk_ops;
    close_store();
}

static const struct named_test tests[] = {
    { "a memtable of the smallest size takes batches", test_smallest },
    { "deleted ranges fill a memtable", test_ranges },
    { "a flush ends although others go on writing", test_flush_ends },
};

int main(void)
{
    return RUN_TESTS("lsm background", tests);
}
