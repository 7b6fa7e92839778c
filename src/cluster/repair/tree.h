/* SPDX-License-Identifier: Apache-2.0 */
/** A hash tree over the objects of one partition replica, cheap enough to be kept on every write.
 *
 *      level 0                     root
 *      level 1      16 nodes, each over 16 of the level below
 *      level 2     256
 *      level 3   4,096 leaves: the sum, mod 2^64, of one item for every object of the leaf
 *
 *      item = XXH3(hash of key, digest of object)     leaf = top 12 bits of the hash of the key
 *
 *  Sums do not depend on the order of writes, and a write takes its old item out and puts the new
 *  one in (Bellare and Micciancio 1997 for sums of hashes; Riak's TicTac trees for the idea).  Only
 *  leaves are stored; a node above is the hash of its 16 children, computed when it is asked for.
 *  The hash of the key is seeded by the cluster, so nobody outside can choose keys that cancel out.
 *
 *  Dirty leaves: whoever writes an object without knowing what was there cannot take the old item
 *  out, and marks the leaf.  A tree with dirty leaves must not be compared; it is recomputed from
 *  the store first:
 *
 *      hash_tree_recompute           dirty leaves become 0, and count from this moment on
 *        hash_tree_recall            for each object that the store held at that moment
 *        hash_tree_change, _mark     for each write since, as always: sums do not mind the order
 *      hash_tree_recomputed          or _abandoned: the leaves are dirty as before
 *
 *  A new tree is dirty all over.  Memory: 33 KiB.  Thread: one at a time.  Cost: a change is two
 *  hashes of 16 bytes; the root is 273 hashes of 128 bytes, some 5 us, and fewer where leaves
 *  have no objects. */
#ifndef CLUSTER_REPAIR_TREE_H
#define CLUSTER_REPAIR_TREE_H

#include "base/buffer.h"
#include "cluster/ring/ring.h"

enum {
    HASH_TREE_FANOUT = 16,
    HASH_TREE_LEVELS = 4,
    HASH_TREE_LEAF_LEVEL = HASH_TREE_LEVELS - 1,
    HASH_TREE_LEAVES = 4096,
    HASH_TREE_WORDS = HASH_TREE_LEAVES / 64,
};

/** One bit a leaf. */
struct leaf_set {
    uint64_t words[HASH_TREE_WORDS];
};

struct hash_tree {
    uint64_t sums[HASH_TREE_LEAVES];
    struct leaf_set dirty;
    uint32_t dirty_count;
    struct leaf_set wanted; /* of the recomputing under way */
    bool recomputing;
};

static inline bool leaf_set_has(const struct leaf_set *set, uint16_t leaf)
{
    return (set->words[leaf / 64] >> (leaf % 64) & 1) != 0;
}

static inline void leaf_set_add(struct leaf_set *set, uint16_t leaf)
{
    set->words[leaf / 64] |= UINT64_C(1) << (leaf % 64);
}

uint32_t leaf_set_count(const struct leaf_set *set);

/** The seed of all trees of a cluster: secret as far as the cluster's id and hash seed are. */
uint64_t hash_tree_seed(const struct epoch *epoch);
/** Of the key of an object, with its address (the same bytes at every member). */
uint64_t hash_tree_key(uint64_t seed, struct bytes key);

static inline uint16_t hash_tree_leaf(uint64_t key_hash)
{
    return (uint16_t)(key_hash >> 52);
}

/** What an object adds to its leaf; 0 for `digest` 0, no object. */
uint64_t hash_tree_item(uint64_t key_hash, uint64_t digest);

/** Dirty all over. */
void hash_tree_init(struct hash_tree *tree);
/** An object was written (`before` 0), replaced, or removed (`after` 0); digests of its
 *  encodings. */
void hash_tree_change(struct hash_tree *tree, uint64_t key_hash, uint64_t before, uint64_t after);
/** An object was written over something unknown, or its leaf is doubted. */
void hash_tree_mark(struct hash_tree *tree, uint16_t leaf);

void hash_tree_recompute(struct hash_tree *tree);
static inline bool hash_tree_wants(const struct hash_tree *tree, uint64_t key_hash)
{
    return leaf_set_has(&tree->wanted, hash_tree_leaf(key_hash));
}
/** Objects of leaves that are not wanted are passed over. */
void hash_tree_recall(struct hash_tree *tree, uint64_t key_hash, uint64_t digest);
void hash_tree_recomputed(struct hash_tree *tree);
void hash_tree_abandoned(struct hash_tree *tree);

/** It says what the store holds, and may be compared. */
static inline bool hash_tree_current(const struct hash_tree *tree)
{
    return tree->dirty_count == 0 && !tree->recomputing;
}

/** Nodes of a level: 1, 16, 256, 4096. */
static inline uint32_t hash_tree_width(uint8_t level)
{
    return 1u << 4 * level;
}

/** A node's hash; of a leaf its sum. */
uint64_t hash_tree_node(const struct hash_tree *tree, uint8_t level, uint16_t index);

/** As bytes, to be kept over a restart.  Only a current tree.
 *
 *      version u8 = 1 | seed u64 | 4096 sums u64 | checksum u64 of all before it      little-endian
 */
void hash_tree_encode(const struct hash_tree *tree, uint64_t seed, struct buffer *buffer);
/** CORRUPT; NEWER_FORMAT; INVALID: of another seed.  `ret_tree` is then untouched. */
KVORUM_CHECKED kvorum_status hash_tree_decode(struct bytes bytes, uint64_t seed,
                                              struct hash_tree *ret_tree);

#endif
