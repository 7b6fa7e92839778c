/* SPDX-License-Identifier: Apache-2.0 */
/* The cache under pressure: limits, pins, tables that fall out, and many threads at once. */
#include "engine/lsm/table/cache.h"

#include "engine/lsm/table/open.h"
#include "tests/support/memory_file.h"
#include "tests/support/rows.h"
#include "tests/support/table_model.h"

enum {
    TABLES = 3,
    THREADS = 4,
    NOWAIT_LIMIT = 128 * 1024 /* of which the tables are more than twice */
};

/* A disk of files in memory that can only be read, by many threads. */
struct memory_disk {
    struct disk base;
    struct fault_disk made;
    _Atomic int open_files;
    _Atomic size_t reads, hints;
};

struct counted_file {
    struct disk_file base;
    struct memory_disk *disk;
    struct memory_file file;
};

static kvorum_status counted_pread(struct disk_file *base, void *data, size_t size, uint64_t offset,
                                   size_t *ret_size)
{
    struct counted_file *file = (struct counted_file *)base;
    atomic_fetch_add(&file->disk->reads, 1);
    return memory_file_pread(&file->file.base, data, size, offset, ret_size);
}

/* All of it lies inside the file. */
static void counted_will_read(struct disk_file *base, uint64_t offset, uint64_t size)
{
    struct counted_file *file = (struct counted_file *)base;
    atomic_fetch_add(&file->disk->hints, 1);
    assert_true(size > 0 && offset + size <= file->file.bytes.size);
}

static kvorum_status counted_size(struct disk_file *base, uint64_t *ret_size)
{
    return memory_file_size(&((struct counted_file *)base)->file.base, ret_size);
}

static void counted_close(struct disk_file *base)
{
    atomic_fetch_sub(&((struct counted_file *)base)->disk->open_files, 1);
    free(base);
}

static const struct disk_ops counted_ops = { .pread = counted_pread,
                                             .will_read = counted_will_read,
                                             .size = counted_size,
                                             .close = counted_close };

static kvorum_status memory_open(struct disk *base, const char *path, unsigned flags,
                                 struct disk_file **ret_file)
{
    struct memory_disk *disk = (struct memory_disk *)base;
    struct fault_name *name = fault_find(&disk->made.now.names, path);
    assert_int_equal(flags & ~(unsigned)DISK_RANDOM, DISK_READ);
    if (name == NULL)
        return KVORUM_NOT_FOUND;
    struct fault_bytes *inode = fault_disk_bytes(&disk->made, name->inode);
    struct counted_file *file = malloc(sizeof(*file));
    assert(file != NULL);
    *file = (struct counted_file){ { &counted_ops },
                                   disk,
                                   memory_file_of(bytes_make(inode->data, inode->size)) };
    atomic_fetch_add(&disk->open_files, 1);
    *ret_file = &file->base;
    return KVORUM_OK;
}

static const struct disk_ops memory_disk_ops = { .open = memory_open };

struct fixture {
    struct memory_disk disk;
    struct epoch epoch;
    struct lsm_cache *cache;
    struct lsm_table *tables[TABLES];
    struct model model; /* all tables hold the same */
};

static struct fixture *setup_of(const struct model_shape *shape, uint64_t block_limit,
                                uint64_t table_limit, size_t open_limit,
                                enum lsm_compression compression)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct lsm_table_options options = { 1024, 8, 10, compression };
    f->disk.base.ops = &memory_disk_ops;
    fault_disk_init(&f->disk.made);
    epoch_init(&f->epoch);
    model_init(&f->model, shape, 3);
    assert_int_equal(lsm_cache_create(&f->epoch, block_limit, table_limit, open_limit, &f->cache),
                     KVORUM_OK);
    for (int i = 0; i < TABLES; i++) {
        struct lsm_table_meta meta;
        char path[16];
        snprintf(path, sizeof(path), "db/%d", i);
        assert_int_equal(model_write(&f->model, &f->disk.made.base, path, &options, NULL, 0, &meta),
                         KVORUM_OK);
        assert_int_equal(
            lsm_table_create(&f->disk.base, path, &model_store, &meta, f->cache, &f->tables[i]),
            KVORUM_OK);
    }
    return f;
}

static struct fixture *setup(uint64_t block_limit, uint64_t table_limit, size_t open_limit,
                             enum lsm_compression compression)
{
    static const struct model_shape shape = { 1500, 20, 200, 2, 26, false };
    return setup_of(&shape, block_limit, table_limit, open_limit, compression);
}

static void teardown(struct fixture *f)
{
    for (int i = 0; i < TABLES; i++)
        if (f->tables[i] != NULL)
            lsm_table_release(f->tables[i]);
    lsm_cache_destroy(f->cache);
    epoch_done(&f->epoch);
    assert_int_equal(f->disk.open_files, 0);
    model_done(&f->model);
    fault_disk_done(&f->disk.made);
    free(f);
}

static kvorum_status get(struct fixture *f, int table, size_t index, bool nowait,
                         struct lsm_search *ret_search)
{
    const struct lsm_entry *entry = &f->model.entries[index];
    *ret_search = (struct lsm_search){ .key = entry->key,
                                       .hash = lsm_key_hash(entry->key),
                                       .sequence = entry->sequence,
                                       .nowait = nowait };
    kvorum_status status = lsm_table_get(f->tables[table], ret_search);
    if (status == KVORUM_OK) {
        assert_true(bytes_equal(ret_search->found.value, entry->value));
        assert_int_equal(ret_search->found.kind, entry->kind);
    }
    return status;
}

static void get_all(struct fixture *f, int table)
{
    struct lsm_search search;
    for (size_t i = 0; i < f->model.count; i++) {
        epoch_guard guard = epoch_enter(&f->epoch);
        assert_int_equal(get(f, table, i, false, &search), KVORUM_OK);
        epoch_leave(guard);
    }
}

static struct engine_stats stats_of(struct fixture *f)
{
    struct engine_stats stats = { 0 };
    lsm_cache_stats(f->cache, &stats);
    return stats;
}

/* --- one thread ---------------------------------------------------------------------------- */

static void test_hits(void)
{
    struct fixture *f = setup(8 << 20, 0, 0, LSM_STORED);
    get_all(f, 0);
    size_t reads = f->disk.reads;
    struct engine_stats stats = stats_of(f);
    get_all(f, 0);
    assert_int_equal(f->disk.reads, reads);
    assert_int_equal(stats_of(f).cache_misses, stats.cache_misses);
    assert_true(stats_of(f).cache_hits >= stats.cache_hits + f->model.count);
    assert_in_range(stats.cache_size, 100000, 8 << 20);
    teardown(f);
}

static void test_hints(void)
{
    enum { HINTS = 2 /* what is wanted now, and its region */ };
    struct fixture *roomy = setup(8 << 20, 0, 0, LSM_STORED);
    get_all(roomy, 0);
    assert_int_equal(roomy->disk.hints, HINTS);
    get_all(roomy, 1);
    get_all(roomy, 0);
    assert_int_equal(roomy->disk.hints, 2 * HINTS);
    teardown(roomy);
    struct fixture *small = setup(NOWAIT_LIMIT, 0, 0, LSM_STORED);
    get_all(small, 0);
    assert_int_equal(small->disk.hints, 0);
    teardown(small);
}

static void test_announces_regions(void)
{
    enum { REGION = 4 << 20, HINTS = 2 };
    static const struct model_shape shape = { 60000, 20, 200, 2, 26, false };
    struct fixture *f = setup_of(&shape, 64 << 20, 0, 0, LSM_STORED);
    uint64_t size =
        fault_disk_bytes(&f->disk.made, fault_find(&f->disk.made.now.names, "db/0")->inode)->size;
    assert_true(size > REGION);
    get_all(f, 0);
    assert_int_equal(f->disk.hints, HINTS * (size / REGION + 1));
    teardown(f);
}

static void test_nowait(void)
{
    struct fixture *f = setup(NOWAIT_LIMIT, 0, 0, LSM_STORED);
    struct lsm_search search;
    epoch_guard guard = epoch_enter(&f->epoch);
    assert_int_equal(get(f, 0, 5, true, &search), KVORUM_WOULD_BLOCK);
    assert_int_equal(f->disk.reads, 0);
    assert_int_equal(get(f, 0, 5, false, &search), KVORUM_OK);
    size_t reads = f->disk.reads;
    assert_int_equal(get(f, 0, 5, true, &search), KVORUM_OK);
    assert_int_equal(get(f, 0, f->model.count - 1, true, &search), KVORUM_WOULD_BLOCK);
    assert_int_equal(f->disk.reads, reads);
    const struct lsm_table_scan scan = { .nowait = true };
    struct lsm_source *source;
    assert_int_equal(lsm_table_source(f->tables[1], &scan, &source), KVORUM_WOULD_BLOCK);
    assert_int_equal(lsm_table_source(f->tables[0], &scan, &source), KVORUM_OK);
    source->ops->first(source);
    while (source->valid)
        source->ops->next(source);
    assert_int_equal(source->status, KVORUM_WOULD_BLOCK);
    source->ops->close(source);
    assert_int_equal(f->disk.reads, reads);
    epoch_leave(guard);
    teardown(f);
}

/* However the tables are read, and though readers keep the epoch busy. */
static void test_limit(void)
{
    enum { LIMIT = 128 * 1024 };
    struct fixture *f = setup(LIMIT, 0, 0, LSM_LZ4);
    struct lsm_search search;
    epoch_guard guards[2] = { epoch_enter(&f->epoch), epoch_enter(&f->epoch) };
    for (size_t i = 0; i < 4 * f->model.count; i++) {
        epoch_leave(guards[i % 2]);
        guards[i % 2] = epoch_enter(&f->epoch);
        assert_int_equal(get(f, (int)(i % TABLES), i * 7919 % f->model.count, false, &search),
                         KVORUM_OK);
        /* blocks outside the segments are those of readers that are inside */
        assert_true(stats_of(f).cache_size <= LIMIT + 4 * 2048);
    }
    epoch_leave(guards[0]);
    epoch_leave(guards[1]);
    epoch_poll(&f->epoch);
    assert_true(stats_of(f).cache_size <= LIMIT);
    teardown(f);
}

/* What is read again and again stays, whatever else passes by. */
static void test_second_chance(void)
{
    struct fixture *f = setup(128 * 1024, 0, 0, LSM_STORED);
    struct lsm_search search;
    size_t hot_misses = 0;
    for (size_t i = 0; i < 3 * f->model.count; i++) {
        epoch_guard guard = epoch_enter(&f->epoch);
        assert_int_equal(get(f, 1, i % f->model.count, false, &search), KVORUM_OK);
        size_t reads = f->disk.reads;
        assert_int_equal(get(f, 0, i % 64, false, &search), KVORUM_OK);
        hot_misses += f->disk.reads - reads;
        epoch_leave(guard);
    }
    assert_in_range(hot_misses, 1, 60);
    teardown(f);
}

static void test_pins(void)
{
    struct fixture *f = setup(64 * 1024, 0, 0, LSM_STORED);
    struct lsm_search searches[40];
    for (size_t i = 0; i < 40; i++) {
        epoch_guard guard = epoch_enter(&f->epoch);
        assert_int_equal(get(f, 0, i * 30, false, &searches[i]), KVORUM_OK);
        lsm_block_pin(searches[i].block);
        epoch_leave(guard);
    }
    get_all(f, 1);
    get_all(f, 2);
    lsm_table_release(f->tables[0]);
    f->tables[0] = NULL;
    epoch_poll(&f->epoch);
    for (size_t i = 0; i < 40; i++) {
        assert_true(bytes_equal(searches[i].found.value, f->model.entries[i * 30].value));
        lsm_block_unpin(searches[i].block);
    }
    assert_true(stats_of(f).cache_size <= 64 * 1024);
    get_all(f, 1);
    teardown(f);
}

/* An open source keeps its table, and what it is at. */
static void test_source_of_released_table(void)
{
    struct fixture *f = setup(64 * 1024, 0, 0, LSM_ZSTD);
    struct lsm_source *source;
    const struct lsm_table_scan scan = { 0 };
    assert_int_equal(lsm_table_source(f->tables[0], &scan, &source), KVORUM_OK);
    lsm_table_release(f->tables[0]);
    f->tables[0] = NULL;
    source->ops->first(source);
    for (size_t i = 0; i < f->model.count; i++) {
        get_all(f, 1 + (int)(i / 700 % 2));
        i += 699;
    }
    size_t count = 0;
    for (; source->valid; source->ops->next(source), count++)
        assert_true(bytes_equal(source->entry.value, f->model.entries[count].value));
    assert_int_equal(count, f->model.count);
    source->ops->close(source);
    teardown(f);
}

static void check_table_limits(uint64_t table_limit, size_t open_limit)
{
    struct fixture *f = setup(1 << 20, table_limit, open_limit, LSM_STORED);
    struct lsm_search search;
    for (size_t i = 0; i < 300; i++) {
        epoch_guard guard = epoch_enter(&f->epoch);
        assert_int_equal(get(f, (int)(i % TABLES), i, false, &search), KVORUM_OK);
        epoch_leave(guard);
        epoch_poll(&f->epoch);
        assert_in_range(f->disk.open_files, 1, 1);
        assert_int_equal(stats_of(f).table_memory_size > 0, 1);
    }
    teardown(f);
}

static void test_open_limit(void)
{
    check_table_limits(0, 1);
}

static void test_table_limit(void)
{
    check_table_limits(1, 0);
}

static void test_sizes(void)
{
    struct fixture *f = setup(1 << 20, 0, 0, LSM_STORED);
    struct lsm_table *table = f->tables[0];
    struct bytes keys[16], none = { 0 };
    epoch_guard guard = epoch_enter(&f->epoch);
    uint64_t all = lsm_table_range_size(table, none, none), sum = 0;
    assert_in_range(all, table->meta.size * 8 / 10, table->meta.size);
    size_t count = lsm_table_split(table, 16, keys);
    assert_in_range(count, 10, 15);
    for (size_t i = 0; i <= count; i++) {
        struct bytes lower = i == 0 ? none : keys[i - 1], upper = i == count ? none : keys[i];
        assert_true(lsm_below_upper(lower, upper));
        uint64_t size = lsm_table_range_size(table, lower, upper);
        assert_in_range(size, all / 32, all / 8);
        sum += size;
    }
    assert_in_range(sum, all, all + 16 * 2048);
    assert_int_equal(lsm_table_range_size(table, BYTES_LITERAL("{"), none), 0);
    epoch_leave(guard);
    teardown(f);
}

/* --- many threads -------------------------------------------------------------------------- */

struct worker {
    pthread_t thread;
    struct fixture *f;
    uint64_t seed;
    size_t rounds;
};

static void walk(struct fixture *f, struct random *random)
{
    struct lsm_source *source;
    const struct lsm_table_scan scan = { .sequential = random_chance(random, 1, 4) };
    size_t at = (size_t)random_below(random, f->model.count);
    epoch_guard guard = epoch_enter(&f->epoch);
    kvorum_status status =
        lsm_table_source(f->tables[random_below(random, TABLES)], &scan, &source);
    assert_int_equal(status, KVORUM_OK);
    if (random_chance(random, 1, 2)) {
        source->ops->seek(source, f->model.entries[0].key, LSM_SEQUENCE_MAX);
        status = lsm_table_source_turn(source, f->tables[random_below(random, TABLES)]);
        assert_int_equal(status, KVORUM_OK);
        assert_false(source->valid);
    }
    source->ops->seek(source, f->model.entries[at].key, f->model.entries[at].sequence);
    epoch_leave(guard);
    for (int i = 0; i < 100 && source->valid; i++, at++) {
        assert_true(bytes_equal(source->entry.value, f->model.entries[at].value));
        guard = epoch_enter(&f->epoch);
        source->ops->next(source);
        epoch_leave(guard);
    }
    assert_int_equal(source->status, KVORUM_OK);
    source->ops->close(source);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct fixture *f = worker->f;
    struct random random;
    random_init(&random, worker->seed);
    struct lsm_search pinned = { 0 };
    size_t pinned_index = 0;
    for (size_t i = 0; i < worker->rounds; i++) {
        size_t index = (size_t)random_below(&random, f->model.count);
        struct lsm_search search;
        epoch_guard guard = epoch_enter(&f->epoch);
        assert_int_equal(get(f, (int)random_below(&random, TABLES), index, false, &search),
                         KVORUM_OK);
        bool pin = pinned.block == NULL && random_chance(&random, 1, 20);
        if (pin)
            lsm_block_pin(search.block);
        epoch_leave(guard);
        if (pin) {
            pinned = search;
            pinned_index = index;
        } else if (pinned.block != NULL && random_chance(&random, 1, 40)) {
            assert_true(bytes_equal(pinned.found.value, f->model.entries[pinned_index].value));
            lsm_block_unpin(pinned.block);
            pinned.block = NULL;
        }
        if (i % 100 == 0)
            walk(f, &random);
    }
    if (pinned.block != NULL)
        lsm_block_unpin(pinned.block);
    return NULL;
}

static void check_threads(uint64_t block_limit, size_t open_limit, enum lsm_compression compression)
{
    struct fixture *f = setup(block_limit, 0, open_limit, compression);
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .f = f, .seed = (uint64_t)i + 1, .rounds = 6000 };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    teardown(f);
}

static void test_threads(void)
{
    check_threads(64 * 1024, 0, LSM_STORED);
}

static void test_threads_zstd(void)
{
    check_threads(256 * 1024, 0, LSM_ZSTD);
}

static void test_threads_reopen(void)
{
    check_threads(128 * 1024, 2, LSM_STORED);
}

static const struct named_test tests[] = {
    { "what was read once is read from memory", test_hits },
    { "the disk hears of a region once, and only where all fits into memory", test_hints },
    { "each region of a large table is announced once", test_announces_regions },
    { "nowait never touches the disk", test_nowait },
    { "the limit holds, whatever readers do", test_limit },
    { "blocks in use survive a scan", test_second_chance },
    { "a pinned block outlives its place and its table", test_pins },
    { "a source outlives the last reference to its table", test_source_of_released_table },
    { "the limit of open files", test_open_limit },
    { "the limit of memory for tables", test_table_limit },
    { "sizes of ranges, and keys that cut a table", test_sizes },
    { "threads read while a tiny cache evicts", test_threads },
    { "the same, decompressing", test_threads_zstd },
    { "the same, while tables are closed and opened", test_threads_reopen },
};

int main(void)
{
    return RUN_TESTS("table cache", tests);
}
