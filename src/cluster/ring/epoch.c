/* SPDX-License-Identifier: Apache-2.0 */
/* The epoch record, on disk and on the wire.  Integers little-endian, "sized": varint size and
 * bytes.
 *
 *      offset size
 *       0     4    magic "KVE2" (the format version is its last byte)
 *       4     8    epoch number, from 1
 *      12    16    cluster id
 *      28     8    seed of the key hash
 *      36     4    partitions Q, a power of two
 *      40     1    columns of the table R
 *      41     1    replicas wanted, R or more
 *      42     2    members M
 *      44          M times, by slot: id 16, state u8, weight u32, name sized, zone sized,
 *                  address sized
 *                  voters V u8, then V slots u16, ascending
 *                  Q * R slots u16, partition by partition; 0xffff at the end of a shorter row
 *                  moves u32, then each: partition u32, phase u8, session u64, R slots u16
 *                  staged changes u16, then each: kind u8, slot u16, and
 *                      replace: slot u16     weight: u32     zone: sized
 *      end-8  8    XXH3-64 of all before
 *
 * Format 1 had no byte 41 (3, or R), no states (all were ACTIVE), members ascending by id, and
 * ended behind its table, whose rows were full.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cluster/ring/node_id.h"
#include "cluster/ring/ring.h"
#include "codec/varint.h"

static const uint8_t magic[4] = { 'K', 'V', 'E', '2' };
enum { FORMAT_1_WANTED = 3 }; /* the default of [quorum] n */
enum { MEMBER_SIZE_LEAST = NODE_ID_SIZE + 4 + 3 * 2, MOVE_SIZE_LEAST = 4 + 1 + 8 + 2 };

/* --- writing ---------------------------------------------------------------------------------- */

static void write_member(const struct member *member, struct buffer *buffer)
{
    node_id_write(buffer, &member->id);
    buffer_append_u8(buffer, (uint8_t)member->state);
    write_u32(buffer, member->weight);
    write_sized(buffer, bytes_of_string(member->name));
    write_sized(buffer, bytes_of_string(member->zone));
    write_sized(buffer, bytes_of_string(member->address));
}

static void write_slots(const uint16_t *slots, size_t count, struct buffer *buffer)
{
    for (size_t i = 0; i < count; i++)
        write_u16(buffer, slots[i]);
}

static void write_move(const struct move *move, uint8_t columns, struct buffer *buffer)
{
    write_u32(buffer, move->partition);
    buffer_append_u8(buffer, (uint8_t)move->phase);
    write_u64(buffer, move->session);
    write_slots(move->to, columns, buffer);
}

static void write_change(const struct change *change, struct buffer *buffer)
{
    buffer_append_u8(buffer, (uint8_t)change->kind);
    write_u16(buffer, change->member);
    if (change->kind == CHANGE_REPLACE)
        write_u16(buffer, change->with);
    else if (change->kind == CHANGE_WEIGHT)
        write_u32(buffer, change->weight);
    else if (change->kind == CHANGE_ZONE)
        write_sized(buffer, bytes_of_string(change->zone));
}

void epoch_encode(const struct epoch *epoch, struct buffer *buffer)
{
    size_t start = buffer->size;
    buffer_append(buffer, magic, sizeof(magic));
    write_u64(buffer, epoch->number);
    node_id_write(buffer, &epoch->cluster);
    write_u64(buffer, epoch->hash_seed);
    write_u32(buffer, epoch->partition_count);
    buffer_append_u8(buffer, epoch->replica_count);
    buffer_append_u8(buffer, epoch->replicas_wanted);
    write_u16(buffer, epoch->member_count);
    for (uint16_t i = 0; i < epoch->member_count; i++)
        write_member(&epoch->members[i], buffer);
    buffer_append_u8(buffer, epoch->voter_count);
    write_slots(epoch->voters, epoch->voter_count, buffer);
    write_slots(epoch->table, (size_t)epoch->partition_count * epoch->replica_count, buffer);
    write_u32(buffer, epoch->move_count);
    for (uint32_t i = 0; i < epoch->move_count; i++)
        write_move(&epoch->moves[i], epoch->replica_count, buffer);
    write_u16(buffer, epoch->change_count);
    for (uint16_t i = 0; i < epoch->change_count; i++)
        write_change(&epoch->changes[i], buffer);
    if (!buffer->failed)
        write_u64(buffer, hash64(bytes_from(buffer_bytes(buffer), start), 0));
}

/* --- reading ---------------------------------------------------------------------------------- */

/* What is read, and in which format. */
struct decoder {
    struct reader reader;
    uint8_t format; /* 1 or 2 */
    struct arena *arena;
    struct epoch epoch;
};

static bool read_text(struct reader *reader, size_t limit, char *ret)
{
    struct bytes text = read_sized(reader, limit);
    if (reader->failed || text.size == 0 || memchr(text.data, 0, text.size) != NULL)
        return false;
    memcpy(ret, text.data, text.size);
    ret[text.size] = 0;
    return true;
}

static bool read_member(struct decoder *decoder, struct member *ret)
{
    struct reader *reader = &decoder->reader;
    memset(ret, 0, sizeof(*ret));
    ret->id = node_id_read(reader);
    uint8_t state = decoder->format == 1 ? MEMBER_ACTIVE : read_u8(reader);
    ret->state = (enum member_state)state;
    ret->weight = read_u32(reader);
    return read_text(reader, RING_NAME_MAX, ret->name) &&
           read_text(reader, RING_NAME_MAX, ret->zone) &&
           read_text(reader, RING_ADDRESS_MAX, ret->address) && ring_name_valid(ret->name) &&
           ring_name_valid(ret->zone) && ring_address_valid(ret->address) && ret->weight >= 1 &&
           ret->weight <= 10000 && state <= MEMBER_GONE;
}

/* Format 1 did not keep it.  More columns than a bucket's n change nothing for it. */
static uint8_t wanted_before(uint8_t columns)
{
    return columns < FORMAT_1_WANTED ? FORMAT_1_WANTED : columns;
}

static bool read_shape(struct decoder *decoder)
{
    struct reader *reader = &decoder->reader;
    struct epoch *epoch = &decoder->epoch;
    epoch->number = read_u64(reader);
    epoch->cluster = node_id_read(reader);
    epoch->hash_seed = read_u64(reader);
    epoch->partition_count = read_u32(reader);
    epoch->replica_count = read_u8(reader);
    epoch->replicas_wanted =
        decoder->format == 1 ? wanted_before(epoch->replica_count) : read_u8(reader);
    epoch->member_count = read_u16(reader);
    uint32_t partitions = epoch->partition_count;
    return !reader->failed && epoch->number >= 1 && partitions >= 1 &&
           partitions <= RING_PARTITIONS_MAX && (partitions & (partitions - 1)) == 0 &&
           epoch->replica_count >= 1 && epoch->replica_count <= epoch->replicas_wanted &&
           epoch->replicas_wanted <= RING_REPLICAS_MAX && epoch->member_count >= 1 &&
           epoch->member_count <= RING_MEMBERS_MAX && epoch->replica_count <= epoch->member_count;
}

static bool ids_ascend(const struct epoch *epoch)
{
    for (uint16_t i = 1; i < epoch->member_count; i++)
        if (memcmp(&epoch->members[i - 1].id, &epoch->members[i].id, NODE_ID_SIZE) >= 0)
            return false;
    return true;
}

static int compare_ids(const void *a, const void *b)
{
    const struct member *const *x = a, *const *y = b;
    return memcmp(&(*x)->id, &(*y)->id, NODE_ID_SIZE);
}

static bool ids_differ(const struct epoch *epoch)
{
    const struct member *sorted[RING_MEMBERS_MAX];
    for (uint16_t i = 0; i < epoch->member_count; i++)
        sorted[i] = &epoch->members[i];
    qsort(sorted, epoch->member_count, sizeof(*sorted), compare_ids);
    for (uint16_t i = 1; i < epoch->member_count; i++)
        if (compare_ids(&sorted[i - 1], &sorted[i]) == 0)
            return false;
    return true;
}

static bool read_members(struct decoder *decoder)
{
    struct epoch *epoch = &decoder->epoch;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (!read_member(decoder, &epoch->members[i]))
            return false;
    return decoder->format == 1 ? ids_ascend(epoch) : ids_differ(epoch);
}

/* A member that is somebody. */
static bool read_slot(struct decoder *decoder, uint16_t *ret)
{
    const struct epoch *epoch = &decoder->epoch;
    *ret = read_u16(&decoder->reader);
    return !decoder->reader.failed && *ret < epoch->member_count &&
           epoch->members[*ret].state != MEMBER_GONE;
}

static bool read_voters(struct decoder *decoder)
{
    struct epoch *epoch = &decoder->epoch;
    if (decoder->format == 1) {
        epoch->voter_count =
            ring_choose_voters(epoch->members, epoch->member_count, NULL, 0, epoch->voters);
        return true;
    }
    epoch->voter_count = read_u8(&decoder->reader);
    if (epoch->voter_count < 1 || epoch->voter_count > RING_VOTERS_MAX)
        return false;
    for (uint8_t i = 0; i < epoch->voter_count; i++)
        if (!read_slot(decoder, &epoch->voters[i]) ||
            (i > 0 && epoch->voters[i - 1] >= epoch->voters[i]))
            return false;
    return true;
}

/* Members, each once, then nothing; at least one, and in format 1 as many as there are columns. */
static bool read_row(struct decoder *decoder, uint16_t *row)
{
    const struct epoch *epoch = &decoder->epoch;
    uint8_t size = 0;
    for (uint8_t c = 0; c < epoch->replica_count; c++) {
        row[c] = read_u16(&decoder->reader);
        if (row[c] == RING_NO_MEMBER)
            continue;
        if (size < c || row[c] >= epoch->member_count ||
            epoch->members[row[c]].state == MEMBER_GONE)
            return false;
        for (uint8_t before = 0; before < c; before++)
            if (row[before] == row[c])
                return false;
        size++;
    }
    return !decoder->reader.failed && size >= (decoder->format == 1 ? epoch->replica_count : 1);
}

static bool read_table(struct decoder *decoder)
{
    struct epoch *epoch = &decoder->epoch;
    for (uint32_t p = 0; p < epoch->partition_count; p++)
        if (!read_row(decoder, epoch->table + (size_t)p * epoch->replica_count))
            return false;
    return true;
}

static bool read_move(struct decoder *decoder, uint32_t least_partition, struct move *ret)
{
    struct reader *reader = &decoder->reader;
    ret->partition = read_u32(reader);
    uint8_t phase = read_u8(reader);
    ret->phase = (enum move_phase)phase;
    ret->session = read_u64(reader);
    return !reader->failed && ret->partition >= least_partition &&
           ret->partition < decoder->epoch.partition_count && phase >= MOVE_WRITE_BOTH_READ_OLD &&
           phase <= MOVE_WRITE_BOTH_READ_NEW && ret->session >= 1 &&
           ret->session <= decoder->epoch.number && read_row(decoder, ret->to);
}

static kvorum_status read_moves(struct decoder *decoder)
{
    struct epoch *epoch = &decoder->epoch;
    uint32_t count = read_u32(&decoder->reader), next = 0;
    if (count > decoder->reader.rest.size / MOVE_SIZE_LEAST)
        return KVORUM_CORRUPT;
    epoch->moves = arena_allocate_zero(decoder->arena, count * sizeof(*epoch->moves));
    if (epoch->moves == NULL)
        return KVORUM_NO_MEMORY;
    epoch->move_count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_move(decoder, next, &epoch->moves[i]))
            return KVORUM_CORRUPT;
        next = epoch->moves[i].partition + 1;
    }
    return KVORUM_OK;
}

static bool read_change(struct decoder *decoder, struct change *ret)
{
    struct reader *reader = &decoder->reader;
    uint8_t kind = read_u8(reader);
    ret->kind = (enum change_kind)kind;
    if (!read_slot(decoder, &ret->member))
        return false;
    switch (ret->kind) {
    case CHANGE_JOIN:
    case CHANGE_LEAVE:
    case CHANGE_REMOVE:
        return true;
    case CHANGE_REPLACE:
        return read_slot(decoder, &ret->with) && ret->with != ret->member;
    case CHANGE_WEIGHT:
        ret->weight = read_u32(reader);
        return !reader->failed && ret->weight >= 1 && ret->weight <= 10000;
    case CHANGE_ZONE:
        return read_text(reader, RING_NAME_MAX, ret->zone) && ring_name_valid(ret->zone);
    default:
        return false;
    }
}

static kvorum_status read_changes(struct decoder *decoder)
{
    struct epoch *epoch = &decoder->epoch;
    epoch->change_count = read_u16(&decoder->reader);
    if (epoch->change_count > RING_CHANGES_MAX)
        return KVORUM_CORRUPT;
    epoch->changes =
        arena_allocate_zero(decoder->arena, epoch->change_count * sizeof(*epoch->changes));
    if (epoch->changes == NULL)
        return KVORUM_NO_MEMORY;
    for (uint16_t i = 0; i < epoch->change_count; i++)
        if (!read_change(decoder, &epoch->changes[i]))
            return KVORUM_CORRUPT;
    return KVORUM_OK;
}

static kvorum_status check_envelope(struct bytes bytes)
{
    if (bytes.size < sizeof(magic) + 8 || memcmp(bytes.data, magic, 3) != 0)
        return KVORUM_CORRUPT;
    if (bytes.data[3] < '1' || bytes.data[3] > magic[3])
        return bytes.data[3] > magic[3] ? KVORUM_NEWER_FORMAT : KVORUM_CORRUPT;
    struct bytes content = { bytes.data, bytes.size - 8 };
    struct reader sum = reader_of(bytes_from(bytes, content.size));
    return read_u64(&sum) == hash64(content, 0) ? KVORUM_OK : KVORUM_CORRUPT;
}

static kvorum_status read_all(struct decoder *decoder)
{
    struct epoch *epoch = &decoder->epoch;
    if (!read_shape(decoder))
        return KVORUM_CORRUPT;
    size_t places = (size_t)epoch->partition_count * epoch->replica_count;
    size_t least = places * 2 + (size_t)epoch->member_count * MEMBER_SIZE_LEAST;
    if (least > decoder->reader.rest.size) /* before anything is allocated for it */
        return KVORUM_CORRUPT;
    epoch->members = arena_allocate(decoder->arena, epoch->member_count * sizeof(*epoch->members));
    epoch->table = arena_allocate(decoder->arena, places * sizeof(*epoch->table));
    if (epoch->members == NULL || epoch->table == NULL)
        return KVORUM_NO_MEMORY;
    if (!read_members(decoder) || !read_voters(decoder) || !read_table(decoder))
        return KVORUM_CORRUPT;
    kvorum_status status = decoder->format == 1 ? KVORUM_OK : read_moves(decoder);
    if (status == KVORUM_OK && decoder->format != 1)
        status = read_changes(decoder);
    if (status == KVORUM_OK && !reader_finished(&decoder->reader))
        status = KVORUM_CORRUPT;
    return status;
}

kvorum_status epoch_decode(struct bytes bytes, struct arena *arena, struct epoch *ret_epoch)
{
    kvorum_status status = check_envelope(bytes);
    if (status != KVORUM_OK)
        return status;
    struct decoder decoder = {
        .reader = reader_of(bytes_make(bytes.data + 4, bytes.size - 12)),
        .format = (uint8_t)(bytes.data[3] - '0'),
        .arena = arena,
    };
    status = read_all(&decoder);
    if (status == KVORUM_OK)
        *ret_epoch = decoder.epoch;
    return status;
}
