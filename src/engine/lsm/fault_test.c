/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that fail, fill up, or change a bit. */
#include "tests/support/lsm_workload.h"

static struct fault_disk disk, copy;
static struct workload w;

/* --- the n-th operation fails -------------------------------------------------------------- */

/* A store whose log failed answers reads and refuses changes. */
static void check_poisoned(struct engine *engine)
{
    uint32_t count = check_state(engine);
    assert_int_equal(count, w.taken);
    make_batch(w.batch, count + 1);
    assert_int_equal(engine_write(engine, w.batch, ENGINE_SYNC), KVORUM_POISONED);
    assert_int_equal(engine_write(engine, w.batch, ENGINE_NONE), KVORUM_POISONED);
    assert_int_equal(check_state(engine), count);
}

/* With the disk well again: what a new process finds, and what is left if the power fails too. */
static void check_afterwards(bool power_fails)
{
    struct engine *engine;
    if (power_fails)
        fault_disk_crash(&disk, disk.journal_count, FAULT_DROP, 1, &copy);
    else
        fault_disk_crash(&disk, disk.journal_count, FAULT_KEEP, 1, &copy);
    assert_int_equal(open_store(&copy, 9, &engine), KVORUM_OK);
    uint32_t count = check_state(engine);
    assert_in_range(count, w.synced, w.taken);
    engine_close(engine);
    fault_disk_done(&copy);
}

static bool run_failing(size_t fail_at, bool fail_on, unsigned mix)
{
    fault_disk_init(&disk);
    disk.fail_at = fail_at;
    disk.fail_on = fail_on;
    kvorum_status status = run(&w, &disk, mix);
    bool met = disk.calls >= fail_at;
    if (status != KVORUM_OK)
        assert_true(status == KVORUM_IO || status == KVORUM_POISONED);
    if (status != KVORUM_OK && w.engine != NULL && w.opened)
        check_poisoned(w.engine);
    w.engine = w.opened ? engine_close(w.engine) : NULL;
    check_afterwards(false);
    check_afterwards(true);
    run_done(&w);
    fault_disk_done(&disk);
    return met;
}

static void every_failure(const void *context)
{
    (void)context;
    for (unsigned mode = 0; mode < 4; mode++)
        for (size_t n = 1; run_failing(n, mode & 1, mode >> 1); n++)
            continue;
}

/* --- no room ------------------------------------------------------------------------------- */

/* The batch for which no segment could be allocated was never taken, and goes in once there is
 * room. */
static void full_disk(const void *context)
{
    (void)context;
    fault_disk_init(&disk);
    w = (struct workload){ .disk = &disk, .batch = engine_batch_create() };
    assert_int_equal(open_store(&disk, 1, &w.engine), KVORUM_OK);
    disk.space_limit = 3 * 4096 + 200;
    kvorum_status status = KVORUM_OK;
    while (status == KVORUM_OK) {
        make_batch(w.batch, w.taken + 1);
        status = engine_write(w.engine, w.batch, w.taken % 2 == 0 ? ENGINE_SYNC : ENGINE_LOG);
        w.taken += status == KVORUM_OK;
    }
    assert_int_equal(status, KVORUM_NO_SPACE);
    assert_int_equal(check_state(w.engine), w.taken);
    assert_int_equal(engine_write(w.engine, w.batch, ENGINE_SYNC), KVORUM_NO_SPACE);
    disk.space_limit = 0;
    assert_int_equal(engine_write(w.engine, w.batch, ENGINE_SYNC), KVORUM_OK);
    assert_int_equal(check_state(w.engine), ++w.taken);
    w.engine = engine_close(w.engine);
    assert_int_equal(open_store(&disk, 2, &w.engine), KVORUM_OK);
    assert_int_equal(check_state(w.engine), w.taken);
    run_done(&w);
    fault_disk_done(&disk);
}

/* --- damage -------------------------------------------------------------------------------- */

struct damage_row {
    const char *name;
    bool closed;       /* by engine_close: with a mark */
    uint32_t may_lose; /* batches at the end whose damage looks like a torn tail */
};

/* Two segments and a few batches in the second. */
static void make_image(const struct damage_row *row)
{
    fault_disk_init(&disk);
    w = (struct workload){ .disk = &disk, .batch = engine_batch_create(), .seed = 5 };
    assert_int_equal(open_store(&disk, 1, &w.engine), KVORUM_OK);
    assert_int_equal(write_batches(&w, 34, 0), KVORUM_OK);
    if (row->closed)
        w.engine = engine_close(w.engine);
    fault_disk_crash(&disk, disk.journal_count, FAULT_KEEP, 1, &copy);
    engine_close(w.engine);
    fault_disk_done(&disk);
}

static void check_flip(const struct damage_row *row, const struct fault_name *name, uint64_t bit)
{
    static struct fault_disk damaged;
    struct engine *engine;
    fault_disk_crash(&copy, 0, FAULT_KEEP, 1, &damaged);
    fault_disk_bytes(&damaged, name->inode)->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    kvorum_status status = open_store(&damaged, 77, &engine);
    if (status == KVORUM_OK) {
        uint32_t count = check_state(engine);
        assert_in_range(count, w.taken - row->may_lose, w.taken);
        engine_close(engine);
    } else if (status != KVORUM_CORRUPT) {
        print_message("# %s bit %llu: %s\n", name->path, (unsigned long long)bit,
                      kvorum_status_name(status));
        fail();
    }
    fault_disk_done(&damaged);
}

static uint64_t end_of_data(const struct fault_bytes *inode)
{
    uint64_t end = inode->size;
    while (end > 0 && inode->data[end - 1] == 0)
        end--;
    return end;
}

/* Every bit of headers and of the last records, and a sample of the rest. */
static void every_bit(const void *context)
{
    const struct damage_row *row = context;
    make_image(row);
    for (int i = 0; i < copy.now.names.count; i++) {
        const struct fault_name *name = &copy.now.names.list[i];
        if (name->inode == FAULT_FOLDER)
            continue;
        uint64_t end = end_of_data(copy.now.inodes[name->inode]) * 8;
        for (uint64_t bit = 0; bit < end; bit += bit < 2400 || bit + 2400 > end ? 1 : 13)
            check_flip(row, name, bit);
    }
    engine_batch_destroy(w.batch);
    fault_disk_done(&copy);
}

static const struct damage_row closed = { "", true, 0 };
static const struct damage_row crashed = { "", false, 1 };

static void flips_after_close(const void *context)
{
    (void)context;
    every_bit(&closed);
}

/* --- segments taken away ------------------------------------------------------------------- */

static int last_segment(const struct fault_disk *from)
{
    int last = -1;
    for (int i = 0; i < from->now.names.count; i++) {
        const char *path = from->now.names.list[i].path;
        bool is_log = strncmp(path, "s/log-", 6) == 0 && strstr(path, ".log") != NULL;
        if (is_log && (last < 0 || strcmp(path, from->now.names.list[last].path) > 0))
            last = i;
    }
    assert_true(last >= 0);
    return last;
}

/* Without its last segment, `from` is no store that a crash could have left. */
static void miss_last_segment(const struct fault_disk *from)
{
    static struct fault_disk damaged;
    struct engine *engine = NULL;
    fault_disk_crash(from, from->journal_count, FAULT_KEEP, 1, &damaged);
    fault_unset_name(&damaged.now.names, damaged.now.names.list[last_segment(&damaged)].path);
    assert_int_equal(open_store(&damaged, 78, &engine), KVORUM_CORRUPT);
    assert_null(engine);
    fault_disk_done(&damaged);
}

static void last_segment_missing(const void *context)
{
    const bool *is_closed = context;
    const struct damage_row row = { "", *is_closed, 0 };
    make_image(&row);
    miss_last_segment(&copy);
    assert_int_equal(open_store(&copy, 79, &w.engine), KVORUM_OK); /* which begins another */
    miss_last_segment(&copy);
    engine_close(w.engine);
    engine_batch_destroy(w.batch);
    fault_disk_done(&copy);
}

static void last_segment_missing_after_close(const void *context)
{
    static const bool is_closed = true;
    (void)context;
    last_segment_missing(&is_closed);
}

static void last_segment_missing_after_crash(const void *context)
{
    static const bool is_closed = false;
    (void)context;
    last_segment_missing(&is_closed);
}

/* --- small sizes --------------------------------------------------------------------------- */

/* What an empty memtable uses for itself is more than its limit: each batch is then a table. */
static void smallest_memtable(const void *context)
{
    (void)context;
    fault_disk_init(&disk);
    w = (struct workload){ .disk = &disk, .batch = engine_batch_create() };
    const struct lsm_options options = {
        .disk = &disk.base, .path = "s", .identity_seed = 1, .create = true, .memtable_size = 1
    };
    assert_int_equal(lsm_open(&options, &w.engine), KVORUM_OK);
    for (; w.taken < BATCHES; w.taken++) {
        make_batch(w.batch, w.taken + 1);
        assert_int_equal(engine_write(w.engine, w.batch, ENGINE_LOG), KVORUM_OK);
    }
    assert_int_equal(check_state(w.engine), BATCHES);
    engine_close(w.engine);
    engine_batch_destroy(w.batch);
    fault_disk_done(&disk);
}

/* A table left by a crash that cannot be removed at the open: its number is not given again. */
static void orphan_that_stays(const void *context)
{
    (void)context;
    fault_disk_init(&disk);
    w = (struct workload){ .disk = &disk, .batch = engine_batch_create() };
    assert_int_equal(open_store(&disk, 1, &w.engine), KVORUM_OK);
    make_batch(w.batch, 1);
    assert_int_equal(engine_write(w.engine, w.batch, ENGINE_SYNC), KVORUM_OK);
    engine_close(w.engine);
    struct disk_file *file;
    assert_int_equal(disk.base.ops->open(&disk.base, "s/table-0000000000000001.tbl",
                                         DISK_WRITE | DISK_CREATE, &file),
                     KVORUM_OK);
    file->ops->close(file);
    disk.keep_names = true;
    assert_int_equal(open_store(&disk, 2, &w.engine), KVORUM_OK);
    disk.keep_names = false;
    assert_int_equal(engine_flush(w.engine), KVORUM_OK);
    assert_int_equal(check_state(w.engine), 1);
    engine_close(w.engine);
    engine_batch_destroy(w.batch);
    fault_disk_done(&disk);
}

static void flips_after_crash(const void *context)
{
    (void)context;
    every_bit(&crashed);
}

struct row {
    const char *name;
    void (*check)(const void *context);
};

static const struct row rows[] = {
    { "whichever operation fails, nothing acknowledged is lost and the store says so",
      every_failure },
    { "a full disk refuses a batch cleanly, and takes it when there is room", full_disk },
    { "a memtable of the smallest size takes batches", smallest_memtable },
    { "an orphan that cannot be removed is no obstacle", orphan_that_stays },
    { "after a close the last segment of the log is missed", last_segment_missing_after_close },
    { "after a crash the last segment of the log is missed", last_segment_missing_after_crash },
    { "after a close any flipped bit is found", flips_after_close },
    { "after a crash a flipped bit is found, or costs the last batch at most", flips_after_crash },
};

static void check(const void *context)
{
    ((const struct row *)context)->check(NULL);
}

int main(void)
{
    return RUN_ROWS("lsm faults", rows, check);
}
