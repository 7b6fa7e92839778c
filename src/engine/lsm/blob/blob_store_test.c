/* SPDX-License-Identifier: Apache-2.0 */
/* Values out of line in a store: garbage goes though no compaction passes by, files live as long as
 * anyone needs them, and no crash or failure loses a value or leaves a file for ever.
 *
 *      batch i    "m" = i, and a hot key; the first COLD batches also a cold key each
 *      flushes    every fourth batch: blob files of cold and hot values
 *      tables     of one key each, so later compactions never touch the cold ones again */
#include "engine/lsm/internal.h"

#include "tests/support/fault_power.h"
#include "tests/support/rows.h"
#include <stdio.h>

enum {
    COLD = 16,
    COLD_SIZE = 300,
    HOT = 4,
    HOT_SIZE = 1200,
    BATCHES = 40,
    FLUSH_EVERY = 4,
    MARKS = 8192,
    RECORDS = 40, /* at most, of a record besides its value */
};

struct workload {
    struct fault_disk *disk;
    struct engine *engine;
    struct engine_batch *batch;
    uint32_t taken;
    uint32_t taken_at[MARKS]; /* when so much of the journal was done */
    size_t marked;
};

static struct fault_disk disk, survivor;
static struct workload w;

/* --- the store ----------------------------------------------------------------------------- */

static kvorum_status open_at(struct fault_disk *at, const char *path, struct engine **ret_engine)
{
    static uint64_t seed;
    struct lsm_options options = { .disk = &at->base,
                                   .path = path,
                                   .identity_seed = ++seed,
                                   .create = true,
                                   .segment_size = 4096,
                                   .memtable_size = 16 * 1024,
                                   .table_size = 64,
                                   .level0_trigger = 2,
                                   .level1_size = 1 << 20,
                                   .blob_size = 100 };
    return lsm_open(&options, ret_engine);
}

static struct bytes cold_key(uint32_t index, char *storage)
{
    return bytes_make(storage, (size_t)snprintf(storage, 8, "a%02u", index));
}

static struct bytes hot_key(uint32_t index, char *storage)
{
    return bytes_make(storage, (size_t)snprintf(storage, 8, "z%u", index));
}

static struct bytes value_of(uint32_t i, size_t size, uint8_t *storage)
{
    memset(storage, (int)i + 1, size);
    memcpy(storage, &i, sizeof(i));
    return bytes_make(storage, size);
}

static kvorum_status write_one(uint32_t i)
{
    uint8_t value[HOT_SIZE];
    char key[8];
    engine_batch_reset(w.batch);
    assert_int_equal(engine_batch_put(w.batch, BYTES_LITERAL("m"), bytes_make(&i, sizeof(i))),
                     KVORUM_OK);
    assert_int_equal(engine_batch_put(w.batch, hot_key(i % HOT, key), value_of(i, HOT_SIZE, value)),
                     KVORUM_OK);
    if (i <= COLD)
        assert_int_equal(
            engine_batch_put(w.batch, cold_key(i - 1, key), value_of(i, COLD_SIZE, value)),
            KVORUM_OK);
    return engine_write(w.engine, w.batch, ENGINE_SYNC);
}

/* All of the journal since the last mark was done while `taken` was this. */
static void mark(void)
{
    for (; w.marked <= w.disk->journal_count && w.marked < MARKS; w.marked++)
        w.taken_at[w.marked] = w.taken;
    assert_true(w.disk->journal_count < MARKS);
}

static kvorum_status write_until(uint32_t until)
{
    kvorum_status status = KVORUM_OK;
    while (status == KVORUM_OK && w.taken < until) {
        status = write_one(w.taken + 1);
        mark();
        w.taken += status == KVORUM_OK;
        mark();
        if (status == KVORUM_OK && w.taken % FLUSH_EVERY == 0)
            status = engine_flush(w.engine);
        mark();
    }
    return status;
}

static void begin(void)
{
    fault_disk_init(&disk);
    w = (struct workload){ .disk = &disk, .batch = engine_batch_create() };
    assert_non_null(w.batch);
}

static void begin_open(void)
{
    begin();
    assert_int_equal(open_at(&disk, "s", &w.engine), KVORUM_OK);
}

static void end(void)
{
    engine_close(w.engine);
    engine_batch_destroy(w.batch);
    fault_disk_done(&disk);
}

/* --- what is there ------------------------------------------------------------------------- */

static void see_damage(void *context, const struct engine_damage *damage)
{
    print_message("# %s at %llu: %s\n", damage->file, (unsigned long long)damage->offset,
                  damage->what);
    ++*(unsigned *)context;
}

static void check_key(struct engine *engine, struct bytes key, uint32_t setter, size_t size)
{
    uint8_t value[HOT_SIZE];
    struct engine_view view;
    kvorum_status status = engine_view(engine, key, &view);
    assert_int_equal(status, setter == 0 ? KVORUM_NOT_FOUND : KVORUM_OK);
    if (setter == 0)
        return;
    assert_true(bytes_equal(view.value, value_of(setter, size, value)));
    engine_release(&view);
}

/* The batch that set the hot key last, of `count`; 0: none. */
static uint32_t hot_setter(uint32_t count, uint32_t index)
{
    while (count > 0 && count % HOT != index)
        count--;
    return count;
}

/* Exactly so many batches. */
static void check_state(struct engine *engine, uint32_t count)
{
    char key[8];
    for (uint32_t i = 0; i < COLD; i++)
        check_key(engine, cold_key(i, key), i + 1 <= count ? i + 1 : 0, COLD_SIZE);
    for (uint32_t i = 0; i < HOT; i++)
        check_key(engine, hot_key(i, key), hot_setter(count, i), HOT_SIZE);
}

static uint32_t count_of(struct engine *engine)
{
    struct engine_view view;
    uint32_t count = 0;
    if (engine_view(engine, BYTES_LITERAL("m"), &view) != KVORUM_OK)
        return 0;
    memcpy(&count, view.value.data, sizeof(count));
    engine_release(&view);
    return count;
}

static void check_verified(struct engine *engine)
{
    unsigned damages = 0;
    assert_int_equal(engine_verify(engine, see_damage, &damages), KVORUM_OK);
    assert_int_equal(damages, 0);
}

static bool count_blob(void *context, const char *name)
{
    uint64_t number;
    *(uint64_t *)context += lsm_file_parse(name, LSM_FILE_BLOB, &number);
    return true;
}

static uint64_t blobs_on(struct fault_disk *at, const char *path)
{
    uint64_t count = 0;
    assert_int_equal(at->base.ops->list(&at->base, path, count_blob, &count), KVORUM_OK);
    return count;
}

static struct engine_stats stats_of(struct engine *engine)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats;
}

/* Files go when no reader can be at them, which takes the epoch some turns. */
static kvorum_status settle_for_good(void)
{
    kvorum_status status = KVORUM_OK;
    for (int i = 0; i < 4 && status == KVORUM_OK; i++)
        status = engine_settle(w.engine);
    return status;
}

/* --- garbage ------------------------------------------------------------------------------- */

static void test_bound(void)
{
    begin_open();
    assert_int_equal(write_until(BATCHES), KVORUM_OK);
    assert_int_equal(engine_settle(w.engine), KVORUM_OK);
    struct engine_stats stats = stats_of(w.engine);
    uint64_t live = COLD * (COLD_SIZE + RECORDS) + HOT * (HOT_SIZE + RECORDS);
    uint64_t newest = FLUSH_EVERY * (HOT_SIZE + RECORDS) + LSM_BLOB_HEADER_SIZE;
    assert_true(stats.blob_garbage <= stats.blob_size / 2);
    assert_in_range(stats.blob_size, live / 2, 2 * live + newest);
    assert_int_equal(blobs_on(&disk, "s"), stats.blob_files);
    check_state(w.engine, BATCHES);
    check_verified(w.engine);
    end();
}

/* --- who still needs a file ---------------------------------------------------------------- */

static void compact_everything(void)
{
    const struct engine_range all = { 0 };
    assert_int_equal(engine_compact(w.engine, &all), KVORUM_OK);
}

static void check_hot(struct engine_iterator *iterator, uint32_t count)
{
    uint8_t value[HOT_SIZE];
    uint32_t seen = 0;
    engine_iterator_seek(iterator, BYTES_LITERAL("z"));
    for (; iterator->valid; engine_iterator_next(iterator), seen++)
        assert_true(
            bytes_equal(iterator->value, value_of(hot_setter(count, seen), HOT_SIZE, value)));
    assert_int_equal(iterator->error, KVORUM_OK);
    assert_int_equal(seen, HOT);
}

/* An iterator reads from files that are no part of the store any more; then they go. */
static void test_iterator(void)
{
    const struct engine_range all = { 0 };
    struct engine_iterator *iterator;
    begin_open();
    assert_int_equal(write_until(COLD), KVORUM_OK);
    assert_int_equal(engine_iterate(w.engine, &all, &iterator), KVORUM_OK);
    assert_int_equal(write_until(BATCHES), KVORUM_OK);
    compact_everything();
    compact_everything();
    assert_true(blobs_on(&disk, "s") > stats_of(w.engine).blob_files);
    check_hot(iterator, COLD);
    engine_iterator_close(iterator);
    assert_int_equal(settle_for_good(), KVORUM_OK);
    assert_int_equal(blobs_on(&disk, "s"), stats_of(w.engine).blob_files);
    check_state(w.engine, BATCHES);
    end();
}

static uint64_t live_size(void)
{
    struct engine_stats stats = stats_of(w.engine);
    return stats.blob_size - stats.blob_garbage;
}

/* What a snapshot sees is referred to by tables, so it is no garbage. */
static void test_snapshot(void)
{
    struct engine_snapshot *snapshot;
    struct engine_iterator *iterator;
    const struct engine_range all = { 0 };
    begin_open();
    assert_int_equal(write_until(COLD), KVORUM_OK);
    assert_int_equal(engine_snapshot_take(w.engine, &snapshot), KVORUM_OK);
    const struct engine_read read = { .snapshot = snapshot };
    assert_int_equal(write_until(BATCHES), KVORUM_OK);
    compact_everything();
    assert_int_equal(engine_settle(w.engine), KVORUM_OK);
    assert_int_equal(engine_iterate_at(w.engine, &all, &read, &iterator), KVORUM_OK);
    check_hot(iterator, COLD);
    engine_iterator_close(iterator);
    engine_snapshot_release(w.engine, snapshot);
    uint64_t before = live_size();
    compact_everything();
    assert_int_equal(engine_settle(w.engine), KVORUM_OK);
    assert_true(live_size() < before);
    check_state(w.engine, BATCHES);
    check_verified(w.engine);
    end();
}

static void test_checkpoint(void)
{
    struct engine *there;
    begin_open();
    assert_int_equal(write_until(COLD), KVORUM_OK);
    assert_int_equal(engine_checkpoint(w.engine, "c"), KVORUM_OK);
    assert_int_equal(write_until(BATCHES), KVORUM_OK);
    compact_everything();
    assert_int_equal(open_at(&disk, "c", &there), KVORUM_OK);
    check_state(there, COLD);
    check_verified(there);
    engine_close(there);
    check_state(w.engine, BATCHES);
    end();
}

/* --- failures ------------------------------------------------------------------------------ */

static kvorum_status run(void)
{
    kvorum_status status = open_at(&disk, "s", &w.engine);
    if (status != KVORUM_OK)
        return status;
    status = write_until(BATCHES);
    return status == KVORUM_OK ? engine_settle(w.engine) : status;
}

/* With the disk well again, all that was acknowledged is there, and no file too many. */
static void check_reopened(struct fault_disk *at, uint32_t least, uint32_t most)
{
    struct engine *engine;
    assert_int_equal(open_at(at, "s", &engine), KVORUM_OK);
    uint32_t count = count_of(engine);
    assert_in_range(count, least, most);
    check_state(engine, count);
    check_verified(engine);
    assert_int_equal(blobs_on(at, "s"), stats_of(engine).blob_files);
    engine_close(engine);
}

/* A removal that fails leaves its file; all else that fails removes what it made. */
static void check_no_orphans(void)
{
    if (settle_for_good() == KVORUM_OK)
        assert_in_range(blobs_on(&disk, "s"), stats_of(w.engine).blob_files,
                        stats_of(w.engine).blob_files + 1);
}

static bool run_failing(size_t fail_at, bool fail_on)
{
    begin();
    disk.fail_at = fail_at;
    disk.fail_on = fail_on;
    kvorum_status status = run();
    bool met = disk.calls >= fail_at;
    disk.fail_at = 0;
    if (status != KVORUM_OK)
        assert_true(status == KVORUM_IO || status == KVORUM_POISONED);
    if (w.engine != NULL && !fail_on)
        check_no_orphans();
    w.engine = engine_close(w.engine);
    check_reopened(&disk, w.taken, w.taken + 1);
    end();
    return met;
}

static void test_failures(void)
{
    for (unsigned mode = 0; mode < 2; mode++)
        for (size_t n = 1; run_failing(n, mode == 1); n++)
            continue;
}

static void crash_everywhere(enum fault_crash how)
{
    begin();
    assert_int_equal(run(), KVORUM_OK);
    mark();
    for (size_t at = 0; at <= disk.journal_count; at++) {
        fault_disk_crash(&disk, at, how, at, &survivor);
        check_reopened(&survivor, w.taken_at[at], w.taken_at[at] + 1);
        fault_disk_done(&survivor);
    }
    end();
}

static void test_crashes(void)
{
    crash_everywhere(FAULT_KEEP);
    crash_everywhere(FAULT_DROP);
    crash_everywhere(FAULT_TEAR);
    crash_everywhere(FAULT_SCATTER);
}

/* --- damage -------------------------------------------------------------------------------- */

struct seen {
    char file[LSM_NAME_SIZE];
    uint64_t offset;
    unsigned count;
};

static void note_damage(void *context, const struct engine_damage *damage)
{
    struct seen *seen = context;
    snprintf(seen->file, sizeof(seen->file), "%s", damage->file);
    seen->offset = damage->offset;
    seen->count++;
}

static const struct fault_name *first_blob(void)
{
    for (int i = 0; i < disk.now.names.count; i++)
        if (strstr(disk.now.names.list[i].path, "blob-") != NULL)
            return &disk.now.names.list[i];
    abort();
}

static void flip(int inode, uint64_t offset)
{
    struct fault_bytes *bytes = fault_disk_bytes(&disk, inode);
    uint8_t byte;
    memcpy(&byte, bytes->data + offset, 1);
    byte ^= 1;
    fault_write(bytes, offset, &byte, 1);
}

/* A damaged value is named by file and offset; it stops nothing but reads of itself. */
static void test_damage(void)
{
    struct seen seen = { 0 };
    struct engine_view view;
    char key[8];
    begin_open();
    assert_int_equal(write_until(FLUSH_EVERY), KVORUM_OK);
    const struct fault_name *name = first_blob();
    flip(name->inode, LSM_BLOB_HEADER_SIZE + 40);
    assert_int_equal(engine_verify(w.engine, note_damage, &seen), KVORUM_CORRUPT);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.file, name->path + 2);
    assert_int_equal(seen.offset, LSM_BLOB_HEADER_SIZE);
    assert_int_equal(engine_view(w.engine, cold_key(0, key), &view), KVORUM_CORRUPT);
    check_key(w.engine, cold_key(1, key), 2, COLD_SIZE);
    assert_int_equal(write_until(BATCHES), KVORUM_OK);
    assert_int_equal(engine_settle(w.engine), KVORUM_OK);
    compact_everything();
    check_key(w.engine, cold_key(1, key), 2, COLD_SIZE);
    assert_int_equal(engine_view(w.engine, cold_key(0, key), &view), KVORUM_CORRUPT);
    seen.count = 0;
    assert_int_equal(engine_verify(w.engine, note_damage, &seen), KVORUM_CORRUPT);
    assert_int_equal(seen.count, 1);
    end();
}

static void test_header(void)
{
    struct seen seen = { 0 };
    begin_open();
    assert_int_equal(write_until(FLUSH_EVERY), KVORUM_OK);
    const struct fault_name *name = first_blob();
    flip(name->inode, 20);
    assert_int_equal(engine_verify(w.engine, note_damage, &seen), KVORUM_CORRUPT);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.file, name->path + 2);
    assert_int_equal(seen.offset, 0);
    check_state(w.engine, FLUSH_EVERY);
    end();
}

static void test_missing(void)
{
    begin_open();
    assert_int_equal(write_until(FLUSH_EVERY), KVORUM_OK);
    w.engine = engine_close(w.engine);
    fault_unset_name(&disk.now.names, first_blob()->path);
    assert_int_equal(open_at(&disk, "s", &w.engine), KVORUM_CORRUPT);
    end();
}

static void test_orphan(void)
{
    struct disk_file *file;
    begin_open();
    assert_int_equal(write_until(FLUSH_EVERY), KVORUM_OK);
    w.engine = engine_close(w.engine);
    assert_int_equal(disk.base.ops->open(&disk.base, "s/blob-00000000000000ff.blb",
                                         DISK_WRITE | DISK_CREATE, &file),
                     KVORUM_OK);
    file->ops->close(file);
    check_reopened(&disk, FLUSH_EVERY, FLUSH_EVERY);
    end();
}

static const struct named_test tests[] = {
    { "blob files take at most twice what is referred to", test_bound },
    { "an iterator keeps the files it reads from, and then they go", test_iterator },
    { "a snapshot keeps its values", test_snapshot },
    { "a checkpoint has its own", test_checkpoint },
    { "whichever operation fails, no value is lost and no file stays", test_failures },
    { "wherever the power fails, no value is lost and no file stays", test_crashes },
    { "a damaged value is named, and stops nothing else", test_damage },
    { "a damaged header is named, and hinders no read", test_header },
    { "a missing file is found out at open", test_missing },
    { "a file that no manifest names goes at open", test_orphan },
};

int main(void)
{
    return RUN_TESTS("lsm blob store", tests);
}
