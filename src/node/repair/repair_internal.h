/* SPDX-License-Identifier: Apache-2.0 */
/** What repair*.c share.  Map: repair.h. */
#ifndef NODE_REPAIR_INTERNAL_H
#define NODE_REPAIR_INTERNAL_H

#include "cluster/handoff/throttle.h"
#include "node/internal.h"
#include "node/repair/repair.h"

enum {
    REPAIR_EXCHANGES_MAX = 64, /* that this shard began; memory: 27 KiB each */
    REPAIR_BUSY_MAX = 2,       /* of them that do not wait for a tree or for time to pass */
    REPAIR_ATTEMPTS_MAX = 30,  /* while a tree is being computed, more and more apart */
    REPAIR_QUESTION_US = 5 * 1000 * 1000,
    REPAIR_ANSWERS_LIMIT = 16 << 20, /* bytes of keys in hand, an exchange */
};

/* --- scans ----------------------------------------------------------------------------------- */

struct scanned {
    uint64_t key_hash, digest, stamp;
    struct bytes key; /* where keys are kept */
};

/** Objects behind one another of one bucket. */
struct scanned_run {
    struct bytes type, bucket;
    uint64_t generation;
    uint32_t first; /* of the entries */
};

/** A piece of a partition, read by a job: the objects of the wanted leaves. */
struct chunk {
    struct reading reading; /* first */
    struct engine *store;
    struct engine_iterator *iterator; /* held by a scan over all chunks, or opened for this one */
    bool held, begun;
    struct bytes lower, upper; /* keys of the store; empty upper: to the end of the partition */
    uint64_t seed;
    struct leaf_set wanted;
    bool keep_keys;
    uint32_t entries_max; /* that may be looked at */
    /* read */
    struct scanned *entries;
    struct scanned_run *runs;
    uint32_t count, run_count, looked_at;
    size_t value_size, key_size;
    struct bytes next; /* empty: the partition ends here */
    /* whom it is for */
    struct net_address from;
    uint64_t id;
    uint32_t question, partition;
    uint8_t n;
};

struct chunk *chunk_open(struct node *node, uint32_t partition,
                         void (*done)(struct node *node, struct reading *reading));
/** In a job if there are jobs. */
void chunk_start(struct node *node, struct chunk *chunk);
/** For a page of keys as `asked` in a KEYS question.  NULL: no memory, or the question is bad. */
struct chunk *repair_page_open(struct node *node, const Peer__Repair *asked,
                               void (*done)(struct node *node, struct reading *reading));
/** Keys of a page: those of buckets with `chunk->n` replicas. */
struct exchange_page chunk_page(struct node *node, const struct chunk *chunk, struct arena *arena);
/** The run is of a generation that is over: nobody is to have its objects. */
bool repair_run_is_old(const struct node *node, const struct scanned_run *run);
/** The n of a run's bucket. */
uint8_t repair_bucket_n(struct node *node, struct bytes type, struct bytes bucket);

/* --- trees ----------------------------------------------------------------------------------- */

struct repair_tree {
    struct repair_tree *next; /* of the partition */
    uint8_t n;
    struct hash_tree tree;
};

/** What is known of a partition replica here. */
struct repair_partition {
    /* first what every write asks, which is then one cache line */
    uint32_t number;
    bool scanned; /* all its trees are here; an n without one has no objects */
    bool urgent;  /* somebody waits for the scan */
    struct repair_tree *trees;
    struct list queue;   /* repair->scans_due, while a scan is wanted */
    struct list suspect; /* repair->suspects */
    uint16_t suspects[TARGETS_MAX];
    uint8_t suspect_count;
    uint64_t suspect_us;  /* not before */
    uint64_t compared_us; /* the last exchange began */
    uint32_t marks;       /* counts calls of repair_on_mark */
    struct {
        uint16_t member;
        uint32_t ns; /* bit n: compared with it since the last mark, nothing left */
    } settled[TARGETS_MAX];
    uint8_t settled_count;
    uint64_t scanned_us;
};

/** The scan under way: a held iterator over a partition. */
struct tree_scan {
    struct repair_partition *partition;
    struct engine_iterator *iterator; /* while no chunk has it */
    bool begun;                       /* the iterator stands where the next chunk begins */
    bool reading, dropped;            /* a chunk is under way; what it reads is of no use */
    uint64_t next_us, again_us;       /* not before; not before after an error */
};

struct repair_demand {
    bool active, paused;
    struct throttle throttle;
    uint64_t charged;          /* bytes, of all comparisons, that the throttle knows of */
    uint8_t n;                 /* of the bucket; 0: all */
    uint32_t number;           /* of demands so far */
    uint64_t asked_us;         /* for the one that is active, or was last */
    uint64_t cancelled_us;     /* what was asked for until then is not begun any more */
    struct bytes type, bucket; /* empty: all */
    struct arena arena;
    uint32_t partition; /* next */
    uint16_t slot;
};

struct repair_exchange;

struct repair {
    uint64_t seed;
    uint32_t partition_count;
    struct repair_partition **partitions; /* by number; NULL: nothing known */
    uint64_t tree_memory;                 /* bytes */
    uint32_t evicted;                     /* partition whose trees went last to make room */
    uint32_t ns;                          /* bit n: some bucket has n replicas; 0: not looked yet */
    uint64_t kept_digest; /* of the bucket properties that kept trees were made with; 0: none */
    bool checked;         /* ... and it is that of now */
    struct list scans_due;
    struct tree_scan scan; /* partition NULL: none */
    struct list exchanges;
    uint32_t exchange_count;
    struct list suspects;
    uint32_t pass_partition; /* of the pass in the background: next */
    uint16_t pass_slot;
    uint64_t pass_us, pair_us; /* next one; the time between two */
    bool pass_paused;
    uint64_t passes, pass_done, pass_total; /* begun in this life; pairs of the one under way */
    uint64_t paced_for;                     /* the epoch whose pairs that is for */
    uint32_t refresh_partition;             /* next to be looked at: does it need a scan? */
    uint64_t look_us;                       /* at members and partitions */
    bool *away;                             /* by member: it was dead when we looked last */
    uint16_t away_count;                    /* members of `away` */
    struct repair_demand demand;
    bool rebuilt_compared; /* what a salvaged store lacks was asked for */
};

struct repair_partition *repair_partition(struct node *node, uint32_t number); /* NULL: no memory */
/** The tree if it may be compared; otherwise NULL, and a scan is on its way. */
const struct hash_tree *repair_tree_current(struct node *node, uint32_t number, uint8_t n);
void repair_doubt(struct node *node, uint32_t number, uint8_t n, const struct leaf_set *leaves);
void repair_want_scan(struct node *node, struct repair_partition *partition, bool urgent);
/** All of a partition is read again, to find what vanished from the store. */
void repair_refresh(struct node *node, uint32_t number);
void repair_scan_tick(struct node *node);
void repair_scan_end(struct node *node);
uint64_t repair_scan_due_us(const struct node *node);
void repair_trees_free(struct node *node);
void repair_partition_drop(struct node *node, struct repair_partition *partition);
/** NULL: no object of a bucket with `n` replicas is known. */
struct repair_tree *repair_tree_find(const struct repair_partition *partition, uint8_t n);
/** Add a tree that is known; NULL: no memory. */
struct repair_tree *repair_tree_add(struct node *node, struct repair_partition *partition,
                                    uint8_t n);

/* --- exchanges ------------------------------------------------------------------------------- */

struct repair_exchange {
    struct list link;
    uint64_t id;
    uint32_t partition;
    uint16_t member;
    uint8_t n;
    uint64_t begun_us;
    uint32_t demand; /* its number; 0: nobody asked for it */
    uint32_t marks;  /* of the partition, when it began */
    bool waiting;    /* for a tree, ours or theirs: begin again at retry_us */
    uint64_t retry_us;
    uint32_t attempts;
    struct exchange machine;
    struct arena arena, answers;
    struct repair_want wants[EXCHANGE_BATCH_MAX];
    uint32_t indices[EXCHANGE_BATCH_MAX]; /* of the differences in the batch */
    uint32_t count;
    bool ours_in, theirs_in; /* KEYS */
    struct exchange_page ours, theirs;
};

/* repair_exchange.c */
/** False: no memory. */
bool exchange_open(struct node *node, uint32_t partition, uint16_t member, uint8_t n,
                   uint32_t demand);
/** Also anew, after it has waited.  May end it. */
void exchange_begin(struct node *node, struct repair_exchange *exchange);
/** May end it. */
void exchange_event(struct node *node, struct repair_exchange *exchange,
                    struct exchange_event event);
/** The question under way is refused, by them or by us. */
void exchange_refuse(struct node *node, struct repair_exchange *exchange, kvorum_status status);
void exchange_object_done(struct node *node, uint64_t id, uint32_t question, uint32_t index,
                          enum exchange_result result, uint64_t digest);
/** A question of kind `question->kind`; counted.  False: refused. */
bool exchange_send(struct node *node, const struct repair_exchange *exchange,
                   Peer__Repair *question, uint32_t number, struct bytes tail);
void exchange_end(struct node *node, struct repair_exchange *exchange, kvorum_status status);
void exchange_free(struct node *node, struct repair_exchange *exchange);

/* repair_exchanges.c */
struct repair_exchange *exchange_find(struct node *node, uint64_t id);
void exchanges_tick(struct node *node);
/** Those whose partition or member is not what it was in the epoch of number `former`. */
void exchanges_end_outdated(struct node *node, uint64_t former);
/** Another one may begin. */
bool exchanges_have_room(const struct node *node);
uint64_t exchanges_due_us(const struct node *node);
void exchanges_close(struct node *node);
/** The trees of `partition` have been computed: those that wait for them try again. */
void exchanges_hurry(struct node *node, uint32_t partition);

/* repair_keys.c */
/** Name `leaves` in a question, in scratch memory.  False: none left. */
bool repair_pack_leaves(struct node *node, const struct leaf_set *leaves, Peer__Repair *question);
/** False: refused. */
bool exchange_ask_keys(struct node *node, struct repair_exchange *exchange,
                       const struct exchange_effects *asked);
void exchange_take_keys(struct node *node, struct repair_exchange *exchange,
                        const Peer__RepairAnswer *answer, struct bytes tail);

/* repair_objects.c; exchange_fetch: false: refused */
bool exchange_fetch(struct node *node, struct repair_exchange *exchange, uint32_t question);
void exchange_push(struct node *node, struct repair_exchange *exchange, uint32_t question);
void exchange_take_objects(struct node *node, struct repair_exchange *exchange,
                           const Peer__RepairAnswer *answer, struct bytes tail);

/** A push under way: a MERGE whose answer finds its request. */
struct repair_push {
    uint64_t exchange;
    uint32_t question, index;
    uint64_t digest; /* of what was sent */
};

void repair_exchange_over(struct node *node, const struct repair_exchange *exchange,
                          kvorum_status status); /* repair_outcome.c */

/* --- which pair is next ----------------------------------------------------------------------- */

/** Our replica of a partition and another owner's, for buckets with n replicas. */
struct replica_pair {
    uint32_t partition;
    uint16_t member;
    uint8_t n;
};

/* repair_pairs.c */
/** The owners for buckets with `n` replicas, as far as there are any.  Returns how many. */
uint16_t repair_owners(const struct node *node, uint32_t partition, uint8_t n,
                       uint16_t ret_owners[TARGETS_MAX]);
/** Where `member` stands among them; -1: nowhere. */
int repair_place(const struct node *node, uint32_t partition, uint8_t n, uint16_t member);
/** Bit n: some bucket has n replicas. */
uint32_t repair_ns(struct node *node);
/** Bit n of those: this member and `member` are both owners. */
uint32_t repair_shared_ns(struct node *node, uint32_t partition, uint16_t member);
/** The next pair from (*partition, *slot) on, which then stand behind it; `begins`: only where this
 *  member is the one that begins.  False: no more. */
bool repair_pair_next(struct node *node, uint32_t *partition, uint16_t *slot, bool begins,
                      struct replica_pair *ret);
/** `n` 0: of any. */
uint64_t repair_pair_count(struct node *node, bool begins, uint8_t n);
/** Compare them.  `demand`: its number, or 0.  False: it cannot be now. */
bool repair_pair_begin(struct node *node, const struct replica_pair *pair, uint32_t demand);

/* repair_pass.c */
void repair_pass_tick(struct node *node);

/* repair_suspects.c */
void repair_suspects_tick(struct node *node);
uint64_t repair_suspects_due_us(const struct node *node);
/** `member` was away. */
void repair_on_return(struct node *node, uint16_t member);

/* repair_demand.c */
void repair_on_begin(struct node *node, struct net_address from, const Peer__Repair *asked);
void repair_compare_rebuilt(struct node *node);
void repair_demand_tick(struct node *node);
uint64_t repair_demand_due_us(const struct node *node);

/* repair.c */
/** Set the timer anew: something is due earlier, or later. */
void repair_wake(struct node *node);

/* repair_keep.c */
kvorum_status repair_load(struct node *node);
/** Once the properties of buckets are known. */
void repair_check_kept(struct node *node);

#endif
