/* SPDX-License-Identifier: Apache-2.0 */
/* What every engine must do with one thread: limits, values, order, iterators, snapshots, views. */
#include "tests/conformance/fixture.h"

/* --- limits and values --------------------------------------------------------------------- */

static void empty_key(struct fixture *f)
{
    struct engine_view view;
    engine_batch_reset(f->batch);
    assert_int_equal(engine_batch_put(f->batch, TEXT(""), TEXT("1")), KVORUM_INVALID);
    assert_int_equal(engine_batch_delete(f->batch, TEXT("")), KVORUM_INVALID);
    assert_int_equal(engine_batch_count(f->batch), 0);
    assert_int_equal(engine_view(f->engine, TEXT(""), &view), KVORUM_INVALID);
}

static void longest_key(struct fixture *f)
{
    uint8_t *key = calloc(1, ENGINE_KEY_SIZE_MAX + 1);
    struct engine_view view;
    struct bytes longest = bytes_make(key, ENGINE_KEY_SIZE_MAX);
    struct bytes longer = bytes_make(key, ENGINE_KEY_SIZE_MAX + 1);
    assert_int_equal(engine_batch_put(f->batch, longer, TEXT("1")), KVORUM_TOO_LARGE);
    assert_int_equal(engine_view(f->engine, longer, &view), KVORUM_TOO_LARGE);
    put_bytes(f, longest, TEXT("1"));
    assert_int_equal(engine_view(f->engine, longest, &view), KVORUM_OK);
    assert_bytes(view.value, TEXT("1"));
    engine_release(&view);
    free(key);
}

static void sizes_of_value(struct fixture *f)
{
    static const size_t sizes[] = { 0,     1,     127,    128,    1000,    4096,
                                    70000, 99999, 262144, 262145, 1 << 20, 5 << 20 };
    uint8_t *value = malloc(5 << 20);
    for (size_t i = 0; i < 5 << 20; i++)
        value[i] = (uint8_t)(i * 31 >> 3);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            uint8_t key = (uint8_t)i;
            put_bytes(f, bytes_make(&key, 1), bytes_make(value + round, sizes[i] - (i > 0) * 1));
        }
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            uint8_t key = (uint8_t)i;
            struct engine_view view;
            assert_int_equal(engine_view(f->engine, bytes_make(&key, 1), &view), KVORUM_OK);
            assert_bytes(view.value, bytes_make(value + round, sizes[i] - (i > 0) * 1));
            engine_release(&view);
        }
    }
    free(value);
}

static void binary_keys(struct fixture *f)
{
    for (unsigned i = 0; i < 256 * 3; i++) {
        uint8_t key[3] = { (uint8_t)i, 0, (uint8_t)(i >> 8) };
        put_bytes(f, bytes_make(key, 1 + i % 3), bytes_make(key, 3));
    }
    for (unsigned i = 0; i < 256 * 3; i++) {
        uint8_t key[3] = { (uint8_t)i, 0, (uint8_t)(i >> 8) };
        struct engine_view view;
        assert_int_equal(engine_view(f->engine, bytes_make(key, 1 + i % 3), &view), KVORUM_OK);
        engine_release(&view);
    }
}

static void puts_and_deletes(struct fixture *f)
{
    assert_value(f, "a", NULL);
    put(f, "a", "1");
    assert_value(f, "a", "1");
    put(f, "a", "longer than before, so that it cannot stay in its place");
    assert_value(f, "a", "longer than before, so that it cannot stay in its place");
    put(f, "a", "");
    assert_value(f, "a", "");
    delete (f, "a");
    assert_value(f, "a", NULL);
    delete (f, "never there");
    put(f, "a", "2");
    assert_value(f, "a", "2");
    assert_value(f, "aa", NULL);
}

static void last_change_of_a_batch(struct fixture *f)
{
    engine_batch_reset(f->batch);
    assert_int_equal(engine_batch_put(f->batch, TEXT("a"), TEXT("1")), KVORUM_OK);
    assert_int_equal(engine_batch_delete(f->batch, TEXT("a")), KVORUM_OK);
    assert_int_equal(engine_batch_put(f->batch, TEXT("b"), TEXT("1")), KVORUM_OK);
    assert_int_equal(engine_batch_put(f->batch, TEXT("b"), TEXT("2")), KVORUM_OK);
    assert_int_equal(engine_batch_count(f->batch), 4);
    assert_int_equal(engine_write(f->engine, f->batch, ENGINE_SYNC), KVORUM_OK);
    assert_all(f, "b=2");
}

/* With tables there is no such limit: everything is there, most of it no longer in memory. */
static void more_than_memory(struct fixture *f)
{
    enum { COUNT = 2000 };
    struct engine_stats stats;
    uint8_t value[1000] = { 0 };
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(engine_write(f->engine,
                                      one_put(f, bytes_make(&i, 4), bytes_make(value, 1000)),
                                      ENGINE_LOG),
                         KVORUM_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct engine_view view;
        assert_int_equal(engine_view(f->engine, bytes_make(&i, 4), &view), KVORUM_OK);
        assert_int_equal(view.value.size, sizeof(value));
        engine_release(&view);
    }
    engine_stats(f->engine, &stats);
    assert_int_equal(stats.live_entries, COUNT);
}

static void full_store(struct fixture *f)
{
    uint8_t value[1000] = { 0 };
    if (engine_can(f->engine, ENGINE_TABLES)) {
        more_than_memory(f);
        return;
    }
    f->size_limit = 256 * 1024;
    fixture_reopen(f);
    kvorum_status status = KVORUM_OK;
    uint32_t count = 0;
    for (; status == KVORUM_OK; count++)
        status = engine_write(f->engine,
                              one_put(f, bytes_make(&count, 4), bytes_make(value, sizeof(value))),
                              ENGINE_LOG);
    count--;
    assert_int_equal(status, KVORUM_STORE_FULL);
    assert_in_range(count, 100, 300);
    struct engine_view view;
    assert_int_equal(engine_view(f->engine, bytes_make(&count, 4), &view), KVORUM_NOT_FOUND);
    struct engine_stats stats;
    engine_stats(f->engine, &stats);
    assert_int_equal(stats.live_entries, count);
}

/* --- order and iterators ------------------------------------------------------------------- */

static void put_letters(struct fixture *f)
{
    for (const char *c = "fbdhac"; *c != '\0'; c++)
        put_bytes(f, bytes_make(c, 1), bytes_make(c, 1));
}

static void walks_both_ways(struct fixture *f)
{
    put_letters(f);
    struct engine_iterator *iterator = iterate(f, "", "");
    assert_false(iterator->valid);
    engine_iterator_first(iterator);
    assert_rest(iterator, engine_iterator_next, "a=a b=b c=c d=d f=f h=h");
    engine_iterator_last(iterator);
    assert_rest(iterator, engine_iterator_previous, "h=h f=f d=d c=c b=b a=a");
    engine_iterator_first(iterator);
    engine_iterator_next(iterator);
    engine_iterator_next(iterator);
    engine_iterator_previous(iterator);
    assert_bytes(iterator->key, TEXT("b"));
    engine_iterator_previous(iterator);
    engine_iterator_previous(iterator);
    assert_false(iterator->valid);
    engine_iterator_close(iterator);
}

static void keeps_to_bounds(struct fixture *f)
{
    put_letters(f);
    struct engine_iterator *iterator = iterate(f, "b", "f");
    engine_iterator_first(iterator);
    assert_rest(iterator, engine_iterator_next, "b=b c=c d=d");
    engine_iterator_last(iterator);
    assert_rest(iterator, engine_iterator_previous, "d=d c=c b=b");
    engine_iterator_seek(iterator, TEXT("a"));
    assert_rest(iterator, engine_iterator_next, "b=b c=c d=d");
    engine_iterator_seek(iterator, TEXT("f"));
    assert_false(iterator->valid);
    engine_iterator_close(iterator);
    iterator = iterate(f, "e", "ee");
    engine_iterator_first(iterator);
    assert_false(iterator->valid);
    engine_iterator_last(iterator);
    assert_false(iterator->valid);
    engine_iterator_close(iterator);
}

static void seeks(struct fixture *f)
{
    put_letters(f);
    struct engine_iterator *iterator = iterate(f, "", "");
    engine_iterator_seek(iterator, TEXT("d"));
    assert_rest(iterator, engine_iterator_next, "d=d f=f h=h");
    engine_iterator_seek(iterator, TEXT("e"));
    assert_rest(iterator, engine_iterator_previous, "f=f d=d c=c b=b a=a");
    engine_iterator_seek(iterator, TEXT("z"));
    assert_false(iterator->valid);
    engine_iterator_seek(iterator, TEXT(""));
    assert_bytes(iterator->key, TEXT("a"));
    engine_iterator_close(iterator);
}

static void keys_only(struct fixture *f)
{
    struct engine_iterator *iterator;
    put_letters(f);
    struct engine_range range = { .keys_only = true };
    assert_int_equal(engine_iterate(f->engine, &range, &iterator), KVORUM_OK);
    engine_iterator_first(iterator);
    assert_rest(iterator, engine_iterator_next, "a= b= c= d= f= h=");
    engine_iterator_close(iterator);
}

static void iterates_over_nothing(struct fixture *f)
{
    struct engine_iterator *iterator;
    assert_int_equal(engine_iterate(f->engine, NULL, &iterator), KVORUM_OK);
    engine_iterator_first(iterator);
    assert_false(iterator->valid);
    engine_iterator_last(iterator);
    assert_false(iterator->valid);
    engine_iterator_seek(iterator, TEXT("a"));
    assert_false(iterator->valid);
    assert_null(engine_iterator_close(iterator));
}

static void orders_as_unsigned_bytes(struct fixture *f)
{
    static const char *const keys[] = { "a", "a\xff", "\xff", "aa", "\x7f", "\x80", "ab", "a\x01" };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put(f, keys[i], "");
    assert_all(f, "a= a\x01= aa= ab= a\xff= \x7f= \x80= \xff=");
}

/* --- snapshots and views ------------------------------------------------------------------- */

static void iterator_is_a_snapshot(struct fixture *f)
{
    put_letters(f);
    struct engine_iterator *iterator = iterate(f, "", "");
    engine_iterator_seek(iterator, TEXT("c"));
    delete (f, "d");
    delete (f, "c");
    put(f, "f", "new");
    put(f, "e", "new");
    put(f, "f", "newer");
    delete (f, "h");
    put(f, "h", "again");
    assert_bytes(iterator->key, TEXT("c"));
    assert_rest(iterator, engine_iterator_next, "c=c d=d f=f h=h");
    engine_iterator_last(iterator);
    assert_rest(iterator, engine_iterator_previous, "h=h f=f d=d c=c b=b a=a");
    struct engine_iterator *second = iterate(f, "", "");
    delete (f, "a");
    engine_iterator_close(iterator);
    engine_iterator_first(second);
    assert_rest(second, engine_iterator_next, "a=a b=b e=new f=newer h=again");
    engine_iterator_close(second);
    assert_all(f, "b=b e=new f=newer h=again");
}

/* Everything under the iterator goes, and comes back, many times over. */
static void snapshot_outlives_churn(struct fixture *f)
{
    char key[16], value[16];
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof(key), "k%04d", i);
        put(f, key, "old");
    }
    struct engine_iterator *iterator = iterate(f, "", "");
    engine_iterator_first(iterator);
    for (int i = 0; i < 300; i++) {
        assert_true(iterator->valid);
        snprintf(key, sizeof(key), "k%04d", i);
        assert_bytes(iterator->key, TEXT(key));
        assert_bytes(iterator->value, TEXT("old"));
        for (int j = 0; j < 10; j++) {
            snprintf(key, sizeof(key), "k%04d", (i * 7 + j * 31) % 300);
            snprintf(value, sizeof(value), "%d", i);
            j % 3 == 0 ? delete (f, key) : put(f, key, value);
            snprintf(key, sizeof(key), "n%d", i * 10 + j);
            put(f, key, value);
        }
        engine_iterator_next(iterator);
    }
    assert_false(iterator->valid);
    engine_iterator_close(iterator);
}

static void views_stay_valid(struct fixture *f)
{
    struct engine_view one, two;
    put(f, "a", "first");
    assert_int_equal(engine_view(f->engine, TEXT("a"), &one), KVORUM_OK);
    put(f, "a", "other");
    assert_int_equal(engine_view(f->engine, TEXT("a"), &two), KVORUM_OK);
    put(f, "a", "third, and longer");
    delete (f, "a");
    for (int i = 0; i < 100; i++)
        put(f, i % 2 == 0 ? "b" : "a", "mnopq");
    assert_bytes(one.value, TEXT("first"));
    assert_bytes(two.value, TEXT("other"));
    engine_release(&two);
    assert_bytes(one.value, TEXT("first"));
    engine_release(&one);
    assert_null(one.engine);
    assert_value(f, "a", "mnopq");
}

static void counts(struct fixture *f)
{
    struct engine_stats stats;
    put_letters(f);
    put(f, "a", "2");
    delete (f, "a");
    delete (f, "a");
    put(f, "b", "2");
    assert_value(f, "b", "2");
    engine_stats(f->engine, &stats);
    assert_int_equal(stats.live_entries, 5);
    assert_int_equal(stats.puts, 8);
    assert_int_equal(stats.deletes, 2);
    assert_int_equal(stats.batches, 10);
    assert_int_equal(stats.gets, 1);
    assert_true(stats.memory_size > 0);
}

/* Without snapshots or views, writing the same keys again must not take more memory. */
static void overwriting_in_memory(struct fixture *f)
{
    struct engine_stats before, after;
    char key[16], value[200] = { 0 };
    if (engine_can(f->engine, ENGINE_DURABLE))
        return; /* a log's memtable keeps what it has until it is written out */
    for (int i = 0; i < 200000; i++) {
        if (i == 10000)
            engine_stats(f->engine, &before);
        snprintf(key, sizeof(key), "%d", i * 7 % 1000);
        put_bytes(f, TEXT(key), bytes_make(value, (size_t)(i / 10 % 200)));
        if (i % 5 == 0)
            delete (f, key);
    }
    engine_stats(f->engine, &after);
    assert_int_equal(before.memory_size, after.memory_size);
}

static const struct conformance_case cases[] = {
    { "an empty key is refused", empty_key, 0 },
    { "the longest key is taken, a longer one refused", longest_key, 0 },
    { "values of all sizes come back, and can be replaced", sizes_of_value, 0 },
    { "keys may hold any bytes", binary_keys, 0 },
    { "the last put or delete of a key counts", puts_and_deletes, 0 },
    { "the last change of a key in a batch counts", last_change_of_a_batch, ENGINE_ORDERED },
    { "a full store says so, and nothing is changed", full_store, 0 },
    { "an iterator walks both ways and turns", walks_both_ways, ENGINE_ORDERED },
    { "an iterator keeps to its bounds", keeps_to_bounds, ENGINE_ORDERED },
    { "seek goes to the key or the next one", seeks, ENGINE_ORDERED },
    { "an iterator over keys only has no values", keys_only, ENGINE_ORDERED },
    { "an iterator over nothing is never valid", iterates_over_nothing, ENGINE_ORDERED },
    { "keys order as unsigned bytes", orders_as_unsigned_bytes, ENGINE_ORDERED },
    { "an iterator sees nothing written later", iterator_is_a_snapshot, ENGINE_SNAPSHOT },
    { "a snapshot outlives the churn around it", snapshot_outlives_churn, ENGINE_SNAPSHOT },
    { "a view stays as it was until it is released", views_stay_valid, 0 },
    { "stats count", counts, 0 },
    { "overwriting the same keys takes no more memory", overwriting_in_memory, 0 },
};

int main(void)
{
    return RUN_CONFORMANCE("engine", cases);
}
