/* SPDX-License-Identifier: Apache-2.0 */
/** Compression of blocks.  Thread: one at a time for each of these. */
#ifndef ENGINE_LSM_TABLE_COMPRESS_H
#define ENGINE_LSM_TABLE_COMPRESS_H

#include "engine/lsm/table/table.h"

struct table_compressor {
    enum lsm_compression kind;
    void *state;
};

/** False: no memory. */
bool table_compressor_init(struct table_compressor *compressor, enum lsm_compression kind);
void table_compressor_done(struct table_compressor *compressor);
/** Compress into `ret_stored`, which has room for table_compressed_limit(raw.size) bytes.  Returns
 *  the size; 0: it is not worth it, the block is better stored as it is. */
size_t table_compress(struct table_compressor *compressor, struct bytes raw, uint8_t *ret_stored);
/** What is worth it: an eighth less. */
static inline size_t table_compressed_limit(size_t raw_size)
{
    return raw_size - raw_size / 8;
}

struct table_decompressor {
    void *state; /* made when it is first needed; NULL before */
};

void table_decompressor_done(struct table_decompressor *decompressor);
/** Exactly raw_size bytes into `ret_raw`.  CORRUPT, NO_MEMORY. */
KVORUM_CHECKED kvorum_status table_decompress(struct table_decompressor *decompressor,
                                              enum lsm_compression kind, struct bytes stored,
                                              uint8_t *ret_raw, size_t raw_size);

#endif
