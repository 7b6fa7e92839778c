/* SPDX-License-Identifier: Apache-2.0 */
/** Which block of entries may hold a key, and where that block is when it is in memory.
 *
 *      block     number of blocks u32 | bytes of all separators u32
 *                repeated: shared varint | size varint | rest of separator | block size / 8 varint
 *
 *      in memory   tops    [ largest prefix of each leaf ]
 *                  leaves  [ 16 prefixes | 16 slots ] [ 16 prefixes | 16 slots ] ...
 *                  offsets [ of each block, and the end ]
 *                  text    [ the separators ]
 *
 *  A separator is at least the last key of its block and below the first one of the next, unless
 *  versions of one key are on both sides: then it is that key.  A prefix is the eight bytes of a
 *  separator behind what all share, as a number; separators are looked at where prefixes are the
 *  same.  The tops stay in the processor's caches; what is read behind them lies together and is
 *  asked for at once, slots included: a search waits for memory once. */
#ifndef ENGINE_LSM_TABLE_INDEX_H
#define ENGINE_LSM_TABLE_INDEX_H

#include "base/buffer.h"
#include "kvorum/status.h"
#include <stdatomic.h>

enum { TABLE_LEAF_WIDTH = 16 };

struct lsm_block;

struct table_leaf {
    uint64_t prefixes[TABLE_LEAF_WIDTH]; /* unused ones at the end are the largest number */
    _Atomic(struct lsm_block *) slots[TABLE_LEAF_WIDTH];
};

struct table_index {
    uint64_t *tops;
    struct table_leaf *leaves;
    uint64_t *offsets; /* count + 1 */
    uint32_t *texts;   /* count + 1: where separators begin in `text` */
    uint8_t *text;
    size_t count, leaf_count;
    size_t common_size; /* of what all separators begin with */
    size_t memory_size; /* bytes of the five, which are one piece of memory at `leaves` */
};

static inline _Atomic(struct lsm_block *) *table_leaf_slot(struct table_leaf *leaves, size_t block)
{
    return &leaves[block / TABLE_LEAF_WIDTH].slots[block % TABLE_LEAF_WIDTH];
}

/** `begin`: offset of the first block.  CORRUPT, NO_MEMORY. */
KVORUM_CHECKED kvorum_status table_index_parse(struct bytes raw, uint64_t begin,
                                               struct table_index *ret_index);
void table_index_done(struct table_index *index);

static inline struct bytes table_index_separator(const struct table_index *index, size_t block)
{
    uint32_t begin = index->texts[block];
    return bytes_make(index->text + begin, index->texts[block + 1] - begin);
}

static inline size_t table_index_block_size(const struct table_index *index, size_t block)
{
    return (size_t)(index->offsets[block + 1] - index->offsets[block]);
}

/** Half of a search: where the rest of it will look. */
struct table_probe {
    uint64_t prefix;
    size_t leaf; /* leaf_count: behind all */
};
/** Begin a search, and ask for the memory that its end needs. */
struct table_probe table_index_ask(const struct table_index *index, struct bytes key);
/** The first block whose separator is at or above `key`; count: none. */
size_t table_index_find_at(const struct table_index *index, struct table_probe probe,
                           struct bytes key);

static inline size_t table_index_find(const struct table_index *index, struct bytes key)
{
    return table_index_find_at(index, table_index_ask(index, key), key);
}

struct table_index_writer {
    struct buffer buffer, last; /* last: the separator before */
    uint32_t count;
    uint64_t text_size;
};

void table_index_writer_init(struct table_index_writer *writer);
void table_index_writer_done(struct table_index_writer *writer);
/** False: no memory, or more than fits. */
bool table_index_writer_add(struct table_index_writer *writer, struct bytes separator,
                            uint64_t framed_size);
/** A view; the writer is finished. */
struct bytes table_index_writer_finish(struct table_index_writer *writer);

/** The shortest key >= last and < next, into `ret_key` (room: ENGINE_KEY_SIZE_MAX); last < next,
 *  or the same.  Returns its size. */
size_t table_separator(struct bytes last, struct bytes next, uint8_t *ret_key);

#endif
