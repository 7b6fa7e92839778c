/* SPDX-License-Identifier: Apache-2.0 */
/** Blocks that stand together in a file, read ahead in one piece into memory of its own. */
#ifndef ENGINE_LSM_TABLE_WINDOW_H
#define ENGINE_LSM_TABLE_WINDOW_H

#include "engine/lsm/table/open.h"

struct table_window {
    uint8_t *data;
    size_t capacity;
    size_t first, end; /* blocks that are there */
    size_t ahead;      /* bytes of the next read, about */
    uint8_t *raw;      /* where one block is decompressed */
    size_t raw_capacity;
    struct table_decompressor decompressor;
};

enum { TABLE_WINDOW_MIN = 16 * 1024, TABLE_WINDOW_MAX = 256 * 1024 };

void table_window_init(struct table_window *window, size_t ahead);
void table_window_done(struct table_window *window);
void table_window_forget(
    struct table_window *window); /* the blocks; what comes is of another table */
/** Block `place`, checked and decompressed; it holds until the next call.  When it is not there, so
 *  many blocks from it on (or, `backward`, up to it) are read as `ahead` says, which doubles. */
KVORUM_CHECKED kvorum_status table_window_block(struct table_window *window,
                                                struct table_open *open, size_t place,
                                                bool backward, struct bytes *ret_raw);

#endif
