/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lsm/table/hashes.h"

#include "engine/lsm/table/filter.h"

#include <stdlib.h>

enum { AHEAD = 8 }; /* so many lines are on their way from memory */

bool table_hashes_grow(struct table_hashes *hashes)
{
    struct table_hashes_piece *piece = malloc(sizeof(*piece));
    if (piece == NULL)
        return false;
    piece->next = hashes->first;
    piece->count = 0;
    hashes->first = piece;
    return true;
}

void table_hashes_done(struct table_hashes *hashes)
{
    while (hashes->first != NULL) {
        struct table_hashes_piece *piece = hashes->first;
        hashes->first = piece->next;
        free(piece);
    }
    hashes->count = 0;
}

void table_hashes_filter(const struct table_hashes *hashes, unsigned bits_a_key, uint8_t *raw,
                         uint64_t size)
{
    struct table_filter filter;
    table_filter_begin(raw, size, bits_a_key, &filter);
    uint8_t *lines = raw + TABLE_FILTER_HEADER_SIZE;
    for (const struct table_hashes_piece *piece = hashes->first; piece != NULL;
         piece = piece->next) {
        for (size_t i = 0; i < piece->count; i++) {
            if (i + AHEAD < piece->count)
                __builtin_prefetch(table_filter_line(&filter, piece->hashes[i + AHEAD]), 1);
            table_filter_add(&filter, lines, piece->hashes[i]);
        }
    }
}
