/* SPDX-License-Identifier: Apache-2.0 */
/** Hash index of entries: finds one in about two cache misses, where a tree of a million takes ten.
 *
 *      directory   2^depth pointers, by the top bits of the hash
 *                    |   |    \ /
 *      segments     S0  S1    S2        a fuller one than 3/4 is split in two
 *      slot        tag u16 | address of an entry u48; 0: free
 *
 *  Extendible hashing (Fagin et al. 1979): growth is one segment at a time, so no insertion takes
 *  long, and the segment that was split is used again for the next split.
 *
 *  One writer, readers without locks; entries are never removed.  It goes beside a tree that holds
 *  the same entries, and never has to be right about absence: a miss that is not sure (a segment
 *  was split meanwhile, or memory ran out) is looked up in the tree.
 *
 *  Costs: 11 to 21 bytes a key. */
#ifndef ENGINE_COMMON_INDEX_H
#define ENGINE_COMMON_INDEX_H

#include "engine/common/pool.h"
#include "engine/common/tree.h"

struct index_directory;
struct index_segment;

struct index {
    struct pool pool;
    _Atomic(struct index_directory *) directory;
    struct index_segment *spare; /* what the last split left; readers may still be in it */
    size_t segment_count;
    _Atomic uint64_t splits; /* odd: one is under way */
    _Atomic bool incomplete; /* memory ran out: some entries are not here */
};

/** False: no memory. */
bool index_init(struct index *index);
void index_done(struct index *index);

uint64_t index_hash(struct bytes key);
/** NULL when it is not here; *ret_sure: then it was not in the tree either when this was called. */
struct entry *index_find(const struct index *index, struct bytes key, uint64_t hash,
                         bool *ret_sure);
/** Ask for the memory that index_find will look at first. */
void index_prefetch(const struct index *index, uint64_t hash);
/** The entry that index_find will probably look at, unseen; NULL: none. */
struct entry *index_guess(const struct index *index, uint64_t hash);
/** The key must be absent, and already in the tree. */
void index_insert(struct index *index, struct entry *entry, uint64_t hash);

#endif
