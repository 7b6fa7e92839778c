/* SPDX-License-Identifier: Apache-2.0 */
/** A cluster of nothing but gossip: machines of cluster/membership/swim.h on a simulated network,
 *  up to GOSSIP_MEMBERS_MAX of them.  Packets cross it as bytes.
 *
 *      slow members are slow as in the Lifeguard paper (5.1): what they send and what comes for
 *      them waits until they wake, while their timers run on. */
#ifndef SIM_GOSSIP_H
#define SIM_GOSSIP_H

#include "cluster/membership/swim.h"
#include "sim/world/world.h"

enum { GOSSIP_MEMBERS_MAX = 128 };

struct gossip_plan {
    uint16_t member_count;
    struct swim_config config;
    uint64_t delay_us;          /* mean, one way */
    uint32_t loss, duplication; /* per million datagrams */
    uint16_t slow_count;        /* the last ones */
    uint64_t asleep_us, awake_us;
    bool old_disks; /* a new life may begin with the incarnations of an earlier one */
};

struct gossip_world;

struct gossip_process {
    struct gossip_world *gossip;
    struct swim swim;
    struct swim_member storage[GOSSIP_MEMBERS_MAX];
    struct event tick;
    struct gate gate; /* closed: paused, timers and all */
    uint16_t number;
    bool running;
    uint32_t life;
    uint64_t reserved, highest; /* incarnations: on disk; ever used */
    uint64_t phase_us;          /* of its sleep */
    enum liveness_state seen[GOSSIP_MEMBERS_MAX];
};

struct gossip_world {
    struct world *world;
    const struct gossip_plan *plan;
    struct gossip_process *processes;
    struct member *members; /* as all epochs list them */
    bool cut[GOSSIP_MEMBERS_MAX][GOSSIP_MEMBERS_MAX];
    uint64_t datagrams, bytes; /* sent */
    /** A process sees another state of a member.  May be NULL. */
    void (*changed)(void *context, const struct gossip_process *process, uint16_t member,
                    enum liveness_state state);
    /** Before and after a packet is heard.  May be NULL. */
    void (*hear)(void *context, struct gossip_process *process, const struct gossip_packet *packet);
    void (*heard)(void *context, struct gossip_process *process,
                  const struct gossip_packet *packet);
    void *context;
};

/** All start, and know nothing of each other. */
void gossip_world_init(struct gossip_world *gossip, struct world *world,
                       const struct gossip_plan *plan);
/** The world's events that are still queued must be gone, or go with it. */
void gossip_world_done(struct gossip_world *gossip);

/** `silent`: nobody's link tells of it. */
void gossip_crash(struct gossip_world *gossip, uint16_t member, bool silent);
/** A new life on the same disk. */
void gossip_start(struct gossip_world *gossip, uint16_t member);
void gossip_pause(struct gossip_world *gossip, uint16_t member);
void gossip_resume(struct gossip_world *gossip, uint16_t member);
/** Let `packet` reach `to`, from wherever. */
void gossip_throw(struct gossip_world *gossip, uint16_t to, const struct gossip_packet *packet);
bool gossip_is_slow(const struct gossip_world *gossip, uint16_t member);

#endif
