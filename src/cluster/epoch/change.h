/* SPDX-License-Identifier: Apache-2.0 */
/** From an epoch and what somebody asks for to the epoch that should come next.  Pure functions:
 *  whoever makes it, and whenever it is made again because another epoch came first, the same epoch
 *  and the same request give the same next epoch, or a refusal.
 *
 *  Changes of the shape are staged first, which changes nothing but the list of them, and committed
 *  together; so several moves become one, and the plan can be looked at before.
 *
 *  Next epochs share memory with the one they came from (the table, where it stays) and with
 *  `arena`: encode them while both live. */
#ifndef CLUSTER_EPOCH_CHANGE_H
#define CLUSTER_EPOCH_CHANGE_H

#include "cluster/handoff/plan_steps.h"
#include "cluster/ring/ring.h"

enum change_ask {
    ASK_JOIN = 1, /* `newcomer` wants to be a member: listed as JOINING, and staged */
    ASK_STAGE,    /* `change`, about `name` (and `with`) */
    ASK_CLEAR,    /* nothing is staged any more */
    ASK_COMMIT,   /* carry out what is staged */
    ASK_ADDRESS,  /* `newcomer`, a member already, has another address */
    ASK_MOVES,    /* `steps` of what moves in epoch `expected`; only from inside a node */
};

/** Members are named, not numbered: the slot may be another by the time it is carried out. */
struct change_request {
    enum change_ask kind;
    struct member newcomer;
    struct change change;
    char name[RING_NAME_MAX + 1], with[RING_NAME_MAX + 1];
    uint64_t expected;    /* COMMIT: the number of the epoch whose plan was looked at; 0: any */
    bool allow_zone_loss; /* COMMIT: also where copies will be in fewer zones than they are */
    const struct handoff_step *steps; /* stay until the request is answered */
    uint32_t step_count;
};

struct change_options {
    uint8_t n;         /* of the default bucket type: what "survives" is said for */
    uint8_t largest_n; /* of any bucket; 0: n */
    bool can_move;     /* this release moves partitions */
    bool allow_zone_loss;
    uint8_t dead[(RING_MEMBERS_MAX + 7) / 8]; /* who does not answer, a bit a slot: may be refused
                                                 for that, and is not planned otherwise */
};

bool change_is_dead(const struct change_options *options, uint16_t member);

/** The next epoch.  EXISTS: nothing would change (done already).  NOT_FOUND: no such member.
 *  INVALID, NOT_ALLOWED, UNSUPPORTED, CONFLICT (the plan looked at is not the plan any more):
 *  *ret_why says it for people; text in `arena` or static.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status change_apply(const struct epoch *epoch,
                                          const struct change_request *request,
                                          const struct change_options *options, struct arena *arena,
                                          struct epoch *ret_next, const char **ret_why);

struct change_survival {
    uint16_t nodes, zones;
};

/** What a commit would do. */
struct change_plan {
    struct epoch next;
    uint16_t *table; /* in the end, with next.replica_count columns; RING_NO_MEMBER as there */
    struct change_survival before, during, after;
    uint8_t spread_before,
        spread_after;         /* zones with copies of a partition, where they are fewest */
    uint32_t *gains, *losses; /* by slot: replicas of partitions to take and to give */
    uint32_t gain_count;      /* their sum: replicas that travel */
};

/** The same statuses as change_apply, above all NOT_ALLOWED for plans that could lose data.  Also a
 *  refused plan can be shown, where `*ret_filled`. */
KVORUM_CHECKED kvorum_status change_plan(const struct epoch *epoch,
                                         const struct change_options *options, struct arena *arena,
                                         struct change_plan *ret_plan, bool *ret_filled,
                                         const char **ret_why);

/** Where the last move has just ended, and a removal meanwhile left rows short: begin what is still
 *  to be done, in this epoch.  Nothing else is changed.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status change_go_on(const struct change_options *options, struct arena *arena,
                                          struct epoch *epoch);

/** The first epoch of the next line, which does without those in `lost` (by slot, of `base`), in
 *  whatever state that leaves the partitions: docs/decisions/0012.  Nothing stays staged, unless
 *  nobody is lost.  NOT_ALLOWED: no node would be left to own anything.  INVALID, NO_MEMORY. */
KVORUM_CHECKED kvorum_status change_recover(const struct epoch *base, const bool *lost,
                                            const struct change_options *options,
                                            struct arena *arena, struct change_plan *ret_plan,
                                            const char **ret_why);

/** Partitions by how many of their copies are left without those in `lost`. */
struct change_copies {
    uint32_t whole, majority, minority, none; /* majority: not all; minority: not none */
};

void change_count_copies(const struct epoch *epoch, const bool *lost, uint8_t n,
                         struct change_copies *ret);

/** "join n6", "weight of n2 to 200". */
void change_describe(const struct epoch *epoch, const struct change *change, struct buffer *text);

#endif
