/* SPDX-License-Identifier: Apache-2.0 */
/** Makes one block of entries after the other (block.h).  Thread: one at a time. */
#ifndef ENGINE_LSM_TABLE_BLOCK_WRITER_H
#define ENGINE_LSM_TABLE_BLOCK_WRITER_H

#include "engine/lsm/table/block.h"

struct table_block_writer {
    uint8_t *entries;
    size_t size, capacity; /* bytes of entries */
    size_t count, columns; /* entries, and room for so many in the columns */
    uint32_t *ends;        /* of each entry */
    uint64_t *tags;
    uint8_t *fingerprints;
    unsigned group_shift;
    size_t first, first_size; /* key of the group's first entry, in `entries` */
    uint64_t tag_min, tag_max;
};

void table_block_writer_init(struct table_block_writer *writer, unsigned group_shift);
void table_block_writer_done(struct table_block_writer *writer);

/** Entries come in order.  False: no memory; nothing changed. */
bool table_block_writer_add(struct table_block_writer *writer, const struct lsm_entry *entry,
                            uint64_t hash);
/** Bytes of the block if it ended here. */
size_t table_block_writer_size(const struct table_block_writer *writer);
/** The same with one more entry, at most. */
size_t table_block_writer_size_with(const struct table_block_writer *writer,
                                    const struct lsm_entry *entry);
/** Put the block into table_block_writer_size bytes at `raw`, and begin the next one. */
void table_block_writer_finish(struct table_block_writer *writer, uint8_t *raw);

#endif
