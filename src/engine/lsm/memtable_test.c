/* SPDX-License-Identifier: Apache-2.0 */
/* Overwritten values: their memory is used again, but never under the eyes of a reader. */
#include "engine/lsm/memtable.h"

#include "tests/support/rows.h"
#include <pthread.h>

enum { LIMIT = 1024 * 1024, VALUE_SIZE = 4000, WRITES = 20000 };

static const struct bytes key = { (const uint8_t *)"key", 3 };

struct fixture {
    struct lsm_memtable memtable;
    struct engine_batch *batch;
    uint64_t sequence;
    _Atomic bool stop;
};

static void open(struct fixture *fixture)
{
    *fixture = (struct fixture){ .batch = engine_batch_create() };
    assert_non_null(fixture->batch);
    assert_true(lsm_memtable_init(&fixture->memtable, LIMIT));
}

static void close(struct fixture *fixture)
{
    lsm_memtable_done(&fixture->memtable);
    engine_batch_destroy(fixture->batch);
}

/* Each value is one byte over and over, another one each time. */
static kvorum_status write(struct fixture *fixture)
{
    uint8_t value[VALUE_SIZE];
    memset(value, (int)(++fixture->sequence & 0xff), sizeof(value));
    engine_batch_reset(fixture->batch);
    assert_int_equal(engine_batch_put(fixture->batch, key, bytes_make(value, sizeof(value))),
                     KVORUM_OK);
    struct bytes batch = engine_batch_bytes(fixture->batch);
    kvorum_status status = lsm_memtable_reserve(&fixture->memtable, batch);
    if (status == KVORUM_OK)
        lsm_memtable_apply(&fixture->memtable, batch, fixture->sequence);
    return status;
}

static struct guard *read(struct fixture *fixture, struct bytes *ret_value)
{
    struct guard *guard = guard_enter(&fixture->memtable.readers);
    uint64_t sequence = lsm_memtable_visible(&fixture->memtable);
    assert_int_equal(lsm_memtable_get(&fixture->memtable, key, sequence, ret_value), KVORUM_OK);
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
        assert_int_equal(write(&fixture), KVORUM_OK);
    assert_true(lsm_memtable_held(&fixture.memtable) < LIMIT);
    close(&fixture);
}

static void test_held_view(void)
{
    struct fixture fixture;
    struct bytes value;
    kvorum_status status;
    open(&fixture);
    assert_int_equal(write(&fixture), KVORUM_OK);
    struct guard *guard = read(&fixture, &value);
    while ((status = write(&fixture)) == KVORUM_OK)
        assert_true(is_whole(value) && value.data[0] == 1);
    assert_int_equal(status, KVORUM_STORE_FULL);
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
    fixture.memtable.limit = 0; /* readers that overlap for long make it grow */
    assert_int_equal(write(&fixture), KVORUM_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_along, &fixture), 0);
    for (int i = 0; i < WRITES; i++)
        assert_int_equal(write(&fixture), KVORUM_OK);
    atomic_store(&fixture.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    close(&fixture);
}

static const struct named_test tests[] = {
    { "overwriting one key takes no more memory", test_reuse },
    { "a view that is held keeps its value", test_held_view },
    { "readers beside the writer see whole values", test_beside_readers },
};

int main(void)
{
    return RUN_TESTS("memtable", tests);
}
