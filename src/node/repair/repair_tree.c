/* SPDX-License-Identifier: Apache-2.0 */
/* The trees of a shard's partition replicas.
 *
 *      unknown --scan of the whole partition--> scanned, kept by repair_note
 *                                                 |  marks, doubts        ^
 *                                                 v                       |
 *                                               some leaves dirty --scan--+ */
#include "base/planted.h"
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/repair/repair_internal.h"

enum {
    HASHED_MAX = 1 << 20, /* bytes: some 50 us a write */
    TREE_MEMORY_DEFAULT = 256 << 20,
};

static const struct hash_tree empty_tree; /* of an n without objects */

/* --- finding -------------------------------------------------------------------------------- */

struct repair_partition *repair_partition(struct node *node, uint32_t number)
{
    struct repair_partition **place = &node->repair->partitions[number];
    if (*place != NULL)
        return *place;
    struct repair_partition *partition = calloc(1, sizeof(*partition));
    if (partition == NULL)
        return NULL;
    partition->number = number;
    list_init(&partition->queue);
    list_init(&partition->suspect);
    return *place = partition;
}

struct repair_tree *repair_tree_find(const struct repair_partition *partition, uint8_t n)
{
    struct repair_tree *tree = partition->trees;
    while (tree != NULL && tree->n != n)
        tree = tree->next;
    return tree;
}

static bool being_scanned(const struct node *node, const struct repair_partition *partition)
{
    return node->repair->scan.partition == partition;
}

/* --- memory --------------------------------------------------------------------------------- */

static void count_memory(struct node *node)
{
    node->counters.repair_tree_memory = node->repair->tree_memory;
}

void repair_partition_drop(struct node *node, struct repair_partition *partition)
{
    while (partition->trees != NULL) {
        struct repair_tree *tree = partition->trees;
        partition->trees = tree->next;
        node->repair->tree_memory -= sizeof(*tree);
        free(tree);
    }
    partition->scanned = false;
    if (being_scanned(node, partition))
        repair_scan_end(node);
    count_memory(node);
}

/* Some other partition has to be scanned again when it is needed. */
static void make_room(struct node *node, const struct repair_partition *keep)
{
    struct repair *repair = node->repair;
    uint64_t limit = node->config.repair.tree_memory_size;
    limit = limit > 0 ? limit : TREE_MEMORY_DEFAULT;
    for (uint32_t i = 0;
         i < repair->partition_count && repair->tree_memory + sizeof(struct repair_tree) > limit;
         i++) {
        repair->evicted = (repair->evicted + 1) % repair->partition_count;
        struct repair_partition *other = repair->partitions[repair->evicted];
        if (other != NULL && other != keep && other->trees != NULL && !being_scanned(node, other))
            repair_partition_drop(node, other);
    }
}

struct repair_tree *repair_tree_add(struct node *node, struct repair_partition *partition,
                                    uint8_t n)
{
    make_room(node, partition);
    struct repair_tree *tree = calloc(1, sizeof(*tree));
    if (tree == NULL)
        return NULL;
    tree->n = n;
    tree->next = partition->trees;
    partition->trees = tree;
    node->repair->tree_memory += sizeof(*tree);
    hash_tree_init(&tree->tree);
    hash_tree_recompute(&tree->tree);
    if (partition->scanned) /* nothing of this n was there before */
        hash_tree_recomputed(&tree->tree);
    count_memory(node);
    return tree;
}

void repair_trees_free(struct node *node)
{
    struct repair *repair = node->repair;
    for (uint32_t i = 0; i < repair->partition_count; i++) {
        if (repair->partitions[i] == NULL)
            continue;
        repair_partition_drop(node, repair->partitions[i]);
        free(repair->partitions[i]);
        repair->partitions[i] = NULL;
    }
}

void repair_forget_trees(struct node *node)
{
    struct repair *repair = node->repair;
    if (repair == NULL || !repair->checked)
        return; /* the node is starting: repair_check_kept */
    PROBE("repair: a bucket got another n");
    repair->ns = 0;
    for (uint32_t i = 0; i < repair->partition_count; i++)
        if (repair->partitions[i] != NULL)
            repair_partition_drop(node, repair->partitions[i]);
}

void repair_forget_partition(struct node *node, uint32_t number)
{
    struct repair_partition *partition = node->repair->partitions[number];
    if (partition != NULL)
        repair_partition_drop(node, partition);
}

/* --- writes --------------------------------------------------------------------------------- */

/* Has a tree that writes keep current; else a scan will see them. */
static bool is_kept(const struct node *node, const struct repair_partition *partition)
{
    return partition != NULL && (partition->scanned || being_scanned(node, partition));
}

uint64_t repair_digest(const struct node *node, uint32_t number, struct bytes encoding)
{
    uint64_t limit = node->config.repair.hashed_size_max;
    if (encoding.size == 0)
        return 0;
    if (!is_kept(node, node->repair->partitions[number]) ||
        encoding.size > (limit > 0 ? limit : HASHED_MAX))
        return REPAIR_UNKNOWN;
    return object_digest(encoding);
}

void repair_expect(const struct node *node, uint32_t number, struct bytes key)
{
    const struct repair_partition *partition = node->repair->partitions[number];
    if (!is_kept(node, partition) || partition->trees == NULL)
        return;
    struct repair_tree *tree = partition->trees;
    uint16_t leaf = hash_tree_leaf(hash_tree_key(node->repair->seed, key));
    __builtin_prefetch(&tree->n);
    __builtin_prefetch(&tree->tree.sums[leaf], 1);
}

void repair_note(struct node *node, uint32_t number, struct bytes key, uint64_t before,
                 uint64_t after)
{
    struct repair_partition *partition = node->repair->partitions[number];
    struct key_address address;
    collect_note(node, number, key);
    if (!is_kept(node, partition) || !store_key_parse(key, &address))
        return;
    if (drop_is_old(node, &address))
        return; /* reclaimed soon, with the tree that may still have it */
    uint8_t n = repair_bucket_n(node, address.type, address.bucket);
    struct repair_tree *tree = repair_tree_find(partition, n);
    if (tree == NULL)
        tree = repair_tree_add(node, partition, n);
    if (tree == NULL) {
        repair_partition_drop(node, partition);
        return;
    }
    uint64_t key_hash = hash_tree_key(node->repair->seed, key);
    if (before == REPAIR_UNKNOWN || after == REPAIR_UNKNOWN)
        hash_tree_mark(&tree->tree, hash_tree_leaf(key_hash));
    else
        hash_tree_change(&tree->tree, key_hash, before, after);
}

void repair_doubt(struct node *node, uint32_t number, uint8_t n, const struct leaf_set *leaves)
{
    struct repair_partition *partition = node->repair->partitions[number];
    struct repair_tree *tree =
        partition == NULL || !partition->scanned ? NULL : repair_tree_find(partition, n);
    if (tree == NULL)
        return; /* computed anew before it is compared, or empty as far as we know */
    PROBE("repair: a tree was doubted");
    node->counters.repair_leaves_doubted += leaf_set_count(leaves);
    for (uint16_t leaf = 0; leaf < HASH_TREE_LEAVES; leaf++)
        if (leaf_set_has(leaves, leaf))
            hash_tree_mark(&tree->tree, leaf);
}

/* --- comparing ------------------------------------------------------------------------------ */

const struct hash_tree *repair_tree_current(struct node *node, uint32_t number, uint8_t n)
{
    struct repair_partition *partition = repair_partition(node, number);
    if (partition == NULL)
        return NULL;
    struct repair_tree *tree = repair_tree_find(partition, n);
    if (partition->scanned && tree == NULL)
        return &empty_tree;
    if (partition->scanned && (hash_tree_current(&tree->tree) || PLANTED(DIRTY_LEAF_COMPARED)))
        return &tree->tree;
    repair_want_scan(node, partition, true);
    return NULL;
}

void repair_want_scan(struct node *node, struct repair_partition *partition, bool urgent)
{
    struct list *due = &node->repair->scans_due;
    bool listed = !list_empty(&partition->queue);
    if (listed && (partition->urgent || !urgent))
        return;
    list_remove(&partition->queue);
    list_append(urgent ? due->next : due, &partition->queue); /* in front, or behind all */
    partition->urgent = urgent;
    repair_wake(node);
}

void repair_refresh(struct node *node, uint32_t number)
{
    struct repair_partition *partition = repair_partition(node, number);
    if (partition == NULL || being_scanned(node, partition))
        return;
    for (struct repair_tree *tree = partition->trees; tree != NULL; tree = tree->next)
        for (uint16_t leaf = 0; leaf < HASH_TREE_LEAVES; leaf++)
            hash_tree_mark(&tree->tree, leaf);
    if (partition->scanned && partition->trees == NULL)
        partition->scanned = false;
    repair_want_scan(node, partition, false);
}
