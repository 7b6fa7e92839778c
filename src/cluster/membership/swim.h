/* SPDX-License-Identifier: Apache-2.0 */
/** Who is alive: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey,
 *  arXiv 1707.00788), as a machine.
 *
 *      each probe interval   PING the next member of a shuffled round
 *      no ACK in time        PING_FOR to k others, and a PING over the link (TCP)
 *      no ACK by the end     SUSPECT, which is told to all, and shorter with each that confirms
 *      not refuted in time   DEAD, which is told to all
 *      accused ourselves     refuted: ALIVE with a higher incarnation
 *
 *      UNKNOWN --> ALIVE <--> SUSPECT --> DEAD --> ALIVE    (the last two only by a higher
 *                                                            incarnation of the member itself)
 *
 *  Members are those that the epoch lists, and stay so: what is said of others is ignored, so
 *  gossip can make nobody an owner, nor a ghost.
 *
 *  Beside what the members agree on stands what we alone see.  A link that broke makes its member
 *  suspect here, one that is refused (its host answers, and nobody listens) makes it dead here, at
 *  once; both are forgotten when we hear of it directly.  Others learn of it as a suspicion.
 *
 *  Replays and doubles do no harm: a statement counts only at an incarnation that is not below the
 *  known one, an ACK only for the probe under way, whose number is fresh; what a packet says of the
 *  sender's clock and digests counts only when it is newer than all before it, by incarnation and
 *  counter.
 *
 *  Thread: one.  Blocks, allocates, reads a clock: never.  Microseconds, monotonic. */
#ifndef CLUSTER_SWIM_H
#define CLUSTER_SWIM_H

#include "base/random.h"
#include "cluster/membership/packet.h"
#include "cluster/membership/suspicion.h"

enum { SWIM_RELAYS_MAX = 64, SWIM_OUTBOX_MAX = 64 };

#define SWIM_NOBODY RING_NO_MEMBER

struct swim_config {
    uint64_t probe_interval_us, probe_timeout_us;
    uint64_t gossip_interval_us;  /* between rounds of news, while there are any */
    uint64_t gossip_to_dead_us;   /* how long the dead are told that they are */
    uint64_t exchange_us;         /* between comparisons of whole views */
    uint8_t indirect_probes;      /* k */
    uint8_t gossip_fanout;        /* members a round */
    uint8_t suspicion_multiplier; /* of the least time to refute: see suspicion.h */
    uint8_t suspicion_stretch;    /* the longest time, in least ones */
    uint8_t retransmit_multiplier;
    uint8_t health_limit; /* of the local health score, exclusive */
    bool plain;           /* SWIM without Lifeguard, for comparison only */
};

/** Presets: memberlist's figures for the first two. */
enum swim_preset {
    SWIM_LAN,
    SWIM_WAN,
    SWIM_LOCAL, /* one machine, where a silent member is noticed in about two seconds */
    SWIM_PRESETS,
};
const struct swim_config *swim_preset(enum swim_preset preset);

enum swim_event_kind {
    SWIM_TICK,         /* time passed */
    SWIM_PACKET,       /* a packet came; whose, it says */
    SWIM_HEARD,        /* anything else came from `member` over a link */
    SWIM_LINK_LOST,    /* an established link to `member` broke */
    SWIM_LINK_REFUSED, /* nobody listens at its address */
    SWIM_RESERVED,     /* incarnations below `incarnation_limit` may be used: it is on disk */
    SWIM_PUT_BACK,     /* our disk is an older copy: a life before may have used our incarnation */
};

struct swim_event {
    uint64_t now_us;
    enum swim_event_kind kind;
    uint16_t member;
    bool over_link;                     /* PACKET: it is answered the way it came */
    const struct gossip_packet *packet; /* PACKET */
    uint64_t incarnation_limit;         /* RESERVED */
};

struct swim_effects {
    bool changed;          /* some member's state is another than before the step */
    uint16_t heard_from;   /* whose application fields in the packet are news; or NOBODY */
    uint64_t reserve;      /* make incarnations below this ours, durably, then RESERVED; 0: none */
    uint64_t next_tick_us; /* TICK no later than this */
};

/** One packet to send. */
struct swim_letter {
    uint16_t to;    /* slot */
    bool over_link; /* rather than as a datagram, which will do where there is no link */
    struct gossip_packet packet;
};

struct swim_member {
    struct node_id id;
    bool listed;               /* the slot is a member's */
    enum liveness_state state; /* as agreed on by gossip */
    uint64_t incarnation;
    enum liveness_state shown; /* with what we alone know */
    uint64_t shown_since_us;
    enum liveness_state doubt; /* ALIVE: none; SUSPECT: link lost; DEAD: link refused */
    struct suspicion suspicion;
    uint64_t dead_since_us;
    struct node_id accuser; /* last one of a SUSPECT or DEAD */
    uint8_t retold;         /* how often the state was passed on */
    bool news;              /* it is still to be passed on */
    bool behind;            /* its last packet had an incarnation before this one: it is told */
    uint64_t last_packet;   /* of ours, that passed it on: its counter */
    uint64_t told_us;       /* when it was last told, unasked, that it is accused */
    uint64_t seen_incarnation, seen_counter; /* of its newest packet */
};

enum swim_probe_stage { SWIM_RESTING, SWIM_DIRECT, SWIM_INDIRECT };

struct swim_probe {
    enum swim_probe_stage stage;
    uint16_t target;
    uint64_t number;
    uint64_t timeout_us, end_us; /* of DIRECT; of the interval */
    uint8_t nacks_wanted, nacks;
};

/** A probe that somebody asked us to make. */
struct swim_relay {
    uint64_t number; /* of our PING; 0: free */
    uint64_t asked_number;
    uint16_t asker;
    struct node_id subject;
    uint64_t nack_at_us;
    bool nacked;
    uint64_t end_us;
};

/** A packet to be made. */
struct swim_task {
    uint16_t to;
    enum gossip_kind kind;
    uint8_t flags;
    bool over_link;
    uint64_t number;
    struct node_id subject;
    uint16_t cursor; /* STATE: next slot to be told of */
};

struct swim_counters {
    uint64_t probes, probes_failed, indirect_probes;
    uint64_t suspicions, deaths; /* of others, that we declared ourselves */
    uint64_t refutations;        /* of ours */
    uint64_t unlisted;           /* statements and packets of or about nobody we know */
    uint64_t dropped;            /* packets that the outbox had no room for */
    uint64_t own_pauses;
};

struct swim {
    struct swim_config config;
    struct random random;
    struct swim_member *members; /* the caller's array */
    uint16_t count, self, listed_count;
    uint64_t incarnation, incarnation_limit, incarnation_wanted, counter;
    uint8_t health;                         /* local health score: 0 is well */
    uint16_t order[RING_MEMBERS_MAX], turn; /* of the probes' round */
    uint16_t urgent;                        /* to be probed first; or NOBODY */
    uint64_t next_number;
    struct swim_probe probe;
    struct swim_relay relays[SWIM_RELAYS_MAX];
    unsigned relay_count;
    struct swim_task outbox[SWIM_OUTBOX_MAX];
    unsigned outbox_first, outbox_count;
    unsigned news_count; /* members with news */
    uint64_t next_gossip_us, next_exchange_us, next_suspicion_us;
    uint64_t promised_us; /* the tick that we asked for */
    struct swim_counters counters;
};

struct swim_start {
    const struct member *members; /* of the epoch, by slot */
    uint16_t count, self;
    /** Ours for this life: [first, limit), never used in one before, and on disk. */
    uint64_t incarnation_first, incarnation_limit;
    uint64_t random_seed;
    uint64_t now_us;
};

/** `storage` has `start->count` elements and outlives the machine, or is replaced below. */
void swim_init(struct swim *swim, const struct swim_config *config, struct swim_member *storage,
               const struct swim_start *start);
/** The epoch lists other members.  `storage`, with `count` elements, replaces the array in use
 *  (and is not the same).  What is known is kept by node id; a slot whose member is GONE is
 *  nobody's.  Our own id must keep its slot.  Letters not yet taken are dropped. */
void swim_members_changed(struct swim *swim, struct swim_member *storage,
                          const struct member *members, uint16_t count, uint64_t now_us);
/** HEARD costs nothing while all is well; TICK a look at every member when something is due. */
void swim_step(struct swim *swim, const struct swim_event *event, struct swim_effects *ret);
/** Take the next packet to send; to be called after each step until there is none.  The caller
 *  fills in packet.application. */
bool swim_next_letter(struct swim *swim, struct swim_letter *ret_letter);

/** As we see it, ourselves always ALIVE; a slot that is nobody's is DEAD. */
enum liveness_state swim_state_of(const struct swim *swim, uint16_t slot);
/** Slot of a member, or SWIM_NOBODY. */
uint16_t swim_slot_of(const struct swim *swim, const struct node_id *id);
/** Digest of what gossip agrees on. */
uint64_t swim_view_digest(const struct swim *swim);
/** How long it usually takes at most until a member that fell silent is dead, microseconds. */
uint64_t swim_patience_us(const struct swim_config *config, uint16_t members);

#endif
