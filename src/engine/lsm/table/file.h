/* SPDX-License-Identifier: Apache-2.0 */
/** Reading a table's file, without index and cache.  Errors: IO, NO_MEMORY, and CORRUPT, FOREIGN,
 *  NEWER_FORMAT about what is there. */
#ifndef ENGINE_LSM_TABLE_FILE_H
#define ENGINE_LSM_TABLE_FILE_H

#include "engine/lsm/table/compress.h"
#include "engine/lsm/table/format.h"

/** Exactly `size` bytes; CORRUPT when the file ends before. */
KVORUM_CHECKED kvorum_status table_file_read(struct disk_file *file, uint64_t offset, uint8_t *data,
                                             uint64_t size);

/** The foot, and what is wrong with the file when it has none. */
KVORUM_CHECKED kvorum_status table_file_foot(struct disk_file *file, struct table_foot *ret_foot);

/** Where the block at `offset` ends, one of those the foot knows. */
uint64_t table_foot_block_end(const struct table_foot *foot, uint64_t offset);

/** One block in memory of its own, freed by table_raw_done. */
struct table_raw {
    uint8_t *memory;
    size_t memory_size;
    struct bytes raw;
};
void table_raw_done(struct table_raw *raw);
/** The block at `offset`, one of those the foot knows.  `raw` begins `skew` bytes before a multiple
 *  of 64. */
KVORUM_CHECKED kvorum_status table_file_block(struct disk_file *file, const struct table_foot *foot,
                                              uint64_t offset, enum table_block_type type,
                                              size_t skew, struct table_raw *ret_raw);

/** Walk a block of `count` ranges; UINT64_MAX: of as many as there are. */
KVORUM_CHECKED kvorum_status table_ranges_visit(
    struct bytes raw, uint64_t count,
    kvorum_status (*visit)(void *context, const struct lsm_range *range), void *context);

#endif
