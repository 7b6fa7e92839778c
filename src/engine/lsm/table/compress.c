/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/compress.h"

#include <assert.h>
#include <limits.h>
#include <lz4.h>
#include <stdlib.h>
#include <zstd.h>

enum { ZSTD_LEVEL = 3 };

bool table_compressor_init(struct table_compressor *compressor, enum lsm_compression kind)
{
    *compressor = (struct table_compressor){ .kind = kind };
    if (kind == LSM_LZ4)
        compressor->state = malloc((size_t)LZ4_sizeofState());
    if (kind == LSM_ZSTD)
        compressor->state = ZSTD_createCCtx();
    return kind == LSM_STORED || compressor->state != NULL;
}

void table_compressor_done(struct table_compressor *compressor)
{
    if (compressor->kind == LSM_ZSTD)
        (void)ZSTD_freeCCtx(compressor->state);
    else
        free(compressor->state);
    *compressor = (struct table_compressor){ 0 };
}

size_t table_compress(struct table_compressor *compressor, struct bytes raw, uint8_t *ret_stored)
{
    size_t limit = table_compressed_limit(raw.size);
    if (compressor->kind == LSM_ZSTD) {
        size_t size =
            ZSTD_compressCCtx(compressor->state, ret_stored, limit, raw.data, raw.size, ZSTD_LEVEL);
        return ZSTD_isError(size) ? 0 : size;
    }
    if (compressor->kind == LSM_STORED || raw.size > LZ4_MAX_INPUT_SIZE)
        return 0;
    int size = LZ4_compress_fast_extState(compressor->state, (const char *)raw.data,
                                          (char *)ret_stored, (int)raw.size, (int)limit, 1);
    return size > 0 ? (size_t)size : 0;
}

void table_decompressor_done(struct table_decompressor *decompressor)
{
    (void)ZSTD_freeDCtx(decompressor->state); /* NULL is fine */
    decompressor->state = NULL;
}

static kvorum_status decompress_zstd(struct table_decompressor *decompressor, struct bytes stored,
                                     uint8_t *ret_raw, size_t raw_size)
{
    if (decompressor->state == NULL)
        decompressor->state = ZSTD_createDCtx();
    if (decompressor->state == NULL)
        return KVORUM_NO_MEMORY;
    size_t size =
        ZSTD_decompressDCtx(decompressor->state, ret_raw, raw_size, stored.data, stored.size);
    return size == raw_size ? KVORUM_OK : KVORUM_CORRUPT;
}

kvorum_status table_decompress(struct table_decompressor *decompressor, enum lsm_compression kind,
                               struct bytes stored, uint8_t *ret_raw, size_t raw_size)
{
    if (kind == LSM_ZSTD)
        return decompress_zstd(decompressor, stored, ret_raw, raw_size);
    assert(kind == LSM_LZ4);
    if (stored.size > INT_MAX || raw_size > INT_MAX)
        return KVORUM_CORRUPT;
    int size = LZ4_decompress_safe((const char *)stored.data, (char *)ret_raw, (int)stored.size,
                                   (int)raw_size);
    return size >= 0 && (size_t)size == raw_size ? KVORUM_OK : KVORUM_CORRUPT;
}
