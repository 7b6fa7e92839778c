/* SPDX-License-Identifier: Apache-2.0 */
/* The index beside a model: what was put is found, what was not is surely absent; and beside a
 * reader on another thread. */
#include "engine/common/index.h"

#include "tests/support/rows.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 120000 };

struct fixture {
    struct index index;
    struct entry *entries[COUNT];
    _Atomic int put; /* entries that are in */
};

static struct bytes key_of(int i, char *key)
{
    return bytes_make(key, (size_t)snprintf(key, 32, "key:%012d", i));
}

static struct entry *entry_create(int i)
{
    char key[32];
    struct bytes bytes = key_of(i, key);
    struct entry *entry = calloc(1, entry_size(bytes.size));
    assert_non_null(entry);
    entry->key_size = (uint32_t)bytes.size & INT32_MAX;
    memcpy(entry->key, bytes.data, bytes.size);
    return entry;
}

static struct fixture *fixture_create(void)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_true(index_init(&fixture->index));
    for (int i = 0; i < COUNT; i++)
        fixture->entries[i] = entry_create(i);
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    for (int i = 0; i < COUNT; i++)
        free(fixture->entries[i]);
    index_done(&fixture->index);
    free(fixture);
}

static struct entry *find(const struct fixture *fixture, int i, bool *ret_sure)
{
    char text[32];
    struct bytes key = key_of(i, text);
    *ret_sure = false;
    return index_find(&fixture->index, key, index_hash(key), ret_sure);
}

static void put(struct fixture *fixture, int i)
{
    struct entry *entry = fixture->entries[i];
    index_insert(&fixture->index, entry, index_hash(entry_key(entry)));
    atomic_store_explicit(&fixture->put, i + 1, memory_order_release);
}

static void test_found(void)
{
    struct fixture *fixture = fixture_create();
    bool sure;
    for (int i = 0; i < COUNT; i++) {
        assert_null(find(fixture, i, &sure));
        assert_true(sure);
        put(fixture, i);
        int before = (int)((unsigned)i * 7919u % (unsigned)(i + 1));
        assert_ptr_equal(find(fixture, before, &sure), fixture->entries[before]);
    }
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(find(fixture, i, &sure), fixture->entries[i]);
    assert_in_range(fixture->index.pool.used_size / COUNT, 8, 24);
    fixture_destroy(fixture);
}

/* So uneven hashes come from nobody but an attacker: the index gives up, and says so. */
static void test_skew(void)
{
    struct fixture *fixture = fixture_create();
    bool sure = true;
    for (int i = 0; i < COUNT; i++) {
        struct entry *entry = fixture->entries[i];
        uint64_t hash = index_hash(entry_key(entry));
        if (hash >> 56 == 0x5a || i < COUNT / 1000)
            index_insert(&fixture->index, entry, hash);
    }
    struct bytes other = BYTES_LITERAL("other");
    assert_null(index_find(&fixture->index, other, index_hash(other), &sure));
    assert_false(sure);
    assert_in_range(fixture->index.pool.used_size, 4096, 64 * 1024);
    fixture_destroy(fixture);
}

static void *read_along(void *context)
{
    struct fixture *fixture = context;
    bool sure;
    int put_count;
    do {
        put_count = atomic_load_explicit(&fixture->put, memory_order_acquire);
        for (int i = 0; i < put_count; i += 1 + put_count / 100) {
            struct entry *entry = find(fixture, i, &sure);
            assert_true(entry == fixture->entries[i] || (entry == NULL && !sure));
        }
    } while (put_count < COUNT);
    return NULL;
}

static void test_beside_reader(void)
{
    struct fixture *fixture = fixture_create();
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_along, fixture), 0);
    for (int i = 0; i < COUNT; i++)
        put(fixture, i);
    pthread_join(reader, NULL);
    fixture_destroy(fixture);
}

static const struct named_test tests[] = {
    { "what was put is found, what was not is not there", test_found },
    { "uneven hashes end in misses that are not sure", test_skew },
    { "a reader beside the writer misses nothing", test_beside_reader },
};

int main(void)
{
    return RUN_TESTS("index", tests);
}
