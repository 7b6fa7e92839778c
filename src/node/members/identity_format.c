/* SPDX-License-Identifier: Apache-2.0 */
/* The file `identity` as bytes: docs/formats/identity.md. */
#include "node/members/identity.h"

#include "base/hash.h"
#include "cluster/ring/node_id.h"
#include "codec/varint.h"

#include <assert.h>

enum { FORMAT_VERSION = 2, FLAG_CLEAN = 1, FLAG_STORES_MADE = 2 };

static const char magic[8] = { 'K', 'V', 'O', 'R', 'U', 'M', 'I', 'D' };

static void write_life(struct buffer *buffer, const struct node_life *life)
{
    write_u64(buffer, life->votes_from);
    for (int i = 0; i < LIFE_HISTORY_MAX; i++)
        write_u64(buffer, i < life->history_count ? life->history[i] : 0);
}

void identity_encode(const struct identity *identity, uint8_t ret_bytes[IDENTITY_SIZE])
{
    struct buffer buffer = { .data = ret_bytes, .capacity = IDENTITY_SIZE, .limit = IDENTITY_SIZE };
    buffer_append(&buffer, magic, sizeof(magic));
    write_u16(&buffer, FORMAT_VERSION);
    write_u16(&buffer,
              (identity->clean ? FLAG_CLEAN : 0) | (identity->stores_made ? FLAG_STORES_MADE : 0));
    write_u16(&buffer, identity->store_count);
    write_u16(&buffer, identity->life.history_count);
    node_id_write(&buffer, &identity->node);
    node_id_write(&buffer, &identity->cluster);
    write_u64(&buffer, identity->life.number);
    buffer_append(&buffer, identity->engine, sizeof(identity->engine));
    write_u64(&buffer, identity->incarnation_limit);
    write_u64(&buffer, identity->actor);
    write_u64(&buffer, identity->seal);
    write_life(&buffer, &identity->life);
    write_u64(&buffer, hash64(buffer_bytes(&buffer), 0));
    assert(!buffer.failed && buffer.size == IDENTITY_SIZE);
}

/* The first 80 bytes are the same in both versions; lives are numbered as actor epochs were. */
static void read_common(struct reader *reader, struct identity *ret)
{
    uint16_t flags = read_u16(reader);
    ret->clean = (flags & FLAG_CLEAN) != 0;
    ret->stores_made = (flags & FLAG_STORES_MADE) != 0;
    ret->store_count = read_u16(reader);
    uint16_t count = read_u16(reader);
    ret->life.history_count = count > LIFE_HISTORY_MAX ? 0 : (uint8_t)count;
    ret->node = node_id_read(reader);
    ret->cluster = node_id_read(reader);
    ret->life.number = read_u64(reader);
    struct bytes engine = read_bytes(reader, sizeof(ret->engine));
    if (!reader->failed)
        memcpy(ret->engine, engine.data, sizeof(ret->engine));
    ret->incarnation_limit = read_u64(reader);
}

static void read_life(struct reader *reader, struct identity *ret)
{
    ret->actor = read_u64(reader);
    ret->seal = read_u64(reader);
    ret->life.votes_from = read_u64(reader);
    for (int i = 0; i < LIFE_HISTORY_MAX; i++)
        ret->life.history[i] = read_u64(reader);
}

static kvorum_status check_frame(struct bytes bytes, struct reader *reader, uint16_t *ret_version,
                                 const char **ret_why)
{
    size_t common = bytes.size < sizeof(magic) ? bytes.size : sizeof(magic);
    if (common > 0 && memcmp(bytes.data, magic, common) != 0) {
        *ret_why = "its file `identity` was not made by kvorum";
        return KVORUM_FOREIGN;
    }
    *ret_why = "its file `identity` is truncated";
    if (bytes.size < sizeof(magic) + 2)
        return KVORUM_CORRUPT;
    *reader = reader_of(bytes_from(bytes, sizeof(magic)));
    *ret_version = read_u16(reader);
    if (*ret_version > FORMAT_VERSION || *ret_version == 0) {
        *ret_why = "its file `identity` was made by a newer release of kvorum";
        return KVORUM_NEWER_FORMAT;
    }
    size_t size = *ret_version == 1 ? IDENTITY_V1_SIZE : IDENTITY_SIZE;
    if (bytes.size != size)
        return KVORUM_CORRUPT;
    struct reader end = reader_of(bytes_from(bytes, size - 8));
    if (read_u64(&end) == hash64(bytes_make(bytes.data, size - 8), 0))
        return KVORUM_OK;
    *ret_why = "its file `identity` is damaged (checksum)";
    return KVORUM_CORRUPT;
}

kvorum_status identity_decode(struct bytes bytes, struct identity *ret_identity,
                              const char **ret_why)
{
    struct reader reader;
    uint16_t version;
    kvorum_status status = check_frame(bytes, &reader, &version, ret_why);
    if (status != KVORUM_OK)
        return status;
    struct identity identity = { 0 };
    read_common(&reader, &identity);
    if (version == 1) /* its clean mark does not say of which stores */
        identity.clean = false;
    else
        read_life(&reader, &identity);
    if (identity.store_count == 0 || identity.life.number == 0 ||
        (version > 1 && identity.life.history_count == 0) ||
        identity.engine[IDENTITY_ENGINE_MAX] != '\0') {
        *ret_why = "its file `identity` holds values out of range";
        return KVORUM_CORRUPT;
    }
    *ret_identity = identity;
    return KVORUM_OK;
}
