/* SPDX-License-Identifier: Apache-2.0 */
/* Iterators, merges of bounds, and arguments that make no sense. */
#include "kvorum/kvorum.h"

#include "tests/support/rows.h"

static kvorum_store *store; /* holds a, b, ba, bb, b\xff, c, \xff, \xff\xff: each its own value */

#define assert_ok(call) assert_int_equal((call), KVORUM_OK)

static const char *const keys[] = { "a", "b", "ba", "bb", "b\xff", "c", "\xff", "\xff\xff" };

static void open_store(void)
{
    const kvorum_options options = { .engine = "memory" };
    assert_ok(kvorum_open(NULL, &options, &store));
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_ok(
            kvorum_put(store, kvorum_text(keys[i]), kvorum_text(keys[i]), KVORUM_DURABILITY_NONE));
}

struct row {
    const char *name;
    kvorum_scan scan;
    const char *expected; /* keys with blanks between */
};

#define BYTES(text)                                                                                \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const struct row rows[] = {
    { "everything", { .keys_only = false }, "a b ba bb b\xff c \xff \xff\xff" },
    { "from a key on", { .lower = BYTES("bb") }, "bb b\xff c \xff \xff\xff" },
    { "before a key", { .upper = BYTES("bb") }, "a b ba" },
    { "between keys", { .lower = BYTES("aa"), .upper = BYTES("bb") }, "b ba" },
    { "a prefix", { .prefix = BYTES("b") }, "b ba bb b\xff" },
    { "a prefix that ends in 0xff", { .prefix = BYTES("b\xff") }, "b\xff" },
    { "a prefix of 0xff only", { .prefix = BYTES("\xff") }, "\xff \xff\xff" },
    { "a prefix that nothing has", { .prefix = BYTES("bc") }, "" },
    { "a prefix within bounds",
      { .prefix = BYTES("b"), .lower = BYTES("ba"), .upper = BYTES("bb") },
      "ba" },
    { "bounds wider than the prefix",
      { .prefix = BYTES("b"), .lower = BYTES("a"), .upper = BYTES("d") },
      "b ba bb b\xff" },
    { "bounds beside the prefix", { .prefix = BYTES("b"), .lower = BYTES("c") }, "" },
    { "bounds that cross", { .lower = BYTES("c"), .upper = BYTES("b") }, "" },
    { "keys only", { .keys_only = true, .prefix = BYTES("c") }, "c" },
};

static void add(char *list, size_t size, kvorum_bytes key)
{
    size_t used = strlen(list);
    assert_true(used + key.size + 2 < size);
    memcpy(list + used + (used > 0), key.data, key.size);
    if (used > 0)
        list[used] = ' ';
    list[used + (used > 0) + key.size] = '\0';
}

static void check_forward(const struct row *row, kvorum_iterator *it)
{
    char list[128] = "";
    for (bool more = kvorum_iterator_first(it); more; more = kvorum_iterator_next(it)) {
        kvorum_bytes key = kvorum_iterator_key(it), value = kvorum_iterator_value(it);
        add(list, sizeof(list), key);
        assert_int_equal(value.size, row->scan.keys_only ? 0 : key.size);
    }
    assert_ok(kvorum_iterator_status(it));
    assert_string_equal(list, row->expected);
}

static void check_backward(const struct row *row, kvorum_iterator *it)
{
    size_t count = 0, size = 0;
    for (bool more = kvorum_iterator_last(it); more; more = kvorum_iterator_previous(it)) {
        size += kvorum_iterator_key(it).size + (count > 0);
        count++;
    }
    assert_ok(kvorum_iterator_status(it));
    assert_int_equal(size, strlen(row->expected));
}

static void check(const void *context)
{
    const struct row *row = context;
    kvorum_iterator *it = NULL;
    open_store();
    assert_ok(kvorum_iterate(store, &row->scan, &it));
    check_forward(row, it);
    check_backward(row, it);
    assert_false(kvorum_iterator_next(it));
    assert_false(kvorum_iterator_previous(it));
    assert_int_equal(kvorum_iterator_key(it).size, 0);
    assert_int_equal(kvorum_iterator_value(it).size, 0);
    assert_null(kvorum_iterator_close(it));
    assert_null(kvorum_close(store));
}

/* --- */

static void test_seek(void)
{
    const kvorum_scan b = { .prefix = BYTES("b") };
    kvorum_iterator *it = NULL;
    open_store();
    assert_ok(kvorum_iterate(store, &b, &it));
    assert_true(kvorum_iterator_seek(it, kvorum_text("baa")));
    assert_memory_equal(kvorum_iterator_key(it).data, "bb", 2);
    assert_true(kvorum_iterator_seek(it, kvorum_text("a")));
    assert_int_equal(kvorum_iterator_key(it).size, 1);
    assert_false(kvorum_iterator_seek(it, kvorum_text("c")));
    assert_true(kvorum_iterator_seek(it, kvorum_make(NULL, 0)));
    kvorum_iterator_close(it);
    kvorum_close(store);
}

static void test_one_state(void)
{
    kvorum_iterator *it = NULL;
    open_store();
    assert_ok(kvorum_iterate(store, NULL, &it));
    assert_ok(kvorum_delete(store, kvorum_text("a"), KVORUM_DURABILITY_NONE));
    assert_true(kvorum_iterator_first(it));
    assert_memory_equal(kvorum_iterator_key(it).data, "a", 1);
    kvorum_iterator_close(it);
    kvorum_close(store);
}

/* Each is answered INVALID, and no output is touched. */
static void test_senseless(void)
{
    const kvorum_bytes key = kvorum_text("a"), empty = kvorum_make(NULL, 0);
    const kvorum_bytes hole = kvorum_make(NULL, 5);
    const enum kvorum_durability none = KVORUM_DURABILITY_NONE;
    kvorum_batch *batch = kvorum_batch_create();
    kvorum_iterator *it = NULL;
    kvorum_view view = { .value = { NULL, 0 } };
    const kvorum_scan scan = { .lower = { NULL, 5 } };
    size_t size = 0;
    bool found;
    uint64_t bytes;
    open_store();
    const kvorum_status statuses[] = {
        kvorum_open("x", NULL, NULL),
        kvorum_open(NULL, NULL, &store),
        kvorum_put(NULL, key, key, none),
        kvorum_put(store, empty, key, none),
        kvorum_put(store, hole, key, none),
        kvorum_put(store, key, hole, none),
        kvorum_put(store, key, key, (enum kvorum_durability)3),
        kvorum_delete(store, empty, none),
        kvorum_write(store, NULL, none),
        kvorum_write(NULL, batch, none),
        kvorum_batch_put(NULL, key, key),
        kvorum_batch_put(batch, hole, key),
        kvorum_batch_delete(NULL, key),
        kvorum_batch_merge(batch, key, hole),
        kvorum_batch_delete_range(batch, kvorum_text("b"), kvorum_text("b")),
        kvorum_batch_delete_range(NULL, empty, empty),
        kvorum_get(store, empty, NULL, 0, &size),
        kvorum_get(store, key, NULL, 1, &size),
        kvorum_get(store, key, NULL, 0, NULL),
        kvorum_get_view(store, key, NULL, NULL),
        kvorum_get_view(NULL, key, NULL, &view),
        kvorum_get_many(store, NULL, 1, NULL, NULL, NULL),
        kvorum_contains(store, key, NULL),
        kvorum_contains(NULL, key, &found),
        kvorum_iterate(store, NULL, NULL),
        kvorum_iterate(NULL, NULL, &it),
        kvorum_iterate(store, &scan, &it),
        kvorum_iterator_status(NULL),
        kvorum_snapshot_take(store, NULL),
        kvorum_flush(NULL),
        kvorum_settle(NULL),
        kvorum_sync(NULL),
        kvorum_compact(store, hole, empty),
        kvorum_approximate_size(store, empty, empty, NULL),
        kvorum_approximate_size(NULL, empty, empty, &bytes),
        kvorum_checkpoint(store, NULL),
        kvorum_verify(NULL, NULL, NULL),
        kvorum_salvage("a", "b", NULL, NULL, NULL, NULL),
        kvorum_get_statistics(store, NULL),
        kvorum_property(store, NULL, NULL),
    };
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        assert_int_equal(statuses[i], KVORUM_INVALID);
    assert_null(it);
    assert_null(view.value.data);
    kvorum_batch_destroy(batch);
    kvorum_close(store);
}

static void test_nothing(void)
{
    assert_null(kvorum_close(NULL));
    assert_null(kvorum_batch_destroy(NULL));
    assert_null(kvorum_iterator_close(NULL));
    assert_null(kvorum_snapshot_release(NULL, NULL));
    assert_false(kvorum_iterator_first(NULL));
    assert_false(kvorum_iterator_last(NULL));
    assert_false(kvorum_iterator_next(NULL));
    assert_false(kvorum_iterator_previous(NULL));
    assert_false(kvorum_iterator_seek(NULL, kvorum_text("a")));
    assert_int_equal(kvorum_iterator_key(NULL).size, 0);
    assert_int_equal(kvorum_batch_count(NULL), 0);
    kvorum_batch_clear(NULL);
    kvorum_free(NULL);
}

static void test_later_release(void)
{
    const kvorum_read read = { .reserved = { 1 } };
    const kvorum_scan scan = { .reserved = { 0, 1 } };
    kvorum_iterator *it = NULL;
    kvorum_view view;
    open_store();
    assert_int_equal(kvorum_get_view(store, kvorum_text("a"), &read, &view), KVORUM_UNSUPPORTED);
    assert_int_equal(kvorum_iterate(store, &scan, &it), KVORUM_UNSUPPORTED);
    kvorum_close(store);
}

static const struct named_test tests[] = {
    { "seek stays within the bounds", test_seek },
    { "an iterator sees one state", test_one_state },
    { "senseless arguments are INVALID", test_senseless },
    { "NULL is accepted where something ends", test_nothing },
    { "members of a later release are refused, not ignored", test_later_release },
};

int main(void)
{
    int failed = RUN_ROWS("scan", rows, check);
    return failed + RUN_TESTS("arguments", tests);
}
