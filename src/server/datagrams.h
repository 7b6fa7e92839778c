/* SPDX-License-Identifier: Apache-2.0 */
/** Datagrams to and from other members: UDP on the port of the peer listener, signed
 *  (signature.h), for shard 0, which gossips.  A member whose address is not resolved yet, or a
 *  socket that is full, makes sending fail, and gossip then goes over the link.
 *
 *      packet, at most 1,384 bytes | 16 bytes signature        docs/formats/gossip.md
 *
 *  Where a datagram comes from is nobody's identity: the packet names its sender, the signature
 *  vouches for it, and answers go to the address that the epoch lists.  Thread: reactor 0's.
 *  Blocks: never (names are resolved by libuv's threads). */
#ifndef SERVER_DATAGRAMS_H
#define SERVER_DATAGRAMS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "base/net.h"
#include "server/signature.h"

enum { DATAGRAM_SIZE_MAX = NET_DATAGRAM_MAX + SIGNATURE_SIZE };

struct server;
struct datagram_peer;

struct datagrams {
    struct server *server;
    uv_udp_t socket;
    bool open, closing;
    struct signature *signature;
    struct datagram_peer *peers; /* by slot */
    uint16_t count;
    atomic_uint_fast64_t refused;         /* any thread reads it */
    char received[DATAGRAM_SIZE_MAX + 1]; /* one more: what is longer is noticed */
};

/** Serve the socket that listeners_bind bound, with the key of the server and the members of its
 *  epoch.  Without that socket nothing is sent.  False: no memory, or libcrypto failed. */
bool datagrams_start(struct datagrams *datagrams, struct server *server);
/** The epoch lists other members.  False: no memory; the old ones are kept. */
bool datagrams_members_changed(struct datagrams *datagrams);
/** False: not sent. */
bool datagrams_send(struct datagrams *datagrams, uint16_t member, struct bytes packet);
void datagrams_stop(struct datagrams *datagrams);
/** After the loop ended. */
void datagrams_done(struct datagrams *datagrams);

#endif
