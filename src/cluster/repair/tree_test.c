/* SPDX-License-Identifier: Apache-2.0 */
/* Against a slow model: a plain table of what each key holds, summed up anew for every look. */
#include "cluster/repair/tree.h"

#include "base/hash.h"
#include "base/random.h"
#include "tests/support/rows.h"

#include <stdio.h>
#include <string.h>

enum { KEYS = 3000, STEPS = 40000, SEED = 7 };

struct model {
    struct hash_tree tree;
    uint64_t key_hash[KEYS];
    uint64_t digest[KEYS]; /* 0: none */
    uint64_t snapshot[KEYS];
    bool scanning;
    uint32_t scanned;
};

static uint64_t key_hash_of(uint32_t number)
{
    char key[32];
    int size = snprintf(key, sizeof(key), "key %u", number);
    return hash_tree_key(SEED, bytes_make(key, (size_t)size));
}

static struct model *model_create(void)
{
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    hash_tree_init(&model->tree);
    for (uint32_t i = 0; i < KEYS; i++)
        model->key_hash[i] = key_hash_of(i);
    return model;
}

/* What the tree has to be when nothing is dirty. */
static void check(const struct model *model)
{
    static uint64_t sums[HASH_TREE_LEAVES];
    memset(sums, 0, sizeof(sums));
    for (uint32_t i = 0; i < KEYS; i++)
        if (model->digest[i] != 0)
            sums[model->key_hash[i] >> 52] += hash_tree_item(model->key_hash[i], model->digest[i]);
    uint32_t dirty = 0;
    for (uint16_t leaf = 0; leaf < HASH_TREE_LEAVES; leaf++) {
        bool known = !leaf_set_has(&model->tree.dirty, leaf);
        dirty += !known;
        if (known)
            assert_true(model->tree.sums[leaf] == sums[leaf]);
    }
    assert_int_equal(dirty, model->tree.dirty_count);
}

static void recompute_begin(struct model *model)
{
    hash_tree_recompute(&model->tree);
    memcpy(model->snapshot, model->digest, sizeof(model->snapshot));
    model->scanning = true;
    model->scanned = 0;
}

static void recompute_step(struct model *model, struct random *random)
{
    uint32_t upto = model->scanned + (uint32_t)random_below(random, KEYS / 3);
    for (; model->scanned < KEYS && model->scanned < upto; model->scanned++)
        hash_tree_recall(&model->tree, model->key_hash[model->scanned],
                         model->snapshot[model->scanned]);
    if (model->scanned < KEYS && random_below(random, 20) != 0)
        return;
    if (model->scanned == KEYS)
        hash_tree_recomputed(&model->tree);
    else
        hash_tree_abandoned(&model->tree);
    model->scanning = false;
    check(model);
}

static void write_one(struct model *model, struct random *random)
{
    uint32_t key = (uint32_t)random_below(random, KEYS);
    uint64_t before = model->digest[key];
    model->digest[key] = random_below(random, 4) == 0 ? 0 : random_next(random) | 1;
    if (random_below(random, 200) == 0) /* it did not look at what was there */
        hash_tree_mark(&model->tree, hash_tree_leaf(model->key_hash[key]));
    else
        hash_tree_change(&model->tree, model->key_hash[key], before, model->digest[key]);
}

static void test_model(void)
{
    struct random random;
    random_init(&random, 1);
    struct model *model = model_create();
    for (uint32_t i = 0; i < STEPS; i++) {
        write_one(model, &random);
        if (model->scanning && random_below(&random, 10) == 0)
            recompute_step(model, &random);
        else if (!model->scanning && random_below(&random, 300) == 0)
            recompute_begin(model);
        if (!model->scanning && i % 1000 == 0)
            check(model);
    }
    free(model);
}

static struct hash_tree *empty_tree(void)
{
    struct hash_tree *tree = malloc(sizeof(*tree));
    assert_non_null(tree);
    hash_tree_init(tree);
    hash_tree_recompute(tree);
    hash_tree_recomputed(tree);
    return tree;
}

static void test_order(void)
{
    struct hash_tree *a = empty_tree(), *b = empty_tree();
    for (uint32_t i = 0; i < KEYS; i++)
        hash_tree_change(a, key_hash_of(i), 0, i + 1);
    for (uint32_t i = KEYS; i-- > 0;) {
        hash_tree_change(b, key_hash_of(i), 0, 99);
        hash_tree_change(b, key_hash_of(i), 99, i + 1);
    }
    assert_true(hash_tree_node(a, 0, 0) == hash_tree_node(b, 0, 0));
    for (uint32_t i = 0; i < KEYS; i++)
        hash_tree_change(a, key_hash_of(i), i + 1, 0);
    free(b);
    b = empty_tree();
    assert_memory_equal(a->sums, b->sums, sizeof(a->sums));
    free(a);
    free(b);
}

/* From a leaf to the root every node is another, and no others are. */
static void test_path(void)
{
    struct hash_tree *a = empty_tree(), *b = empty_tree();
    uint64_t key_hash = key_hash_of(5);
    hash_tree_change(b, key_hash, 0, 1);
    for (uint8_t level = 0; level < HASH_TREE_LEVELS; level++) {
        uint16_t on_path =
            (uint16_t)(hash_tree_leaf(key_hash) >> 4 * (HASH_TREE_LEAF_LEVEL - level));
        for (uint16_t i = 0; i < hash_tree_width(level); i++)
            assert_int_equal(hash_tree_node(a, level, i) != hash_tree_node(b, level, i),
                             i == on_path);
    }
    free(a);
    free(b);
}

static void test_new_tree_is_dirty(void)
{
    struct hash_tree *tree = malloc(sizeof(*tree));
    assert_non_null(tree);
    hash_tree_init(tree);
    assert_int_equal(tree->dirty_count, HASH_TREE_LEAVES);
    assert_false(hash_tree_current(tree));
    hash_tree_recompute(tree);
    assert_false(hash_tree_current(tree));
    hash_tree_recomputed(tree);
    assert_true(hash_tree_current(tree));
    hash_tree_mark(tree, 17);
    hash_tree_mark(tree, 17);
    assert_int_equal(tree->dirty_count, 1);
    assert_false(hash_tree_current(tree));
    free(tree);
}

static void test_seed(void)
{
    struct epoch epoch = { .hash_seed = 1 }, other = epoch, third = epoch;
    other.cluster.bytes[3] = 1;
    third.hash_seed = 2;
    assert_true(hash_tree_seed(&epoch) != hash_tree_seed(&other));
    assert_true(hash_tree_seed(&epoch) != hash_tree_seed(&third));
    assert_true(hash_tree_key(1, BYTES_LITERAL("k")) != hash_tree_key(2, BYTES_LITERAL("k")));
}

/* These numbers travel between members and stand on disk: they never change. */
static void test_golden(void)
{
    struct hash_tree *tree = empty_tree();
    uint64_t key_hash = hash_tree_key(SEED, BYTES_LITERAL("golden"));
    hash_tree_change(tree, key_hash, 0, 0x1234567890abcdef);
    assert_true(key_hash == UINT64_C(0x31ff3679a791b4b1));
    assert_true(hash_tree_item(key_hash, 0x1234567890abcdef) == UINT64_C(0x22bca25db98da46a));
    assert_true(hash_tree_node(tree, 0, 0) == UINT64_C(0x8d7d7d5fb73e5a3e));
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    hash_tree_encode(tree, SEED, &buffer);
    assert_true(hash64(buffer_bytes(&buffer), 0) == UINT64_C(0x1d6a914621e963eb));
    buffer_done(&buffer);
    free(tree);
}

static void test_bytes(void)
{
    struct hash_tree *tree = empty_tree(), *read = malloc(sizeof(*read));
    struct buffer buffer;
    assert_non_null(read);
    buffer_init(&buffer, 1 << 20);
    for (uint32_t i = 0; i < KEYS; i++)
        hash_tree_change(tree, key_hash_of(i), 0, i + 1);
    hash_tree_encode(tree, SEED, &buffer);
    struct bytes bytes = buffer_bytes(&buffer);
    assert_int_equal(hash_tree_decode(bytes, SEED, read), KVORUM_OK);
    assert_memory_equal(read->sums, tree->sums, sizeof(tree->sums));
    assert_true(hash_tree_current(read));
    assert_int_equal(hash_tree_decode(bytes, SEED + 1, read), KVORUM_INVALID);
    for (size_t size = 0; size < bytes.size; size += size < 64 ? 1 : 997)
        assert_int_equal(hash_tree_decode(bytes_make(bytes.data, size), SEED, read),
                         KVORUM_CORRUPT);
    for (size_t i = 0; i < bytes.size; i += i < 64 ? 1 : 997) {
        ((uint8_t *)bytes.data)[i] ^= 0x10;
        assert_int_not_equal(hash_tree_decode(bytes, SEED, read), KVORUM_OK);
        ((uint8_t *)bytes.data)[i] ^= 0x10;
    }
    ((uint8_t *)bytes.data)[0] = 2;
    assert_int_equal(hash_tree_decode(bytes, SEED, read), KVORUM_NEWER_FORMAT);
    buffer_done(&buffer);
    free(tree);
    free(read);
}

static const struct named_test tests[] = {
    { "a tree kept on every write says what the store holds, while leaves are recomputed too",
      test_model },
    { "the order of writes leaves no trace", test_order },
    { "one object changes the nodes from its leaf to the root, and no others", test_path },
    { "a new tree is dirty until it was recomputed", test_new_tree_is_dirty },
    { "clusters have seeds of their own", test_seed },
    { "hashes and bytes are what they always were", test_golden },
    { "bytes give the tree back, and damaged ones nothing", test_bytes },
};

int main(void)
{
    return RUN_TESTS("hash tree", tests);
}
