/* SPDX-License-Identifier: Apache-2.0 */
/** What scrub*.c share.  Map: scrub.h. */
#ifndef NODE_SCRUB_INTERNAL_H
#define NODE_SCRUB_INTERNAL_H

#include "cluster/handoff/throttle.h"
#include "node/repair/repair_internal.h"
#include "node/scrub/scrub.h"

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
    bool inherited;            /* it was found on disk when the node started */
    bool listed_again;         /* its comparisons are of properties that others have too */
    bool taken;                /* by the mending under way, as it is */
    bool mended;
    uint64_t mended_us;
    struct loss_comparison *comparisons; /* still to be made, once mended */
    size_t comparison_count;
    bool only_here; /* some of its keys may have no other owner */
    bool forsaken;  /* all comparisons were made, and those keys are lost */
};

struct scrub {
    struct heap_item timer;
    struct throttle throttle;
    /* the pass */
    bool active, reading, paused;
    bool again; /* another one was asked for meanwhile */
    uint16_t store;
    struct engine_scrub position;
    uint64_t pass_us;  /* the next one begins */
    uint64_t wait_us;  /* nothing is read before */
    uint32_t unmended; /* files beside the tables that this pass could not write anew */
    uint64_t damage_met[NODE_STORES_MAX]; /* by background work, when it was looked at last */
    uint64_t last_ms; /* wall clock when the last one ended; 0: none is known of */
    /* losses */
    struct list losses;
    uint32_t loss_count;
    uint64_t next_number;
    uint64_t epoch; /* that the comparisons are of */
    uint64_t salts[NODE_STORES_MAX];
    bool mending[NODE_STORES_MAX];
    uint64_t mend_us[NODE_STORES_MAX]; /* not before */
    uint64_t urgent_us;                /* nothing is urgent before */
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

/* scrub_start.c */
KVORUM_CHECKED kvorum_status scrub_losses_load(struct node *node);

/* scrub_records.c */
/** Into node->batch: another salt, every loss of the store, and no hash tree of before. */
KVORUM_CHECKED kvorum_status scrub_fill_batch(struct node *node, uint16_t store);
/** Its salt and its losses.  CORRUPT. */
KVORUM_CHECKED kvorum_status scrub_load_store(struct node *node, uint16_t store);
/** A pass ended now. */
void scrub_keep_pass(struct node *node);
/** Everybody was asked: its record goes too. */
void scrub_loss_over(struct node *node, struct loss *loss);

/* scrub_losses.c */
/** NULL: no memory. */
struct loss *scrub_loss_create(struct node *node, uint16_t store, struct bytes lower,
                               struct bytes upper);
bool scrub_loss_meets(const struct loss *loss, struct bytes lower, struct bytes upper);
/** Properties and generations of buckets may have stood in it, and what was promised of drops. */
bool scrub_loss_meets_records(const struct loss *loss);
void scrub_loss_forsake(struct node *node, struct loss *loss, bool forsaken);
/** All of what `reported` lost is in doubt already, and not mended yet. */
bool scrub_loss_known(const struct node *node, uint16_t store, const struct engine_loss *reported);
/** False: no memory. */
bool scrub_loss_add(struct node *node, uint16_t store, struct bytes lower, struct bytes upper,
                    bool harmless);
void scrub_loss_remove(struct node *node, struct loss *loss);
/** What is lost cannot be got from anybody. */
bool scrub_is_alone(const struct node *node);

/* scrub_mend.c */
void scrub_mend(struct node *node, uint16_t store);

/* scrub.c */
void scrub_wake(struct node *node, uint64_t due_us);

/* scrub_refill.c */
/** `loss` was mended just now. */
void scrub_refill(struct node *node, struct loss *loss);
void scrub_refill_tick(struct node *node);

#endif
