/* SPDX-License-Identifier: Apache-2.0 */
/** Which store and which file bytes are of, and what is said of a header that may not be of either.
 *  The same in all files of a store: segments, tables, blobs, MANIFEST and FORMAT. */
#ifndef ENGINE_LSM_FILE_ID_H
#define ENGINE_LSM_FILE_ID_H

#include "base/hash.h"
#include "codec/varint.h"
#include "engine/lsm/log/little.h"
#include "kvorum/status.h"

/** Of a store or a file: random, 16 bytes, little-endian. */
struct lsm_id {
    uint64_t low, high;
};

static inline bool lsm_id_equal(const struct lsm_id *a, const struct lsm_id *b)
{
    return a->low == b->low && a->high == b->high;
}

static inline void lsm_id_put(uint8_t *at, const struct lsm_id *id)
{
    little_put64(at, id->low);
    little_put64(at + 8, id->high);
}

static inline struct lsm_id lsm_id_get(const uint8_t *at)
{
    return (struct lsm_id){ little_get64(at), little_get64(at + 8) };
}

static inline void lsm_id_write(struct buffer *buffer, const struct lsm_id *id)
{
    write_u64(buffer, id->low);
    write_u64(buffer, id->high);
}

static inline struct lsm_id lsm_id_read(struct reader *reader)
{
    uint64_t low = read_u64(reader);
    return (struct lsm_id){ low, read_u64(reader) };
}

/** Seeds the checksum of what stands at `offset` of a file, so that it is valid there only. */
static inline uint64_t lsm_place_seed(const struct lsm_id *file, uint64_t offset)
{
    uint8_t place[24];
    lsm_id_put(place, file);
    little_put64(place + 16, offset);
    return hash64(bytes_make(place, sizeof(place)), 0);
}

/** What a header is, by what every version says in the same place: does it begin with our magic;
 *  is its checksum right, which leaves the magic out, so that damage to the magic alone is told
 *  from another file; is its version one that this build knows.  OK, or CORRUPT, FOREIGN,
 *  NEWER_FORMAT. */
static inline kvorum_status lsm_header_judge(bool ours, bool intact, uint32_t version,
                                             uint32_t newest)
{
    if (!intact)
        return ours ? KVORUM_CORRUPT : KVORUM_FOREIGN;
    if (!ours)
        return KVORUM_CORRUPT;
    return version > newest ? KVORUM_NEWER_FORMAT : KVORUM_OK;
}

#endif
