/* SPDX-License-Identifier: Apache-2.0 */
#include "node/repair/repair_wire.h"

#include "engine/engine.h"
#include "node/internal.h"

/* --- keys ----------------------------------------------------------------------------------- */

static void write_key(struct buffer *buffer, struct bytes before, struct bytes key)
{
    size_t shared = 0;
    while (shared < before.size && shared < key.size && before.data[shared] == key.data[shared])
        shared++;
    write_varint(buffer, shared);
    write_sized(buffer, bytes_from(key, shared));
}

/* CORRUPT: not a key of an object of this partition. */
static kvorum_status read_key(struct reader *reader, uint32_t partition, struct arena *arena,
                              struct bytes before, struct bytes *ret_key)
{
    uint64_t shared = read_varint(reader);
    struct bytes rest = read_sized(reader, ENGINE_KEY_SIZE_MAX);
    if (reader->failed || shared > before.size || shared + rest.size > ENGINE_KEY_SIZE_MAX)
        return KVORUM_CORRUPT;
    uint8_t *data = arena_allocate(arena, shared + rest.size);
    if (data == NULL)
        return KVORUM_NO_MEMORY;
    memcpy(data, before.data, shared);
    if (rest.size > 0)
        memcpy(data + shared, rest.data, rest.size);
    *ret_key = bytes_make(data, shared + rest.size);
    struct key_address address;
    bool fine = store_key_parse(*ret_key, &address) && address.partition == partition &&
                address.bucket.size > 0 && address.key.size > 0;
    return fine ? KVORUM_OK : KVORUM_CORRUPT;
}

void repair_write_key(struct buffer *buffer, struct bytes before,
                      const struct exchange_entry *entry)
{
    write_key(buffer, before, entry->key);
    write_u64(buffer, entry->digest);
    write_varint(buffer, entry->stamp);
}

static kvorum_status read_entry(struct reader *reader, uint32_t partition, uint64_t seed,
                                struct arena *arena, struct bytes before, bool first,
                                struct exchange_entry *ret)
{
    kvorum_status status = read_key(reader, partition, arena, before, &ret->key);
    if (status != KVORUM_OK)
        return status;
    ret->digest = read_u64(reader);
    ret->stamp = read_varint(reader);
    bool sane =
        !reader->failed && ret->digest != 0 && (first || bytes_compare(ret->key, before) > 0);
    ret->leaf = hash_tree_leaf(hash_tree_key(seed, ret->key));
    return sane ? KVORUM_OK : KVORUM_CORRUPT;
}

kvorum_status repair_read_keys(struct bytes tail, uint32_t partition, uint64_t seed,
                               struct arena *arena, const struct exchange_entry **ret_entries,
                               uint32_t *ret_count)
{
    size_t limit = tail.size / (2 + 9) + 1;
    if (limit > EXCHANGE_PAGE_MAX)
        limit = EXCHANGE_PAGE_MAX;
    struct exchange_entry *entries = arena_allocate(arena, limit * sizeof(*entries));
    uint8_t memory[REPAIR_PREFIX_SIZE];
    struct bytes before = repair_prefix(partition, memory);
    struct reader reader = reader_of(tail);
    uint32_t count = 0;
    if (entries == NULL)
        return KVORUM_NO_MEMORY;
    while (reader.rest.size > 0) {
        if (count == limit)
            return KVORUM_CORRUPT;
        kvorum_status status =
            read_entry(&reader, partition, seed, arena, before, count == 0, &entries[count]);
        if (status != KVORUM_OK)
            return status;
        before = entries[count++].key;
    }
    *ret_entries = entries;
    *ret_count = count;
    return KVORUM_OK;
}

/* --- what is wanted ------------------------------------------------------------------------- */

void repair_write_want(struct buffer *buffer, struct bytes before, const struct repair_want *want)
{
    write_key(buffer, before, want->key);
    write_u64(buffer, want->digest);
    buffer_append_u8(buffer, (uint8_t)want->mode);
}

kvorum_status repair_read_wants(struct bytes tail, uint32_t partition, struct arena *arena,
                                const struct repair_want **ret_wants, uint32_t *ret_count)
{
    struct repair_want *wants = arena_allocate(arena, EXCHANGE_BATCH_MAX * sizeof(*wants));
    uint8_t memory[REPAIR_PREFIX_SIZE];
    struct bytes before = repair_prefix(partition, memory);
    struct reader reader = reader_of(tail);
    uint32_t count = 0;
    if (wants == NULL)
        return KVORUM_NO_MEMORY;
    while (reader.rest.size > 0) {
        if (count == EXCHANGE_BATCH_MAX)
            return KVORUM_CORRUPT;
        struct repair_want *want = &wants[count++];
        kvorum_status status = read_key(&reader, partition, arena, before, &want->key);
        if (status != KVORUM_OK)
            return status;
        want->digest = read_u64(&reader);
        uint8_t mode = read_u8(&reader);
        if (reader.failed || mode > REPAIR_UNLESS_EQUAL)
            return KVORUM_CORRUPT;
        want->mode = (enum repair_mode)mode;
        before = want->key;
    }
    *ret_wants = wants;
    *ret_count = count;
    return KVORUM_OK;
}

/* --- objects -------------------------------------------------------------------------------- */

void repair_write_object(struct buffer *buffer, uint32_t index, struct bytes encoding)
{
    write_varint(buffer, index);
    write_sized(buffer, encoding);
}

bool repair_read_object(struct reader *reader, uint32_t want_count, uint32_t *ret_index,
                        struct bytes *ret_encoding)
{
    if (reader->rest.size == 0)
        return false;
    uint64_t index = read_varint(reader);
    *ret_encoding = read_sized(reader, ENGINE_VALUE_SIZE_MAX);
    if (reader->failed || index >= want_count || ret_encoding->size == 0) {
        reader_fail(reader);
        return false;
    }
    *ret_index = (uint32_t)index;
    return true;
}
