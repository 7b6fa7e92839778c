/* SPDX-License-Identifier: Apache-2.0 */
/* Power failures everywhere: after each operation of the workload, and again during recovery. */
#include "tests/support/lsm_workload.h"

#include "base/hash.h"

/* --- power failure ------------------------------------------------------------------------- */

/* The power fails again while the store is being opened. */
static void check_recovery_crash(struct workload *w, struct fault_disk *disk, size_t at)
{
    static struct fault_disk again;
    struct engine *engine;
    size_t within = hash_mix64(at) % (disk->journal_count + 1);
    fault_disk_crash(disk, within, FAULT_TEAR, at, &again);
    assert_int_equal(open_store(&again, 3000 + at, &engine), KVORUM_OK);
    assert_in_range(check_state(engine), w->synced_at[at], w->taken_at[at]);
    engine_close(engine);
    fault_disk_done(&again);
}

/* The store opens, holds what it must, and goes on: one more batch survives one more crash. */
static void check_survivor(struct workload *w, struct fault_disk *disk, size_t at)
{
    struct engine *engine;
    static struct fault_disk again;
    kvorum_status status = open_store(disk, 1000 + at, &engine);
    if (status != KVORUM_OK)
        print_message("# crash after operation %zu: %s\n", at, kvorum_status_name(status));
    assert_int_equal(status, KVORUM_OK);
    uint32_t count = check_state(engine);
    assert_in_range(count, w->synced_at[at], w->taken_at[at]);
    check_recovery_crash(w, disk, at);
    make_batch(w->batch, count + 1);
    assert_int_equal(engine_write(engine, w->batch, ENGINE_SYNC), KVORUM_OK);
    fault_disk_crash(disk, disk->journal_count, FAULT_DROP, at, &again);
    engine_close(engine);
    assert_int_equal(open_store(&again, 2000 + at, &engine), KVORUM_OK);
    assert_int_equal(check_state(engine), count + 1);
    engine_close(engine);
    fault_disk_done(&again);
}

/* --- a log that begins behind tables ------------------------------------------------------- */

static bool remove_if_log(void *context, const char *name)
{
    char path[FAULT_DISK_PATH];
    struct fault_disk *disk = context;
    snprintf(path, sizeof(path), "c/%s", name);
    if (strncmp(name, "log-", 4) != 0)
        return true;
    fault_unset_name(&disk->now.names, path);
    return false; /* the list of names has changed: one at a time */
}

/* Batches were written to the log of this store, which is then gone: that is no empty log. */
static void check_log_is_missed(struct fault_disk *disk, uint64_t seed)
{
    struct lsm_options options = {
        .disk = &disk->base, .path = "c", .identity_seed = seed, .segment_size = 4096
    };
    struct engine *engine;
    struct engine_batch *batch = engine_batch_create();
    make_batch(batch, 6);
    assert_int_equal(lsm_open(&options, &engine), KVORUM_OK);
    assert_int_equal(engine_write(engine, batch, ENGINE_SYNC), KVORUM_OK);
    assert_int_equal(check_state(engine), 6);
    engine_close(engine);
    for (int i = 0; i < 8; i++)
        assert_int_equal(disk->base.ops->list(&disk->base, "c", remove_if_log, disk), KVORUM_OK);
    assert_int_equal(lsm_open(&options, &engine), KVORUM_CORRUPT);
    engine_batch_destroy(batch);
}

/* The power fails anywhere while a checkpoint, which has tables and no log, is opened first. */
static void crash_while_log_begins(const void *context)
{
    struct fault_disk disk, survivor;
    struct engine *engine;
    struct workload w = { .disk = &disk, .batch = engine_batch_create() };
    (void)context;
    fault_disk_init(&disk);
    assert_int_equal(open_store(&disk, 1, &w.engine), KVORUM_OK);
    assert_int_equal(write_batches(&w, 5, 0), KVORUM_OK);
    assert_int_equal(engine_checkpoint(w.engine, "c"), KVORUM_OK);
    run_done(&w);
    fault_disk_begin(&disk);
    struct lsm_options options = {
        .disk = &disk.base, .path = "c", .identity_seed = 2, .segment_size = 4096
    };
    assert_int_equal(lsm_open(&options, &engine), KVORUM_OK);
    engine_close(engine);
    for (size_t at = 0; at <= disk.journal_count; at++) {
        fault_disk_crash(&disk, at, FAULT_KEEP, at, &survivor);
        check_log_is_missed(&survivor, 3 + at);
        fault_disk_done(&survivor);
    }
    fault_disk_done(&disk);
}

struct crash_row {
    const char *name;
    enum fault_crash how;
    unsigned mix;
    unsigned rounds; /* of chance; 0: crash_while_log_begins */
    bool maps;       /* the disk offers it, and the log is stored into */
};

static void crash_everywhere(const void *context)
{
    const struct crash_row *row = context;
    static struct fault_disk disk, survivor;
    if (row->rounds == 0) {
        crash_while_log_begins(context);
        return;
    }
    static struct workload w;
    fault_disk_init(&disk);
    disk.maps = row->maps;
    assert_int_equal(run(&w, &disk, row->mix), KVORUM_OK);
    for (size_t at = 0; at <= disk.journal_count; at++) {
        for (unsigned round = 0; round < row->rounds; round++) {
            fault_disk_crash(&disk, at, row->how, at * 64 + round, &survivor);
            check_survivor(&w, &survivor, at);
            fault_disk_done(&survivor);
        }
    }
    run_done(&w);
    fault_disk_done(&disk);
}

static const struct crash_row crash_rows[] = {
    { "power fails anywhere and all un-synced is kept", FAULT_KEEP, 0, 1, false },
    { "power fails anywhere and all un-synced is lost", FAULT_DROP, 0, 1, false },
    { "power fails anywhere and the un-synced is torn", FAULT_TEAR, 0, 12, false },
    { "mixed durability: all un-synced is kept", FAULT_KEEP, 1, 1, false },
    { "mixed durability: all un-synced is lost", FAULT_DROP, 1, 1, false },
    { "mixed durability: the un-synced is torn", FAULT_TEAR, 1, 12, false },
    { "mixed durability, mapped: all un-synced is kept", FAULT_KEEP, 1, 1, true },
    { "mixed durability, mapped: all un-synced is lost", FAULT_DROP, 1, 1, true },
    { "mixed durability, mapped: the un-synced is torn", FAULT_TEAR, 1, 12, true },
    { "power fails where a log begins behind tables, and the log is missed later", FAULT_KEEP, 0, 0,
      false },
};

int main(void)
{
    return RUN_ROWS("lsm crash", crash_rows, crash_everywhere);
}
