/* SPDX-License-Identifier: Apache-2.0 */
/** A block of entries, decompressed: columns that a search looks at, then the entries.
 *
 *      offset          size
 *        0             8           base of the tags
 *        8             4           number of entries n, at least 1
 *       12             1           entries a group, as a power of two
 *       13             1           bytes of an offset, 2 or 4
 *       14             1           bytes of a tag, 0 to 8
 *       15             1           zero
 *       16             n           fingerprints: byte 4 of the key's hash
 *                      (n + 1) x   offsets, from the first entry on; the last is where all end
 *                      n x         tags, each less the base: sequence number << 2 | kind
 *                                  entries: shared varint | size varint | rest of key | value
 *
 *  `shared` is how many bytes a key has in common with the first key of its group (which has 0), so
 *  every entry is read with one look at another one, in any order: a point read goes from the
 *  fingerprints straight to its entry, and backward moves cost what forward ones do.
 *
 *  In memory a block is followed by TABLE_SLACK readable bytes, so that short keys are copied and
 *  columns are loaded without counting. */
#ifndef ENGINE_LSM_TABLE_BLOCK_H
#define ENGINE_LSM_TABLE_BLOCK_H

#include "codec/varint.h"
#include "engine/lsm/log/little.h"
#include "engine/lsm/table/table.h"

enum {
    TABLE_BLOCK_HEADER_SIZE = 16,
    TABLE_SLACK = 16,
    TABLE_GROUP_SHIFT_MAX = 12,
    TABLE_FINGERPRINT_SHIFT = 32,
};

struct table_view {
    const uint8_t *fingerprints, *offsets, *tags, *entries;
    uint64_t tag_base, tag_mask;
    uint32_t count, entries_size;
    uint8_t group_shift, offset_size, tag_size;
};

/** One entry as it lies there. */
struct table_item {
    struct bytes rest, value;
    size_t shared;
};

static inline uint8_t table_fingerprint(uint64_t hash)
{
    return (uint8_t)(hash >> TABLE_FINGERPRINT_SHIFT);
}

/** Of bytes that table_view_check found good. */
static inline struct table_view table_view_of(const uint8_t *raw, size_t raw_size)
{
    struct table_view view = {
        .fingerprints = raw + TABLE_BLOCK_HEADER_SIZE,
        .tag_base = little_get64(raw),
        .count = little_get32(raw + 8),
        .group_shift = raw[12],
        .offset_size = raw[13],
        .tag_size = raw[14],
    };
    view.tag_mask = view.tag_size == 0 ? 0 : UINT64_MAX >> (64 - 8 * view.tag_size);
    view.offsets = view.fingerprints + view.count;
    view.tags = view.offsets + ((size_t)view.count + 1) * view.offset_size;
    view.entries = view.tags + (size_t)view.count * view.tag_size;
    view.entries_size = (uint32_t)(raw_size - (size_t)(view.entries - raw));
    return view;
}

/** Do the columns fit, and the offsets ascend inside? */
bool table_view_check(const uint8_t *raw, size_t raw_size);

static inline uint32_t table_offset(const struct table_view *view, size_t index)
{
    if (view->offset_size == 2) {
        uint16_t offset;
        memcpy(&offset, view->offsets + 2 * index, sizeof(offset));
        return le16toh(offset);
    }
    return little_get32(view->offsets + 4 * index);
}

/** Sequence number << 2 | kind. */
static inline uint64_t table_tag(const struct table_view *view, size_t index)
{
    return view->tag_base + (little_get64(view->tags + index * view->tag_size) & view->tag_mask);
}

static inline size_t table_group_first(const struct table_view *view, size_t index)
{
    return index >> view->group_shift << view->group_shift;
}

bool table_item_slowly(struct bytes bytes, struct table_item *ret_item); /* for the next only */

/** False: it is not what a writer makes. */
static inline bool table_item(const struct table_view *view, size_t index,
                              struct table_item *ret_item)
{
    uint32_t begin = table_offset(view, index), end = table_offset(view, index + 1);
    const uint8_t *at = view->entries + begin;
    size_t size = end - begin, shared = at[0], rest = at[1];
    if ((shared | rest) >= 0x80)
        return table_item_slowly(bytes_make(at, size), ret_item);
    if (rest + 2 > size)
        return false;
    ret_item->shared = shared;
    ret_item->rest = bytes_make(at + 2, rest);
    ret_item->value = bytes_make(at + 2 + rest, size - 2 - rest);
    return true;
}

/** The whole key of the first entry of a group, in place. */
static inline bool table_group_key(const struct table_view *view, size_t first,
                                   struct bytes *ret_key)
{
    struct table_item item;
    if (!table_item(view, first, &item) || item.shared != 0)
        return false;
    *ret_key = item.rest;
    return true;
}

/** How many leading bytes are the same. */
static inline size_t table_common(struct bytes a, struct bytes b)
{
    size_t limit = a.size < b.size ? a.size : b.size, at = 0;
    while (at + 8 <= limit) {
        uint64_t difference = little_get64(a.data + at) ^ little_get64(b.data + at);
        if (difference != 0)
            return at + (size_t)__builtin_ctzll(difference) / 8;
        at += 8;
    }
    while (at < limit && a.data[at] == b.data[at])
        at++;
    return at;
}

/** The first version of `key` at or below `sequence`: OK and its place and value, NOT_FOUND,
 *  CORRUPT. */
KVORUM_CHECKED kvorum_status table_block_find(const struct table_view *view, struct bytes key,
                                              uint64_t hash, uint64_t sequence, size_t *ret_index,
                                              struct bytes *ret_value);

/** Ask for the memory that table_block_find will look at. */
void table_block_prefetch(const struct table_view *view, uint64_t hash);

/** Ask for the memory that table_block_seek will look at first. */
void table_block_ask_groups(const struct table_view *view);

/** The first entry at or after (key, sequence); view->count: there is none.  CORRUPT. */
KVORUM_CHECKED kvorum_status table_block_seek(const struct table_view *view, struct bytes key,
                                              uint64_t sequence, size_t *ret_index);

#endif
