/* SPDX-License-Identifier: Apache-2.0 */
/** Bytes of a table: its head, foot, properties, and the frame around every block.  Pure functions;
 *  docs/formats/table.md.
 *
 *      head | blocks of entries | ranges | filter | index | properties | foot
 *
 *  All integers are little-endian; every block starts at a multiple of 8 and fills it up to the
 *  next one.  The blocks of entries stand one behind the other from the end of the head on, so the
 *  index knows their sizes only.
 *
 *      head, 64 bytes                             for salvage, and to judge what a broken file is
 *        0     8   magic "KVlsmTBL"
 *        8     4   format version, 1
 *       12     4   size of the head, 64
 *       16    16   id of the store
 *       32    16   id of this file, random
 *       48     8   number of the table
 *       56     8   XXH3-64 of bytes 8..55
 *
 *      block, 24 bytes and what is stored, then zeros up to a multiple of 8
 *        0     8   XXH3-64 of bytes 8.. to the end of the zeros, seeded
 *        8     4   low half of XXH3-64 of bytes 12..23, seeded
 *       12     4   size of what is stored
 *       16     4   size of it before compression
 *       20     1   type: 1 entries, 2 ranges, 3 filter, 4 index, 5 properties
 *       21     1   compression: 0 none, 1 lz4, 2 zstd
 *       22     2   zero
 *
 *      foot, 96 bytes
 *        0     8   offset of the ranges, 0: none
 *        8     8   offset of the filter, 0: none
 *       16     8   offset of the index
 *       24     8   offset of the properties
 *       32    16   id of the store
 *       48    16   id of this file
 *       64     8   size of the file
 *       72     8   XXH3-64 of bytes 0..71 and 80..87
 *       80     4   format version, 1
 *       84     4   size of the foot, 96
 *       88     8   magic "KVlsmTBL"
 *
 *  The seed is XXH3-64 of (file id, offset of the block in the file, u64). */
#ifndef ENGINE_LSM_TABLE_FORMAT_H
#define ENGINE_LSM_TABLE_FORMAT_H

#include "base/buffer.h"
#include "engine/lsm/table/table.h"

enum {
    TABLE_VERSION = 1,
    TABLE_HEAD_SIZE = 64,
    TABLE_FOOT_SIZE = 96,
    TABLE_FRAME_SIZE = 24, /* before what a block stores */
    TABLE_ALIGNMENT = 8,
};

/* More than any block holds: one entry of the largest key and value, its columns, and the filter of
 * a table of a thousand million keys. */
#define TABLE_BLOCK_SIZE_MAX ((uint64_t)2 << 30)

enum table_block_type {
    TABLE_ENTRIES = 1,
    TABLE_RANGES = 2,
    TABLE_FILTER = 3,
    TABLE_INDEX = 4,
    TABLE_PROPERTIES = 5,
};

struct table_head {
    struct lsm_id store, file;
    uint64_t number;
};

struct table_foot {
    uint64_t ranges, filter, index, properties; /* offsets */
    struct lsm_id store, file;
    uint64_t size;
};

/** What a table says of itself; meta.size is the foot's. */
struct table_properties {
    struct lsm_id store;
    struct lsm_table_meta meta; /* bounds: views into the block */
    uint64_t keys;              /* different ones */
    uint64_t blocks;            /* of entries */
    uint64_t entries_end;       /* where the last of them ends */
    enum lsm_compression compression;
};

struct table_frame {
    uint32_t stored_size, raw_size;
    enum table_block_type type;
    enum lsm_compression compression;
};

/** Bytes in the file of a block that stores so much. */
static inline uint64_t table_framed_size(uint64_t stored_size)
{
    return (TABLE_FRAME_SIZE + stored_size + TABLE_ALIGNMENT - 1) / TABLE_ALIGNMENT *
           TABLE_ALIGNMENT;
}

void table_head_encode(const struct table_head *head, uint8_t *ret_bytes);
/** FOREIGN, NEWER_FORMAT, CORRUPT. */
KVORUM_CHECKED kvorum_status table_head_decode(struct bytes bytes, struct table_head *ret_head);

void table_foot_encode(const struct table_foot *foot, uint8_t *ret_bytes);
/** Checks also that the offsets ascend inside a file of `foot->size` bytes.  FOREIGN: it is no
 *  foot (which may be the foot's damage).  NEWER_FORMAT, CORRUPT. */
KVORUM_CHECKED kvorum_status table_foot_decode(struct bytes bytes, struct table_foot *ret_foot);

void table_properties_encode(const struct table_properties *properties, struct buffer *buffer);
KVORUM_CHECKED kvorum_status table_properties_decode(struct bytes raw,
                                                     struct table_properties *ret_properties);

/** Make the block whose stored bytes stand at `block` + TABLE_FRAME_SIZE: writes the frame before
 *  them and the zeros behind, table_framed_size(stored_size) bytes in all. */
void table_frame_encode(const struct lsm_id *file, uint64_t offset, const struct table_frame *frame,
                        uint8_t *block);
/** Is `bytes`, all of it, a block of this type in its place?  CORRUPT. */
KVORUM_CHECKED kvorum_status table_frame_decode(const struct lsm_id *file, uint64_t offset,
                                                struct bytes bytes, enum table_block_type type,
                                                struct table_frame *ret_frame);
/** Does a frame stand at the start of `bytes`?  Then *ret_frame tells how long the block is. */
bool table_frame_peek(const struct lsm_id *file, uint64_t offset, struct bytes bytes,
                      struct table_frame *ret_frame);

#endif
