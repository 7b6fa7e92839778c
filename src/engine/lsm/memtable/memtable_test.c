/* SPDX-License-Identifier: Apache-2.0 */
/* Overwritten values: their memory is used again, but never under the eyes of a reader. */
#include "engine/lsm/memtable/memtable.h"

#include "tests/support/rows.h"
#include <pthread.h>

enum { LIMIT = 1024 * 1024, VALUE_SIZE = 4000, WRITES = 20000 };

static const struct bytes key = { (const uint8_t *)"key", 3 };

struct fixture {
    struct epoch epoch;
    struct lsm_memtable *memtable;
    struct engine_batch *batch;
    uint64_t sequence;
    _Atomic uint64_t visible;
    _Atomic bool stop;
};

static void open(struct fixture *fixture)
{
    *fixture = (struct fixture){ .batch = engine_batch_create() };
    assert_non_null(fixture->batch);
    epoch_init(&fixture->epoch);
    fixture->memtable = lsm_memtable_create(&fixture->epoch, NULL);
    assert_non_null(fixture->memtable);
}

static void close(struct fixture *fixture)
{
    lsm_memtable_release(fixture->memtable);
    epoch_done(&fixture->epoch);
    engine_batch_destroy(fixture->batch);
}

/* Each value is one byte over and over, another one each time. */
static void write(struct fixture *fixture)
{
    uint8_t value[VALUE_SIZE];
    memset(value, (int)(++fixture->sequence & 0xff), sizeof(value));
    engine_batch_reset(fixture->batch);
    assert_int_equal(engine_batch_put(fixture->batch, key, bytes_make(value, sizeof(value))),
                     KVORUM_OK);
    struct bytes batch = engine_batch_bytes(fixture->batch);
    assert_int_equal(lsm_memtable_reserve(fixture->memtable, batch,
                                          engine_batch_totals(fixture->batch), fixture->sequence),
                     KVORUM_OK);
    lsm_memtable_apply(fixture->memtable, batch, fixture->sequence);
    atomic_store(&fixture->visible, fixture->sequence);
    lsm_memtable_reclaim(fixture->memtable);
}

/* As a lent value is taken: found inside the epoch, kept beyond it in `readers`. */
static struct guard *read(struct fixture *fixture, struct bytes *ret_value)
{
    epoch_guard inside = epoch_enter(&fixture->epoch);
    const struct version *version =
        lsm_memtable_find(fixture->memtable, key, atomic_load(&fixture->visible));
    assert_non_null(version);
    *ret_value = version_value(version);
    struct guard *guard = guard_enter(&fixture->memtable->readers);
    epoch_leave(inside);
    return guard;
}

static bool is_whole(struct bytes value)
{
    return value.size == VALUE_SIZE && memcmp(value.data, value.data + 1, VALUE_SIZE - 1) == 0;
}

static void test_reuse(void)
{
    struct fixture fixture;
    open(&fixture);
    for (int i = 0; i < WRITES; i++)
        write(&fixture);
    assert_true(lsm_memtable_held(fixture.memtable) < LIMIT);
    close(&fixture);
}

static void test_held_view(void)
{
    struct fixture fixture;
    struct bytes value;
    open(&fixture);
    write(&fixture);
    struct guard *guard = read(&fixture, &value);
    while (lsm_memtable_used(fixture.memtable) < LIMIT) {
        write(&fixture);
        assert_true(is_whole(value) && value.data[0] == 1);
    }
    guard_leave(guard);
    close(&fixture);
}

static void *read_along(void *context)
{
    struct fixture *fixture = context;
    struct bytes value;
    while (!atomic_load(&fixture->stop)) {
        struct guard *guard = read(fixture, &value);
        assert_true(is_whole(value));
        guard_leave(guard);
    }
    return NULL;
}

static void test_beside_readers(void)
{
    struct fixture fixture;
    pthread_t readers[2];
    open(&fixture);
    write(&fixture);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_along, &fixture), 0);
    for (int i = 0; i < WRITES; i++)
        write(&fixture);
    atomic_store(&fixture.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    close(&fixture);
}

/* The log had no room for it, say. */
static void test_range_not_taken(void)
{
    struct fixture fixture;
    open(&fixture);
    engine_batch_reset(fixture.batch);
    assert_int_equal(engine_batch_delete_range(fixture.batch, key, (struct bytes){ 0 }), KVORUM_OK);
    struct bytes batch = engine_batch_bytes(fixture.batch);
    assert_int_equal(
        lsm_memtable_reserve(fixture.memtable, batch, engine_batch_totals(fixture.batch), 1),
        KVORUM_OK);
    write(&fixture);
    assert_null(lsm_memtable_ranges(fixture.memtable));
    close(&fixture);
}

static const struct named_test tests[] = {
    { "overwriting one key takes no more memory", test_reuse },
    { "a view that is held keeps its value", test_held_view },
    { "readers beside the writer see whole values", test_beside_readers },
    { "a deleted range whose batch was not taken deletes nothing", test_range_not_taken },
};

int main(void)
{
    return RUN_TESTS("memtable", tests);
}
