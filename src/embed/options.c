/* SPDX-License-Identifier: Apache-2.0 */
#include "embed/internal.h"

enum { BACKGROUND_THREADS_MAX = 256, FILTER_BITS_MAX = 64, BLOCK_SIZE_MAX = 16 << 20 };

bool embed_all_zero(const uint64_t *reserved, size_t count)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= reserved[i];
    return all == 0;
}

static bool known_engine(const char *name)
{
    return name == NULL || strcmp(name, "lsm") == 0 || strcmp(name, "memory") == 0;
}

kvorum_status embed_options_check(const kvorum_options *options)
{
    if (options == NULL)
        return KVORUM_OK;
    size_t reserved_count = sizeof(options->reserved) / sizeof(options->reserved[0]);
    if (!embed_all_zero(options->reserved, reserved_count) || !known_engine(options->engine))
        return KVORUM_UNSUPPORTED;
    if (options->compression > KVORUM_COMPRESSION_ZSTD)
        return KVORUM_UNSUPPORTED;
    bool contradiction = options->must_be_new && (options->must_exist || options->read_only);
    bool half_an_operator = (options->merge.name != NULL) != (options->merge.merge != NULL);
    bool filter_bits =
        options->filter_bits <= FILTER_BITS_MAX || options->filter_bits == KVORUM_NO_FILTER;
    bool too_many = options->background_threads > BACKGROUND_THREADS_MAX || !filter_bits ||
                    options->block_size > BLOCK_SIZE_MAX;
    return contradiction || half_an_operator || too_many ? KVORUM_INVALID : KVORUM_OK;
}
