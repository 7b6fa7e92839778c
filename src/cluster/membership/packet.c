/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/membership/packet.h"

#include "codec/varint.h"

#include <assert.h>

static const char magic[4] = { 'K', 'V', 'G', '1' };

static_assert(GOSSIP_STATEMENTS_MAX <= UINT8_MAX, "their number is one byte");

size_t gossip_statement_size(const struct gossip_statement *statement)
{
    return statement->state == LIVENESS_ALIVE ? GOSSIP_ALIVE_SIZE : GOSSIP_ACCUSATION_SIZE;
}

const char *gossip_kind_name(enum gossip_kind kind)
{
    static const char *const names[] = { "?",    "ping", "ping for", "ack",
                                         "nack", "news", "digest",   "state" };
    return kind >= GOSSIP_PING && kind <= GOSSIP_STATE ? names[kind] : names[0];
}

static bool is_probe(enum gossip_kind kind)
{
    return kind <= GOSSIP_NACK;
}

/* --- writing -------------------------------------------------------------------------------- */

static void write_statement(struct buffer *buffer, const struct gossip_statement *statement)
{
    buffer_append_u8(buffer, (uint8_t)statement->state);
    write_u64(buffer, statement->incarnation);
    node_id_write(buffer, &statement->about);
    if (statement->state != LIVENESS_ALIVE)
        node_id_write(buffer, &statement->from);
}

void gossip_encode(const struct gossip_packet *packet, struct buffer *buffer)
{
    buffer_append(buffer, magic, sizeof(magic));
    buffer_append_u8(buffer, (uint8_t)packet->kind);
    buffer_append_u8(buffer, packet->flags);
    buffer_append_u8(buffer, packet->statement_count);
    buffer_append_u8(buffer, 0);
    node_id_write(buffer, &packet->sender);
    write_u64(buffer, packet->incarnation);
    write_u64(buffer, packet->counter);
    write_u64(buffer, packet->application.epoch);
    write_u64(buffer, packet->application.stamp);
    write_u64(buffer, packet->application.properties_digest);
    write_u64(buffer, packet->application.settled);
    write_u64(buffer, packet->number);
    node_id_write(buffer, &packet->subject);
    for (uint8_t i = 0; i < packet->statement_count; i++)
        write_statement(buffer, &packet->statements[i]);
}

/* --- reading -------------------------------------------------------------------------------- */

static void read_header(struct reader *reader, struct gossip_packet *ret)
{
    ret->kind = (enum gossip_kind)read_u8(reader);
    ret->flags = read_u8(reader);
    ret->statement_count = read_u8(reader);
    if (read_u8(reader) != 0)
        reader_fail(reader);
    ret->sender = node_id_read(reader);
    ret->incarnation = read_u64(reader);
    ret->counter = read_u64(reader);
    ret->application.epoch = read_u64(reader);
    ret->application.stamp = read_u64(reader);
    ret->application.properties_digest = read_u64(reader);
    ret->application.settled = read_u64(reader);
    ret->number = read_u64(reader);
    ret->subject = node_id_read(reader);
}

static bool header_valid(const struct gossip_packet *packet)
{
    static const struct node_id nobody;
    bool wants = (packet->flags & GOSSIP_STATE_WANTED) != 0;
    if (packet->kind < GOSSIP_PING || packet->kind > GOSSIP_STATE ||
        packet->statement_count > GOSSIP_STATEMENTS_MAX)
        return false;
    if ((packet->flags & ~GOSSIP_STATE_WANTED) != 0 || (wants && packet->kind != GOSSIP_STATE))
        return false;
    if (packet->incarnation == 0 || packet->incarnation > GOSSIP_INCARNATION_MAX)
        return false;
    bool numbered = is_probe(packet->kind) || packet->kind == GOSSIP_DIGEST;
    return is_probe(packet->kind) != node_id_equal(&packet->subject, &nobody) &&
           (numbered || packet->number == 0);
}

static void read_statement(struct reader *reader, struct gossip_statement *ret)
{
    ret->state = (enum liveness_state)read_u8(reader);
    ret->incarnation = read_u64(reader);
    ret->about = node_id_read(reader);
    if (ret->state != LIVENESS_ALIVE)
        ret->from = node_id_read(reader);
}

static bool statement_valid(const struct gossip_statement *statement)
{
    if (statement->state < LIVENESS_ALIVE || statement->state > LIVENESS_DEAD)
        return false;
    uint64_t least = statement->state == LIVENESS_ALIVE ? 1 : 0;
    return statement->incarnation >= least && statement->incarnation <= GOSSIP_INCARNATION_MAX;
}

static kvorum_status read_magic(struct reader *reader)
{
    struct bytes bytes = read_bytes(reader, sizeof(magic));
    if (reader->failed || memcmp(bytes.data, magic, sizeof(magic) - 1) != 0)
        return KVORUM_FOREIGN;
    return bytes.data[3] == magic[3] ? KVORUM_OK : KVORUM_NEWER_FORMAT;
}

kvorum_status gossip_decode(struct bytes bytes, struct gossip_packet *ret_packet)
{
    if (bytes.size > GOSSIP_PACKET_MAX)
        return KVORUM_TOO_LARGE;
    struct reader reader = reader_of(bytes);
    kvorum_status status = read_magic(&reader);
    if (status != KVORUM_OK)
        return status;
    struct gossip_packet packet;
    memset(&packet, 0, sizeof(packet));
    read_header(&reader, &packet);
    if (reader.failed || !header_valid(&packet))
        return KVORUM_CORRUPT;
    for (uint8_t i = 0; i < packet.statement_count; i++) {
        read_statement(&reader, &packet.statements[i]);
        if (!statement_valid(&packet.statements[i]))
            return KVORUM_CORRUPT;
    }
    if (!reader_finished(&reader))
        return KVORUM_CORRUPT;
    *ret_packet = packet;
    return KVORUM_OK;
}
