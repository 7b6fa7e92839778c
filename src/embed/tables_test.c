/* SPDX-License-Identifier: Apache-2.0 */
/* What needs tables on disk, through kvorum.h: flushes and compactions on the library's own
 * threads, merges, snapshots, ranges, checkpoints. */
#include "kvorum/kvorum.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "tests/support/folder.h"

static const enum kvorum_durability none = KVORUM_DURABILITY_NONE;
static const kvorum_bytes no_bound = { NULL, 0 };
static struct folder folder;

#define assert_ok(call) assert_int_equal((call), KVORUM_OK)

static kvorum_store *open_with(const char *name, const kvorum_options *options)
{
    kvorum_store *store = NULL;
    assert_ok(kvorum_open(folder_path(&folder, name), options, &store));
    return store;
}

static void put(kvorum_store *store, const char *key, const char *value)
{
    assert_ok(kvorum_put(store, kvorum_text(key), kvorum_text(value), none));
}

static void expect_at(kvorum_store *store, const char *key, const char *value,
                      const kvorum_snapshot *snapshot)
{
    const kvorum_read read = { .snapshot = snapshot };
    kvorum_view view;
    kvorum_status status = kvorum_get_view(store, kvorum_text(key), &read, &view);
    assert_int_equal(status, value == NULL ? KVORUM_NOT_FOUND : KVORUM_OK);
    if (value == NULL)
        return;
    assert_int_equal(view.value.size, strlen(value));
    assert_memory_equal(view.value.data, value, view.value.size);
    kvorum_view_release(&view);
}

static void expect(kvorum_store *store, const char *key, const char *value)
{
    expect_at(store, key, value, NULL);
}

static size_t count_keys(kvorum_store *store, const kvorum_scan *scan)
{
    kvorum_iterator *it;
    size_t count = 0;
    assert_ok(kvorum_iterate(store, scan, &it));
    for (bool more = kvorum_iterator_first(it); more; more = kvorum_iterator_next(it))
        count++;
    assert_ok(kvorum_iterator_status(it));
    kvorum_iterator_close(it);
    return count;
}

/* --- many keys ------------------------------------------------------------------------------ */

enum { KEYS = 20000 };

/* So small that writing KEYS keys flushes and compacts many times. */
static const kvorum_options small = { .memtable_size = 256 << 10,
                                      .cache_size = 256 << 10,
                                      .log_segment_size = 1 << 20 };

static void name_key(char text[16], uint32_t number)
{
    snprintf(text, 16, "%08u", number * 2654435761U % 100000000U);
}

static void fill(kvorum_store *store, const char *value)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        char key[16];
        name_key(key, i);
        put(store, key, value);
    }
}

static void test_many(void)
{
    static char value[100], other[50];
    memset(value, 'v', sizeof(value) - 1);
    memset(other, 'o', sizeof(other) - 1);
    kvorum_store *store = open_with("many", &small);
    fill(store, value);
    fill(store, other);
    assert_ok(kvorum_settle(store));
    kvorum_statistics statistics;
    assert_ok(kvorum_get_statistics(store, &statistics));
    assert_true(statistics.flushes > 1 && statistics.compactions > 0);
    kvorum_close(store);
    store = open_with("many", &small);
    size_t count = count_keys(store, NULL);
    assert_true(count > KEYS * 9 / 10 && count <= KEYS); /* some numbers fall together */
    for (uint32_t i = 0; i < KEYS; i += 7) {
        char key[16];
        name_key(key, i);
        expect(store, key, other);
    }
    kvorum_close(store);
}

static void test_sizes(void)
{
    uint64_t all, half;
    kvorum_store *store = open_with("sizes", &small);
    fill(store, "some value that is not very long");
    assert_ok(kvorum_flush(store));
    assert_ok(kvorum_approximate_size(store, no_bound, no_bound, &all));
    assert_ok(kvorum_approximate_size(store, no_bound, kvorum_text("5"), &half));
    assert_true(all > 0 && half > all / 4 && half < all * 3 / 4);
    kvorum_batch *batch = kvorum_batch_create();
    assert_ok(kvorum_batch_delete_range(batch, no_bound, no_bound));
    assert_ok(kvorum_write(store, batch, none));
    kvorum_batch_destroy(batch);
    assert_int_equal(count_keys(store, NULL), 0);
    assert_ok(kvorum_compact(store, no_bound, no_bound));
    assert_ok(kvorum_approximate_size(store, no_bound, no_bound, &half));
    assert_true(half < all / 100);
    kvorum_close(store);
}

struct reader {
    kvorum_store *store;
    atomic_bool *stop;
};

static void *read_until_stopped(void *context)
{
    const struct reader *reader = context;
    while (!atomic_load(reader->stop)) {
        const kvorum_scan some = { .prefix = kvorum_text("77") };
        (void)count_keys(reader->store, &some);
        expect(reader->store, "always", "here");
    }
    return NULL;
}

static void test_side_by_side(void)
{
    atomic_bool stop = false;
    kvorum_store *store = open_with("beside", &small);
    struct reader reader = { store, &stop };
    pthread_t thread;
    put(store, "always", "here");
    assert_int_equal(pthread_create(&thread, NULL, read_until_stopped, &reader), 0);
    fill(store, "a value for reading beside");
    assert_ok(kvorum_compact(store, no_bound, no_bound));
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    kvorum_close(store);
}

/* --- merges, filters ------------------------------------------------------------------------- */

/* Numbers in text are added; "?" makes no sense. */
static kvorum_status add(void *context, kvorum_bytes key, const kvorum_bytes *base,
                         const kvorum_bytes *operands, size_t count, kvorum_output *ret_value)
{
    long sum = base == NULL ? 0 : strtol(base->data, NULL, 10);
    char text[32];
    atomic_fetch_add((atomic_int *)context, 1);
    assert_true(key.size > 0 && count > 0);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(operands[i].data, "?", 1) == 0)
            return KVORUM_CORRUPT;
        sum += strtol(operands[i].data, NULL, 10);
    }
    int size = snprintf(text, sizeof(text), "%ld ", sum); /* a blank ends the number */
    kvorum_output_append(ret_value, kvorum_make(text, (size_t)size));
    return KVORUM_OK;
}

static void merge(kvorum_store *store, const char *key, const char *operand)
{
    assert_ok(kvorum_merge(store, kvorum_text(key), kvorum_text(operand), none));
}

static void test_merge(void)
{
    atomic_int calls = 0;
    const kvorum_options options = { .merge = { "add", add, &calls } };
    kvorum_store *store = open_with("merge", &options);
    put(store, "a", "1 ");
    for (int i = 0; i < 100; i++)
        merge(store, "a", "2 ");
    merge(store, "b", "7 ");
    merge(store, "c", "? ");
    expect(store, "a", "201 ");
    assert_ok(kvorum_flush(store));
    merge(store, "a", "4 ");
    expect(store, "a", "205 ");
    expect(store, "b", "7 ");
    kvorum_view view;
    assert_int_equal(kvorum_get_view(store, kvorum_text("c"), NULL, &view), KVORUM_CORRUPT);
    assert_ok(kvorum_delete(store, kvorum_text("c"), none));
    assert_ok(kvorum_compact(store, no_bound, no_bound));
    expect(store, "a", "205 ");
    assert_true(atomic_load(&calls) > 0);
    kvorum_close(store);
}

static void test_merge_name(void)
{
    atomic_int calls = 0;
    const kvorum_options right = { .merge = { "add", add, &calls } };
    const kvorum_options wrong = { .merge = { "subtract", add, &calls } };
    kvorum_store *store = open_with("named", &right);
    merge(store, "a", "1 ");
    assert_ok(kvorum_flush(store));
    kvorum_close(store);
    store = NULL;
    assert_int_equal(kvorum_open(folder_path(&folder, "named"), &wrong, &store), KVORUM_INVALID);
    kvorum_close(open_with("named", &right));
    store = open_with("plain", NULL);
    assert_int_equal(kvorum_merge(store, kvorum_text("a"), kvorum_text("1"), none),
                     KVORUM_UNSUPPORTED);
    kvorum_close(store);
}

static bool keep_good(void *context, kvorum_bytes key, kvorum_bytes value)
{
    (void)context;
    assert_true(key.size > 0);
    return value.size > 0;
}

static void test_filter(void)
{
    const kvorum_options options = { .filter = { keep_good, NULL } };
    kvorum_store *store = open_with("filter", &options);
    put(store, "bad", "");
    put(store, "good", "x");
    assert_ok(kvorum_compact(store, no_bound, no_bound));
    assert_ok(kvorum_compact(store, no_bound, no_bound));
    expect(store, "bad", NULL);
    expect(store, "good", "x");
    kvorum_close(store);
}

/* --- states ---------------------------------------------------------------------------------- */

static void test_snapshot(void)
{
    kvorum_store *store = open_with("snapshot", NULL);
    kvorum_snapshot *snapshot;
    put(store, "a", "old");
    assert_ok(kvorum_snapshot_take(store, &snapshot));
    put(store, "a", "new");
    put(store, "b", "new");
    assert_ok(kvorum_compact(store, no_bound, no_bound));
    const kvorum_scan then = { .snapshot = snapshot };
    expect_at(store, "a", "old", snapshot);
    expect_at(store, "b", NULL, snapshot);
    assert_int_equal(count_keys(store, &then), 1);
    expect(store, "a", "new");
    assert_null(kvorum_snapshot_release(store, snapshot));
    kvorum_close(store);
}

static void test_checkpoint(void)
{
    kvorum_store *store = open_with("checkpoint", NULL);
    const char *path = folder_path(&folder, "copy");
    put(store, "a", "1");
    assert_ok(kvorum_checkpoint(store, path));
    put(store, "a", "2");
    assert_int_equal(kvorum_checkpoint(store, path), KVORUM_EXISTS);
    assert_int_equal(kvorum_checkpoint(store, folder_path(&folder, "no/parent")), KVORUM_NOT_FOUND);
    kvorum_store *copy = open_with("copy", NULL);
    expect(copy, "a", "1");
    expect(store, "a", "2");
    put(copy, "a", "3");
    kvorum_close(store);
    expect(copy, "a", "3");
    kvorum_close(copy);
}

static void test_read_only(void)
{
    const kvorum_options options = { .read_only = true };
    kvorum_store *store = NULL;
    assert_int_equal(kvorum_open(folder_path(&folder, "looked"), &options, &store),
                     KVORUM_NOT_FOUND);
    store = open_with("looked", NULL);
    put(store, "a", "1");
    kvorum_close(store);
    store = open_with("looked", &options);
    expect(store, "a", "1");
    assert_int_equal(kvorum_put(store, kvorum_text("a"), kvorum_text("2"), none),
                     KVORUM_NOT_ALLOWED);
    assert_int_equal(kvorum_flush(store), KVORUM_NOT_ALLOWED);
    expect(store, "a", "1");
    kvorum_close(store);
}

static void count_damage(void *context, const kvorum_damage *damage)
{
    assert_int_not_equal(damage->status, KVORUM_OK);
    assert_true(damage->file[0] != '\0' && damage->what[0] != '\0');
    (*(int *)context)++;
}

static void test_salvage(void)
{
    char path[256], file[300];
    int heard = 0;
    kvorum_salvaged salvaged;
    kvorum_store *store = open_with("hurt", &small);
    put(store, "in a table", "1");
    assert_ok(kvorum_flush(store));
    put(store, "in the log", "2");
    kvorum_close(store);
    snprintf(path, sizeof(path), "%s", folder_path(&folder, "hurt"));
    snprintf(file, sizeof(file), "%s/MANIFEST", path);
    assert_int_equal(remove(file), 0);
    store = NULL;
    assert_int_equal(kvorum_open(path, &small, &store), KVORUM_CORRUPT);
    assert_ok(kvorum_salvage(path, folder_path(&folder, "saved"), &small, count_damage, &heard,
                             &salvaged));
    assert_int_equal(salvaged.keys, 1);
    assert_true(salvaged.batches >= 1); /* without a manifest also what is in tables too */
    assert_true(heard > 0 && salvaged.damages == (uint64_t)heard);
    store = open_with("saved", &small);
    expect(store, "in a table", "1");
    expect(store, "in the log", "2");
    kvorum_close(store);
    assert_int_equal(
        kvorum_salvage(path, folder_path(&folder, "saved"), &small, NULL, NULL, &salvaged),
        KVORUM_EXISTS);
}

static void test_verify(void)
{
    int damages = 0;
    kvorum_store *store = open_with("verify", &small);
    fill(store, "a value to be checked");
    assert_ok(kvorum_verify(store, count_damage, &damages));
    assert_ok(kvorum_verify(store, NULL, NULL));
    assert_int_equal(damages, 0);
    kvorum_close(store);
}

static const struct named_test tests[] = {
    { "many keys are flushed and compacted by the library's own threads", test_many },
    { "a deleted range takes no room once it is compacted", test_sizes },
    { "reads go on beside writes, flushes and compactions", test_side_by_side },
    { "merges are applied at reads and kept by compactions", test_merge },
    { "a store knows its merge operator by name", test_merge_name },
    { "a compaction filter drops what it does not keep", test_filter },
    { "a snapshot keeps its state through a compaction", test_snapshot },
    { "a checkpoint is a store of its own", test_checkpoint },
    { "a store opened to be read is not written", test_read_only },
    { "a sound store verifies", test_verify },
    { "what is intact of a damaged store is saved into a new one", test_salvage },
};

int main(void)
{
    folder_make(&folder);
    int failed = RUN_TESTS("tables", tests);
    folder_remove(&folder);
    return failed;
}
