/* SPDX-License-Identifier: Apache-2.0 */
/* The table's bytes as format.h lays them out. */
#include "engine/lsm/table/format.h"

#include "base/hash.h"
#include "codec/varint.h"
#include "engine/lsm/log/little.h"

static const uint8_t magic[8] = { 'K', 'V', 'l', 's', 'm', 'T', 'B', 'L' };

enum {
    HEAD_CHECKSUM = 56,
    FOOT_CHECKSUM = 72,
    FOOT_VERSION = 80,
    FOOT_MAGIC = 88,
    FRAME_CHECK = 8,
    FRAME_STORED = 12,
    FRAME_RAW = 16,
    FRAME_TYPE = 20,
    FRAME_COMPRESSION = 21,
    FRAME_ZERO = 22,
};

static kvorum_status judge(bool ours, bool intact, uint32_t version, uint32_t size, uint32_t due)
{
    kvorum_status status = lsm_header_judge(ours, intact, version, TABLE_VERSION);
    if (status != KVORUM_OK)
        return status;
    return version == TABLE_VERSION && size == due ? KVORUM_OK : KVORUM_CORRUPT;
}

/* --- head ---------------------------------------------------------------------------------- */

static uint64_t head_checksum(const uint8_t *bytes)
{
    return hash64(bytes_make(bytes + sizeof(magic), HEAD_CHECKSUM - sizeof(magic)), 0);
}

void table_head_encode(const struct table_head *head, uint8_t *ret_bytes)
{
    memcpy(ret_bytes, magic, sizeof(magic));
    little_put32(ret_bytes + 8, TABLE_VERSION);
    little_put32(ret_bytes + 12, TABLE_HEAD_SIZE);
    lsm_id_put(ret_bytes + 16, &head->store);
    lsm_id_put(ret_bytes + 32, &head->file);
    little_put64(ret_bytes + 48, head->number);
    little_put64(ret_bytes + HEAD_CHECKSUM, head_checksum(ret_bytes));
}

kvorum_status table_head_decode(struct bytes bytes, struct table_head *ret_head)
{
    bool ours = bytes.size >= sizeof(magic) && memcmp(bytes.data, magic, sizeof(magic)) == 0;
    if (bytes.size < TABLE_HEAD_SIZE)
        return ours || bytes.size < sizeof(magic) ? KVORUM_CORRUPT : KVORUM_FOREIGN;
    bool intact = little_get64(bytes.data + HEAD_CHECKSUM) == head_checksum(bytes.data);
    kvorum_status status = judge(ours, intact, little_get32(bytes.data + 8),
                                 little_get32(bytes.data + 12), TABLE_HEAD_SIZE);
    if (status == KVORUM_OK)
        *ret_head = (struct table_head){ lsm_id_get(bytes.data + 16), lsm_id_get(bytes.data + 32),
                                         little_get64(bytes.data + 48) };
    return status;
}

/* --- foot ---------------------------------------------------------------------------------- */

static uint64_t foot_checksum(const uint8_t *bytes)
{
    const struct bytes parts[] = { bytes_make(bytes, FOOT_CHECKSUM),
                                   bytes_make(bytes + FOOT_VERSION, FOOT_MAGIC - FOOT_VERSION) };
    return hash64_parts(parts, 2, 0);
}

void table_foot_encode(const struct table_foot *foot, uint8_t *ret_bytes)
{
    little_put64(ret_bytes, foot->ranges);
    little_put64(ret_bytes + 8, foot->filter);
    little_put64(ret_bytes + 16, foot->index);
    little_put64(ret_bytes + 24, foot->properties);
    lsm_id_put(ret_bytes + 32, &foot->store);
    lsm_id_put(ret_bytes + 48, &foot->file);
    little_put64(ret_bytes + 64, foot->size);
    little_put32(ret_bytes + FOOT_VERSION, TABLE_VERSION);
    little_put32(ret_bytes + 84, TABLE_FOOT_SIZE);
    memcpy(ret_bytes + FOOT_MAGIC, magic, sizeof(magic));
    little_put64(ret_bytes + FOOT_CHECKSUM, foot_checksum(ret_bytes));
}

/* The ranges, filter, index, properties and foot stand in this order, in whole steps, each of a
 * size that a block can have. */
static bool offsets_ascend(const struct table_foot *foot)
{
    const uint64_t offsets[] = { foot->ranges, foot->filter, foot->index, foot->properties,
                                 foot->size - TABLE_FOOT_SIZE };
    uint64_t end = TABLE_HEAD_SIZE;
    bool framed = false;
    if (foot->size < TABLE_FOOT_SIZE || foot->index == 0 || foot->properties == 0)
        return false;
    for (int i = 0; i < 5; i++) {
        if (offsets[i] == 0)
            continue;
        uint64_t least = framed ? TABLE_FRAME_SIZE : 0;
        if (offsets[i] % TABLE_ALIGNMENT != 0 || offsets[i] < end || offsets[i] - end < least)
            return false;
        if (framed && offsets[i] - end > table_framed_size(TABLE_BLOCK_SIZE_MAX))
            return false;
        end = offsets[i];
        framed = true;
    }
    return true;
}

kvorum_status table_foot_decode(struct bytes bytes, struct table_foot *ret_foot)
{
    if (bytes.size != TABLE_FOOT_SIZE)
        return KVORUM_FOREIGN;
    const uint8_t *at = bytes.data;
    bool ours = memcmp(at + FOOT_MAGIC, magic, sizeof(magic)) == 0;
    bool intact = little_get64(at + FOOT_CHECKSUM) == foot_checksum(at);
    kvorum_status status = judge(ours, intact, little_get32(at + FOOT_VERSION),
                                 little_get32(at + 84), TABLE_FOOT_SIZE);
    if (status != KVORUM_OK)
        return status;
    struct table_foot foot = {
        .ranges = little_get64(at),
        .filter = little_get64(at + 8),
        .index = little_get64(at + 16),
        .properties = little_get64(at + 24),
        .store = lsm_id_get(at + 32),
        .file = lsm_id_get(at + 48),
        .size = little_get64(at + 64),
    };
    if (!offsets_ascend(&foot))
        return KVORUM_CORRUPT;
    *ret_foot = foot;
    return KVORUM_OK;
}

/* --- properties ---------------------------------------------------------------------------- */

void table_properties_encode(const struct table_properties *properties, struct buffer *buffer)
{
    const struct lsm_table_meta *meta = &properties->meta;
    lsm_id_write(buffer, &properties->store);
    lsm_id_write(buffer, &meta->file);
    write_u64(buffer, meta->number);
    write_u64(buffer, meta->entries);
    write_u64(buffer, meta->deletes);
    write_u64(buffer, meta->ranges);
    write_u64(buffer, meta->sequence_min);
    write_u64(buffer, meta->sequence_max);
    write_u64(buffer, properties->keys);
    write_u64(buffer, properties->blocks);
    write_u64(buffer, properties->entries_end);
    write_u64(buffer, (uint64_t)properties->compression);
    write_sized(buffer, meta->lower);
    write_sized(buffer, meta->upper);
}

kvorum_status table_properties_decode(struct bytes raw, struct table_properties *ret_properties)
{
    struct reader reader = reader_of(raw);
    struct table_properties properties = { .store = lsm_id_read(&reader) };
    struct lsm_table_meta *meta = &properties.meta;
    meta->file = lsm_id_read(&reader);
    meta->number = read_u64(&reader);
    meta->entries = read_u64(&reader);
    meta->deletes = read_u64(&reader);
    meta->ranges = read_u64(&reader);
    meta->sequence_min = read_u64(&reader);
    meta->sequence_max = read_u64(&reader);
    properties.keys = read_u64(&reader);
    properties.blocks = read_u64(&reader);
    properties.entries_end = read_u64(&reader);
    uint64_t compression = read_u64(&reader);
    meta->lower = read_sized(&reader, ENGINE_KEY_SIZE_MAX + 1);
    meta->upper = read_sized(&reader, ENGINE_KEY_SIZE_MAX + 1);
    if (!reader_finished(&reader) || compression > LSM_ZSTD ||
        meta->sequence_max > LSM_SEQUENCE_MAX)
        return KVORUM_CORRUPT;
    properties.compression = (enum lsm_compression)compression;
    *ret_properties = properties;
    return KVORUM_OK;
}

/* --- frames -------------------------------------------------------------------------------- */

static uint32_t frame_check(const uint8_t *block, uint64_t seed)
{
    return (uint32_t)hash64(bytes_make(block + FRAME_STORED, TABLE_FRAME_SIZE - FRAME_STORED),
                            seed);
}

static uint64_t frame_checksum(const uint8_t *block, uint64_t framed_size, uint64_t seed)
{
    return hash64(bytes_make(block + FRAME_CHECK, framed_size - FRAME_CHECK), seed);
}

void table_frame_encode(const struct lsm_id *file, uint64_t offset, const struct table_frame *frame,
                        uint8_t *block)
{
    uint64_t seed = lsm_place_seed(file, offset);
    uint64_t framed_size = table_framed_size(frame->stored_size);
    uint64_t end = TABLE_FRAME_SIZE + (uint64_t)frame->stored_size;
    memset(block + end, 0, framed_size - end);
    little_put32(block + FRAME_STORED, frame->stored_size);
    little_put32(block + FRAME_RAW, frame->raw_size);
    block[FRAME_TYPE] = (uint8_t)frame->type;
    block[FRAME_COMPRESSION] = (uint8_t)frame->compression;
    memset(block + FRAME_ZERO, 0, TABLE_FRAME_SIZE - FRAME_ZERO);
    little_put32(block + FRAME_CHECK, frame_check(block, seed));
    little_put64(block, frame_checksum(block, framed_size, seed));
}

static bool frame_read(const uint8_t *block, struct table_frame *ret_frame)
{
    *ret_frame = (struct table_frame){
        .stored_size = little_get32(block + FRAME_STORED),
        .raw_size = little_get32(block + FRAME_RAW),
        .type = (enum table_block_type)block[FRAME_TYPE],
        .compression = (enum lsm_compression)block[FRAME_COMPRESSION],
    };
    if (ret_frame->type < TABLE_ENTRIES || ret_frame->type > TABLE_PROPERTIES ||
        ret_frame->compression > LSM_ZSTD || block[FRAME_ZERO] != 0 || block[FRAME_ZERO + 1] != 0)
        return false;
    bool stored = ret_frame->compression == LSM_STORED;
    return ret_frame->raw_size <= TABLE_BLOCK_SIZE_MAX &&
           (stored ? ret_frame->stored_size == ret_frame->raw_size
                   : ret_frame->stored_size < ret_frame->raw_size);
}

kvorum_status table_frame_decode(const struct lsm_id *file, uint64_t offset, struct bytes bytes,
                                 enum table_block_type type, struct table_frame *ret_frame)
{
    struct table_frame frame;
    if (bytes.size < TABLE_FRAME_SIZE || !frame_read(bytes.data, &frame) ||
        table_framed_size(frame.stored_size) != bytes.size || frame.type != type)
        return KVORUM_CORRUPT;
    if (little_get64(bytes.data) !=
        frame_checksum(bytes.data, bytes.size, lsm_place_seed(file, offset)))
        return KVORUM_CORRUPT;
    *ret_frame = frame;
    return KVORUM_OK;
}

bool table_frame_peek(const struct lsm_id *file, uint64_t offset, struct bytes bytes,
                      struct table_frame *ret_frame)
{
    return bytes.size >= TABLE_FRAME_SIZE && frame_read(bytes.data, ret_frame) &&
           little_get32(bytes.data + FRAME_CHECK) ==
               frame_check(bytes.data, lsm_place_seed(file, offset));
}
