/* SPDX-License-Identifier: Apache-2.0 */
/** One simulated machine with one node on it: clock, disk, background jobs, and the real code of
 *  src/node over real engines, a struct node a shard.
 *
 *      formatted (once, at the founding) --> start --> running --> stop   --> start ...
 *                                              ^          |-----> crash  --> start ...
 *                                              |          `-----> paused --> running
 *                                              `-- a start that failed is tried again
 *
 *  A crash may come between any two events, or (sim_disk's fuse) inside any disk operation: what
 *  the dying process still does in that event has no effect outside. */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "base/log.h"
#include "node/members/identity.h"
#include "sim/checkers/debts.h"
#include "sim/disk/disk.h"
#include "sim/plan/plan.h"
#include "sim/seams/clock.h"
#include "sim/seams/jobs.h"
#include "sim/seams/network.h"

struct process;
struct epoch_book; /* sim/checkers/epochs.c */

struct process_shard {
    struct net net; /* first: the seam */
    struct process *process;
    uint16_t number;
    struct node *node;
    struct event tick;
};

struct process {
    struct world *world;
    struct network *network;
    const struct plan *plan;
    uint16_t member;
    struct process *peers;   /* the array of all */
    struct epoch_book *book; /* which epochs there were; of the whole run */

    struct sim_clock clock;
    struct sim_disk disk;
    struct gate gate;
    struct sim_jobs jobs;
    bool running;
    bool held_down; /* not to be started by itself */
    bool retired;   /* no member any more, and switched off for ever */
    bool calm;      /* no more faults at its start */
    bool wiped;     /* its directory was lost, and a new one made */
    uint32_t lives;
    struct debts debts;

    struct log log; /* into the narrative */
    struct disk_file *lock;
    struct identity identity;
    struct node_id fresh_id; /* where one must be made */
    struct arena arena;      /* of the epoch */
    struct epoch epoch;
    uint16_t store_count, shard_count;
    struct engine *stores[SIM_STORES_MAX];
    struct engine *shard_stores[SIM_SHARDS_MAX][SIM_STORES_MAX];
    struct process_shard shards[SIM_SHARDS_MAX];
    struct event iteration, restart, resume;
    bool entered; /* inside node code: what follows waits */
    uint64_t paused_total_us, paused_since_us;
    uint64_t last_news_us;                /* between shards, which keep their order */
    bool takes_for_dead[SIM_MEMBERS_MAX]; /* shard 0 does */
    uint64_t not_dead_since_us[SIM_MEMBERS_MAX];
    /** The process is gone, and with it what it had promised to answer; or NULL. */
    void (*went_down)(void *context, uint16_t member);
    void *went_down_context;
};

void process_init(struct process *process, struct world *world, struct network *network,
                  const struct plan *plan, uint16_t member, struct process *peers);
/** Crashes it if it runs. */
void process_done(struct process *process);
/** Make the data directory, part of the cluster of `epoch`. */
void process_format(struct process *process, const struct node_id *id, const struct epoch *epoch);

/** Start; when that fails by a fault, try again later. */
void process_start(struct process *process);
void process_start_after(struct process *process, uint64_t delay_us);
/** Power failure.  `silent`: nobody is told that the links are gone. */
void process_crash(struct process *process, bool silent);
void process_stop(struct process *process); /* gracefully */
/** Its disk is exchanged for an empty one while it is down, and it starts once: what comes up is a
 *  new node, and has to wait until somebody makes it a member. */
void process_wipe(struct process *process);
/** Its disk is put back to what `snapshot`, which it takes over, holds, while it is down. */
void process_put_back(struct process *process, struct sim_disk *snapshot);
void process_pause(struct process *process, uint64_t duration_us);
void process_resume(struct process *process);

/** Between these two, code of the node may be called on `shard`. */
void process_enter(struct process *process);
void process_leave(struct process *process, uint16_t shard);
/** Its answers and frames count: it has power. */
static inline bool process_alive(const struct process *process)
{
    return process->running && !process->disk.dead;
}

/** How long it has been paused so far, in all its lives. */
static inline uint64_t process_paused_us(const struct process *process)
{
    uint64_t now_us = process->world->now_us;
    return process->paused_total_us +
           (process->gate.closed ? now_us - process->paused_since_us : 0);
}

void process_receive(struct process *process, uint16_t shard, struct net_address from,
                     const struct message *message);
void process_receive_datagram(struct process *process, struct bytes datagram);
void process_link_lost(struct process *process, uint16_t member, bool refused);

#endif
