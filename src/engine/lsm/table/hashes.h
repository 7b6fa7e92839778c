/* SPDX-License-Identifier: Apache-2.0 */
/** The hashes of a table's keys, kept until its filter can be made: how large it must be is known
 *  only at the end.  Pieces, so that nothing is copied to grow. */
#ifndef ENGINE_LSM_TABLE_HASHES_H
#define ENGINE_LSM_TABLE_HASHES_H

#include "base/bytes.h"

enum { TABLE_HASHES_PIECE = 8 * 1024 - 2 };

struct table_hashes_piece {
    struct table_hashes_piece *next;
    size_t count;
    uint64_t hashes[TABLE_HASHES_PIECE];
};

struct table_hashes {
    struct table_hashes_piece *first; /* the newest; all others are full */
    uint64_t count;
};

bool table_hashes_grow(struct table_hashes *hashes); /* for table_hashes_add only */

/** False: no memory. */
static inline bool table_hashes_add(struct table_hashes *hashes, uint64_t hash)
{
    if ((hashes->first == NULL || hashes->first->count == TABLE_HASHES_PIECE) &&
        !table_hashes_grow(hashes))
        return false;
    hashes->first->hashes[hashes->first->count++] = hash;
    hashes->count++;
    return true;
}

void table_hashes_done(struct table_hashes *hashes);
/** Fill a filter block of table_filter_size bytes at `raw`. */
void table_hashes_filter(const struct table_hashes *hashes, unsigned bits_a_key, uint8_t *raw,
                         uint64_t size);

#endif
