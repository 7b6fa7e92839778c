/* SPDX-License-Identifier: Apache-2.0 */
/** Which block of entries may hold a key.
 *
 *      block     number of blocks u32 | bytes of all separators u32
 *                repeated: shared varint | size varint | rest of separator | block size / 8 varint
 *
 *      in memory   prefixes  [ 8 bytes of each separator behind what all share, as numbers ]
 *                  offsets   [ of each block, and the end ]
 *                  text      [ the separators ]
 *
 *  A separator is at least the last key of its block and below the first one of the next, unless
 *  versions of one key are on both sides: then it is that key.  The search is over the dense array
 *  of prefixes, and looks at separators only where prefixes are the same. */
#ifndef LSM_TABLE_INDEX_H
#define LSM_TABLE_INDEX_H

#include "base/buffer.h"
#include "kvorum/status.h"

struct table_index {
    uint64_t *prefixes;
    uint64_t *offsets; /* count + 1 */
    uint32_t *texts;   /* count + 1: where separators begin in `text` */
    uint8_t *text;
    size_t count;
    size_t common_size; /* of what all separators begin with */
    size_t memory_size; /* bytes of the four, which are one piece of memory at `prefixes` */
};

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

/** The first block whose separator is at or above `key`; count: none. */
size_t table_index_find(const struct table_index *index, struct bytes key);

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
