/* SPDX-License-Identifier: Apache-2.0 */
/** Tails of REPAIR and REPAIR_ANSWER frames.  All integers little-endian; a key is written as what
 *  it shares with the key before it (the first with 'o' and the partition), so a bucket's name
 *  travels once:
 *
 *      key       shared varint | size varint | the rest of its bytes
 *      keys      repeated: key | digest u64 | stamp varint           ascending; milliseconds
 *      wanted    repeated: key | digest u64 | mode u8                any order
 *      objects   repeated: index varint | size varint | encoding     indices into the wanted
 *
 *  Readers check everything: sizes, order, that a key is one of the partition.  What they return
 *  lives in the arena, or points into the bytes read. */
#ifndef NODE_REPAIR_WIRE_H
#define NODE_REPAIR_WIRE_H

#include "base/arena.h"
#include "cluster/repair/exchange.h"
#include "codec/varint.h"

enum repair_kind { /* numbers go on the wire */
                   REPAIR_NODES = 1,
                   REPAIR_KEYS = 2,
                   REPAIR_OBJECTS = 3,
                   REPAIR_DOUBT = 4, /* no answer */
                   REPAIR_BEGIN =
                       5, /* from another shard of the same node: repair all that you have */
                   REPAIR_SCRUB = 6,  /* the same: scrub all that you have */
                   REPAIR_ACCEPT = 7, /* the same: give up what is lost for good */
};

enum repair_mode {
    REPAIR_IF_EQUAL = 0, /* the object, if its digest is the one given */
    REPAIR_UNLESS_EQUAL = 1,
};

struct repair_want {
    struct bytes key;
    uint64_t digest;
    enum repair_mode mode;
};

enum { REPAIR_SHARED_MAX = 1 << 17, REPAIR_PREFIX_SIZE = 3 };

/** What the first key of a tail shares its beginning with. */
static inline struct bytes repair_prefix(uint32_t partition, uint8_t memory[REPAIR_PREFIX_SIZE])
{
    memory[0] = 'o';
    memory[1] = (uint8_t)(partition >> 8);
    memory[2] = (uint8_t)partition;
    return bytes_make(memory, REPAIR_PREFIX_SIZE);
}

/** Append; `before`: the key written before this one, or the prefix. */
void repair_write_key(struct buffer *buffer, struct bytes before,
                      const struct exchange_entry *entry);
void repair_write_want(struct buffer *buffer, struct bytes before, const struct repair_want *want);
void repair_write_object(struct buffer *buffer, uint32_t index, struct bytes encoding);

/** CORRUPT, NO_MEMORY.  Leaves are computed with `seed`.  More than EXCHANGE_PAGE_MAX: CORRUPT. */
KVORUM_CHECKED kvorum_status repair_read_keys(struct bytes tail, uint32_t partition, uint64_t seed,
                                              struct arena *arena,
                                              const struct exchange_entry **ret_entries,
                                              uint32_t *ret_count);
/** At most EXCHANGE_BATCH_MAX. */
KVORUM_CHECKED kvorum_status repair_read_wants(struct bytes tail, uint32_t partition,
                                               struct arena *arena,
                                               const struct repair_want **ret_wants,
                                               uint32_t *ret_count);
/** The next object; false at the end, and when the rest makes no sense (reader->failed). */
bool repair_read_object(struct reader *reader, uint32_t want_count, uint32_t *ret_index,
                        struct bytes *ret_encoding);

#endif
