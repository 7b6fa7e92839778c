/* SPDX-License-Identifier: Apache-2.0 */
/** One shard of one node, without I/O: it runs the machines of cluster/ and carries out their
 *  effects on stores (engine/) and peers (base/net.h).  A process has one a reactor; the simulator
 *  has hundreds in one thread.  Partitions are dealt to stores (partition mod store_count) and
 *  stores to shards (store mod shard_count); a shard touches its own stores only.
 *
 *      operation --> node_submit ----> machine <---- node_receive <-- message of a peer
 *                                       |   ^
 *          answer <-- reply, held until |   | completed commits
 *                     durable           v   |
 *                                      stores, net_send, timers (node_tick)
 *
 *  Thread: all calls from the one that owns the shard.  Blocks: never, as far as the stores do not.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "base/clock.h"
#include "base/disk.h"
#include "base/jobs.h"
#include "base/log.h"
#include "base/net.h"
#include "base/random.h"
#include "cluster/epoch/change.h"
#include "cluster/membership/swim.h"
#include "cluster/replication/quorum.h"
#include "cluster/ring/ring.h"
#include "codec/frame.h"
#include "engine/engine.h"
#include "node/buckets/properties.h"
#include "object/object.h"

enum {
    NODE_TYPE_SIZE_MAX = 255,
    NODE_BUCKET_SIZE_MAX = 4096,
    NODE_KEY_SIZE_MAX = 65536,
    NODE_STORES_MAX = 64,
};

enum node_sync { NODE_SYNC_ALWAYS, NODE_SYNC_INTERVAL, NODE_SYNC_NEVER };

struct node_limits {
    uint64_t value_size;         /* largest value, bytes; default 50 MiB */
    uint64_t value_size_warning; /* logged above it; default 5 MiB */
    uint32_t siblings;           /* writes that would leave more are refused; default 100 */
    uint32_t siblings_warning;   /* default 25 */
    uint32_t requests;           /* in flight on this shard, then OVERLOADED; default 50,000 */
    /* Held for one member that is away, by the whole node; beyond it writes find another. */
    uint64_t hints;           /* objects; default 1,000,000 */
    uint64_t hints_size;      /* bytes; default 1 GiB */
    uint64_t hint_rate;       /* bytes a second to one member that is back; default 16 MiB */
    uint64_t hint_horizon_ms; /* older hints are destroyed; default 10 days */
    uint64_t clock_offset_ms; /* two nodes' clocks differ by no more; default 500 */
};

/** Anti-entropy (node/repair/repair.h); zeros: defaults. */
struct node_repair_config {
    uint64_t pass_us;          /* in which every partition is compared with its owners; 1 h */
    uint64_t settle_us;        /* how long a difference lasts before it is acted on; 3 s */
    uint64_t suspect_us;       /* the least between two comparisons of a partition on suspicion;
                                  60 s */
    uint64_t refresh_us;       /* in which each partition is read again, to find what vanished from
                                  a store; 7 days */
    uint64_t tree_memory_size; /* bytes of trees on this shard; 256 MiB */
    uint64_t hashed_size_max;  /* a larger object is not hashed on the shard's thread; 1 MiB */
};

struct node_life;
struct task_orders;

/** Collecting tombstones (node/collect/collect.h). */
struct node_collect_config {
    uint64_t age_ms;      /* of tombstones that are looked for; 0: none are collected */
    uint64_t pause_us;    /* between two steps of a pass; 50 ms */
    uint64_t interval_us; /* from the end of a pass to the next; 10 min */
};

/** Scrubbing (node/scrub/scrub.h); zeros: defaults. */
struct node_scrub_config {
    uint64_t rate; /* bytes of files to read a second on this shard; 16 MiB.  UINT64_MAX: any */
    uint64_t period_us; /* from the end of a pass to the next; 14 days.  UINT64_MAX: never */
};

struct node_config {
    const struct epoch *epoch; /* in force at the start; outlives the node */
    uint16_t self;             /* member index */
    uint16_t shard, shard_count;
    uint16_t store_count;
    struct engine **stores; /* store_count; NULL where another shard owns it; outlive the node */
    uint64_t actor; /* names this data directory in this life: see node/members/identity.h */
    /** Of the life before, to be taken up when all members agree that this one follows it; 0: none.
     *  On shard 0, which tells the others.  Works with `life`. */
    uint64_t actor_inherited;
    const struct node_life
        *life; /* copied; NULL: nobody is asked about it (node/members/lives.h) */
    /** Remember another one, durably; false: it cannot be.  Rare: the directory was put back. */
    bool (*save_life)(void *context, const struct node_life *life);
    enum node_sync sync;
    struct clock *clock;
    struct net *net;
    struct jobs *jobs;        /* for reads that would wait for the disk; NULL: they wait in place */
    uint64_t plan_inline_max; /* members * partitions that are planned in place; 0: 2^18 */
    const struct log *log;
    uint64_t random_seed;
    uint64_t request_timeout_us;         /* default of operations; 0: 10 s */
    struct swim_config gossip;           /* zeros: SWIM_LAN */
    struct quorum_levels default_levels; /* of the default bucket type ([quorum] in the config) */
    struct node_limits limits;           /* zeros: defaults */
    uint64_t sync_interval_us;           /* NODE_SYNC_INTERVAL; 0: 1 s */
    struct node_repair_config repair;
    struct node_scrub_config scrub;
    struct node_collect_config collect;
    /** Shard 0 tells when its judgement of a member changed, so that the process can tell the other
     *  shards (node_set_liveness).  NULL: nobody to tell. */
    void (*liveness_changed)(void *context, uint16_t member, enum liveness_state state);
    /** Shard 0's incarnations in this life, [first, limit): never used in one before, and on disk.
     *  Zeros: plenty, for a node that has no life but this. */
    uint64_t incarnation_first, incarnation_limit;
    /** More are needed, below `limit`: make that durable, then node_incarnations_reserved, also
     *  from inside.  Rare: an old disk was put back.  NULL: there are no more. */
    void (*reserve_incarnations)(void *context, uint64_t limit);
    void *liveness_context; /* of save_life and the two above */
    /** Where the epoch and the votes for the next one are kept; on shard 0, which alone writes
     *  them.  NULL: the epoch never changes here (a newer one is not taken over either). */
    struct disk *disk;
    /** node_epoch() is another one now.  Called on every shard, from inside an event.  NULL: nobody
     *  to tell. */
    void (*epoch_changed)(void *context);
    void *epoch_context;
    /** What was ordered of background work (task_orders.h); copied.  NULL: nothing. */
    const struct task_orders *task_orders;
    uint64_t handoff_rate; /* bytes a second of moving partitions into this shard; 0: no limit */
    bool reclaim_compacts; /* tables are rewritten to give back what dropped buckets took, in jobs
                              that wait for one another: where those are threads */
};

struct node;

/** Own: the caller ends it with node_destroy.  NO_MEMORY, INVALID; CORRUPT and IO from reading what
 *  the stores hold about the node itself. */
KVORUM_CHECKED kvorum_status node_create(const struct node_config *config, struct node **ret_node);
/** Requests in flight are dropped without an answer.  NULL is fine; always returns NULL. */
struct node *node_destroy(struct node *node);

/* --- operations ---------------------------------------------------------------------------- */

enum operation_kind { OPERATION_GET = 1, OPERATION_PUT = 2, OPERATION_DELETE = 3 };

enum operation_flags {
    OPERATION_RETURN_BODY = 1 << 0,   /* PUT, DELETE: the answer carries the object after it */
    OPERATION_IF_NONE_MATCH = 1 << 1, /* PUT: CONFLICT when a value is there (a read before it) */
    OPERATION_IF_MATCH = 1 << 2,  /* PUT, DELETE: CONFLICT when `context` is not what is there */
    OPERATION_OVERWRITE = 1 << 3, /* PUT: replaces whatever the coordinator holds (RESP SET) */
    /* PUT, each with a read before it: */
    OPERATION_KEEP_DEADLINE = 1 << 4, /* as the value that it replaces has it (SET KEEPTTL) */
    OPERATION_TOUCH = 1 << 5, /* writes what is there anew with `deadline_ms`: NOT_FOUND without */
    /* TOUCH: CONFLICT unless what is there ... */
    OPERATION_IF_EXPIRES = 1 << 6, /* has a deadline */
    OPERATION_IF_LASTS = 1 << 7,   /* has none */
    OPERATION_IF_EARLIER = 1 << 8, /* has one before `deadline_ms` */
    OPERATION_IF_LATER = 1 << 9,   /* has one behind it, or none */
};

#define NODE_NEVER UINT64_MAX /* a deadline that does not come */

struct operation {
    enum operation_kind kind;
    struct bytes type, bucket, key; /* type empty: "default" */
    struct quorum_levels levels;    /* quorum_levels_init() for none asked */
    struct bytes context;           /* as from answer_context; empty: none */
    uint32_t flags;
    uint32_t timeout_ms; /* 0: default */
    /* Of the bucket, as the node knew it that forwarded this to us; zero: nobody did. */
    struct object_mode mode;
    /* Between nodes, and between the parts of an operation: it must happen in this generation of
     * the bucket, or not at all (node/buckets/drop.h). */
    bool pinned;
    uint64_t generation;
    /* PUT */
    const struct metadata *metadata;
    uint32_t metadata_count;
    struct bytes value;
    uint64_t deadline_ms; /* wall clock; 0: as the bucket says (ttl_seconds); or NODE_NEVER */
    uint64_t seen_stamp;  /* TOUCH, between nodes: of the value that was read */
};

struct answer {
    kvorum_status status;
    /** GET that is OK (also a tombstone's NOT_FOUND), PUT or DELETE with RETURN_BODY: else NULL. */
    const struct object *object;
    /** For errors about quorums: "w" 1 answered of 2 needed of n 3. */
    const char *level;
    uint8_t answered, needed, n;
    uint8_t stand_ins; /* acknowledgements that came from stand-ins, not owners */
    bool outdated;     /* failed because replicas go by a newer epoch than this member */
    /** What, where, why and what to do next, one or two lines, for people; "" when OK. */
    const char *reason;
};

/** Called once for each submitted operation, perhaps from inside node_submit.  Everything `answer`
 *  points to is valid during the call only. */
typedef void (*node_answer_fn)(void *context, const struct answer *answer);

/** Start `operation`; its views must hold during this call only.  Always ends in one call of
 *  `on_answer`.  Returns an id for node_cancel, or 0 when it was answered already. */
uint64_t node_submit(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                     void *context);
/** A hint: operations on these keys of one bucket are about to be submitted. */
void node_prefetch(struct node *node, struct bytes type, struct bytes bucket,
                   const struct bytes *keys, size_t count);
/** The client went away: `on_answer` will not be called.  The operation may still take effect. */
void node_cancel(struct node *node, uint64_t id);

enum list_kind { LIST_KEYS, LIST_BUCKETS, LIST_COUNT };

struct list_page {
    kvorum_status status; /* not OK: the last page */
    const char *reason;
    const struct bytes *names;
    uint32_t count;
    uint64_t counted; /* LIST_COUNT: keys so far */
    bool last;
};

/** Called once a page; from inside node_list or node_list_next, or later. */
typedef void (*node_list_fn)(void *context, const struct list_page *page);

/** List the keys of a bucket, or the buckets of a type, over one live owner of every partition.
 *  Unordered.  After a page that is not the last, the caller asks for more with node_list_next when
 *  it has room, or ends it with node_cancel. */
uint64_t node_list(struct node *node, enum list_kind kind, struct bytes type, struct bytes bucket,
                   uint32_t timeout_ms, node_list_fn on_page, void *context);
void node_list_next(struct node *node, uint64_t id);

/** The properties in force for a bucket. */
void node_properties(struct node *node, struct bytes type, struct bytes bucket,
                     struct bucket_properties *ret_properties);
/** Change (or with `reset` drop) the bucket's overrides everywhere.  OK when this node has it on
 *  disk and every reachable member answered; others learn it when they are back.  INVALID with a
 *  reason.  CONFLICT: a change that this node did not know of has a later stamp, and is in force.
 */
void node_set_properties(struct node *node, struct bytes type, struct bytes bucket,
                         const struct bucket_properties *overrides, bool reset,
                         node_answer_fn on_answer, void *context);
/** Drop every value of the bucket, in the same time for ten or for ten million: a new generation of
 *  it begins.  Its properties stay, and it may be used at once.  OK when every reachable member has
 *  that on disk, and so has a majority: no read or list there shows from then on what was written
 *  before; others learn it when they are back.  What is still stored goes in the background.
 *  INVALID; UNAVAILABLE: nothing was dropped; TIMEOUT: outcome unknown.  On any shard. */
void node_drop_bucket(struct node *node, struct bytes type, struct bytes bucket,
                      node_answer_fn on_answer, void *context);

/* --- the shape of the cluster --------------------------------------------------------------- */

/** Get a change decided by the cluster's voters (cluster/epoch/change.h).  OK when this shard has
 *  adopted an epoch that holds it, or held it before; TIMEOUT: it may still come to be decided.
 *  The statuses of change_apply when it is refused; UNSUPPORTED where the node has no disk for
 *  epochs.  On any shard. */
void node_change_epoch(struct node *node, const struct change_request *request,
                       node_answer_fn on_answer, void *context);
/** What change_plan would be asked with. */
struct change_options node_change_options(const struct node *node);

/** What a commit would do. */
struct node_plan {
    const struct epoch *epoch; /* that it begins with; NULL: nothing could be planned */
    const struct change_plan *plan;
    bool filled; /* `plan` can be shown, also where `status` refuses it */
    kvorum_status status;
    const char *why; /* for people; "": see the status */
};
/** All of `plan` lives until it returns. */
typedef void (*node_plan_fn)(void *context, const struct node_plan *plan);
/** At once, or where it takes long after it was planned in a job; in any case once, also when the
 *  node ends before.  On any shard. */
void node_plan(struct node *node, node_plan_fn on_plan, void *context);
/** Compare what all shards of this node hold with every other owner now, or of one bucket only
 *  (`bucket` empty: all).  Progress is in the counters: repair_demand_done of repair_demand_total
 *  pairs of replicas, repair_demand_failed of them in vain.  One that is under way is replaced. */
void node_repair(struct node *node, struct bytes type, struct bytes bucket);
/** Read all files of this node's stores now and check them.  Progress is in the counters:
 *  scrub_running shards are at it, and have read scrub_pass_size of about scrub_pass_total bytes;
 *  scrub_losses ranges of keys are in doubt for what was found.  Where a pass is under way another
 *  one follows. */
void node_scrub(struct node *node);
/** Give up what was lost with damaged files and no other member can have (scrub_lost of the counted
 *  scrub_losses): from now on such keys read as what is left of them.  What others are still asked
 *  for stays in doubt. */
void node_scrub_accept(struct node *node);
/** Wall clock when this shard's last pass ended; 0: none is known of. */
uint64_t node_scrub_last_ms(const struct node *node);
/** How tombstones are collected by rounds that this shard begins from now on. */
enum node_collecting {
    NODE_COLLECT_OLD, /* those that have the age; so it begins */
    NODE_COLLECT_NOTHING,
    NODE_COLLECT_ALL, /* however young */
};
void node_collect(struct node *node, enum node_collecting mode);
/** At a clean shutdown, after the last event and before the stores are synced: keeps the hash trees
 *  for the next start, which otherwise reads everything to compute them. */
void node_keep_trees(struct node *node);

/* --- events -------------------------------------------------------------------------------- */

void node_receive(struct node *node, struct net_address from, const struct message *message);
/** A datagram for shard 0, whoever sent it: at most NET_DATAGRAM_MAX bytes, checked for damage. */
void node_receive_datagram(struct node *node, struct bytes datagram);
/** Incarnations below `limit` are ours, durably. */
void node_incarnations_reserved(struct node *node, uint64_t limit);
/** A link to `member` was lost, or refused by its host. */
void node_link_lost(struct node *node, uint16_t member, bool refused);
/** A message that the net had taken for `member` did not leave, and will not: its link never came
 *  up.  To be told before node_link_lost. */
void node_unsent(struct node *node, uint16_t member, const struct message *message);
/** Only shard 0 detects failures; the process tells the other shards what it found. */
void node_set_liveness(struct node *node, uint16_t member, enum liveness_state state);
/** Timers.  Call when clock_monotonic_us reaches node_next_deadline_us, and not much later. */
void node_tick(struct node *node);
uint64_t node_next_deadline_us(struct node *node);
/** At the end of loop iterations, above all those in which a job ended: starts group commits. */
void node_flush(struct node *node);

/* --- looking in ---------------------------------------------------------------------------- */

/** True once operations are taken: the shards of a node learn the buckets' properties from shard 0
 *  first, and answer NOT_READY until then.  A JOINING node is ready to be talked to, and goes on
 *  answering NOT_READY until it has learnt them from another member. */
bool node_ready(const struct node *node);
/** Operations are taken here: the buckets' properties are known. */
bool node_serves(const struct node *node);
enum liveness_state node_liveness(const struct node *node, uint16_t member);
/** Microseconds since the state of `member` began. */
uint64_t node_liveness_since_us(const struct node *node, uint16_t member);
/** The one in force here; valid until the next event. */
const struct epoch *node_epoch(const struct node *node);
/** What it writes under by now. */
uint64_t node_actor(const struct node *node);
uint16_t node_self(const struct node *node);
/** The local wall clock through the node's seam. */
uint64_t node_wall_ms(const struct node *node);
const struct node_limits *node_limits(const struct node *node);
/** The number of an epoch by which this node is no member any more: it serves nothing, and
 *  node_epoch stays what it was.  0: it is one. */
uint64_t node_left_epoch(const struct node *node);

/* Else every row would be indented below the one before. */
/* clang-format off */
#define NODE_COUNTER_LIST(X)                                                                       \
    X(gets) X(puts) X(deletes) X(lists)                                                            \
    X(get_not_found) X(get_siblings) X(get_errors) X(put_errors)                                   \
    X(timeouts) X(unavailable)                                                                     \
    X(replica_gets) X(replica_merges) X(replica_merges_needless) X(own_gets) X(own_puts)           \
    X(forwards) X(read_repairs) X(stand_in_writes)                                                 \
    X(hints_stored) X(hints_delivered) X(hints_rerouted) X(hints_refused) X(hints_destroyed)       \
    X(hint_failures) X(hints_waiting) X(hints_waiting_size) X(hint_marks) X(hint_marks_settled)    \
    X(messages_in) X(messages_out) X(messages_refused) X(messages_bad)                             \
    X(streams_received) X(stream_keys) X(stream_bytes) X(handoff_left)                             \
    X(epochs_adopted) X(epoch_refusals) X(epoch_waits) X(epoch_votes) X(reopened)                  \
    X(datagrams_in) X(datagrams_out)                                                               \
    X(gossip_health) X(gossip_incarnation) X(gossip_suspicions) X(gossip_deaths)                   \
    X(gossip_refutations) X(gossip_own_pauses) X(gossip_unlisted) X(gossip_dropped)                \
    X(repair_exchanges) X(repair_failures) X(repair_keys_compared) X(repair_keys_differing)        \
    X(repair_fetched) X(repair_pushed) X(repair_bytes_out) X(repair_bytes_in)                      \
    X(repair_scans) X(repair_scanned_keys) X(repair_leaves_doubted) X(repair_tree_memory)          \
    X(repair_demands) X(repair_demand_total) X(repair_demand_done) X(repair_demand_failed)         \
    X(scrub_passes) X(scrub_running) X(scrub_pass_size) X(scrub_pass_total) X(scrub_size)          \
    X(scrub_blocks) X(scrub_damaged) X(scrub_mended) X(scrub_unmended) X(scrub_losses)             \
    X(scrub_refilled)                                                                              \
    X(scrub_demands) X(scrub_lost) X(scrub_accepted) X(drops_refused) X(reclaimed_size)            \
    X(reclaims_due)                                                                                \
    X(tombstones_collected) X(tombstones_kept) X(collect_passes) X(collect_rounds)                 \
    X(collect_refused) X(collect_silent) X(collect_behind) X(fence_refusals) X(fence_refills)      \
    X(expired) X(siblings_refused) X(too_large) X(overloaded) X(disk_errors) X(disk_reads)         \
    X(requests_active)
/* clang-format on */

struct node_counters {
#define X(name) uint64_t name;
    NODE_COUNTER_LIST(X)
#undef X
};

/** What this shard holds for a member that is, or was, away. */
struct node_hints {
    uint64_t count, size; /* size: bytes of the objects */
    uint64_t oldest_ms;   /* wall clock when the oldest was taken; 0: there is none */
    uint64_t marks;       /* partitions to be compared, because hints were dropped */
};
void node_hints(const struct node *node, uint16_t member, struct node_hints *ret_hints);

const struct node_counters *node_counters(const struct node *node);
/** Latency of finished operations at this coordinator, microseconds. */
const struct histogram *node_latency(const struct node *node, enum operation_kind kind);

/* --- answers ------------------------------------------------------------------------------- */

/** The opaque context of an answer's object (empty without one). */
void answer_context(const struct answer *answer, struct buffer *buffer);

#endif
