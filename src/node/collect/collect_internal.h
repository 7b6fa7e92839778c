/* SPDX-License-Identifier: Apache-2.0 */
/** What collect*.c share.  Map: collect.h. */
#ifndef NODE_COLLECT_INTERNAL_H
#define NODE_COLLECT_INTERNAL_H

#include "cluster/collect/fence_record.h"
#include "cluster/collect/round.h"
#include "node/collect/collect.h"
#include "node/internal.h"

enum {
    COLLECT_PATIENCE_US = 5 * 1000 * 1000, /* for each question */
    COLLECT_KEYS_SIZE = 256 << 10,         /* bytes of keys in a round */
    COLLECT_SETTLE_US = 1000 * 1000,       /* between two looks at what is in doubt */
};

/** A key of a round. */
struct grave {
    struct bytes key; /* of the store */
    uint64_t digest;  /* of the tombstone */
    uint8_t held;     /* enum round_key */
    bool changed;     /* written to since it was looked at */
};

/** The round that asked last about a partition. */
struct collect_turn {
    struct arena arena;
    uint64_t round, epoch; /* id, and number of the epoch in which it asked */
    struct net_address from;
    struct grave *graves; /* by key */
    uint32_t count;
    uint64_t number; /* promised; 0: not yet */
    bool looking;    /* a job looks what is here */
    uint8_t saving;  /* the write that takes the promise to the disk; 0: none is under way */
    bool saved;
};

struct fenced {
    struct fence_record kept;
    uint64_t
        waits_for; /* committed, and to be renewed to once others are there; 0: does not wait */
    uint32_t drops;
    bool ours; /* its store is one of this shard's */
    uint8_t saves;
    struct collect_turn *turn;
    struct collect_turn *named; /* whose keys are in doubt, where that is not `turn` */
};

/** The round that this shard proposes; one at a time. */
struct collect_round {
    struct round machine;
    struct arena arena;
    uint64_t id, epoch;
    uint32_t partition;
    struct grave *graves;
    uint32_t count;
    uint64_t counter, stamp;
};

struct collect {
    struct heap_item timer;
    struct fenced *partitions; /* by number; those of our stores */
    uint32_t partition_count, refilling, waiting;
    bool rebuilt; /* a store is not the one that it was */
    /* proposing */
    struct collect_round *round;
    bool scanning;
    enum node_collecting mode;
    bool doubts;        /* there may be some: */
    uint64_t settle_us; /* when to look */
    uint32_t partition; /* where the pass stands */
    struct buffer after;
    uint64_t next_us;
};

struct fenced *collect_fenced(const struct node *node, uint32_t partition); /* NULL: not ours */
void collect_wake(struct node *node, uint64_t due_us);
/** Its record, for the next commit. */
kvorum_status collect_put(struct node *node, struct engine_batch *batch, uint32_t partition);
/** On disk before whatever is stored after it. */
void collect_save(struct node *node, uint32_t partition);
kvorum_status collect_submit(struct node *node, uint32_t partition);
/** Reads what a store holds of fences. */
kvorum_status collect_load(struct node *node, uint16_t number);
/** It has been ours, with nothing in it at first, since epoch `since`. */
void collect_lift(struct fenced *fenced, uint64_t since);
/** No answers about the partition until it was compared with all other owners.  False: no memory.
 * */
bool collect_doubt(struct node *node, uint32_t partition);
/** Partitions that wait for their other owners, and need not any more, are dropped. */
void collect_end_waiting(struct node *node);
void collect_free_turn(struct collect_turn *turn);
struct grave *collect_find(const struct collect_turn *turn, struct bytes key);
/** What `encoding` (empty: nothing) is of `grave`. */
uint8_t collect_judge(struct arena *arena, const struct grave *grave, struct bytes encoding);

/* the wire: a tail of keys and digests, ascending */
void collect_write_graves(struct buffer *buffer, const struct grave *graves, uint32_t count);
/** False: malformed, or no memory. */
bool collect_read_graves(struct bytes tail, uint32_t partition, struct arena *arena,
                         struct grave **ret_graves, uint32_t *ret_count);

/* collect_clear.c */
/** Every other owner of the partition, for whatever bucket, is alive, old and new ones of a move;
 *  and this member gets nothing by that.  So they can give what is dropped here. */
bool collect_others_are_there(struct node *node, uint32_t partition);
/** Into node->batch: the objects between the bounds go that others have too, but not those whose
 *  stamps are all above `newer` (UINT64_MAX: all go). */
kvorum_status collect_put_clearing(struct node *node, uint32_t partition, struct bytes lower,
                                   struct bytes upper, uint64_t newer);

/* collect_round.c */
/** `graves` live in `arena`, which becomes the round's.  False: no memory. */
bool collect_begin(struct node *node, uint32_t partition, struct arena *arena, struct grave *graves,
                   uint32_t count, uint64_t counter, uint64_t stamp);
void collect_round_tick(struct node *node);
void collect_round_free(struct node *node);
/** The first owner of `partition` should settle what is in doubt: a round without keys. */
void collect_settle(struct node *node, uint32_t partition);
void collect_ask_to_settle(struct node *node);
/** Of its row we are the first owner, who proposes. */
bool collect_settles(struct node *node, uint32_t partition);
void collect_take_answer(struct node *node, uint16_t member, const Peer__CollectAnswer *answer);
/* collect_member.c */
/** Tombstones go when they are old: a planted mistake. */
void collect_by_clock(struct node *node, uint32_t partition, const struct grave *graves,
                      uint32_t count);

#endif
