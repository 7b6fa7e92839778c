/* SPDX-License-Identifier: Apache-2.0 */
/** The simulated network between processes, and between the shards of one.
 *
 *      send -> frame_encode -> link of the pair up? -> cut? lost? clogged? -> delay -> frame_decode
 *               (refused when not)                                 \-> a second copy
 *
 *  Each pair of processes has one link, like a TCP connection: when it breaks, what is on its way
 *  is lost and both ends are told (if they live); it comes back by itself when both can be reached.
 *  A cut lets frames vanish silently, and breaks the link after a while.
 *
 *  Datagrams need no link: they may be lost, doubled, and overtake each other and the frames.  One
 *  that was damaged on its way is lost, as its checksum sees to it. */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "base/buffer.h"
#include "base/net.h"
#include "codec/frame.h"
#include "sim/world/world.h"

enum { SIM_MEMBERS_MAX = 7, SIM_SHARDS_MAX = 3 };

/** What the network tells; the cluster implements it. */
struct network_events {
    void (*receive)(void *context, struct net_address to, struct net_address from,
                    const struct message *message);
    void (*receive_datagram)(void *context, uint16_t to, struct bytes datagram);
    /** `refused`: the host of `member` answers that nobody listens. */
    void (*link_lost)(void *context, uint16_t to, uint16_t member, bool refused);
    /** Every frame that is sent, for those who watch. */
    void (*watch)(void *context, const struct message *message);
};

struct network_faults {
    uint64_t delay_us;                      /* mean, one way */
    uint32_t loss, duplication, corruption; /* per million frames */
    bool reordering;                        /* frames of one link may overtake each other */
};

struct network;

struct network_link {
    struct network *network;
    struct event event; /* breaks it, or tries to connect */
    uint16_t a, b;
    bool up;
    uint32_t generation; /* frames of an older one are lost */
};

/** One direction between two processes. */
struct network_lane {
    bool cut;
    uint64_t clogged_until_us, last_delivery_us;
};

struct network {
    struct world *world;
    const struct network_events *events;
    void *context;
    struct network_faults faults;
    uint16_t member_count;
    bool running[SIM_MEMBERS_MAX];
    struct gate *gates[SIM_MEMBERS_MAX]; /* of the receiving processes; or NULL */
    bool host_silent[SIM_MEMBERS_MAX];   /* the whole machine is off: nobody says "refused" */
    uint32_t life[SIM_MEMBERS_MAX];      /* counts restarts */
    struct network_link links[SIM_MEMBERS_MAX][SIM_MEMBERS_MAX]; /* [a][b], a < b */
    struct network_lane lanes[SIM_MEMBERS_MAX][SIM_MEMBERS_MAX]; /* [from][to] */
    struct buffer scratch;
    uint64_t frames_in_flight, frames_sent;
};

void network_init(struct network *network, struct world *world, uint16_t member_count,
                  const struct network_events *events, void *context);
/** Queued frames belong to the world and go with it. */
void network_done(struct network *network);

/** net_send from a shard of a live process. */
bool network_send(struct network *network, struct net_address from, struct net_address to,
                  const struct message *message);
/** net_send_datagram from shard 0 of a live process. */
bool network_send_datagram(struct network *network, uint16_t from, uint16_t to,
                           struct bytes datagram);
/** `member` stopped: its links break, at once or (`silent`) without anybody noticing. */
void network_stopped(struct network *network, uint16_t member, bool silent);
void network_started(struct network *network, uint16_t member);

void network_cut(struct network *network, uint16_t from, uint16_t to);
void network_clog(struct network *network, uint16_t from, uint16_t to, uint64_t until_us);
void network_break(struct network *network, uint16_t a, uint16_t b);
/** No cuts, no clogs; links come back soon. */
void network_heal(struct network *network);

#endif
