/* SPDX-License-Identifier: Apache-2.0 */
/* The tree described in tree.h.  Insertion splits full nodes on its way down, so a parent always
 * has room for one more child and no path has to be kept. */
#include "engine/common/tree.h"

#include "engine/common/tree_node.h"

/* The keys a node may hold: lower <= key < upper; upper.data NULL: no upper fence. */
struct fences {
    struct bytes lower, upper;
};

static const struct separator separator_start = { 0 };

enum { DEPTH_MAX = 32 }; /* levels: nodes are at least a third full */

/* The eight bytes of `key` after `skip`, as a number that orders like them. */
static uint64_t prefix_of(struct bytes key, uint32_t skip)
{
    uint64_t prefix = 0;
    size_t rest = key.size - skip;
    memcpy(&prefix, key.data + skip, rest < sizeof(prefix) ? rest : sizeof(prefix));
    return __builtin_bswap64(prefix);
}

static size_t common_size(struct bytes a, struct bytes b)
{
    size_t limit = a.size < b.size ? a.size : b.size;
    size_t size = 0;
    while (size < limit && a.data[size] == b.data[size])
        size++;
    return size;
}

static uint32_t fences_skip(struct fences fences)
{
    return fences.upper.data == NULL ? 0 : (uint32_t)common_size(fences.lower, fences.upper);
}

/* --- searching ----------------------------------------------------------------------------- */

static int compare_slot(const struct tree_node *node, unsigned slot, uint64_t prefix,
                        struct bytes key)
{
    if (node->prefix[slot] != prefix)
        return node->prefix[slot] < prefix ? -1 : 1;
    struct bytes other = node_key(node, slot);
    return bytes_compare(bytes_from(other, node->skip), bytes_from(key, node->skip));
}

/* Number of keys in the node below `key`; *ret_equal: the next one is `key` itself. */
static unsigned rank(const struct tree_node *node, uint64_t order, struct bytes key,
                     bool *ret_equal)
{
    uint64_t prefix = prefix_of(key, node->skip);
    unsigned low = 0, high = order_count(order);
    *ret_equal = false;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int compared = compare_slot(node, order_slot(order, middle), prefix, key);
        if (compared == 0) {
            *ret_equal = true;
            return middle;
        }
        if (compared < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first separator of a range counts as below every key of it, equal or not. */
static unsigned child_position(const struct tree_node *node, uint64_t order, struct bytes key)
{
    bool equal;
    unsigned position = rank(node, order, key, &equal);
    return equal || position == 0 ? position : position - 1;
}

static void prefetch(const struct tree_node *node)
{
    const char *line = (const char *)node;
    for (size_t i = 0; i < sizeof(*node); i += 64)
        __builtin_prefetch(line + i);
}

static struct tree_node *root_of(const struct tree *tree)
{
    return atomic_load_explicit(&tree->root, memory_order_acquire);
}

/* The child for `key`; key.data NULL: the last one.  A child is replaced by its left half after the
 * right one was published, so an order that did not change meanwhile belongs to the child read. */
static const struct tree_node *child_for(const struct tree_node *node, struct bytes key)
{
    const struct tree_node *child;
    uint64_t order = node_order(node), before;
    do {
        before = order;
        unsigned position =
            key.data == NULL ? order_count(order) - 1 : child_position(node, order, key);
        child = node_item(node, order_slot(order, position));
        order = node_order(node);
    } while (order != before);
    prefetch(child);
    return child;
}

static const struct tree_node *descend(const struct tree *tree, struct bytes key)
{
    const struct tree_node *node = root_of(tree);
    while (node->level > 0)
        node = child_for(node, key);
    return node;
}

struct entry *tree_find(const struct tree *tree, struct bytes key)
{
    const struct tree_node *leaf = descend(tree, key);
    uint64_t order = node_order(leaf);
    bool equal;
    unsigned position = rank(leaf, order, key, &equal);
    return equal ? node_item(leaf, order_slot(order, position)) : NULL;
}

/* --- growing ------------------------------------------------------------------------------- */

static struct tree_node *node_create(struct tree *tree, uint32_t level, struct fences fences)
{
    size_t size = level == 0 ? sizeof(struct tree_leaf) : sizeof(struct tree_inner);
    struct tree_node *node = pool_allocate(tree->pool, size);
    if (node == NULL)
        return NULL;
    memset(node, 0, size);
    node->level = level;
    node->skip = fences_skip(fences);
    tree->leaf_count += level == 0;
    tree->inner_count += level > 0;
    return node;
}

static void node_retire(struct tree *tree, struct tree_node *node)
{
    tree->leaf_count -= node->level == 0;
    tree->inner_count -= node->level > 0;
    size_t size = node->level == 0 ? sizeof(struct tree_leaf) : sizeof(struct tree_inner);
    if (tree->recycle)
        pool_free(tree->pool, node, size);
    else if (tree->retire != NULL)
        tree->retire(tree->context, node, size);
}

/* Fill a free slot, then publish it at `position`. */
static void node_insert(struct tree_node *node, unsigned position, void *item,
                        const struct separator *separator)
{
    uint64_t order = node_order(node);
    unsigned slot = order_free_slot(order);
    atomic_store_explicit(&node->item[slot], item, memory_order_relaxed);
    if (node->level > 0) {
        assert(separator != NULL);
        ((struct tree_inner *)node)->separator[slot] = separator;
    }
    node->prefix[slot] = prefix_of(node_key(node, slot), node->skip);
    atomic_store_explicit(&node->order, order_insert(order, position, slot), memory_order_release);
}

/* Into an empty node that nobody reads yet.  Where the same bytes are skipped the prefixes hold,
 * and no key has to be fetched. */
static void copy_slots(struct tree_node *to, const struct tree_node *from, unsigned begin,
                       unsigned end)
{
    uint64_t order = node_order(from), copied = 0;
    for (unsigned i = begin; i < end; i++) {
        unsigned slot = order_slot(order, i), at = i - begin;
        atomic_store_explicit(&to->item[at], node_item(from, slot), memory_order_relaxed);
        if (from->level > 0)
            ((struct tree_inner *)to)->separator[at] =
                ((const struct tree_inner *)from)->separator[slot];
        to->prefix[at] =
            to->skip == from->skip ? from->prefix[slot] : prefix_of(node_key(to, at), to->skip);
        copied = order_insert(copied, at, at);
    }
    atomic_store_explicit(&to->order, copied, memory_order_release);
}

static void link_leaves(struct tree_leaf *old, struct tree_leaf *left, struct tree_leaf *right)
{
    struct tree_leaf *previous = old->previous, *next = old->next;
    left->previous = previous;
    left->next = right;
    right->previous = left;
    right->next = next;
    if (previous != NULL)
        atomic_store_explicit(&previous->next, left, memory_order_release);
    if (next != NULL)
        atomic_store_explicit(&next->previous, right, memory_order_release);
}

/* The shortest key above `below` and not above `from`. */
static const struct separator *separator_create(struct tree *tree, struct bytes below,
                                                struct bytes from)
{
    size_t size = common_size(below, from) + 1;
    struct separator *separator = pool_allocate(tree->pool, sizeof(*separator) + size);
    assert(separator != NULL && size <= from.size);
    separator->size = (uint32_t)size;
    memcpy(separator->key, from.data, size);
    return separator;
}

/* Where to cut for `key`: in half, but where keys only grow (at the end of the tree, or of one
 * bucket in it) behind the newest, so that they leave full nodes.  Slots are filled in turn: the
 * last one is the newest. */
static unsigned cut_of(const struct tree_node *full, struct bytes key)
{
    bool equal;
    uint64_t order = node_order(full);
    unsigned position = rank(full, order, key, &equal);
    bool grows = position > TREE_WIDTH / 2 && order_slot(order, position - 1) == TREE_WIDTH - 1;
    if (!grows)
        return TREE_WIDTH / 2;
    return position < TREE_WIDTH ? position : TREE_WIDTH - 1;
}

static const struct separator *cut_separator(struct tree *tree, const struct tree_node *node,
                                             unsigned cut)
{
    uint64_t order = node_order(node);
    unsigned slot = order_slot(order, cut);
    if (node->level > 0)
        return ((const struct tree_inner *)node)->separator[slot];
    return separator_create(tree, node_key(node, order_slot(order, cut - 1)), node_key(node, slot));
}

/* Replace the full child at `position` by its halves: the right one first, so that a reader finds
 * either the halves or the whole old child, which nobody edits any more. */
static void split_child(struct tree *tree, struct tree_node *parent, unsigned position,
                        struct fences fences, struct bytes key)
{
    unsigned slot = order_slot(node_order(parent), position);
    struct tree_node *old = node_item(parent, slot);
    unsigned cut = cut_of(old, key);
    const struct separator *separator = cut_separator(tree, old, cut);
    struct bytes middle = bytes_make(separator->key, separator->size);
    struct tree_node *left = node_create(tree, old->level, (struct fences){ fences.lower, middle });
    struct tree_node *right =
        node_create(tree, old->level, (struct fences){ middle, fences.upper });
    assert(left != NULL && right != NULL); /* reserved */
    copy_slots(left, old, 0, cut);
    copy_slots(right, old, cut, TREE_WIDTH);
    if (old->level == 0)
        link_leaves((struct tree_leaf *)old, (struct tree_leaf *)left, (struct tree_leaf *)right);
    node_insert(parent, position + 1, right, separator);
    atomic_store_explicit(&parent->item[slot], left, memory_order_release);
    node_retire(tree, old);
}

static void grow_root(struct tree *tree)
{
    struct tree_node *old = root_of(tree);
    struct tree_node *root = node_create(tree, old->level + 1, (struct fences){ 0 });
    assert(root != NULL); /* reserved */
    node_insert(root, 0, old, &separator_start);
    atomic_store_explicit(&tree->root, root, memory_order_release);
}

/* Fences of the child at `position`, given the node's own. */
static struct fences child_fences(const struct tree_node *node, unsigned position,
                                  struct fences fences)
{
    uint64_t order = node_order(node);
    if (position > 0)
        fences.lower = node_key(node, order_slot(order, position));
    if (position + 1 < order_count(order))
        fences.upper = node_key(node, order_slot(order, position + 1));
    return fences;
}

/* The way down so far.  Fences are in memory of their own, which costs a cache miss a level: they
 * are looked at only when a node is split. */
struct path {
    const struct tree_node *node[DEPTH_MAX];
    unsigned position[DEPTH_MAX];
    size_t depth;
};

static void path_add(struct path *path, const struct tree_node *node, unsigned position)
{
    assert(path->depth < DEPTH_MAX);
    path->node[path->depth] = node;
    path->position[path->depth++] = position;
}

static struct fences path_fences(const struct path *path)
{
    struct fences fences = { { separator_start.key, 0 }, { NULL, 0 } };
    for (size_t i = 0; i < path->depth; i++)
        fences = child_fences(path->node[i], path->position[i], fences);
    return fences;
}

/* Down to the leaf for `key`, with room made on the way. */
static struct tree_node *descend_splitting(struct tree *tree, struct bytes key)
{
    struct path path;
    path.depth = 0;
    if (node_full(root_of(tree)))
        grow_root(tree);
    struct tree_node *node = root_of(tree);
    while (node->level > 0) {
        uint64_t order = node_order(node);
        unsigned position = child_position(node, order, key);
        struct tree_node *child = node_item(node, order_slot(order, position));
        prefetch(child);
        if (node_full(child)) {
            struct fences fences = path_fences(&path);
            split_child(tree, node, position, child_fences(node, position, fences), key);
            continue;
        }
        path_add(&path, node, position);
        node = child;
    }
    return node;
}

void tree_insert(struct tree *tree, struct entry *entry)
{
    struct bytes key = entry_key(entry);
    if (key.size > tree->key_size_max)
        tree->key_size_max = key.size;
    struct tree_node *leaf = descend_splitting(tree, key);
    bool equal;
    unsigned position = rank(leaf, node_order(leaf), key, &equal);
    assert(!equal);
    node_insert(leaf, position, entry, NULL);
    tree->count++;
    tree->changes++;
}

/* Every insert may split a leaf, but an inner node must be full to be split and then takes at least
 * one split below for the next; the levels and a new root come on top. */
size_t tree_insert_size(const struct tree *tree, size_t count, size_t key_size)
{
    size_t levels = root_of(tree)->level + 1;
    size_t any = tree->inner_count + count / 2 + levels + 1;
    size_t inner = count * levels < any ? count * levels : any;
    size_t longest = key_size > tree->key_size_max ? key_size : tree->key_size_max;
    size_t separator = pool_block_size(sizeof(struct separator) + longest);
    return count * (2 * pool_block_size(sizeof(struct tree_leaf)) + separator) +
           (2 * inner + 2) * pool_block_size(sizeof(struct tree_inner));
}

/* --- removing ------------------------------------------------------------------------------ */

static void free_separators(struct tree *tree, const struct tree_node *node)
{
    const struct tree_inner *inner = (const struct tree_inner *)node;
    for (unsigned i = 0; i < order_count(node_order(node)); i++) {
        const struct separator *separator = inner->separator[order_slot(node_order(node), i)];
        if (separator != &separator_start)
            pool_free(tree->pool, (void *)(uintptr_t)separator,
                      sizeof(*separator) + separator->size);
    }
}

/* Depth is the tree's: a dozen at most.  Upper levels share the separators of level 1. */
static void free_nodes(struct tree *tree, struct tree_node *node)
{
    uint64_t order = node_order(node);
    for (unsigned i = 0; node->level > 0 && i < order_count(order); i++)
        free_nodes(tree, node_item(node, order_slot(order, i)));
    if (node->level == 1)
        free_separators(tree, node);
    node_retire(tree, node);
}

/* Leaves that ran empty stay, for removing one would widen the fences of its neighbours; when there
 * is less than an entry a leaf, the entries move to a new tree.  Without memory: another time. */
static void sweep(struct tree *tree)
{
    size_t size =
        tree_insert_size(tree, tree->count, 0) + pool_block_size(sizeof(struct tree_leaf));
    if (!pool_reserve(tree->pool, size))
        return;
    struct tree swept = { .changes = tree->changes + 1 };
    bool made = tree_init(&swept, tree->pool, true);
    assert(made); /* reserved */
    struct tree_cursor cursor;
    for (tree_first(tree, &cursor); cursor.leaf != NULL; tree_next(&cursor))
        tree_insert(&swept, tree_entry(&cursor));
    free_nodes(tree, root_of(tree));
    *tree = swept;
}

void tree_remove(struct tree *tree, struct bytes key)
{
    struct tree_node *leaf = (struct tree_node *)(uintptr_t)descend(tree, key);
    uint64_t order = node_order(leaf);
    bool equal;
    unsigned position = rank(leaf, order, key, &equal);
    assert(equal && tree->recycle);
    atomic_store_explicit(&leaf->order, order_remove(order, position), memory_order_release);
    tree->count--;
    tree->changes++;
    if (tree->count < tree->leaf_count && tree->leaf_count > 16)
        sweep(tree);
}

bool tree_init(struct tree *tree, struct pool *pool, bool recycle)
{
    uint64_t changes = tree->changes;
    *tree = (struct tree){ .pool = pool, .recycle = recycle, .changes = changes };
    struct tree_node *root = node_create(tree, 0, (struct fences){ 0 });
    atomic_store_explicit(&tree->root, root, memory_order_release);
    return root != NULL;
}

/* --- cursors ------------------------------------------------------------------------------- */

static void enter(struct tree_cursor *cursor, const struct tree_leaf *leaf)
{
    cursor->leaf = leaf;
    cursor->order = leaf == NULL ? 0 : node_order(&leaf->node);
    cursor->position = 0;
}

static void skip_forward(struct tree_cursor *cursor)
{
    while (cursor->leaf != NULL && cursor->position >= order_count(cursor->order))
        enter(cursor, atomic_load_explicit(&cursor->leaf->next, memory_order_acquire));
}

/* From before the first slot of a leaf to the last one of those before it. */
static void skip_back(struct tree_cursor *cursor)
{
    do
        enter(cursor, atomic_load_explicit(&cursor->leaf->previous, memory_order_acquire));
    while (cursor->leaf != NULL && order_count(cursor->order) == 0);
    if (cursor->leaf != NULL)
        cursor->position = order_count(cursor->order) - 1;
}

void tree_first(const struct tree *tree, struct tree_cursor *ret_cursor)
{
    static const uint8_t nothing;
    tree_seek(tree, bytes_make(&nothing, 0), ret_cursor);
}

void tree_last(const struct tree *tree, struct tree_cursor *ret_cursor)
{
    enter(ret_cursor, (const struct tree_leaf *)descend(tree, (struct bytes){ 0 }));
    ret_cursor->position = order_count(ret_cursor->order);
    tree_previous(ret_cursor);
}

void tree_seek(const struct tree *tree, struct bytes key, struct tree_cursor *ret_cursor)
{
    bool equal;
    const struct tree_node *leaf = descend(tree, key);
    enter(ret_cursor, (const struct tree_leaf *)leaf);
    ret_cursor->position = rank(leaf, ret_cursor->order, key, &equal);
    skip_forward(ret_cursor);
}

void tree_seek_before(const struct tree *tree, struct bytes key, struct tree_cursor *ret_cursor)
{
    bool equal;
    const struct tree_node *leaf = descend(tree, key);
    enter(ret_cursor, (const struct tree_leaf *)leaf);
    ret_cursor->position = rank(leaf, ret_cursor->order, key, &equal);
    tree_previous(ret_cursor);
}

void tree_next(struct tree_cursor *cursor)
{
    cursor->position++;
    skip_forward(cursor);
}

void tree_previous(struct tree_cursor *cursor)
{
    if (cursor->position > 0)
        cursor->position--;
    else
        skip_back(cursor);
}

struct entry *tree_entry(const struct tree_cursor *cursor)
{
    if (cursor->leaf == NULL)
        return NULL;
    return node_item(&cursor->leaf->node, order_slot(cursor->order, cursor->position));
}

/* --- checking ------------------------------------------------------------------------------ */

static void check_slot(const struct tree_node *node, unsigned slot, struct fences fences)
{
    struct bytes key = node_key(node, slot);
    assert(bytes_compare(key, fences.lower) >= 0);
    assert(fences.upper.data == NULL || bytes_compare(key, fences.upper) < 0);
    assert(node->prefix[slot] == prefix_of(key, node->skip));
}

static size_t check_node(const struct tree_node *node, struct fences fences)
{
    uint64_t order = node_order(node);
    size_t entries = node->level == 0 ? order_count(order) : 0;
    assert(node->skip <= fences_skip(fences));
    for (unsigned i = 0; i < order_count(order); i++) {
        check_slot(node, order_slot(order, i), fences);
        if (i > 0)
            assert(bytes_compare(node_key(node, order_slot(order, i - 1)),
                                 node_key(node, order_slot(order, i))) < 0);
        const struct tree_node *child = node_item(node, order_slot(order, i));
        if (node->level == 0)
            continue;
        assert(child->level + 1 == node->level);
        entries += check_node(child, child_fences(node, i, fences));
    }
    return entries;
}

void tree_check(const struct tree *tree)
{
    struct fences all = { { separator_start.key, 0 }, { NULL, 0 } };
    assert(check_node(root_of(tree), all) == tree->count);
    size_t seen = 0;
    struct tree_cursor cursor;
    for (tree_first(tree, &cursor); cursor.leaf != NULL; tree_next(&cursor))
        seen++;
    for (tree_last(tree, &cursor); cursor.leaf != NULL; tree_previous(&cursor))
        seen++;
    assert(seen == 2 * tree->count);
}
