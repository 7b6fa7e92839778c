/* SPDX-License-Identifier: Apache-2.0 */
/* The library as its users see it: through kvorum.h alone, on a real disk. */
#include "kvorum/kvorum.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#include "tests/support/folder.h"

static const enum kvorum_durability none = KVORUM_DURABILITY_NONE, logged = KVORUM_DURABILITY_LOG,
                                    synced = KVORUM_DURABILITY_SYNC;

static struct folder folder;

#define assert_ok(call) assert_int_equal((call), KVORUM_OK)

static kvorum_store *open_store(const char *name)
{
    kvorum_store *store = NULL;
    assert_ok(kvorum_open(folder_path(&folder, name), NULL, &store));
    return store;
}

static kvorum_status try_open(const char *path, const kvorum_options *options)
{
    kvorum_store *store = NULL;
    kvorum_status status = kvorum_open(path, options, &store);
    assert_true((status == KVORUM_OK) == (store != NULL));
    assert_null(kvorum_close(store));
    return status;
}

static void put(kvorum_store *store, const char *key, const char *value)
{
    assert_ok(kvorum_put(store, kvorum_text(key), kvorum_text(value), none));
}

static void expect(kvorum_store *store, const char *key, const char *value)
{
    char buffer[256];
    size_t size = 4711;
    kvorum_status status = kvorum_get(store, kvorum_text(key), buffer, sizeof(buffer), &size);
    assert_int_equal(status, value == NULL ? KVORUM_NOT_FOUND : KVORUM_OK);
    if (value == NULL) {
        assert_int_equal(size, 4711);
        return;
    }
    assert_int_equal(size, strlen(value));
    assert_memory_equal(buffer, value, size);
}

/* --- opening ------------------------------------------------------------------------------- */

static void test_stays(void)
{
    kvorum_store *store = open_store("stays");
    put(store, "cat", "meow");
    assert_ok(kvorum_put(store, kvorum_text("dog"), kvorum_text("woof"), synced));
    assert_ok(kvorum_delete(store, kvorum_text("cat"), logged));
    assert_null(kvorum_close(store));
    store = open_store("stays");
    expect(store, "cat", NULL);
    expect(store, "dog", "woof");
    kvorum_close(store);
}

static void test_one_at_a_time(void)
{
    kvorum_store *store = open_store("locked");
    assert_int_equal(try_open(folder_path(&folder, "locked"), NULL), KVORUM_LOCKED);
    kvorum_close(store);
    assert_ok(try_open(folder_path(&folder, "locked"), NULL));
}

static void test_must(void)
{
    const kvorum_options exist = { .must_exist = true }, new = { .must_be_new = true };
    const char *path = folder_path(&folder, "must");
    assert_int_equal(try_open(path, &exist), KVORUM_NOT_FOUND);
    assert_ok(try_open(path, &new));
    assert_int_equal(try_open(path, &new), KVORUM_EXISTS);
    assert_ok(try_open(path, &exist));
    kvorum_store *store = open_store("must");
    assert_int_equal(try_open(path, &new), KVORUM_EXISTS);
    kvorum_close(store);
}

static void test_not_a_store(void)
{
    const char *path = folder_path(&folder, "file");
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(try_open(path, NULL), KVORUM_INVALID);
    assert_int_equal(try_open(folder.path, NULL), KVORUM_FOREIGN);
    assert_int_equal(try_open(folder_path(&folder, "no/parent"), NULL), KVORUM_NOT_FOUND);
    assert_int_equal(try_open("/", NULL), KVORUM_INVALID);
    assert_int_equal(try_open("", NULL), KVORUM_INVALID);
}

static void test_relative(void)
{
    assert_int_equal(chdir(folder.path), 0);
    kvorum_store *store = NULL;
    assert_ok(kvorum_open("relative/", NULL, &store));
    assert_int_equal(chdir("/"), 0);
    put(store, "a", "1");
    assert_ok(kvorum_sync(store));
    kvorum_close(store);
    store = open_store("relative");
    expect(store, "a", "1");
    kvorum_close(store);
}

static void test_options(void)
{
    const struct {
        kvorum_options options;
        kvorum_status status;
    } rows[] = {
        { { .engine = "lsm", .background_threads = 1, .log_segment_size = 1 << 20 }, KVORUM_OK },
        { { .engine = "memory" }, KVORUM_OK },
        { { .engine = "btree" }, KVORUM_UNSUPPORTED },
        { { .compression = (enum kvorum_compression)9 }, KVORUM_UNSUPPORTED },
        { { .reserved = { [15] = 1 } }, KVORUM_UNSUPPORTED },
        { { .must_exist = true, .must_be_new = true }, KVORUM_INVALID },
        { { .read_only = true, .must_be_new = true }, KVORUM_INVALID },
        { { .block_size = 1U << 30 }, KVORUM_INVALID },
        { { .merge = { .name = "add" } }, KVORUM_INVALID },
        { { .background_threads = 1000 }, KVORUM_INVALID },
        { { .filter_bits = 1000 }, KVORUM_INVALID },
        { { .engine = "memory", .must_exist = true }, KVORUM_NOT_FOUND },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(try_open(folder_path(&folder, "options"), &rows[i].options),
                         rows[i].status);
}

static void remember_line(void *context, enum kvorum_log_level level, const char *line)
{
    char *said = context;
    assert_int_equal(level, KVORUM_LOG_ERROR);
    snprintf(said, 256, "%s", line);
}

static void test_log(void)
{
    char said[256] = "";
    const kvorum_options options = { .log = { remember_line, said } };
    kvorum_close(open_store("said"));
    int file = open(folder_path(&folder, "said/FORMAT"), O_WRONLY);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, "x", 1, 20), 1);
    close(file);
    assert_int_equal(try_open(folder_path(&folder, "said"), &options), KVORUM_CORRUPT);
    assert_non_null(strstr(said, "FORMAT"));
    assert_memory_equal(said, "this is not a store", 19);
    assert_null(strchr(said, '\n'));
}

/* --- reading and writing ------------------------------------------------------------------- */

static void test_get(void)
{
    kvorum_store *store = open_store("get");
    char small[3];
    size_t size = 4711;
    bool found = false;
    put(store, "cat", "meow");
    put(store, "nothing", "");
    assert_int_equal(kvorum_get(store, kvorum_text("cat"), small, 3, &size), KVORUM_TOO_LARGE);
    assert_int_equal(size, 4711);
    assert_ok(kvorum_get(store, kvorum_text("nothing"), NULL, 0, &size));
    assert_int_equal(size, 0);
    assert_ok(kvorum_contains(store, kvorum_text("cat"), &found));
    assert_true(found);
    assert_ok(kvorum_contains(store, kvorum_text("dog"), &found));
    assert_false(found);
    kvorum_close(store);
}

static void test_view(void)
{
    kvorum_store *store = open_store("view");
    kvorum_view view;
    put(store, "cat", "meow");
    assert_ok(kvorum_get_view(store, kvorum_text("cat"), NULL, &view));
    for (int i = 0; i < 1000; i++)
        put(store, "cat", "purr");
    assert_int_equal(view.value.size, 4);
    assert_memory_equal(view.value.data, "meow", 4);
    kvorum_view_release(&view);
    assert_int_equal(view.value.size, 0);
    kvorum_view_release(&view);
    kvorum_view_release(NULL);
    kvorum_close(store);
}

static void get_many(kvorum_store *store, size_t count)
{
    char names[100][32];
    kvorum_bytes keys[100] = { 0 };
    kvorum_view views[100];
    kvorum_status statuses[100];
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "key%zu", i);
        keys[i] = i == 3 ? kvorum_make(NULL, 0) : kvorum_text(names[i]);
        if (i % 2 == 0)
            put(store, names[i], names[i]);
    }
    assert_ok(kvorum_get_many(store, keys, count, NULL, views, statuses));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(statuses[i], i == 3       ? KVORUM_INVALID
                                      : i % 2 == 0 ? KVORUM_OK
                                                   : KVORUM_NOT_FOUND);
        if (statuses[i] != KVORUM_OK)
            continue;
        assert_memory_equal(views[i].value.data, names[i], views[i].value.size);
        kvorum_view_release(&views[i]);
    }
}

static void test_get_many(void)
{
    kvorum_store *store = open_store("many");
    get_many(store, 0);
    get_many(store, 7);
    get_many(store, 100);
    kvorum_close(store);
}

static void test_batch(void)
{
    kvorum_store *store = open_store("batch");
    kvorum_batch *batch = kvorum_batch_create();
    put(store, "cat", "meow");
    assert_ok(kvorum_batch_put(batch, kvorum_text("dog"), kvorum_text("woof")));
    assert_ok(kvorum_batch_delete(batch, kvorum_text("cat")));
    assert_int_equal(kvorum_batch_put(batch, kvorum_text(""), kvorum_text("")), KVORUM_INVALID);
    assert_int_equal(kvorum_batch_count(batch), 2);
    expect(store, "dog", NULL);
    assert_ok(kvorum_write(store, batch, synced));
    expect(store, "dog", "woof");
    expect(store, "cat", NULL);
    kvorum_batch_clear(batch);
    assert_int_equal(kvorum_batch_count(batch), 0);
    assert_ok(kvorum_write(store, batch, synced));
    assert_null(kvorum_batch_destroy(batch));
    kvorum_close(store);
}

static void test_limits(void)
{
    static char large[KVORUM_KEY_SIZE_MAX + 1];
    kvorum_store *store = open_store("limits");
    const kvorum_bytes most = kvorum_make(large, KVORUM_KEY_SIZE_MAX);
    const kvorum_bytes more = kvorum_make(large, KVORUM_KEY_SIZE_MAX + 1);
    kvorum_view view;
    bool found;
    assert_ok(kvorum_put(store, most, most, none));
    assert_ok(kvorum_contains(store, most, &found));
    assert_true(found);
    assert_int_equal(kvorum_put(store, more, most, none), KVORUM_TOO_LARGE);
    assert_int_equal(kvorum_delete(store, more, none), KVORUM_TOO_LARGE);
    assert_int_equal(kvorum_get_view(store, more, NULL, &view), KVORUM_TOO_LARGE);
    kvorum_close(store);
}

struct writer {
    kvorum_store *store;
    int number;
};

static void *write_some(void *context)
{
    const struct writer *writer = context;
    for (int i = 0; i < 500; i++) {
        char key[32];
        snprintf(key, sizeof(key), "%d-%d", writer->number, i);
        assert_ok(kvorum_put(writer->store, kvorum_text(key), kvorum_text(key), logged));
        expect(writer->store, key, key);
    }
    return NULL;
}

static void test_threads(void)
{
    enum { THREADS = 4 };
    kvorum_store *store = open_store("threads");
    pthread_t threads[THREADS];
    struct writer writers[THREADS];
    kvorum_statistics statistics;
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){ store, i };
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_ok(kvorum_get_statistics(store, &statistics));
    assert_int_equal(statistics.live_entries, THREADS * 500);
    kvorum_close(store);
}

/* --- the rest ------------------------------------------------------------------------------ */

static void test_statistics(void)
{
    kvorum_store *store = open_store("statistics");
    kvorum_statistics statistics;
    char *text = NULL;
    put(store, "cat", "meow");
    assert_ok(kvorum_get_statistics(store, &statistics));
    assert_int_equal(statistics.puts, 1);
    assert_int_equal(statistics.live_entries, 1);
    assert_ok(kvorum_property(store, "engine", &text));
    assert_string_equal(text, "lsm\n");
    kvorum_free(text);
    assert_ok(kvorum_property(store, "stats", &text));
    assert_non_null(strstr(text, "live_entries             1\n"));
    kvorum_free(text);
    text = NULL;
    assert_int_equal(kvorum_property(store, "colour", &text), KVORUM_UNSUPPORTED);
    assert_null(text);
    kvorum_close(store);
}

/* Every name that "properties" lists is one. */
static void test_properties(void)
{
    kvorum_store *store = open_store("properties");
    char *names = NULL;
    assert_ok(kvorum_property(store, "properties", &names));
    char *rest = names, *name;
    int count = 0;
    while ((name = strsep(&rest, "\n")) != NULL && *name != '\0') {
        char *text = NULL;
        assert_ok(kvorum_property(store, name, &text));
        assert_true(text[0] != '\0' && text[strlen(text) - 1] == '\n');
        kvorum_free(text);
        count++;
    }
    assert_int_equal(count, 4);
    kvorum_free(names);
    kvorum_close(store);
}

static void test_version(void)
{
    char begin[16];
    snprintf(begin, sizeof(begin), "%d.%d.", KVORUM_VERSION_MAJOR, KVORUM_VERSION_MINOR);
    assert_memory_equal(kvorum_version(), begin, strlen(begin));
}

static void test_memory(void)
{
    const kvorum_options options = { .engine = "memory" };
    kvorum_store *store = NULL;
    assert_ok(kvorum_open(NULL, &options, &store));
    put(store, "cat", "meow");
    expect(store, "cat", "meow");
    assert_ok(kvorum_sync(store));
    assert_int_equal(kvorum_flush(store), KVORUM_UNSUPPORTED);
    kvorum_close(store);
}

static const struct named_test tests[] = {
    { "what was written is there after a close", test_stays },
    { "a store is open once at a time", test_one_at_a_time },
    { "must_exist and must_be_new do what they say", test_must },
    { "what is no store is refused by name", test_not_a_store },
    { "a relative path survives a change of folder", test_relative },
    { "options that make no sense, or are not known yet, are refused", test_options },
    { "the log says which file is damaged", test_log },
    { "get copies what fits and nothing else", test_get },
    { "a view stays while its key is written", test_view },
    { "get_many answers each key by itself", test_get_many },
    { "a batch is applied as a whole and used again", test_batch },
    { "keys have a largest size", test_limits },
    { "threads write and read side by side", test_threads },
    { "statistics count", test_statistics },
    { "every property that is listed has a text", test_properties },
    { "header and library are of one version", test_version },
    { "the memory engine speaks the same language", test_memory },
};

int main(void)
{
    folder_make(&folder);
    int failed = RUN_TESTS("embed", tests);
    folder_remove(&folder);
    return failed;
}
