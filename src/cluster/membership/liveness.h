/* SPDX-License-Identifier: Apache-2.0 */
/** Heartbeat failure detection: a machine that is told what was heard and when, and says who seems
 *  alive.  It judges liveness only; who owns what comes from the epoch alone.
 *
 *      every heartbeat_us   SEND heartbeat to each member
 *      heard from           -> ALIVE
 *      silent suspect_us    ALIVE -> SUSPECT (still asked, not waited for where others suffice)
 *      silent dead_us       -> DEAD
 *      link lost            ALIVE or UNKNOWN -> SUSPECT at once
 *      refused              -> DEAD at once: its host answers, but nobody listens there
 *      two TICKs more than two heartbeats apart: we ourselves were paused, and the time in between
 *      is nobody's silence (what arrived meanwhile still waits to be read)
 *
 *  Silence counts from the last thing heard, for a member never heard from the init.  Events about
 *  ourselves or about members that do not exist change nothing; time that runs backwards neither.
 */
#ifndef CLUSTER_LIVENESS_H
#define CLUSTER_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

enum liveness_state { LIVENESS_UNKNOWN, LIVENESS_ALIVE, LIVENESS_SUSPECT, LIVENESS_DEAD };

struct liveness_config {
    uint64_t heartbeat_us; /* default 500,000 */
    uint64_t suspect_us;   /* default 1,500,000 */
    uint64_t dead_us;      /* default 3,000,000; at least suspect_us */
};

enum liveness_event_kind {
    LIVENESS_TICK,         /* time passed */
    LIVENESS_HEARD,        /* anything came from `member` */
    LIVENESS_LINK_LOST,    /* an established link to `member` broke */
    LIVENESS_LINK_REFUSED, /* nobody listens at its address */
};

struct liveness_event {
    uint64_t now_us; /* monotonic */
    enum liveness_event_kind kind;
    uint16_t member;
};

struct liveness_effects {
    bool send_heartbeats;  /* to every other member, now */
    bool changed;          /* some member's state is another than before the step */
    uint64_t next_tick_us; /* call TICK no later than this */
};

struct liveness_peer {
    uint64_t heard_us; /* last, or the init; moved up by our own pauses */
    uint64_t since_us; /* when the state began */
    enum liveness_state state;
};

struct liveness {
    struct liveness_config config;
    struct liveness_peer *peers; /* the caller's array, one a member */
    uint16_t count, self;
    uint64_t last_tick_us, next_heartbeat_us;
    uint64_t next_change_us; /* no silence is long enough before this */
};

/** `peers` has `count` elements and outlives the machine.  Zero config fields mean defaults. */
void liveness_init(struct liveness *liveness, const struct liveness_config *config,
                   struct liveness_peer *peers, uint16_t count, uint16_t self, uint64_t now_us);
/** The list of members has changed: `peers` (with what was known of the first ones, and `count`
 *  places) is the machine's array now.  Those from the old count on are new. */
void liveness_follow(struct liveness *liveness, struct liveness_peer *peers, uint16_t count,
                     uint64_t now_us);
/** `member` is nobody any more: dead for good, unless its place is given to another, who is new. */
void liveness_forget(struct liveness *liveness, uint16_t member, bool another, uint64_t now_us);
/** TICK costs a look at every peer, the others at one. */
void liveness_step(struct liveness *liveness, const struct liveness_event *event,
                   struct liveness_effects *ret);
/** Self is always ALIVE.  UNKNOWN (never heard) counts as reachable until dead_us after init.
 *  A member that does not exist is DEAD. */
enum liveness_state liveness_of(const struct liveness *liveness, uint16_t member);

#endif
