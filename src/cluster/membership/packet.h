/* SPDX-License-Identifier: Apache-2.0 */
/** Packets of the gossip between members, at most GOSSIP_PACKET_MAX bytes, little-endian:
 *
 *      offset size
 *       0     4    magic "KVG1" (the format version is its last byte)
 *       4     1    kind          enum gossip_kind
 *       5     1    flags         1: send me your STATE too (STATE only)
 *       6     1    statements that follow
 *       7     1    zero
 *       8    16    sender        node id
 *      24     8    incarnation   the sender's, from 1
 *      32     8    counter       how many packets the sender made in this life
 *      40     8    epoch         the newest that the sender has
 *      48     8    stamp         the sender's hybrid logical clock
 *      56     8    digest of the sender's bucket properties
 *      64     8    newest epoch that all shards of the sender have adopted
 *      72     8    probe number (PING to NACK), digest of the view (DIGEST), else zero
 *      80    16    whom the probe is about (PING to NACK), else zero
 *      96          statements: 1 state, 8 incarnation, 16 about whom, and 16 from whom, which
 *                  is missing where the state is alive
 *
 *  Members are named by their whole node id.  A slot number would save 14 bytes, and could mean
 *  somebody else in another epoch; an idle cluster sends no statements at all. */
#ifndef CLUSTER_PACKET_H
#define CLUSTER_PACKET_H

#include "base/buffer.h"
#include "cluster/membership/liveness.h"
#include "cluster/ring/node_id.h"

enum {
    GOSSIP_DATAGRAM_MAX = 1400, /* what crosses every network in one piece */
    GOSSIP_SIGNATURE_SIZE = 16, /* appended by the process where there is a cluster key */
    GOSSIP_PACKET_MAX = GOSSIP_DATAGRAM_MAX - GOSSIP_SIGNATURE_SIZE,
    GOSSIP_HEADER_SIZE = 96,
    GOSSIP_ALIVE_SIZE = 25,
    GOSSIP_ACCUSATION_SIZE = 41, /* suspect, dead */
    GOSSIP_STATEMENTS_MAX = (GOSSIP_PACKET_MAX - GOSSIP_HEADER_SIZE) / GOSSIP_ALIVE_SIZE,
    GOSSIP_STATE_WANTED = 1, /* flag */
};

/** Incarnations end here: far away, and one more still fits 64 bits. */
#define GOSSIP_INCARNATION_MAX (UINT64_C(1) << 62)

enum gossip_kind {
    GOSSIP_PING = 1, /* are you `subject`, and there? */
    GOSSIP_PING_FOR, /* please ask `subject` for me */
    GOSSIP_ACK,      /* `subject` is there */
    GOSSIP_NACK,     /* I am there, but `subject` did not answer me (yet) */
    GOSSIP_NEWS,     /* statements only */
    GOSSIP_DIGEST,   /* my view has this digest; if yours has another, send me yours */
    GOSSIP_STATE,    /* statements: all I know, or a part of it */
};

struct gossip_statement {
    struct node_id about;
    uint64_t incarnation;      /* from 1; 0 accuses a member of whom nothing was ever heard */
    enum liveness_state state; /* not UNKNOWN */
    struct node_id from;       /* who says so, of suspect and dead */
};

/** What the members tell each other besides: the machine carries it, and does not look at it. */
struct gossip_application {
    uint64_t epoch, stamp, properties_digest, settled;
};

struct gossip_packet {
    enum gossip_kind kind;
    uint8_t flags, statement_count;
    struct node_id sender;
    uint64_t incarnation, counter;
    struct gossip_application application;
    uint64_t number; /* of the probe; or digest of the view */
    struct node_id subject;
    struct gossip_statement statements[GOSSIP_STATEMENTS_MAX];
};

/** Bytes that it takes on the wire. */
size_t gossip_statement_size(const struct gossip_statement *statement);
/** Append the packet, which fits; check buffer->failed. */
void gossip_encode(const struct gossip_packet *packet, struct buffer *buffer);
/** Every field is checked.  TOO_LARGE, FOREIGN, NEWER_FORMAT, CORRUPT. */
KVORUM_CHECKED kvorum_status gossip_decode(struct bytes bytes, struct gossip_packet *ret_packet);
/** "ping"; "?" for a number not in the list. */
const char *gossip_kind_name(enum gossip_kind kind);

#endif
