/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/repair/tree.h"

#include <assert.h>

#include "base/hash.h"
#include "codec/varint.h"

enum {
    FORMAT_VERSION = 1,
    ENCODED_SIZE = 1 + 8 + HASH_TREE_LEAVES * 8 + 8,
};

static_assert(1 << 4 * HASH_TREE_LEAF_LEVEL == HASH_TREE_LEAVES, "sixteen children a node");

uint32_t leaf_set_count(const struct leaf_set *set)
{
    uint32_t count = 0;
    for (size_t i = 0; i < HASH_TREE_WORDS; i++)
        count += (uint32_t)__builtin_popcountll(set->words[i]);
    return count;
}

uint64_t hash_tree_seed(const struct epoch *epoch)
{
    return hash64(bytes_make(epoch->cluster.bytes, NODE_ID_SIZE), epoch->hash_seed);
}

uint64_t hash_tree_key(uint64_t seed, struct bytes key)
{
    return hash64(key, seed);
}

uint64_t hash_tree_item(uint64_t key_hash, uint64_t digest)
{
    uint64_t both[2] = { htole64(key_hash), htole64(digest) };
    return digest == 0 ? 0 : hash64(bytes_make(both, sizeof(both)), 0);
}

void hash_tree_init(struct hash_tree *tree)
{
    *tree = (struct hash_tree){ .dirty_count = HASH_TREE_LEAVES };
    memset(&tree->dirty, 0xff, sizeof(tree->dirty));
}

void hash_tree_change(struct hash_tree *tree, uint64_t key_hash, uint64_t before, uint64_t after)
{
    tree->sums[hash_tree_leaf(key_hash)] +=
        hash_tree_item(key_hash, after) - hash_tree_item(key_hash, before);
}

void hash_tree_mark(struct hash_tree *tree, uint16_t leaf)
{
    assert(leaf < HASH_TREE_LEAVES);
    tree->dirty_count += !leaf_set_has(&tree->dirty, leaf);
    leaf_set_add(&tree->dirty, leaf);
}

/* --- recomputing ---------------------------------------------------------------------------- */

void hash_tree_recompute(struct hash_tree *tree)
{
    assert(!tree->recomputing);
    for (uint16_t leaf = 0; leaf < HASH_TREE_LEAVES; leaf++)
        if (leaf_set_has(&tree->dirty, leaf))
            tree->sums[leaf] = 0;
    tree->wanted = tree->dirty;
    tree->dirty = (struct leaf_set){ 0 };
    tree->dirty_count = 0;
    tree->recomputing = true;
}

void hash_tree_recall(struct hash_tree *tree, uint64_t key_hash, uint64_t digest)
{
    if (hash_tree_wants(tree, key_hash))
        tree->sums[hash_tree_leaf(key_hash)] += hash_tree_item(key_hash, digest);
}

void hash_tree_recomputed(struct hash_tree *tree)
{
    assert(tree->recomputing);
    tree->recomputing = false;
    tree->wanted = (struct leaf_set){ 0 };
}

void hash_tree_abandoned(struct hash_tree *tree)
{
    for (size_t i = 0; i < HASH_TREE_WORDS; i++)
        tree->dirty.words[i] |= tree->wanted.words[i];
    tree->dirty_count = leaf_set_count(&tree->dirty);
    hash_tree_recomputed(tree);
}

/* --- comparing ------------------------------------------------------------------------------ */

static uint64_t hash_children(const uint64_t children[HASH_TREE_FANOUT], uint8_t level)
{
    uint64_t bytes[HASH_TREE_FANOUT];
    for (size_t i = 0; i < HASH_TREE_FANOUT; i++)
        bytes[i] = htole64(children[i]);
    return hash64(bytes_make(bytes, sizeof(bytes)), level);
}

static bool is_empty(const uint64_t leaves[HASH_TREE_FANOUT])
{
    uint64_t any = 0;
    for (size_t i = 0; i < HASH_TREE_FANOUT; i++)
        any |= leaves[i];
    return any == 0;
}

/* `empty_parent`: the hash of a node over leaves without objects. */
static uint64_t hash_below(const struct hash_tree *tree, uint8_t level, uint16_t index,
                           uint64_t empty_parent)
{
    uint64_t children[HASH_TREE_FANOUT];
    uint16_t first = (uint16_t)(index * HASH_TREE_FANOUT);
    if (level == HASH_TREE_LEAF_LEVEL - 1)
        return is_empty(tree->sums + first) ? empty_parent
                                            : hash_children(tree->sums + first, level);
    for (uint16_t i = 0; i < HASH_TREE_FANOUT; i++)
        children[i] = hash_below(tree, (uint8_t)(level + 1), (uint16_t)(first + i), empty_parent);
    return hash_children(children, level);
}

uint64_t hash_tree_node(const struct hash_tree *tree, uint8_t level, uint16_t index)
{
    static const uint64_t nothing[HASH_TREE_FANOUT];
    assert(level <= HASH_TREE_LEAF_LEVEL && index < hash_tree_width(level));
    if (level == HASH_TREE_LEAF_LEVEL)
        return tree->sums[index];
    return hash_below(tree, level, index, hash_children(nothing, HASH_TREE_LEAF_LEVEL - 1));
}

/* --- as bytes ------------------------------------------------------------------------------- */

void hash_tree_encode(const struct hash_tree *tree, uint64_t seed, struct buffer *buffer)
{
    assert(hash_tree_current(tree));
    size_t begin = buffer->size;
    uint8_t version = FORMAT_VERSION;
    buffer_append(buffer, &version, 1);
    write_u64(buffer, seed);
    for (size_t i = 0; i < HASH_TREE_LEAVES; i++)
        write_u64(buffer, tree->sums[i]);
    if (!buffer->failed)
        write_u64(buffer, hash64(bytes_from(buffer_bytes(buffer), begin), 0));
}

kvorum_status hash_tree_decode(struct bytes bytes, uint64_t seed, struct hash_tree *ret_tree)
{
    struct reader reader = reader_of(bytes);
    if (read_u8(&reader) > FORMAT_VERSION)
        return KVORUM_NEWER_FORMAT;
    if (bytes.size != ENCODED_SIZE || bytes.data[0] != FORMAT_VERSION)
        return KVORUM_CORRUPT;
    struct reader end = reader_of(bytes_from(bytes, ENCODED_SIZE - 8));
    if (read_u64(&end) != hash64(bytes_make(bytes.data, ENCODED_SIZE - 8), 0))
        return KVORUM_CORRUPT;
    if (read_u64(&reader) != seed)
        return KVORUM_INVALID;
    *ret_tree = (struct hash_tree){ 0 };
    for (size_t i = 0; i < HASH_TREE_LEAVES; i++)
        ret_tree->sums[i] = read_u64(&reader);
    return KVORUM_OK;
}
