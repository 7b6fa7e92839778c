/* SPDX-License-Identifier: Apache-2.0 */
/* The tree under several kinds of keys, with every rule of its structure checked. */
#include "engine/common/tree.h"

#include "base/random.h"
#include "engine/common/tree_node.h"
#include "tests/support/rows.h"
#include <stdio.h>

enum { COUNT = 20000 };

static void key_random(struct random *random, int i, char *key)
{
    (void)i;
    snprintf(key, 64, "%llx", (unsigned long long)random_next(random) >> random_below(random, 60));
}

static void key_rising(struct random *random, int i, char *key)
{
    (void)random;
    snprintf(key, 64, "bucket/of/some/length/%010d", i);
}

static void key_falling(struct random *random, int i, char *key)
{
    (void)random;
    snprintf(key, 64, "%010d", COUNT - i);
}

/* Runs of equal bytes: each key is the beginning of others. */
static void key_nested(struct random *random, int i, char *key)
{
    size_t size = 1 + random_below(random, 50);
    memset(key, 'a', size);
    snprintf(key + size, 64 - size, "%d", i % 300);
}

static void key_bucketed(struct random *random, int i, char *key)
{
    snprintf(key, 64, "default/%c/a-common-beginning/%05d", (char)('a' + i % 7),
             (int)random_below(random, 100000));
}

struct row {
    const char *name;
    void (*key)(struct random *random, int i, char *key);
    bool recycle;
};

static const struct row rows[] = {
    { "random keys", key_random, false },
    { "rising keys", key_rising, false },
    { "falling keys", key_falling, false },
    { "keys that begin each other", key_nested, false },
    { "keys that begin alike", key_bucketed, false },
    { "random keys, with removal", key_random, true },
    { "rising keys, with removal", key_rising, true },
    { "falling keys, with removal", key_falling, true },
    { "keys that begin each other, with removal", key_nested, true },
    { "keys that begin alike, with removal", key_bucketed, true },
};

static struct entry *entry_make(struct pool *pool, struct bytes key)
{
    struct entry *entry = pool_allocate(pool, entry_size(key.size));
    assert_non_null(entry);
    entry->key_size = (uint32_t)key.size & INT32_MAX;
    entry->listed = 0;
    memcpy(entry->key, key.data, key.size);
    atomic_init(&entry->newest, NULL);
    return entry;
}

static bool insert(struct tree *tree, const char *text)
{
    struct bytes key = bytes_of_string(text);
    if (tree_find(tree, key) != NULL)
        return false;
    struct entry *entry = entry_make(tree->pool, key);
    assert_true(pool_reserve(tree->pool, tree_insert_size(tree, 1, key.size)));
    uint64_t held = tree->pool->held_size;
    tree_insert(tree, entry);
    assert_int_equal(tree->pool->held_size, held); /* the reservation was enough */
    assert_ptr_equal(tree_find(tree, key), entry);
    return true;
}

static void check_neighbours(const struct tree *tree, struct random *random)
{
    char key[64];
    struct tree_cursor at, before;
    key_random(random, 0, key);
    struct bytes bytes = bytes_of_string(key);
    tree_seek(tree, bytes, &at);
    tree_seek_before(tree, bytes, &before);
    if (before.leaf != NULL) {
        assert_true(bytes_compare(entry_key(tree_entry(&before)), bytes) < 0);
        tree_next(&before);
        assert_ptr_equal(tree_entry(&before), tree_entry(&at));
    }
    if (at.leaf != NULL)
        assert_true(bytes_compare(entry_key(tree_entry(&at)), bytes) >= 0);
}

/* Remove most, so that leaves run empty and are swept. */
static void remove_most(struct tree *tree, struct random *random)
{
    size_t left = tree->count / 50;
    while (tree->count > left) {
        char key[64];
        struct tree_cursor cursor;
        key_random(random, 0, key);
        tree_seek(tree, bytes_of_string(key), &cursor);
        if (cursor.leaf == NULL)
            tree_first(tree, &cursor);
        struct entry *entry = tree_entry(&cursor);
        tree_remove(tree, entry_key(entry));
        assert_null(tree_find(tree, entry_key(entry)));
        pool_free(tree->pool, entry, entry_size(entry->key_size));
    }
    tree_check(tree);
    assert_true(tree->leaf_count <= tree->count + 16);
}

static void check(const void *context)
{
    const struct row *row = context;
    struct random random;
    struct pool pool;
    struct tree tree = { 0 };
    random_init(&random, 11);
    pool_init(&pool);
    assert_true(tree_init(&tree, &pool, row->recycle));
    tree_check(&tree);
    for (int round = 0; round < 1 + row->recycle; round++) {
        for (int i = 0; i < COUNT; i++) {
            char key[64];
            row->key(&random, i, key);
            insert(&tree, key);
            if (i % 1000 == 0)
                tree_check(&tree);
        }
        tree_check(&tree);
        for (int i = 0; i < 1000; i++)
            check_neighbours(&tree, &random);
        if (row->recycle)
            remove_most(&tree, &random);
    }
    pool_done(&pool);
}

int main(void)
{
    return RUN_ROWS("tree", rows, check);
}
