/* SPDX-License-Identifier: Apache-2.0 */
/** The machines of one run, founded as one cluster, and what goes wrong among them. */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "sim/checkers/epochs.h"
#include "sim/process/process.h"

/* When a member's disk was damaged last: sim/cluster/decay.h. */
struct decay_strike {
    uint32_t life;
    uint64_t passes; /* that its shards had made in that life, at most */
};

struct cluster {
    struct world *world;
    const struct plan *plan;
    struct network network;
    struct process processes[SIM_MEMBERS_MAX];
    uint16_t count, total; /* members so far, and with those who are still to join */
    struct epoch_book book;
    struct arena arena;
    struct epoch epoch;
    struct event fault, repair;
    bool calm;                    /* no more faults */
    struct process *yesterday_of; /* whose older disk `yesterday` is; NULL: nobody's */
    struct sim_disk yesterday;    /* yesterday.h */
    uint64_t put_back_us;         /* when it was put back last; 0: not yet */
    uint32_t never_lost;          /* who takes part in every recovery, as bits: voters.c */
    uint64_t struck_us;           /* when somebody's disk was damaged last; 0: not yet */
    uint32_t struck;              /* members with damage that was not made good, as bits */
    struct decay_strike strikes[SIM_MEMBERS_MAX]; /* by member */
    /** Every frame sent, for those who watch; set by the owner. */
    void (*watch)(void *context, const struct message *message);
    void *watch_context;
};

/** Found the cluster on fresh disks and start every process. */
void cluster_init(struct cluster *cluster, struct world *world, const struct plan *plan);
void cluster_done(struct cluster *cluster);

/** Faults begin to happen, as the plan has them. */
void cluster_begin_faults(struct cluster *cluster);
/** No more faults, and a sound network; the machines are as they are. */
void cluster_end_faults(struct cluster *cluster);
/** Nothing goes wrong on this machine any more; if it was paused, it goes on. */
void cluster_calm(struct process *process);
/** End all faults for good, and restart whatever is down. */
void cluster_heal(struct cluster *cluster);
/** Crash or stop every process, and start it again. */
void cluster_restart_all(struct cluster *cluster);
/** Tell `went_down` whenever a process is gone. */
void cluster_on_down(struct cluster *cluster, void (*went_down)(void *context, uint16_t member),
                     void *context);
/** The next member is in this epoch: make its disk and start it. */
void cluster_grow(struct cluster *cluster, const struct epoch *epoch);
struct node_id cluster_draw_id(struct cluster *cluster);
/** The first that runs; one must. */
struct process *cluster_any_running(struct cluster *cluster);
/** All that are to run do. */
bool cluster_all_running(const struct cluster *cluster);

#endif
