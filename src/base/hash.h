/* SPDX-License-Identifier: Apache-2.0 */
/** XXH3: checksums, table hashes, placement.  Stable across releases and machines. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/bytes.h"

uint64_t hash64(struct bytes bytes, uint64_t seed);
/** hash64 of the concatenation of `parts`. */
uint64_t hash64_parts(const struct bytes *parts, size_t count, uint64_t seed);

/** Mix of a 64-bit integer (finalizer of splitmix64): a bijection. */
static inline uint64_t hash_mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

#endif
