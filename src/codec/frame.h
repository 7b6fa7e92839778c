/* SPDX-License-Identifier: Apache-2.0 */
/** Frames between nodes: a fixed header, a protobuf body (codec/peer.proto), and behind it the
 *  large value as raw bytes, so that a value is never copied to be wrapped.  All integers
 *  little-endian.
 *
 *      offset size
 *       0     4    magic "KVF1" (the format version is its last byte)
 *       4     1    kind           enum message_kind
 *       5     3    zero
 *       8     4    body size      bytes, <= FRAME_BODY_MAX
 *      12     4    tail size      bytes, <= the receiver's limit
 *      16     8    request id     an answer carries its request's
 *      24     8    epoch          the sender's
 *      32     8    checksum       XXH3-64 of bytes 0..31, body and tail
 *      40          body, then tail
 */
#ifndef CODEC_FRAME_H
#define CODEC_FRAME_H

#include "base/buffer.h"
#include "kvorum/status.h"

enum { FRAME_HEADER_SIZE = 40, FRAME_BODY_MAX = 1 << 20 };

#define MESSAGE_KIND_LIST(X) /* numbers go on the wire: never reuse one */                         \
    X(HELLO, 1)              /* dialer -> acceptor, first frame of a link */                       \
    X(HELLO_ANSWER, 2)                                                                             \
    X(JOIN, 3)        /* wants to be a founder */                                                  \
    X(JOIN_ANSWER, 4) /* tail: the epoch record once it is made */                                 \
    X(EPOCH_REQUEST, 6)                                                                            \
    X(EPOCH_ANSWER, 7) /* tail: the epoch record */                                                \
    X(GOSSIP, 8)       /* body: a packet of docs/formats/gossip.md, not protobuf */                \
    X(GET, 10)         /* a replica's object */                                                    \
    X(GET_ANSWER, 11)  /* tail: the object */                                                      \
    X(MERGE, 12)       /* merge the tail into a replica's object */                                \
    X(MERGE_ANSWER, 13)                                                                            \
    X(FORWARD, 14)        /* coordinate this write for me; tail: the value */                      \
    X(FORWARD_ANSWER, 15) /* tail: the object where it was asked for */                            \
    X(LIST, 16)           /* a page of keys or buckets of some partitions */                       \
    X(LIST_ANSWER, 17)                                                                             \
    X(PROPERTIES, 18) /* bucket properties, one or all; tail: the records */                       \
    X(PROPERTIES_ANSWER, 19)                                                                       \
    X(EPOCH_PREPARE, 20) /* cluster/epoch: a proposer's first question to a voter */               \
    X(EPOCH_ACCEPT, 21)  /* its second; tail: the epoch record */                                  \
    X(EPOCH_VOTE, 22)    /* the answer to both; tail: the record accepted before */                \
    X(EPOCH_CHANGE, 23)  /* to shard 0 of the same node: what somebody asks for */                 \
    X(EPOCH_CHANGE_ANSWER, 24)                                                                     \
    X(LIFE, 25) /* does this life of mine follow the one you know? */                              \
    X(LIFE_ANSWER, 26)                                                                             \
    X(STREAM, 50)        /* a page of a moving partition, please */                                \
    X(STREAM_ANSWER, 51) /* tail: the page */                                                      \
    X(PROGRESS, 52)      /* what has come to a shard, and which epoch it has */                    \
    X(TASKS, 53) /* to shard 0 of a member, or from it to its others: node/tasks/tasks.h */        \
    X(TASKS_ANSWER, 54)                                                                            \
    X(REPAIR, 30)        /* a question about a replica; tail: the objects wanted */                \
    X(REPAIR_ANSWER, 31) /* tail: keys, or objects */                                              \
    X(SUSPECT, 40)       /* compare a partition with a member: hints for it were dropped */        \
    X(SUSPECT_ANSWER, 41)                                                                          \
    X(DROP, 60) /* a new generation of a bucket: node/buckets/drop.h */                            \
    X(DROP_ANSWER, 61)                                                                             \
    X(COLLECT, 62) /* a step of a round that collects tombstones; tail: keys, or which of them */  \
    X(COLLECT_ANSWER, 63)                                                                          \
    X(RECOVER,                                                                                     \
      64) /* a new line of epochs: node/recover/recover.h; ACCEPT's tail: its first record */      \
    X(RECOVER_ANSWER, 65)

enum message_kind {
#define X(name, number) MESSAGE_##name = (number),
    MESSAGE_KIND_LIST(X)
#undef X
};

/** Of a link that is being made; afterwards none of them may come. */
static inline bool message_is_greeting(uint8_t kind)
{
    return kind <= MESSAGE_JOIN_ANSWER;
}

struct message {
    uint8_t kind;
    uint64_t request_id;
    uint64_t epoch;
    struct bytes body, tail;
};

/** "HELLO"; "?" for a number not in the list. */
const char *message_kind_name(uint8_t kind);

/** Append the frame; check buffer->failed. */
void frame_encode(const struct message *message, struct buffer *buffer);

/** Read one frame from the front of `input`.
 *  OK       *ret_message is filled (views into input), *ret_size is the frame's size
 *  TIMEOUT  more bytes are needed: *ret_size is how many in all (at least the header's)
 *  FOREIGN  not our magic   NEWER_FORMAT  our magic, another version   TOO_LARGE  above a limit
 *  CORRUPT  checksum, reserved bytes or unknown kind
 *  Every answer but OK and TIMEOUT means: end the link. */
KVORUM_CHECKED kvorum_status frame_decode(struct bytes input, size_t tail_limit,
                                          struct message *ret_message, size_t *ret_size);

#endif
