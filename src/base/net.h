/* SPDX-License-Identifier: Apache-2.0 */
/** Seam: messages to peers.  Real: server/peers.c (TCP links, rings between reactors) and
 *  server/datagrams.c (UDP).  Simulated: sim/seams/network.c.  Delivery is not promised: a message
 *  may be late, lost with its link, or overtaken.  The real net never doubles one; all but FORWARD
 *  would bear it.  Thread: the reactor the object belongs to.  Blocks: never. */
#ifndef BASE_NET_H
#define BASE_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { NET_DATAGRAM_MAX = 1384 /* bytes; the process adds its signature */ };

/** One shard of one member; inside the cluster the only address. */
struct net_address {
    uint16_t member; /* index in the epoch */
    uint16_t shard;  /* reactor */
};

struct message; /* codec/frame.h */

struct net {
    const struct net_ops *ops;
};

struct net_ops {
    /** Queue `message`, copying it.  False: refused at once (no link, queue full); it was not and
     *  will not be sent.  One that waited for a link that never came up is given back with
     *  node_unsent (node/node.h); it was not sent either. */
    bool (*send)(struct net *net, struct net_address to, const struct message *message);
    /** The shard of `member` that owns `partition` there; 0 while the member was never met. */
    uint16_t (*shard_of)(struct net *net, uint16_t member, uint32_t partition);
    /** Send at most NET_DATAGRAM_MAX bytes to shard 0 of another `member`, copying them.  They need
     *  no link, and may be lost, doubled and overtaken, but not damaged.  False: not sent.  NULL:
     *  this net has none. */
    bool (*send_datagram)(struct net *net, uint16_t member, struct bytes datagram);
};

static inline bool net_send(struct net *net, struct net_address to, const struct message *message)
{
    return net->ops->send(net, to, message);
}

static inline uint16_t net_shard_of(struct net *net, uint16_t member, uint32_t partition)
{
    return net->ops->shard_of(net, member, partition);
}

static inline bool net_send_datagram(struct net *net, uint16_t member, struct bytes datagram)
{
    return net->ops->send_datagram != NULL && net->ops->send_datagram(net, member, datagram);
}

#endif
