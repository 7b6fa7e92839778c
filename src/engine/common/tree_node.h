/* SPDX-License-Identifier: Apache-2.0 */
/** Nodes of the tree and the `order` word, for tree.c and its tests.
 *
 *      order  bits 0-3: number of slots; bits 4+4i..7+4i: number of the slot that is i-th by key
 *
 *      node   +0 order  +8 skip  +12 level  +16 prefix[15]  +136 item[15]         256 bytes
 *      leaf   +256 next  +264 previous                                            272 bytes
 *      inner  +256 separator[15]                                                  376 bytes */
#ifndef ENGINE_COMMON_TREE_NODE_H
#define ENGINE_COMMON_TREE_NODE_H

#include "engine/common/tree.h"
#include <assert.h>

struct separator {
    uint32_t size;
    uint8_t key[];
};

struct tree_node {
    _Atomic uint64_t order;
    uint32_t skip;  /* leading bytes that all keys of the node's range share */
    uint32_t level; /* 0: leaf */
    uint64_t prefix[TREE_WIDTH];
    _Atomic(void *) item[TREE_WIDTH]; /* entries, or children */
};

struct tree_leaf {
    struct tree_node node;
    _Atomic(struct tree_leaf *) next, previous;
};

struct tree_inner {
    struct tree_node node;
    const struct separator *separator[TREE_WIDTH];
};

static_assert(sizeof(struct tree_node) == 256, "four cache lines");

static inline unsigned order_count(uint64_t order)
{
    return (unsigned)(order & 15);
}

static inline unsigned order_slot(uint64_t order, unsigned position)
{
    return (unsigned)(order >> (4 + 4 * position)) & 15;
}

static inline uint64_t order_insert(uint64_t order, unsigned position, unsigned slot)
{
    unsigned shift = 4 + 4 * position;
    uint64_t below = order & (((uint64_t)1 << shift) - 1);
    uint64_t above = order - below;
    return (below | (uint64_t)slot << shift | above << 4) + 1;
}

static inline uint64_t order_remove(uint64_t order, unsigned position)
{
    unsigned shift = 4 + 4 * position;
    uint64_t below = order & (((uint64_t)1 << shift) - 1);
    uint64_t above = shift + 4 == 64 ? 0 : order >> (shift + 4) << shift;
    return (below | above) - 1;
}

/* A slot that `order` does not use; there must be one. */
static inline unsigned order_free_slot(uint64_t order)
{
    unsigned used = 0;
    for (unsigned i = 0; i < order_count(order); i++)
        used |= 1u << order_slot(order, i);
    assert(used != (1u << TREE_WIDTH) - 1);
    return (unsigned)__builtin_ctz(~used);
}

static inline uint64_t node_order(const struct tree_node *node)
{
    return atomic_load_explicit(&node->order, memory_order_acquire);
}

static inline void *node_item(const struct tree_node *node, unsigned slot)
{
    return atomic_load_explicit(&node->item[slot], memory_order_acquire);
}

static inline bool node_full(const struct tree_node *node)
{
    return order_count(node_order(node)) == TREE_WIDTH;
}

static inline struct bytes node_key(const struct tree_node *node, unsigned slot)
{
    if (node->level == 0)
        return entry_key(node_item(node, slot));
    const struct separator *separator = ((const struct tree_inner *)node)->separator[slot];
    return bytes_make(separator->key, separator->size);
}

#endif
