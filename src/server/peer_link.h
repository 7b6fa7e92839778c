/* SPDX-License-Identifier: Apache-2.0 */
/** One outgoing link: from this reactor to one shard of one member.
 *
 *      IDLE -- first message --> DIALING --> GREETING --> UP
 *                                   ^  \________|__________|
 *                                   |          lost, refused
 *                                WAITING <------+   (50 ms doubling to 2 s, with jitter)
 */
#ifndef SERVER_PEER_LINK_H
#define SERVER_PEER_LINK_H

#include "server/peers.h"

enum peer_link_state {
    PEER_LINK_IDLE,
    PEER_LINK_DIALING,
    PEER_LINK_GREETING,
    PEER_LINK_UP,
    PEER_LINK_ENDING, /* its socket is being closed, WAITING follows */
    PEER_LINK_WAITING,
    PEER_LINK_STOPPED,
};

/** NULL: no memory.  Freed after peer_link_stop, by itself. */
struct peer_link *peer_link_create(struct peers *peers, struct net_address to);
/** Dial if it is IDLE. */
void peer_link_start(struct peer_link *link);
/** False: refused, nothing was queued. */
bool peer_link_send(struct peer_link *link, const struct message *message);
/** The member it leads to has linked to us: the next message does not wait for the back-off. */
void peer_link_greeted(struct peer_link *link);
/** Write; to be called for links in peers->dirty, which it leaves. */
void peer_link_flush(struct peer_link *link);
void peer_link_stop(struct peer_link *link);
/** `link`, a new one, leads to where the member of `old` is now: it takes over what waits there,
 *  and dials if that did. */
void peer_link_inherit(struct peer_link *link, struct peer_link *old);
/** It was made for this member, which is one still. */
bool peer_link_is_of(const struct peer_link *link, const struct member *member);
/** False: its member is gone, another has its slot, or it has another address now. */
bool peer_link_leads_to(const struct peer_link *link, const struct member *member);

/** The link in a list of dirty ones. */
struct peer_link *peer_link_of_dirty(struct list *item);

#endif
