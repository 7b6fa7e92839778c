/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SMALL_SIZE = 512 }; /* below it a copy is cheaper than the 576-byte streaming state */

uint64_t hash64(struct bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

static uint64_t hash_small(const struct bytes *parts, size_t count, uint64_t seed)
{
    uint8_t joined[SMALL_SIZE];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > 0)
            memcpy(joined + size, parts[i].data, parts[i].size);
        size += parts[i].size;
    }
    return XXH3_64bits_withSeed(joined, size, seed);
}

uint64_t hash64_parts(const struct bytes *parts, size_t count, uint64_t seed)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    if (size <= SMALL_SIZE)
        return hash_small(parts, count, seed);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSeed(&state, seed);
    for (size_t i = 0; i < count; i++)
        XXH3_64bits_update(&state, parts[i].data, parts[i].size);
    return XXH3_64bits_digest(&state);
}
