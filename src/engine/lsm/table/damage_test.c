/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged tables: every single bit of small ones, cut and foreign files, a disk that fails at its
 * n-th call.  No wrong answer, no silence, and salvage gives what is intact. */
#include "engine/lsm/table/format.h"

#include "base/hash.h"

#include "engine/lsm/log/little.h"
#include "tests/support/rows.h"
#include "tests/support/table_model.h"

struct fixture {
    struct fault_disk disk;
    struct epoch epoch;
    struct lsm_cache *cache;
    struct lsm_table *table;
    struct model model;
    struct lsm_table_meta meta;
    size_t damages, entries, ranges;
    uint64_t lost;
};

static const struct lsm_range some_ranges[] = {
    { { (const uint8_t *)"b", 1 }, { (const uint8_t *)"bcd", 3 }, 77 },
    { { (const uint8_t *)"aa", 2 }, { (const uint8_t *)"z", 1 }, 5 },
};

static const struct model_shape small = { 60, 10, 30, 2, 26, false };
static const struct model_shape packed = { 60, 10, 120, 2, 3, false };

static struct fixture *setup(const struct model_shape *shape, enum lsm_compression compression)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct lsm_table_options options = { 512, 4, 10, compression };
    fault_disk_init(&f->disk);
    epoch_init(&f->epoch);
    model_init(&f->model, shape, 21);
    assert_int_equal(
        model_write(&f->model, &f->disk.base, "db/t", &options, some_ranges, 2, &f->meta),
        KVORUM_OK);
    return f;
}

static void teardown(struct fixture *f)
{
    free((void *)f->meta.lower.data);
    epoch_done(&f->epoch);
    model_done(&f->model);
    fault_disk_done(&f->disk);
    free(f);
}

/* A fresh look at the file. */
static void open_table(struct fixture *f)
{
    struct lsm_table_meta meta = f->meta;
    uint8_t *bounds = malloc(meta.lower.size + meta.upper.size + 1);
    memcpy(bounds, meta.lower.data, meta.lower.size);
    memcpy(bounds + meta.lower.size, meta.upper.data, meta.upper.size);
    meta.upper.data = bounds + meta.lower.size;
    meta.lower.data = bounds;
    assert_int_equal(lsm_cache_create(&f->epoch, 1 << 20, 0, 0, &f->cache), KVORUM_OK);
    assert_int_equal(
        lsm_table_create(&f->disk.base, "db/t", &model_store, &meta, f->cache, &f->table),
        KVORUM_OK);
}

static void close_table(struct fixture *f)
{
    lsm_table_release(f->table);
    lsm_cache_destroy(f->cache);
}

/* --- answers: right, or a named error -------------------------------------------------------- */

static bool is_named(kvorum_status status)
{
    return status == KVORUM_CORRUPT || status == KVORUM_FOREIGN || status == KVORUM_NEWER_FORMAT ||
           status == KVORUM_IO;
}

static size_t check_get(struct fixture *f, struct bytes key, uint64_t sequence)
{
    struct lsm_search search = { .key = key, .hash = lsm_key_hash(key), .sequence = sequence };
    const struct lsm_entry *wanted = model_get(&f->model, key, sequence);
    epoch_guard guard = epoch_enter(&f->epoch);
    kvorum_status status = lsm_table_get(f->table, &search);
    bool right = status == KVORUM_OK
                     ? wanted != NULL && bytes_equal(search.found.value, wanted->value) &&
                           search.found.sequence == wanted->sequence &&
                           search.found.kind == wanted->kind
                     : is_named(status) || (status == KVORUM_NOT_FOUND && wanted == NULL);
    epoch_leave(guard);
    assert_true(right);
    return is_named(status);
}

static size_t check_scan(struct fixture *f, bool sequential)
{
    struct lsm_source *source;
    const struct lsm_table_scan scan = { .sequential = sequential };
    size_t count = 0;
    epoch_guard guard = epoch_enter(&f->epoch);
    kvorum_status status = lsm_table_source(f->table, &scan, &source);
    if (status == KVORUM_OK) {
        for (source->ops->first(source); source->valid; source->ops->next(source), count++)
            assert_true(count < f->model.count &&
                        bytes_equal(source->entry.key, f->model.entries[count].key) &&
                        bytes_equal(source->entry.value, f->model.entries[count].value) &&
                        source->entry.sequence == f->model.entries[count].sequence);
        status = source->status;
        assert_true(status != KVORUM_OK || count == f->model.count);
        source->ops->close(source);
    }
    epoch_leave(guard);
    assert_true(status == KVORUM_OK || is_named(status));
    return status != KVORUM_OK;
}

static kvorum_status see_range(void *context, const struct lsm_range *range)
{
    struct fixture *f = context;
    assert_true(f->ranges < 2);
    const struct lsm_range *wanted = &some_ranges[f->ranges++];
    assert_true(bytes_equal(range->lower, wanted->lower) &&
                bytes_equal(range->upper, wanted->upper) && range->sequence == wanted->sequence);
    return KVORUM_OK;
}

static size_t check_ranges(struct fixture *f)
{
    f->ranges = 0;
    epoch_guard guard = epoch_enter(&f->epoch);
    kvorum_status status = lsm_table_read_ranges(f->table, see_range, f);
    epoch_leave(guard);
    assert_true(is_named(status) || (status == KVORUM_OK && f->ranges == 2));
    return status != KVORUM_OK;
}

/* Returns the number of errors. */
static size_t check_answers(struct fixture *f)
{
    size_t errors = check_ranges(f);
    for (size_t i = 0; i < f->model.count; i++) {
        struct bytes key = f->model.entries[i].key;
        errors += check_get(f, key, f->model.entries[i].sequence);
        key.size -= key.size > 1;
        errors += check_get(f, key, LSM_SEQUENCE_MAX);
    }
    errors += check_scan(f, false);
    errors += check_scan(f, true);
    return errors;
}

static void count_damage(void *context, const struct engine_damage *damage)
{
    struct fixture *f = context;
    assert_string_equal(damage->file, "t");
    assert_true(damage->what != NULL && is_named(damage->status));
    f->damages++;
}

static kvorum_status verify(struct fixture *f)
{
    f->damages = 0;
    epoch_guard guard = epoch_enter(&f->epoch);
    kvorum_status status = lsm_table_verify(f->table, count_damage, f);
    epoch_leave(guard);
    return status;
}

/* --- salvage ------------------------------------------------------------------------------- */

/* It comes in order, and is something that was written. */
static kvorum_status see_entry(void *context, const struct lsm_entry *entry)
{
    struct fixture *f = context;
    const struct lsm_entry *wanted = model_get(&f->model, entry->key, entry->sequence);
    assert_true(wanted != NULL && wanted->sequence == entry->sequence &&
                wanted->kind == entry->kind && bytes_equal(wanted->value, entry->value));
    f->entries++;
    return KVORUM_OK;
}

static kvorum_status salvage(struct fixture *f)
{
    f->entries = f->ranges = 0;
    return lsm_table_salvage(&f->disk.base, "db/t", see_entry, see_range, f, &f->lost);
}

/* --- tests --------------------------------------------------------------------------------- */

static void flip_all(const struct model_shape *shape, enum lsm_compression compression)
{
    struct fixture *f = setup(shape, compression);
    struct fault_bytes *file = fault_disk_bytes(&f->disk, 0);
    open_table(f);
    assert_int_equal(check_answers(f), 0);
    assert_int_equal(verify(f), KVORUM_OK);
    assert_int_equal(salvage(f), KVORUM_OK);
    assert_int_equal(f->entries, f->model.count);
    assert_int_equal(f->lost, 0);
    close_table(f);
    for (uint64_t bit = 0; bit < file->size * 8; bit++) {
        file->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        open_table(f);
        check_answers(f);
        assert_true(is_named(verify(f)));
        assert_true(f->damages > 0);
        close_table(f);
        assert_int_equal(salvage(f), KVORUM_OK);
        assert_true(f->lost > 0 && f->lost < 2000);
        assert_true(f->entries + 40 > f->model.count);
        file->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    teardown(f);
}

static void test_flips(void)
{
    flip_all(&small, LSM_STORED);
}

static void test_flips_lz4(void)
{
    flip_all(&packed, LSM_LZ4);
}

static void test_flips_zstd(void)
{
    flip_all(&packed, LSM_ZSTD);
}

static void test_cuts(void)
{
    struct fixture *f = setup(&small, LSM_STORED);
    struct fault_bytes *file = fault_disk_bytes(&f->disk, 0);
    for (uint64_t whole = file->size; file->size > 0;) {
        file->size--;
        open_table(f);
        assert_true(check_answers(f) > f->model.count);
        assert_true(is_named(verify(f)));
        close_table(f);
        kvorum_status status = salvage(f);
        assert_true(status == KVORUM_OK || (file->size < TABLE_HEAD_SIZE && is_named(status)));
        assert_true(f->lost <= whole);
    }
    teardown(f);
}

/* Head and foot are gone: the properties know the file's id. */
static void test_salvage_without_ends(void)
{
    struct fixture *f = setup(&small, LSM_STORED);
    struct fault_bytes *file = fault_disk_bytes(&f->disk, 0);
    memset(file->data, 0, TABLE_HEAD_SIZE);
    memset(file->data + file->size - TABLE_FOOT_SIZE, 0, TABLE_FOOT_SIZE);
    assert_int_equal(salvage(f), KVORUM_OK);
    assert_int_equal(f->entries, f->model.count);
    assert_int_equal(f->ranges, 2);
    assert_int_equal(f->lost, TABLE_HEAD_SIZE + TABLE_FOOT_SIZE);
    teardown(f);
}

static kvorum_status open_status(struct fixture *f)
{
    open_table(f);
    kvorum_status status = verify(f);
    close_table(f);
    return status;
}

static void test_other_files(void)
{
    struct fixture *f = setup(&small, LSM_STORED);
    struct fault_bytes *file = fault_disk_bytes(&f->disk, 0);
    uint8_t *foot = file->data + file->size - TABLE_FOOT_SIZE;
    f->meta.number++;
    assert_int_equal(open_status(f), KVORUM_CORRUPT);
    f->meta.number--;
    f->meta.file.low++;
    assert_int_equal(open_status(f), KVORUM_CORRUPT);
    f->meta.file.low--;
    little_put32(foot + 80, TABLE_VERSION + 1);
    const struct bytes parts[] = { bytes_make(foot, 72), bytes_make(foot + 80, 8) };
    little_put64(foot + 72, hash64_parts(parts, 2, 0));
    assert_int_equal(open_status(f), KVORUM_NEWER_FORMAT);
    memset(file->data, 'x', file->size);
    assert_int_equal(open_status(f), KVORUM_FOREIGN);
    assert_int_equal(salvage(f), KVORUM_FOREIGN);
    assert_int_equal(f->disk.base.ops->remove(&f->disk.base, "db/t"), KVORUM_OK);
    assert_int_equal(open_status(f), KVORUM_CORRUPT);
    open_table(f);
    assert_true(check_answers(f) > f->model.count);
    close_table(f);
    teardown(f);
}

static void test_other_store(void)
{
    struct fixture *f = setup(&small, LSM_STORED);
    struct lsm_table_writer *writer;
    struct lsm_id other = { 9, 9 };
    assert_int_equal(f->disk.base.ops->remove(&f->disk.base, "db/t"), KVORUM_OK);
    const struct lsm_table_options options = { 0 };
    assert_int_equal(lsm_table_writer_create(&f->disk.base, "db/t", &other, &model_file,
                                             MODEL_NUMBER, &options, &writer),
                     KVORUM_OK);
    free((void *)f->meta.lower.data);
    assert_int_equal(lsm_table_writer_finish(writer, &f->meta), KVORUM_OK);
    assert_int_equal(open_status(f), KVORUM_FOREIGN);
    teardown(f);
}

/* --- a failing disk ------------------------------------------------------------------------ */

static void test_failing_writer(void)
{
    struct model model;
    const struct lsm_table_options options = { 0, 0, 10, LSM_STORED };
    const struct model_shape shape = { 20000, 20, 400, 1, 26, false };
    kvorum_status status = KVORUM_IO;
    model_init(&model, &shape, 5);
    for (size_t n = 1; status != KVORUM_OK; n++) {
        struct fault_disk disk;
        struct lsm_table_meta meta = { 0 };
        fault_disk_init(&disk);
        disk.fail_at = n;
        status = model_write(&model, &disk.base, "db/t", &options, NULL, 0, &meta);
        assert_true(status == KVORUM_OK || status == KVORUM_IO);
        assert_int_equal(disk.now.names.count, status == KVORUM_OK);
        free((void *)meta.lower.data);
        fault_disk_done(&disk);
        assert_true(n > 3 || status != KVORUM_OK);
    }
    model_done(&model);
}

static void test_full_disk(void)
{
    struct model model;
    const struct lsm_table_options options = { 0, 0, 10, LSM_STORED };
    const struct model_shape shape = { 2000, 20, 400, 1, 26, false };
    struct fault_disk disk;
    struct lsm_table_meta meta;
    model_init(&model, &shape, 5);
    fault_disk_init(&disk);
    disk.space_limit = 20000;
    assert_int_equal(model_write(&model, &disk.base, "db/t", &options, NULL, 0, &meta),
                     KVORUM_NO_SPACE);
    assert_int_equal(disk.now.names.count, 0);
    fault_disk_done(&disk);
    model_done(&model);
}

/* The n-th call fails, once or from then on; what was answered is right, and a later read on a
 * disk that works again is whole. */
static void check_failing_reads(bool fail_on)
{
    struct fixture *f = setup(&packed, LSM_LZ4);
    size_t errors = 1;
    for (size_t n = 1; errors > 0; n++) {
        open_table(f);
        f->disk.calls = 0;
        f->disk.fail_at = n;
        f->disk.fail_on = fail_on;
        errors = check_answers(f);
        f->disk.fail_at = 0;
        assert_int_equal(check_answers(f), 0);
        close_table(f);
    }
    teardown(f);
}

static void test_failing_reads(void)
{
    check_failing_reads(false);
    check_failing_reads(true);
}

static void test_failing_checks(void)
{
    struct fixture *f = setup(&packed, LSM_ZSTD);
    kvorum_status status = KVORUM_IO;
    for (size_t n = 1; status != KVORUM_OK; n++) {
        open_table(f);
        f->disk.calls = 0;
        f->disk.fail_at = n;
        status = verify(f);
        assert_true(status == KVORUM_OK || (status == KVORUM_IO && f->damages > 0));
        close_table(f);
    }
    status = KVORUM_IO;
    for (size_t n = 1; status != KVORUM_OK || f->lost > 0; n++) {
        f->disk.calls = 0;
        f->disk.fail_at = n;
        status = salvage(f);
        assert_true(status == KVORUM_OK || status == KVORUM_IO);
        assert_true(status != KVORUM_OK || f->entries == f->model.count || f->lost > 0);
        assert_true(n < 100);
        f->disk.fail_at = 0;
        if (status == KVORUM_OK && f->disk.calls < n)
            break;
    }
    teardown(f);
}

static const struct named_test tests[] = {
    { "every bit of a table matters or is seen", test_flips },
    { "every bit of one with lz4", test_flips_lz4 },
    { "every bit of one with zstd", test_flips_zstd },
    { "a table cut anywhere", test_cuts },
    { "salvage without head and foot", test_salvage_without_ends },
    { "other, newer, foreign and missing files are named", test_other_files },
    { "a table of another store is foreign", test_other_store },
    { "a writer whose n-th call fails leaves nothing", test_failing_writer },
    { "a full disk is named and leaves nothing", test_full_disk },
    { "reads whose n-th call fails", test_failing_reads },
    { "verify and salvage whose n-th call fails", test_failing_checks },
};

int main(void)
{
    return RUN_TESTS("table damage", tests);
}
