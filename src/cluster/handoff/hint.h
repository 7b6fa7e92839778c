/* SPDX-License-Identifier: Apache-2.0 */
/** Hinted handoff as pure rules: a member that took an object for another one that was away owes it
 *  to that one.  The debt is a hint; hints of one target are a queue in the order in which they
 *  were taken.
 *
 *      object   taken once, stored like any other; hints refer to it by its key in the store
 *      queue    target, order, key  ->  epoch, size      what is still to be handed over
 *      index    target, key         ->  order, size      which hint of a key counts: the last one
 *      mark     target, partition,  ->  when             a hint was dropped: compare the partition
 *               kind
 *
 *  Nothing is dropped quietly: whoever drops a hint leaves a mark in the same batch.
 *  Everything here is pure.  Formats: docs/formats/hints.md. */
#ifndef CLUSTER_HANDOFF_HINT_H
#define CLUSTER_HANDOFF_HINT_H

#include "base/arena.h"
#include "cluster/ring/ring.h"

struct hint {
    struct node_id target;
    uint64_t order;   /* stamp of the hybrid clock (object/hlc.h) when it was taken */
    struct bytes key; /* of the object in the store */
    uint64_t epoch;   /* number of the epoch in which it was taken */
    uint64_t size;    /* of the object as it was taken, bytes; 0: not known */
};

/* --- as bytes: keys in `arena`, data NULL when there is no memory ---------------------------- */

enum { HINT_VALUE_SIZE_MAX = 24, HINT_PREFIX_SIZE = 17 };

struct hint_value {
    uint8_t data[HINT_VALUE_SIZE_MAX];
    size_t size;
};

struct bytes hint_queue_key(struct arena *arena, const struct hint *hint);
/** Every hint of `target` from `order` on is at or above this key ... */
struct bytes hint_queue_from(struct arena *arena, const struct node_id *target, uint64_t order);
/** ... and all of them, or all its marks, below this one. */
struct bytes hint_queue_end(struct arena *arena, const struct node_id *target);
/** With an empty key it is below all indexes of the target ... */
struct bytes hint_index_key(struct arena *arena, const struct node_id *target, struct bytes key);
/** ... and all of them are below this one. */
struct bytes hint_indexes_end(struct arena *arena, const struct node_id *target);
/** "Never from one arbitrary peer": the owner that is asked may itself lack the write. */
enum hint_mark {
    HINT_MARK_SUSPICION, /* every owner is to be asked to compare itself with the target */
    HINT_MARK_ORDER,     /* we are an owner, and were asked */
};

struct bytes hint_mark_key(struct arena *arena, const struct node_id *target, uint32_t partition,
                           enum hint_mark mark);
struct bytes hint_marks_end(struct arena *arena, const struct node_id *target);

void hint_queue_value(const struct hint *hint, struct hint_value *ret);
void hint_index_value(const struct hint *hint, struct hint_value *ret);
void hint_mark_value(uint64_t made_ms, struct hint_value *ret);

enum hint_entry {
    HINT_ENTRY_NONE, /* not an entry of this release */
    HINT_ENTRY_INDEX,
    HINT_ENTRY_MARKER, /* an index entry of a release before queues: it has no order, and is owed */
    HINT_ENTRY_QUEUE,
    HINT_ENTRY_MARK,
};

/** What a stored entry says; views point into `key`.  INDEX: all but `epoch`.  MARKER: `target` and
 *  `key`.  QUEUE: all.  MARK: `target`, *ret_partition, its time (wall clock, ms) in `order`, its
 *  kind in `size`. */
enum hint_entry hint_parse(struct bytes key, struct bytes value, struct hint *ret_hint,
                           uint32_t *ret_partition);

/* --- rules ----------------------------------------------------------------------------------- */

/** What is waiting for one target. */
struct hint_usage {
    uint64_t count, size; /* size: bytes of the objects as they were taken */
};

/** May a hint of `size` bytes be taken, that replaces `replaced` (zeros: none) of the same key? */
bool hint_fits(const struct hint_usage *used, const struct hint_usage *quota,
               const struct hint_usage *replaced, uint64_t size);

/** What is known when the turn of a hint has come. */
struct hint_facts {
    bool superseded;  /* a later hint counts for the same key and target */
    bool held;        /* the object is here */
    bool lossy;       /* something was lost from this store, perhaps the object */
    bool target_owns; /* the target is an owner of the partition in the epoch of now */
    uint64_t made_ms, now_ms;
    uint64_t horizon_ms;   /* older hints are destroyed */
    uint64_t collected_ms; /* tombstones of the partition were collected until then; 0: never */
};

enum hint_verdict {
    HINT_FORGET,  /* there is nothing to hand over: remove it */
    HINT_DESTROY, /* it may be older than a tombstone that is gone, or its object may have been
                     lost: remove it and leave a mark */
    HINT_REROUTE, /* owe it to those who own the partition now */
    HINT_DELIVER,
};

/** "Hints past horizon H are destroyed" before anything else can be done with them; "target no
 *  longer owner: re-route as a normal write, not apply". */
enum hint_verdict hint_judge(const struct hint_facts *facts);

/** Is `member` an owner of the partition for buckets with `n` replicas, or will it be one when the
 *  move under way is over? */
bool hint_target_owns(const struct epoch *epoch, uint32_t partition, uint8_t n, uint16_t member);

#endif
