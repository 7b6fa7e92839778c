/* SPDX-License-Identifier: Apache-2.0 */
/** The register of background work, over task_meter.h:
 *
 *      task_sources.c   the kinds: what each of them has done, how it is paused, limited, cancelled
 *      tasks.c          figures of the shards to shard 0, which knows the node's tasks
 *      tasks_ask.c      asking all members, for node_tasks (task.h)
 *      task_orders.c    pauses and limits, kept over restarts
 *
 *      shard --figures in PROGRESS, twice a second--> shard 0 --TASKS_ANSWER--> whoever asks
 *      shard <---------- TASKS: pause, limit ... ---- shard 0 <----- TASKS ---- whoever asks */
#ifndef NODE_TASKS_H
#define NODE_TASKS_H

#include "codec/peer.pb-c.h"
#include "node/tasks/task_meter.h"
#include "node/tasks/task_orders.h"

struct request;
struct epoch_save;

/** A kind of background work on one shard.  Any function may be NULL: it cannot be done. */
struct task_source {
    const char *name, *unit;
    enum task_nature nature;
    void (*look)(struct node *node, struct task_figures *ret);
    void (*pause)(struct node *node, bool on);
    void (*limit)(struct node *node, uint64_t rate); /* of this shard; 0: none */
    /** All that was asked for until that moment, by the node's monotonic clock: what this shard
     *  has not heard of yet as well. */
    void (*cancel)(struct node *node, uint64_t until_us);
    /** Why it cannot be cancelled, and what to do instead. */
    const char *cancel_refusal;
};

extern const struct task_source task_sources[TASK_KINDS];

struct tasks {
    /* Of moves into this shard: a run lasts from the first move until none is left. */
    struct {
        uint64_t runs, size_before;
        uint32_t total, moving, done_before;
    } moves;
    uint64_t repair_size_before; /* bytes, when the demand under way began */
    uint64_t repair_demand;      /* its number */
    struct {
        uint64_t runs, left, settled_before, size_before;
    } hints;
    struct {
        uint64_t runs, size_before, failed_before;
    } compare;
    struct {
        uint64_t runs, damaged_before;
    } scrub;
    struct task_orders orders;
    /* shard 0 */
    struct epoch_save *orders_save;
    bool orders_changed;          /* since what is being written */
    struct task_figures *figures; /* by kind, then shard */
    struct task_meter meters[TASK_KINDS];
};

KVORUM_CHECKED kvorum_status tasks_open(struct node *node);
void tasks_close(struct node *node);
/** Go by what was ordered in an earlier life, once all parts are open. */
void tasks_go_by_orders(struct node *node);
/** Twice a second, on shard 0. */
void tasks_tick(struct node *node);
/** Fill in what this shard says, in scratch memory; on any shard but 0. */
void tasks_fill(struct node *node, Peer__Progress *progress);
/** On shard 0, from one of the others. */
void tasks_take(struct node *node, uint16_t shard, const Peer__Progress *progress);

void tasks_on_question(struct node *node, struct net_address from, const struct message *message);
void tasks_on_answer(struct node *node, struct net_address from, const struct message *message);
void tasks_on_deadline(struct node *node, struct request *request);

/* --- among the files of it -------------------------------------------------------------------- */

/** On shard 0: carry out what is asked, then tell of the tasks that it was about.  The answer is in
 *  scratch memory; NULL: no memory. */
Peer__TasksAnswer *tasks_serve(struct node *node, const Peer__Tasks *asked);

#endif
