/* SPDX-License-Identifier: Apache-2.0 */
/** The first eight bytes of a key as a number that is ordered as keys are: a < b as numbers says
 *  a < b as keys, equal numbers say nothing.  Most comparisons end here, in a register. */
#ifndef ENGINE_LSM_KEY_PREFIX_H
#define ENGINE_LSM_KEY_PREFIX_H

#include "base/bytes.h"

#include <endian.h>

static inline uint64_t key_prefix_load(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

static inline uint64_t key_prefix(struct bytes key)
{
    if (key.size >= sizeof(uint64_t))
        return key_prefix_load(key.data);
    uint64_t value = 0;
    for (size_t i = 0; i < key.size; i++)
        value |= (uint64_t)key.data[i] << (56 - 8 * i);
    return value;
}

/** bytes_compare of two keys whose prefixes are equal. */
static inline int key_compare_rest(struct bytes a, struct bytes b)
{
    enum { WORD = sizeof(uint64_t) };
    if (a.size >= 2 * WORD && b.size >= 2 * WORD) {
        uint64_t left = key_prefix_load(a.data + WORD), right = key_prefix_load(b.data + WORD);
        if (left != right)
            return left < right ? -1 : 1;
        return bytes_compare(bytes_from(a, 2 * WORD), bytes_from(b, 2 * WORD));
    }
    return bytes_compare(a, b);
}

#endif
