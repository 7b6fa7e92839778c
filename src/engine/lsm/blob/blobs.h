/* SPDX-License-Identifier: Apache-2.0 */
/** The blob files of a store at one moment, and how much of each the tables of that moment refer
 *  to.
 *
 *      live     bytes of records that a table of this state refers to
 *      garbage  the rest of the file, but for its header
 *
 *  Each record is referred to by one entry of one table at most: a compaction hands an entry on
 *  once, and its inputs go when its outputs come.  So a table remembers its *shares*, how many
 *  bytes of which file it refers to, and the live bytes of a file are the sum of its shares.
 *  Nothing is counted as it is dropped, so nothing can be counted twice: garbage is what no table
 *  claims.  A file without live bytes is no part of the next state; it goes when no reader's state
 *  has it.
 *
 *  Immutable; reference counted, as the levels are.  Thread: any. */
#ifndef ENGINE_LSM_BLOBS_H
#define ENGINE_LSM_BLOBS_H

#include "engine/lsm/blob/blob.h"
#include "engine/lsm/levels/levels.h"

/* --- shares of a table --------------------------------------------------------------------- */

/** Shares as entries come along; zero is empty. */
struct lsm_blob_tally {
    struct lsm_blob_share *list; /* by number */
    size_t count, capacity;
};

/** False: no memory, and the tally is as before. */
bool lsm_blob_tally_add(struct lsm_blob_tally *tally, uint64_t number, uint64_t size);
/** False: no memory.  *ret_shares is NULL when there are none, else the caller's to free; the tally
 *  is empty then. */
bool lsm_blob_tally_take(struct lsm_blob_tally *tally, struct lsm_blob_shares **ret_shares);
void lsm_blob_tally_done(struct lsm_blob_tally *tally);
/** Bytes of file `number` that the table refers to. */
uint64_t lsm_blob_share_of(const struct lsm_table *table, uint64_t number);

/* --- files --------------------------------------------------------------------------------- */

struct lsm_blob_file {
    struct epoch_item item; /* first: readers may still be at it when the last reference goes */
    uint64_t number, size;
    _Atomic uint32_t references;
    _Atomic bool obsolete; /* remove the file with the last reference */
    _Atomic bool damaged;  /* a value could not be moved out of it: it is left alone */
    struct epoch *epoch;
    struct disk *disk;
    char *path;
};

/** NULL: no memory. */
struct lsm_blob_file *lsm_blob_file_create(struct lsm *lsm, uint64_t number, uint64_t size);
void lsm_blob_file_release(struct lsm_blob_file *file);

struct lsm_blob_use {
    struct lsm_blob_file *file;
    uint64_t live;
};

struct lsm_blobs {
    _Atomic uint32_t references;
    size_t count;
    struct lsm_blob_use uses[]; /* by number */
};

/** `old` (NULL: none) and `added`, whose references it takes over when it answers OK, after an edit
 *  of the tables.  CORRUPT: a table claims what is not there, or nothing of an added file.
 *  NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_blobs_edit(const struct lsm_blobs *old,
                                            const struct lsm_edit *edit,
                                            struct lsm_blob_file *const *added, size_t added_count,
                                            struct lsm_blobs **ret_blobs);
/** Once `next` is what the manifest says: files that only `old` has (NULL: none) are obsolete. */
void lsm_blobs_retire(const struct lsm_blobs *old, const struct lsm_blobs *next);
struct lsm_blobs *lsm_blobs_reference(struct lsm_blobs *blobs); /* NULL is fine */
void lsm_blobs_release(struct lsm_blobs *blobs);                /* NULL is fine */
const struct lsm_blob_use *lsm_blobs_find(const struct lsm_blobs *blobs, uint64_t number);
uint64_t lsm_blob_garbage(const struct lsm_blob_use *use);

#endif
