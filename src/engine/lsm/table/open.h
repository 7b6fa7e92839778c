/* SPDX-License-Identifier: Apache-2.0 */
/** What a table has in memory while it is open: file, filter, index, and slots for its blocks.
 *
 *  It is made on first use and falls out, with the file closed, when the cache's limits for tables
 *  are passed and it was not used since the hand went by.  Readers find it by one load inside the
 *  epoch; who keeps it longer takes a reference. */
#ifndef ENGINE_LSM_TABLE_OPEN_H
#define ENGINE_LSM_TABLE_OPEN_H

#include "engine/lsm/table/cache.h"
#include "engine/lsm/table/file.h"
#include "engine/lsm/table/filter.h"
#include "engine/lsm/table/index.h"

enum { TABLE_PASSES_MAX = 32 };

struct table_open {
    struct epoch_item item; /* first */
    struct table_filter filter;
    struct table_index index;
    _Atomic uint8_t referenced;  /* used since the hand went by */
    _Atomic uint8_t passes;      /* of the filter: rises by one, halves with a refusal */
    _Atomic uint32_t references; /* one is the table's, until the epoch is over */
    _Atomic uint64_t announced;  /* a bit for each region of the file (load.c) */
    enum lsm_compression compression;
    struct table_home *home;
    struct disk_file *file;
    struct lsm_cache *cache;
    struct table_foot foot;
    struct table_raw filter_raw;
    size_t memory_size; /* bytes of all of this */
};

struct lsm_table_inside {
    struct epoch_item item; /* first */
    _Atomic(struct table_open *) open;
    struct lsm_table *table;
    struct lsm_cache *cache;
    struct disk *disk;
    char *path;
    struct lsm_id store;
    pthread_mutex_t mutex;                    /* held while it is opened */
    struct lsm_table_inside *next, *previous; /* in the ring, while it is open; tables_mutex */
};

/** Open a file and check that it is the table `meta` tells of.  A missing file is CORRUPT. */
KVORUM_CHECKED kvorum_status table_open_file(struct disk *disk, const char *path,
                                             const struct lsm_id *store,
                                             const struct lsm_table_meta *meta, unsigned flags,
                                             struct disk_file **ret_file,
                                             struct table_foot *ret_foot,
                                             struct table_properties *ret_properties,
                                             struct table_raw *ret_properties_raw);

/** Do the blocks of entries fill their part of the file, as many as the properties say? */
bool table_index_covers(const struct table_open *open, const struct table_properties *properties);

KVORUM_CHECKED kvorum_status table_open_slowly(struct lsm_table_inside *inside,
                                               struct table_open **ret_open);

/** What holds inside the epoch.  WOULD_BLOCK with `nowait`. */
static inline kvorum_status table_open(struct lsm_table *table, bool nowait,
                                       struct table_open **ret_open)
{
    struct table_open *open = atomic_load(&table->inside->open);
    if (open == NULL)
        return nowait ? KVORUM_WOULD_BLOCK : table_open_slowly(table->inside, ret_open);
    if (atomic_load_explicit(&open->referenced, memory_order_relaxed) == 0)
        atomic_store_explicit(&open->referenced, 1, memory_order_relaxed);
    *ret_open = open;
    return KVORUM_OK;
}

void table_open_release(struct table_open *open);
/** Take it from the table, which nobody can use any more. */
void table_open_close(struct lsm_table_inside *inside);

static inline _Atomic(struct lsm_block *) *table_slot(struct table_open *open, size_t place)
{
    return table_leaf_slot(open->index.leaves, place);
}

/** Read block `place` into the cache.  The block holds inside the epoch. */
KVORUM_CHECKED kvorum_status table_block_load(struct table_open *open, size_t place,
                                              struct lsm_block **ret_block);

#endif
