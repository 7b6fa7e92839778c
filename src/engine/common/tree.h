/* SPDX-License-Identifier: Apache-2.0 */
/** Ordered index in memory: a B+tree of entries, one writer, readers without locks.
 *
 *      inner  order | slots: prefix, separator, child      a separator <= every key of its child
 *               |                                          (the first one is empty: from the start)
 *      leaf   order | slots: prefix, entry      <-> next, previous leaf
 *                                   |
 *      entry  key, newest -> version -> older version -> ...       sequence numbers fall
 *
 *  Prefix truncation: all keys of a node share their first `skip` bytes (those its two fences
 *  share), so the eight bytes kept beside the pointer start there, and keys that begin alike (a
 *  bucket's address) still compare inside the node.
 *
 *  Readers beside the writer: a slot is filled first and then published by one store of `order`,
 *  which holds the number of slots and their numbers in key order, 4 bits each. A published slot
 *  never changes (but for a child replaced by its left half). A full node is not edited: its two
 *  halves replace it, and it stays as it was for those who are still reading it. So whoever
 *  entered a node after taking a snapshot finds there, and behind its links, all that the
 *  snapshot may see.
 *  With `recycle` replaced nodes are reused at once, slots are freed by removal, and the owner must
 *  keep readers and the writer apart with a lock.
 *
 *  Costs at 1 M keys: 6 levels, about 3 cache misses a search; 26 bytes a key at 70 % filling. */
#ifndef ENGINE_COMMON_TREE_H
#define ENGINE_COMMON_TREE_H

#include "base/bytes.h"
#include "engine/common/pool.h"
#include <stdatomic.h>

enum { TREE_WIDTH = 15 };

/** One value a key had.  Immutable once published, except where the owner knows it unseen. */
struct version {
    struct version *older;
    uint64_t sequence : 62; /* of the change that wrote it */
    uint64_t deleted : 1;
    uint64_t merge : 1; /* lsm: the value is an operand for the older version */
    uint32_t size;
    _Atomic uint32_t references; /* the memory engine's */
    uint8_t value[];
};

struct entry {
    _Atomic(struct version *) newest;
    uint32_t key_size : 31;
    uint32_t listed : 1; /* the memory engine's: has history to trim */
    uint8_t key[];
};

static inline struct bytes entry_key(const struct entry *entry)
{
    return bytes_make(entry->key, entry->key_size);
}

static inline size_t entry_size(size_t key_size)
{
    return offsetof(struct entry, key) + key_size;
}

static inline size_t version_size(size_t value_size)
{
    return offsetof(struct version, value) + value_size;
}

static inline struct bytes version_value(const struct version *version)
{
    return bytes_make(version->value, version->size);
}

/** The version that a snapshot at `sequence` sees; NULL: none (a deletion is a version). */
static inline const struct version *entry_version(const struct entry *entry, uint64_t sequence)
{
    const struct version *version = atomic_load_explicit(&entry->newest, memory_order_acquire);
    while (version != NULL && version->sequence > sequence)
        version = version->older;
    return version;
}

struct tree_node;
struct tree_leaf;

struct tree {
    struct pool *pool;
    bool recycle;
    _Atomic(struct tree_node *) root;
    size_t count; /* entries */
    size_t leaf_count, inner_count;
    size_t key_size_max; /* of any key ever inserted */
    uint64_t changes;    /* moves when cursors of the locked kind must seek again */
    /* Without `recycle`: take a node that was replaced, for pool_free once no reader can be in it.
     * NULL: it stays.  Set after tree_init. */
    void (*retire)(void *context, void *node, size_t size);
    void *context;
};

/** Place in the tree: an entry, or outside (leaf NULL). */
struct tree_cursor {
    const struct tree_leaf *leaf;
    uint64_t order; /* of the leaf when it was entered */
    unsigned position;
};

/** False: no memory. */
bool tree_init(struct tree *tree, struct pool *pool, bool recycle);

struct entry *tree_find(const struct tree *tree, struct bytes key); /* NULL when absent */

/** Bytes to reserve in the pool so that `count` tree_insert calls, of keys up to `key_size`, cannot
 *  fail. */
size_t tree_insert_size(const struct tree *tree, size_t count, size_t key_size);
/** The key must be absent, and memory reserved. */
void tree_insert(struct tree *tree, struct entry *entry);
/** The key must be there.  Only with `recycle`.  Nodes that ran empty are swept out now and then by
 *  building the tree anew, in time proportional to what was removed since. */
void tree_remove(struct tree *tree, struct bytes key);

void tree_first(const struct tree *tree, struct tree_cursor *ret_cursor);
void tree_last(const struct tree *tree, struct tree_cursor *ret_cursor);
/** First entry with a key >= `key`. */
void tree_seek(const struct tree *tree, struct bytes key, struct tree_cursor *ret_cursor);
/** Last entry with a key < `key`. */
void tree_seek_before(const struct tree *tree, struct bytes key, struct tree_cursor *ret_cursor);
void tree_next(struct tree_cursor *cursor);
void tree_previous(struct tree_cursor *cursor);
/** NULL when outside. */
struct entry *tree_entry(const struct tree_cursor *cursor);

/** Check every rule of the structure; asserts.  For tests. */
void tree_check(const struct tree *tree);

#endif
