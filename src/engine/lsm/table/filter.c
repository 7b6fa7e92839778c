/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/filter.h"

#include <assert.h>

/* The best number for one line is a little below the ln 2 = 0.69 a bit of one large filter, since
 * some lines are fuller than others. */
static unsigned probes_for(unsigned bits_a_key)
{
    unsigned probes = (bits_a_key * 6 + 5) / 10;
    if (probes < 1)
        return 1;
    return probes > TABLE_FILTER_PROBES_MAX ? TABLE_FILTER_PROBES_MAX : probes;
}

uint64_t table_filter_size(uint64_t keys, unsigned bits_a_key)
{
    uint64_t lines = (keys * bits_a_key + TABLE_FILTER_LINE_SIZE * 8 - 1) /
                     (TABLE_FILTER_LINE_SIZE * (uint64_t)8);
    if (lines == 0)
        lines = 1;
    return TABLE_FILTER_HEADER_SIZE + lines * TABLE_FILTER_LINE_SIZE;
}

void table_filter_begin(uint8_t *raw, uint64_t size, unsigned bits_a_key,
                        struct table_filter *ret_filter)
{
    assert(size > TABLE_FILTER_HEADER_SIZE &&
           size % TABLE_FILTER_LINE_SIZE == TABLE_FILTER_HEADER_SIZE);
    memset(raw, 0, size);
    raw[0] = (uint8_t)probes_for(bits_a_key);
    bool parsed = table_filter_parse(bytes_make(raw, size), ret_filter);
    assert(parsed);
}

void table_filter_add(struct table_filter *filter, uint8_t *lines, uint64_t hash)
{
    uint8_t *line = lines + (table_filter_line(filter, hash) - filter->lines);
    uint64_t bits = table_filter_bits(hash);
    for (unsigned i = 0; i < filter->probes; i++, bits <<= 9)
        line[bits >> 58] |= (uint8_t)(1u << (bits >> 55 & 7));
}

bool table_filter_parse(struct bytes raw, struct table_filter *ret_filter)
{
    static const uint8_t zero[TABLE_FILTER_HEADER_SIZE - 1];
    if (raw.size <= TABLE_FILTER_HEADER_SIZE || raw.data[0] < 1 ||
        raw.data[0] > TABLE_FILTER_PROBES_MAX || memcmp(raw.data + 1, zero, sizeof(zero)) != 0 ||
        (raw.size - TABLE_FILTER_HEADER_SIZE) % TABLE_FILTER_LINE_SIZE != 0 ||
        (raw.size - TABLE_FILTER_HEADER_SIZE) / TABLE_FILTER_LINE_SIZE > UINT32_MAX)
        return false;
    *ret_filter = (struct table_filter){
        .lines = raw.data + TABLE_FILTER_HEADER_SIZE,
        .line_count = (uint32_t)((raw.size - TABLE_FILTER_HEADER_SIZE) / TABLE_FILTER_LINE_SIZE),
        .probes = raw.data[0],
    };
    return true;
}
