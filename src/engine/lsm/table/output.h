/* SPDX-License-Identifier: Apache-2.0 */
/** The file a table is written to: blocks are framed in a buffer that goes out in pieces of about
 *  1 MiB.  Thread: one at a time. */
#ifndef ENGINE_LSM_TABLE_OUTPUT_H
#define ENGINE_LSM_TABLE_OUTPUT_H

#include "engine/lsm/table/compress.h"
#include "engine/lsm/table/format.h"

struct table_output {
    struct disk_file *file;
    struct lsm_id id;
    uint8_t *data;
    size_t size, capacity;
    uint64_t written; /* bytes in the file; `data` follows */
    struct table_compressor compressor;
};

static inline uint64_t table_output_end(const struct table_output *output)
{
    return output->written + output->size;
}

/** Room for a block of `raw_size` bytes, to be filled; NULL: no memory.  Its bytes hold until
 *  table_output_block. */
uint8_t *table_output_reserve(struct table_output *output, size_t raw_size);
/** Frame what was put there, and compress it if `compress`.  *ret_framed_size: NULL is fine. */
KVORUM_CHECKED kvorum_status table_output_block(struct table_output *output,
                                                enum table_block_type type, size_t raw_size,
                                                bool compress, uint64_t *ret_framed_size);
/** Bytes as they are. */
KVORUM_CHECKED kvorum_status table_output_append(struct table_output *output, struct bytes bytes);
/** Write out what is in the buffer, and sync. */
KVORUM_CHECKED kvorum_status table_output_sync(struct table_output *output);

#endif
