/* SPDX-License-Identifier: Apache-2.0 */
/** Connections that others dialed to us: strangers until their HELLO, then joiners (who want to
 *  found the cluster) or members, whose messages go to the shard. */
#ifndef SERVER_PEER_GUEST_H
#define SERVER_PEER_GUEST_H

#include "server/peers.h"

/** Close strangers that are too slow. */
void guests_sweep(struct peers *peers);
/** Close those of members that are gone. */
void guests_follow(struct peers *peers);
void guests_close(struct peers *peers);

#endif
