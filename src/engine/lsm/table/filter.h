/* SPDX-License-Identifier: Apache-2.0 */
/** Blocked Bloom filter (Putze, Sanders and Singler 2007): all bits of a key lie in one line of 64
 *  bytes, so a question costs one cache miss.
 *
 *      hash   63 ............ 32 31 ............. 0
 *             picks the line     x constant, whose top bits in steps of 9 are the bits in the line
 *
 *      block  probes u8 | zero, 7 bytes | lines */
#ifndef ENGINE_LSM_TABLE_FILTER_H
#define ENGINE_LSM_TABLE_FILTER_H

#include "base/bytes.h"

enum {
    TABLE_FILTER_LINE_SIZE = 64,
    TABLE_FILTER_HEADER_SIZE = 8,
    TABLE_FILTER_PROBES_MAX = 7, /* as many steps of 9 bits as fit */
};

struct table_filter {
    const uint8_t *lines; /* NULL: every key may be there */
    uint32_t line_count;
    uint8_t probes;
};

static inline const uint8_t *table_filter_line(const struct table_filter *filter, uint64_t hash)
{
    return filter->lines +
           ((hash >> 32) * filter->line_count >> 32) * (uint64_t)TABLE_FILTER_LINE_SIZE;
}

static inline uint64_t table_filter_bits(uint64_t hash)
{
    return (uint64_t)(uint32_t)hash * 0x9e3779b97f4a7c15;
}

/** False: no such key was added. */
static inline bool table_filter_may_have(const struct table_filter *filter, uint64_t hash)
{
    if (filter->lines == NULL)
        return true;
    const uint8_t *line = table_filter_line(filter, hash);
    uint64_t bits = table_filter_bits(hash);
    unsigned present = 1;
    for (unsigned i = 0; i < filter->probes; i++, bits <<= 9)
        present &= (unsigned)line[bits >> 58] >> (bits >> 55 & 7);
    return present != 0;
}

/** Bytes of the block for so many keys. */
uint64_t table_filter_size(uint64_t keys, unsigned bits_a_key);
/** Begin a block of that size at `raw`, all zero but its head; *ret_filter is for adding. */
void table_filter_begin(uint8_t *raw, uint64_t size, unsigned bits_a_key,
                        struct table_filter *ret_filter);
void table_filter_add(struct table_filter *filter, uint8_t *lines, uint64_t hash);
/** False: not a filter. */
bool table_filter_parse(struct bytes raw, struct table_filter *ret_filter);

#endif
