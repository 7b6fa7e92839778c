/* SPDX-License-Identifier: Apache-2.0 */
/** A reactor's way to the other shards of the cluster: base/net.h over TCP links, and over
 *  mailboxes for the other shards of this node.
 *
 *      this node                                    member 4
 *      reactor 0 --- link (dialed by us) ---------> reactor 0
 *      reactor 0 <-- guest (dialed by them) ------- reactor 0
 *      reactor 0 --- link ------------------------> reactor 1
 *
 *  Each side dials the connections it sends on.  That doubles the sockets of "one a pair", and
 *  buys: nobody waits for the other side to dial, two dials never cross and need no tie-break, a
 *  link is lost when *its* sender loses it, and both sides learn by themselves that nobody listens
 *  any more.
 *
 *  A link is dialed at its first message (those to shard 0 at once, for gossip), and again with
 *  back-off while it is lost.  What waits while it is being dialed for the first time is kept;
 *  what was under way on a link that broke is lost, as base/net.h says.
 *
 *  A guest is greeted by reactor 0, which checks its HELLO and hands the socket to the reactor that
 *  it is for.  Thread: the reactor's. */
#ifndef SERVER_PEERS_H
#define SERVER_PEERS_H

#include "base/arena.h"
#include "base/list.h"
#include "base/net.h"
#include "base/random.h"
#include "cluster/ring/ring.h"
#include "server/frame_stream.h"

struct reactor;
struct peer_link;

enum {
    PEER_BACKOFF_MIN_MS = 50,
    PEER_BACKOFF_MAX_MS = 2000,
    PEER_GREETING_MS = 5000,    /* for connect and HELLO */
    PEER_RECORD_MAX = 16 << 20, /* of an epoch, in an answer to HELLO */
    PEER_STRANGERS_MAX = 1024,  /* connections that are no member's (yet) */
};

struct peers {
    struct net net;
    struct reactor *reactor;
    struct frame_stream_options options, guest_options, stranger_options;
    struct peer_link **links; /* member * REACTORS_MAX + shard; NULL: never used */
    size_t link_slots;
    bool members_changed; /* links and guests have to follow */
    struct list dirty;    /* links with something to write */
    struct list guests;
    unsigned strangers;
    struct node_id refused; /* whom a log line was about last, and when: it asks again and again */
    uint64_t refused_ms;
    struct arena arena; /* of one message */
    struct random random;
};

void peers_init(struct peers *peers, struct reactor *reactor);
void peers_done(struct peers *peers);
/** The cluster is known: make room for its members and dial their shard 0.  False: no memory. */
bool peers_start(struct peers *peers);
/** The list of members is another one: links follow at the end of the iteration. */
void peers_on_members(struct peers *peers);
/** At once; not from inside the node. */
void peers_follow(struct peers *peers);
/** At the end of an iteration: write. */
void peers_flush(struct peers *peers);
/** A member has linked to us or is alive again: its lost links need not wait for back-off. */
void peers_greeted(struct peers *peers, uint16_t member);
/** Deadlines of greetings. */
void peers_sweep(struct peers *peers);
void peers_close(struct peers *peers);
/** This node is no member any more. */
bool peers_have_left(const struct peers *peers);

/** A connection of somebody, to be greeted.  Reactor 0. */
void peers_accept(struct peers *peers, int descriptor);
/** A greeted connection from `shard` of `member`. */
void peers_adopt(struct peers *peers, int descriptor, uint16_t member, uint16_t shard);
/** Answer every joiner that waits: the epoch is there.  Reactor 0. */
void peers_tell_joiners(struct peers *peers);

#endif
