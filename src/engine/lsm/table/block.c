/* SPDX-License-Identifier: Apache-2.0 */
/* Searching a block without putting keys together. */
#include "engine/lsm/table/block.h"

static bool offsets_ascend(const struct table_view *view)
{
    uint32_t last = 0;
    bool good = table_offset(view, 0) == 0;
    for (size_t i = 1; i <= view->count; i++) {
        uint32_t next = table_offset(view, i);
        good &= next > last && next - last >= 2; /* shared and size */
        last = next;
    }
    return good && last == view->entries_size;
}

bool table_view_check(const uint8_t *raw, size_t raw_size)
{
    if (raw_size < TABLE_BLOCK_HEADER_SIZE || raw[12] > TABLE_GROUP_SHIFT_MAX ||
        (raw[13] != 2 && raw[13] != 4) || raw[14] > 8 || raw[15] != 0)
        return false;
    uint64_t count = little_get32(raw + 8);
    uint64_t columns = TABLE_BLOCK_HEADER_SIZE + raw[13] + count * (1u + raw[13] + raw[14]);
    if (count == 0 || columns > raw_size || raw_size - columns > UINT32_MAX)
        return false;
    struct table_view view = table_view_of(raw, raw_size);
    return offsets_ascend(&view);
}

bool table_item_slowly(struct bytes bytes, struct table_item *ret_item)
{
    struct reader reader = reader_of(bytes);
    uint64_t shared = read_varint(&reader);
    struct bytes rest = read_sized(&reader, ENGINE_KEY_SIZE_MAX);
    if (reader.failed || shared > ENGINE_KEY_SIZE_MAX)
        return false;
    *ret_item = (struct table_item){ rest, reader.rest, (size_t)shared };
    return true;
}

/* --- point search -------------------------------------------------------------------------- */

/* A high bit for each byte of `word` that is zero (and sometimes for the one above such a byte:
 * the keys decide). */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - 0x0101010101010101) & ~word & 0x8080808080808080;
}

static kvorum_status judge(const struct table_view *view, size_t index, struct bytes key,
                           struct bytes *ret_value)
{
    struct table_item item;
    struct bytes first;
    if (!table_item(view, index, &item))
        return KVORUM_CORRUPT;
    if (item.shared + item.rest.size != key.size ||
        memcmp(key.data + item.shared, item.rest.data, item.rest.size) != 0)
        return KVORUM_NOT_FOUND;
    if (item.shared > 0) {
        if (!table_group_key(view, table_group_first(view, index), &first) ||
            item.shared > first.size)
            return KVORUM_CORRUPT;
        if (memcmp(key.data, first.data, item.shared) != 0)
            return KVORUM_NOT_FOUND;
    }
    *ret_value = item.value;
    return KVORUM_OK;
}

kvorum_status table_block_find(const struct table_view *view, struct bytes key, uint64_t hash,
                               uint64_t sequence, size_t *ret_index, struct bytes *ret_value)
{
    uint64_t pattern = table_fingerprint(hash) * (uint64_t)0x0101010101010101;
    for (size_t at = 0; at < view->count; at += 8) {
        uint64_t hits = zero_bytes(little_get64(view->fingerprints + at) ^ pattern);
        for (; hits != 0; hits &= hits - 1) {
            size_t index = at + (size_t)__builtin_ctzll(hits) / 8;
            if (index >= view->count || table_tag(view, index) >> 2 > sequence)
                continue;
            kvorum_status status = judge(view, index, key, ret_value);
            if (status == KVORUM_NOT_FOUND)
                continue;
            *ret_index = index;
            return status;
        }
    }
    return KVORUM_NOT_FOUND;
}

void table_block_prefetch(const struct table_view *view, uint64_t hash)
{
    uint64_t pattern = table_fingerprint(hash) * (uint64_t)0x0101010101010101;
    for (size_t at = 0; at < view->count; at += 8) {
        uint64_t hits = zero_bytes(little_get64(view->fingerprints + at) ^ pattern);
        if (hits == 0)
            continue;
        size_t index = at + (size_t)__builtin_ctzll(hits) / 8;
        if (index >= view->count)
            return;
        __builtin_prefetch(view->entries + table_offset(view, index));
        __builtin_prefetch(view->entries + table_offset(view, table_group_first(view, index)));
        return;
    }
}

enum { ASK_MAX = 16, ASK_FEW = 8 /* entries that are all asked for at once */ };

/* --- ordered search ------------------------------------------------------------------------ */

static int order_of(struct bytes key, uint64_t sequence, struct bytes key2, uint64_t sequence2)
{
    int order = bytes_compare(key, key2);
    return order != 0 ? order : (sequence < sequence2) - (sequence > sequence2);
}

/* Entries lie apart, and a search looks at several: their memory is asked for together. */
static void ask_entries(const struct table_view *view, size_t begin, size_t end, size_t step)
{
    for (size_t i = begin; i < end; i += step)
        __builtin_prefetch(view->entries + table_offset(view, i));
}

void table_block_ask_groups(const struct table_view *view)
{
    size_t step = view->count <= ASK_FEW ? 1 : (size_t)1 << view->group_shift;
    size_t end = ASK_MAX * step;
    ask_entries(view, 0, end < view->count ? end : view->count, step);
}

/* The last group that begins at or before (key, sequence), in *ret_group; -1: none. */
static kvorum_status seek_group(const struct table_view *view, struct bytes key, uint64_t sequence,
                                int64_t *ret_group, struct bytes *ret_first)
{
    int64_t low = -1, high = (view->count - 1) >> view->group_shift;
    table_block_ask_groups(view);
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        size_t index = (size_t)middle << view->group_shift;
        struct bytes first;
        if (!table_group_key(view, index, &first))
            return KVORUM_CORRUPT;
        if (order_of(first, table_tag(view, index) >> 2, key, sequence) <= 0) {
            low = middle;
            *ret_first = first;
        } else {
            high = middle - 1;
        }
    }
    *ret_group = low;
    return KVORUM_OK;
}

/* Keys of a group differ from its first key later than the wanted one does (they are smaller),
 * earlier (they are larger), or at the same place (then the rest decides). */
static kvorum_status seek_inside(const struct table_view *view, size_t begin, struct bytes first,
                                 struct bytes key, uint64_t sequence, size_t *ret_index)
{
    size_t common = table_common(first, key);
    size_t end = begin + ((size_t)1 << view->group_shift);
    if (end > view->count)
        end = view->count;
    size_t index = begin;
    ask_entries(view, begin, end < begin + ASK_MAX ? end : begin + ASK_MAX, 1);
    for (; index < end; index++) {
        struct table_item item;
        if (!table_item(view, index, &item))
            return KVORUM_CORRUPT;
        size_t shared = index == begin ? first.size : item.shared;
        struct bytes rest = index == begin ? bytes_make(first.data, 0) : item.rest;
        if (shared < common)
            break;
        if (shared == common &&
            order_of(rest, table_tag(view, index) >> 2, bytes_from(key, common), sequence) >= 0)
            break;
    }
    *ret_index = index;
    return KVORUM_OK;
}

kvorum_status table_block_seek(const struct table_view *view, struct bytes key, uint64_t sequence,
                               size_t *ret_index)
{
    int64_t group = -1;
    struct bytes first = { 0 };
    kvorum_status status = seek_group(view, key, sequence, &group, &first);
    if (status != KVORUM_OK)
        return status;
    if (group < 0) {
        *ret_index = 0;
        return KVORUM_OK;
    }
    return seek_inside(view, (size_t)group << view->group_shift, first, key, sequence, ret_index);
}
