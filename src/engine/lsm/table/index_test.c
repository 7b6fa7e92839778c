/* SPDX-License-Identifier: Apache-2.0 */
/* Separators in rows; the index against a search from its first separator on. */
#include "engine/lsm/table/index.h"

#include "base/random.h"
#include "engine/engine.h"
#include "tests/support/rows.h"

/* --- separators ---------------------------------------------------------------------------- */

struct row {
    const char *name, *last, *next, *separator;
};

static const struct row rows[] = {
    { "the first byte that differs is enough", "abc1xyz", "abc3k", "abc3" },
    { "no gap before a short next key", "abcd", "b", "ac" },
    { "a wide gap before a short next key", "abcd", "d", "b" },
    { "no room in the first byte", "ab\xff\xff", "b", "ac" },
    { "no shorter one", "ab", "b", "ab" },
    { "nothing but the highest bytes", "a\xff\xff", "b", "a\xff\xff" },
    { "the last key begins the next one", "abc", "abcd", "abc" },
    { "versions of one key on both sides", "abc", "abc", "abc" },
    { "a single byte", "a", "b", "a" },
    { "neighbours in the last byte", "key1", "key2", "key1" },
};

static void check_separator(const void *context)
{
    const struct row *row = context;
    uint8_t key[64];
    struct bytes last = bytes_of_string(row->last), next = bytes_of_string(row->next);
    size_t size = table_separator(last, next, key);
    struct bytes made = bytes_make(key, size);
    assert_true(bytes_equal(made, bytes_of_string(row->separator)));
    assert_true(bytes_compare(last, made) <= 0);
    assert_true(bytes_compare(made, next) < 0 || bytes_equal(last, next));
}

static struct bytes random_key(struct random *random, uint8_t *memory, unsigned letters)
{
    size_t size = 1 + (size_t)random_below(random, 12);
    for (size_t i = 0; i < size; i++)
        memory[i] = (uint8_t)(letters == 256 ? random_below(random, 256)
                                             : 0xfe + random_below(random, letters));
    return bytes_make(memory, size);
}

static void test_random_separators(void)
{
    struct random random;
    random_init(&random, 7);
    for (int i = 0; i < 200000; i++) {
        uint8_t memory[3][16];
        struct bytes a = random_key(&random, memory[0], i % 2 ? 256 : 2);
        struct bytes b = random_key(&random, memory[1], i % 2 ? 256 : 2);
        struct bytes last = bytes_compare(a, b) <= 0 ? a : b;
        struct bytes next = bytes_compare(a, b) <= 0 ? b : a;
        struct bytes made = bytes_make(memory[2], table_separator(last, next, memory[2]));
        assert_true(made.size <= last.size && bytes_compare(last, made) <= 0);
        assert_true(bytes_compare(made, next) < 0 || bytes_equal(last, next));
    }
}

/* --- searching ----------------------------------------------------------------------------- */

enum { BLOCKS = 1000, KEY_ROOM = 48 };

struct keys {
    uint8_t memory[BLOCKS][KEY_ROOM];
    struct bytes keys[BLOCKS];
    size_t count;
};

static int compare(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void make_keys(struct keys *keys, struct random *random, const char *prefix, size_t count,
                      unsigned letters)
{
    keys->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(prefix);
        memcpy(keys->memory[i], prefix, size);
        size += random_key(random, keys->memory[i] + size, letters).size;
        keys->keys[i] = bytes_make(keys->memory[i], size);
    }
    qsort(keys->keys, count, sizeof(keys->keys[0]), compare);
}

static size_t find_slowly(const struct keys *keys, struct bytes key)
{
    size_t at = 0;
    while (at < keys->count && bytes_compare(keys->keys[at], key) < 0)
        at++;
    return at;
}

static void check_find(const struct keys *keys, const struct table_index *index, struct bytes key)
{
    size_t found = table_index_find(index, key);
    assert_int_equal(found < index->count ? found : index->count, find_slowly(keys, key));
}

static void check_index(const char *prefix, size_t count, unsigned letters)
{
    static struct keys keys;
    struct random random;
    struct table_index_writer writer;
    struct table_index index;
    random_init(&random, count + letters);
    make_keys(&keys, &random, prefix, count, letters);
    table_index_writer_init(&writer);
    for (size_t i = 0; i < count; i++)
        assert_true(table_index_writer_add(&writer, keys.keys[i], 32 + 8 * i));
    struct bytes raw = table_index_writer_finish(&writer);
    assert_int_equal(table_index_parse(raw, 64, &index), KVORUM_OK);
    assert_int_equal(index.count, count);
    for (size_t i = 0; i < count; i++) {
        uint8_t memory[KEY_ROOM + 1];
        assert_true(bytes_equal(table_index_separator(&index, i), keys.keys[i]));
        assert_int_equal(table_index_block_size(&index, i), 32 + 8 * i);
        memcpy(memory, keys.keys[i].data, keys.keys[i].size);
        struct bytes key = bytes_make(memory, keys.keys[i].size);
        check_find(&keys, &index, key);
        memory[key.size - 1]++;
        check_find(&keys, &index, key);
        memory[key.size] = 0;
        key.size++;
        check_find(&keys, &index, key);
        key.size = (size_t)random_below(&random, key.size);
        check_find(&keys, &index, key);
    }
    for (int i = 0; i < 2000; i++) {
        uint8_t memory[KEY_ROOM];
        check_find(&keys, &index, random_key(&random, memory, 256));
    }
    for (size_t cut = 1; cut <= raw.size && cut < 100; cut++) {
        struct table_index cut_index;
        assert_int_equal(table_index_parse(bytes_make(raw.data, raw.size - cut), 64, &cut_index),
                         KVORUM_CORRUPT);
    }
    table_index_done(&index);
    table_index_writer_done(&writer);
}

static void test_find(void)
{
    for (size_t count = 0; count < 70; count++)
        check_index("", count, 256);
    check_index("", BLOCKS, 256);
    check_index("user-", BLOCKS, 256);
    check_index("", BLOCKS, 2);
    check_index("all of them begin alike", 900, 2);
}

static const struct named_test tests[] = {
    { "a separator of random keys lies between them", test_random_separators },
    { "a search finds what a walk finds", test_find },
};

int main(void)
{
    return RUN_ROWS("table separators", rows, check_separator) | RUN_TESTS("table index", tests);
}
