/* SPDX-License-Identifier: Apache-2.0 */
/** From a key to the members that hold it, and how it is named in messages and in stores.  From the
 *  epoch in force and who is believed alive: nothing is kept here. */
#ifndef NODE_PLACEMENT_H
#define NODE_PLACEMENT_H

#include "cluster/replication/zones.h"
#include "codec/peer.pb-c.h"
#include "node/node.h"

struct request;

enum { PLACEMENT_OWNERS_MAX = 2 * RING_OWNERS_MAX };

struct key_address {
    struct bytes type, bucket, key;
    uint32_t partition;
    uint64_t generation; /* of the bucket: node/buckets/drop.h */
};

/* --- placement.c: whom a request talks to ----------------------------------------------------- */

/** The generation is the bucket's first: who means another one says so. */
bool placement_address(struct node *node, struct bytes type, struct bytes bucket, struct bytes key,
                       struct key_address *ret_address);
struct engine *placement_store(struct node *node, uint32_t partition); /* NULL: not this shard's */
/** Resolve levels for the owners of request->address into request->quorum, and for a write to a
 *  partition that moves into request->other.  QUORUM_IMPOSSIBLE names the level. */
kvorum_status placement_quorum(struct node *node, struct request *request,
                               const struct quorum_levels *asked,
                               const struct quorum_levels *bucket, const char **ret_level);
/** The owners of `partition` for buckets with `n` replicas; while it moves those until now and
 *  those to come, each once.  Returns how many. */
uint16_t placement_owners(const struct node *node, uint32_t partition, uint8_t n,
                          uint16_t ret_owners[PLACEMENT_OWNERS_MAX]);
bool placement_is_owner(const struct node *node, uint32_t partition, uint8_t n, uint16_t member);
/** Fill request->targets for its address and quorum: those whom a read asks, or a write. */
void placement_read_targets(struct node *node, struct request *request);
void placement_write_targets(struct node *node, struct request *request);
struct net_address placement_of(struct node *node, uint16_t member, uint32_t partition);
bool placement_reachable(struct node *node, uint16_t member);

/* --- zones.c: who is near, and levels by zone ------------------------------------------------- */

/** `member` is this one, or of its zone. */
bool zones_is_near(const struct node *node, uint16_t member);
/** Put those of the places that are nearest to the front, in an order that is stable. */
void zones_order(const struct node *node, struct request *request);
/** Once the targets are known: what the levels by zone in request->quorum and ->other need here.
 *  QUORUM_IMPOSSIBLE, with the level and a text, where the zone of this member has no owner. */
kvorum_status zones_resolve(struct node *node, struct request *request, const char **ret_level,
                            const char **ret_reason);
/** For the machine of a request, kept in it; NULL where no level is about zones. */
const struct target_zones *zones_fill(const struct node *node, struct request *request);
/** A write whose coordinator must be of this zone. */
bool zones_must_be_near(const struct request *request);
/** Which zones gave too few answers for `level`; false, and no text: it does not fail by zones. */
bool zones_append_lacking(struct node *node, const struct request *request, const char *level,
                          struct buffer *text);

/* --- address.c: a key in memory, in messages, in stores --------------------------------------- */

/** Let the views of `address` live as long as `arena`.  False: no memory. */
bool address_copy(struct arena *arena, struct key_address *address);
/** Into a message, which points to the same names. */
void address_pack(const struct key_address *address, Peer__Address *ret);
/** Of a message.  False: there is none, or it makes no sense, or another shard has its store. */
bool address_unpack(struct node *node, const Peer__Address *from, struct key_address *ret_address);
/** Store keys: 'o' partition u16 type-size u8 type bucket-size u16 bucket [generation u64] key,
 *  numbers big-endian; the generation is there where the top bit of the bucket's size is set. */
struct bytes store_key(struct arena *arena, const struct key_address *address);
/** All keys of objects of `partition`: [lower, upper).  False: no memory. */
bool store_key_range(struct arena *arena, uint32_t partition, struct bytes *ret_lower,
                     struct bytes *ret_upper);
/** The smallest key above everything that starts with `prefix`, which has a byte below 0xff. */
struct bytes store_key_end(struct arena *arena, struct bytes prefix);
bool store_key_parse(struct bytes key, struct key_address *ret_address);

#endif
