/* SPDX-License-Identifier: Apache-2.0 */
/** What scrub*.c share.  Map: scrub.h. */
#ifndef NODE_SCRUB_INTERNAL_H
#define NODE_SCRUB_INTERNAL_H

#include "cluster/handoff/throttle.h"
#include "node/repair_internal.h"
#include "node/scrub.h"

enum {
    SCRUB_LOSSES_MAX = 256,  /* of a shard; then they are joined */
    SCRUB_REPORTS_MAX = 256, /* of one step or mending; then all of the store is in doubt */
    SCRUB_TICK_US = 1000 * 1000,
};

/** The replicas of a partition, for buckets with `n`, here and at `member` are to be compared. */
struct loss_comparison {
    uint32_t partition;
    uint16_t member;
    uint8_t n;
    uint64_t next_us; /* not before */
};

struct loss {
    struct list link;
    uint16_t store;
    uint64_t number;
    uint8_t *memory;           /* of the bounds */
    struct bytes lower, upper; /* keys of the store; upper empty: to the end */
    bool harmless;             /* a table is damaged, and no key is in doubt for it */
    bool taken;                /* by the mending under way, as it is */
    bool mended;
    uint64_t mended_us;
    struct loss_comparison *comparisons; /* still to be made, once mended */
    size_t comparison_count;
};

struct scrub {
    struct heap_item timer;
    struct throttle throttle;
    /* the pass */
    bool active, reading, paused;
    bool again; /* another one was asked for meanwhile */
    uint16_t store;
    struct engine_scrub position;
    uint64_t pass_us; /* the next one begins */
    /* losses */
    struct list losses;
    uint32_t loss_count;
    uint64_t next_number;
    uint64_t epoch; /* that the comparisons are of */
    uint64_t salts[NODE_STORES_MAX];
    bool mending[NODE_STORES_MAX];
    uint64_t mend_us[NODE_STORES_MAX]; /* not before */
};

/** What a job found. */
struct scrub_reports {
    struct arena *arena;
    struct engine_loss *list; /* of SCRUB_REPORTS_MAX, in the arena */
    uint32_t count, damages, unreadable;
    bool more; /* than could be kept */
};
/** False: no memory. */
bool scrub_reports_open(struct scrub_reports *reports, struct arena *arena);
void scrub_report(void *context, const struct engine_loss *loss);
/** Losses from now on; counted, and logged.  False: one could not be kept in mind. */
bool scrub_take_reports(struct node *node, uint16_t store, const struct scrub_reports *reports);

KVORUM_CHECKED kvorum_status scrub_losses_load(struct node *node);
/** All of what `reported` lost is in doubt already, and not mended yet. */
bool scrub_loss_known(const struct node *node, uint16_t store, const struct engine_loss *reported);
/** False: no memory. */
bool scrub_loss_add(struct node *node, uint16_t store, struct bytes lower, struct bytes upper,
                    bool harmless);
void scrub_loss_remove(struct node *node, struct loss *loss);
/** Everybody was asked: its record goes too. */
void scrub_loss_over(struct node *node, struct loss *loss);
void scrub_mend(struct node *node, uint16_t store);
void scrub_wake(struct node *node, uint64_t due_us);
/** What is lost cannot be got from anybody. */
bool scrub_is_alone(const struct node *node);

/* scrub_refill.c */
/** `loss` was mended just now. */
void scrub_refill(struct node *node, struct loss *loss);
void scrub_refill_tick(struct node *node);

#endif
