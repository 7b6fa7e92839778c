/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of node/ share.
 *
 *      node.c        create, destroy, dispatch of messages, timers
 *      request.c     the pool of requests, their ids and deadlines
 *      zones.c       who is near, and levels by zone
 *      placement.c   which members a request talks to; addresses of keys in stores
 *      fetch.c       reads that would wait for the disk, and who waits for them
 *      replica.c     this shard as a replica: read, merge, and acknowledge when durable
 *      read.c        coordinating a get            write.c    coordinating a put
 *      forward.c     puts that another node must coordinate
 *      reopen.c      requests that met a newer epoch begin again by it
 *      composite.c   operations made of a read and a write (delete, conditional put)
 *      list.c        listing keys and buckets      reason.c   texts for people
 *      properties.c  bucket properties as values   property_*.c  their replicated table
 *      drop.h        generations of buckets: dropping one, and reclaiming what it held
 *      expiry.c      values whose deadline has come
 *      hints.h       objects held for members that were away
 *      gossip.c      failure detection
 *      epochs.h      the epoch in force, and how it changes
 *      left.c        the end of a membership
 *      handoff.h     partitions on their way to or from this member
 *      repair*.c     anti-entropy: map in repair.h
 *      collect*.c    tombstones that may go: map in collect.h
 *      tasks.h       the register of background work
 *      scrub*.c      rot of stores, and refilling what is lost: map in scrub.h
 */
#ifndef NODE_INTERNAL_H
#define NODE_INTERNAL_H

#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/histogram.h"
#include "base/list.h"
#include "base/map.h"
#include "cluster/replication/get.h"
#include "cluster/replication/put.h"
#include "codec/peer.pb-c.h"
#include "node/epochs.h"
#include "node/fetch.h"
#include "node/handoff.h"
#include "node/node.h"
#include "object/hlc.h"

enum {
    SCRATCH_LIMIT = 1 << 30,
    REQUEST_ARENA_LIMIT = 1 << 30,
    TARGETS_MAX = REPLICAS_MAX,
    UNABLE_MAX = 8,           /* members that one write is not sent to again */
    KEPT_SIZE_MAX = 64 << 20, /* of writes that are with another member */
    PLACEMENT_OWNERS_MAX = 2 * RING_OWNERS_MAX,
    OPERATION_KINDS = 4,
};

/* Internal operation flag, above the public ones: another shard chose us to coordinate. */
enum { OPERATION_FORWARDED = 1 << 16 };

/* --- requests ------------------------------------------------------------------------------- */

enum request_kind {
    REQUEST_GET = 1,
    REQUEST_PUT,
    REQUEST_FORWARD,
    REQUEST_COMPOSITE,
    REQUEST_LIST,
    REQUEST_PROPERTIES,
    REQUEST_HINT,
    REQUEST_CHANGE, /* of the epoch, handed to shard 0 */
    REQUEST_STREAM, /* of a moving partition, that comes in */
    REQUEST_REPAIR,
    REQUEST_SUSPECT,
    REQUEST_TASKS,
    REQUEST_DROP,
};

/** One member a request talks to. */
struct target {
    struct net_address address;
    bool local;            /* this very shard */
    bool stand_in;         /* not an owner of the partition */
    uint16_t owner;        /* stand_in: the owner it stands in for */
    bool in_hand;          /* GET: the object, or the certainty that there is none, is here */
    struct bytes encoding; /* GET: the object as received, empty: none */
    uint64_t fence;        /* GET: under which that was read */
    bool asked_again;      /* GET: what it sent first was older than what was collected */
};

struct key_address {
    struct bytes type, bucket, key;
    uint32_t partition;
    uint64_t generation; /* of the bucket: node/drop.h */
};

struct request {
    struct map_item by_id;
    struct list link; /* node->active, or node->free_requests */
    struct heap_item timer;
    struct arena arena;
    enum request_kind kind;
    bool registered; /* in the map and the list; in the heap once anybody asked when to wake us */
    bool timed;      /* its timer was in the heap once, and is unless it is being woken */
    bool answered;   /* the client has its answer, or is gone */
    uint64_t id;
    uint64_t start_us;
    uint64_t epoch;                /* number of the one that its targets are of */
    enum operation_kind operation; /* what the latency is counted as */
    node_answer_fn on_answer;
    void *context;

    /* GET and writes: to begin again by a newer epoch (reopen.c), or at another member */
    uint64_t deadline_us;       /* the client's */
    struct quorum_levels asked; /* by the client */
    uint64_t newer;             /* the newest epoch by which it was refused; 0: by none */
    uint8_t attempt;            /* counts beginnings; answers to an earlier one are late */
    bool parked;                /* it waits for that epoch, or for the end of this event */
    bool pinned;                /* it must happen in generation `pin` of the bucket */
    uint64_t pin;
    bool resumed, held;          /* PUT: it was made in an earlier round; somebody may have it */
    kvorum_status verdict;       /* parked: what is answered if the epoch does not come in time */
    struct operation *kept;      /* in the arena; NULL: not kept */
    size_t kept_size;            /* of node->kept_size */
    uint16_t unable[UNABLE_MAX]; /* members that said they cannot coordinate it */
    uint8_t unable_count;
    kvorum_status unable_status; /* what the last of them said */

    struct key_address address;
    struct quorum quorum;
    struct object_mode mode;
    enum handoff_strategy strategy; /* of the bucket */
    uint32_t ttl_seconds;           /* of the bucket; 0: none */
    uint32_t flags;
    struct quorum other;     /* writes, while the partition moves: see cluster/replication/put.h */
    uint32_t set, other_set; /* the same; zero: it does not */
    uint8_t places;          /* targets at the front that have, or stand in, an owner's place */
    uint8_t target_count;
    uint8_t stand_in_acks;
    uint32_t lost; /* reads: targets that say that they had it, and nobody else */
    struct target targets[TARGETS_MAX];
    union {
        struct get get;
        struct put put;
        struct {
            uint16_t member;
        } forward;
        struct composite *composite;
        struct listing *listing;
        struct property_update *property_update;
        struct hint_turn *hint;
        struct inquiry *inquiry;
        struct inbound *inbound;
        struct repair_push *push;
        struct task_round *round;
        struct drop *drop;
    };
    struct bytes encoding; /* PUT: the object being written; GET: the merged one after the reply */
    uint64_t before;       /* PUT: repair_digest of what it replaces here */
    uint64_t fence;        /* PUT: under which `encoding` was read */
    uint64_t collected;    /* GET: the newest round that took something, by the answers */
    uint32_t fence_drops;  /* PUT: collect_drops when it was made */
    uint32_t fenced;       /* PUT: targets that refused what was read under an older fence */
};

/** What this shard knows of a member. */
struct node_peer {
    enum liveness_state state;
    uint64_t since_us;
};

struct gossip; /* gossip.c */

struct node {
    struct node_config config;
    struct hlc hlc;
    struct random random;
    uint64_t next_id;
    uint64_t now_us;     /* of the event being handled */
    size_t kept_size;    /* of operations kept while other members coordinate them */
    bool reopen_due;     /* some parked request may go on */
    unsigned depth;      /* nested entries: answers may submit again */
    bool ready;          /* the buckets' properties are known: operations are taken */
    uint64_t left_epoch; /* by which it is no member any more (left.c); 0: it is one */
    bool newcomer;       /* JOINING: they are learnt from other members first */
    bool poisoned_reported;
    bool poisoned[NODE_STORES_MAX]; /* by store: it takes no writes before a restart, and may lack
                                     * what others took since */
    struct map requests;
    struct list active, free_requests;
    struct list *untimed; /* the first in `active` whose timer is not in the heap, or its head */
    struct heap timers;
    struct heap_item gossip_timer, hint_timer, sync_timer, room_timer, repair_timer, expiry_timer;
    struct list commits, free_commits;
    struct list errands; /* writes coordinated for others */
    struct {
        struct quorum_levels asked, bucket;
        uint16_t owner_limit;
        struct quorum quorum;
    } resolved; /* the last levels, and what came out: nearly all requests ask for the same */
    struct arena scratch;
    struct buffer body, encoding;
    struct list readings;   /* jobs under way */
    struct map fetch_lines; /* fetch.h: by key */
    size_t fetch_size;      /* of what waits */
    struct list roomless;   /* lines whose first waits for room in its store */
    uint64_t room_since_us; /* of the message being handled: it has waited so long; 0: not yet */
    struct fetch_line *serving;
    struct fetch_line *fetch_pass; /* of `serving`, until it has read its key */
    bool fetch_in_line;            /* the last WOULD_BLOCK was the line's, not the disk's */
    struct engine_batch *batch;
    struct gossip *gossip; /* shard 0 */
    struct node_peer *peers;
    struct epochs *epochs;
    struct handoff *handoff;
    struct property_table *properties;
    struct hints *hints;
    struct repair *repair;
    struct lives *lives; /* lives.h; shard 0 */
    struct tasks *tasks;
    struct scrub *scrub;
    struct drops *drops;
    struct reclaim *reclaim;
    struct collect *collect;
    struct node_counters counters;
    struct histogram latency[OPERATION_KINDS];
};

/* left.c */
/** By `epoch`, a newer one, this member is none. */
bool left_by(const struct node *node, const struct epoch *epoch);
void left_begin(struct node *node, uint64_t number);
/** A message of a stranger who goes by `number`: if he was a member, he may not know better. */
void left_tell(struct node *node, struct net_address from, uint64_t number);
/** For clients, with GONE. */
const char *left_reason(struct node *node);

/* node.c */
/** Nobody will answer any more. */
void node_fail_all(struct node *node);
void node_enter(struct node *node);
void node_leave(struct node *node);
bool node_send(struct node *node, struct net_address to, uint8_t kind, uint64_t request_id,
               struct bytes body, struct bytes tail);
/** In the name of `request`, whose targets count by the epoch that they are of: a member that knows
 *  a newer one for the partition refuses, whatever this member has adopted since. */
bool request_send(struct node *node, const struct request *request, struct net_address to,
                  uint8_t kind, struct bytes body, struct bytes tail);
/** The owners of its key, or how they are asked, have changed since `request` chose its targets:
 *  our own store is no replica of it any more. */
bool request_is_outdated(const struct node *node, const struct request *request);
/** An answer to what `request` asked before it began again. */
static inline bool request_is_earlier(const struct request *request, const struct message *answer)
{
    return request->parked || (request->attempt > 0 && answer->epoch < request->epoch);
}
/** Let it live on beyond this call, until its deadline_us.  False: no memory. */
bool request_keep(struct node *node, struct request *request);
/** Handle a message whose epoch has been looked at. */
void node_dispatch(struct node *node, struct net_address from, const struct message *message);
/** Pack a protobuf message into node->body and return it; empty on failure. */
struct bytes node_pack(struct node *node, const ProtobufCMessage *message);
/** Unpack with the scratch arena; NULL when it is malformed. */
void *node_unpack(struct node *node, const ProtobufCMessageDescriptor *descriptor,
                  struct bytes body);

/* request.c */
struct request *request_open(struct node *node, enum request_kind kind);
void request_close(struct node *node, struct request *request);
/** Make `request` findable by its id and wake it at `deadline_us`; false when out of memory. */
bool request_register(struct node *node, struct request *request, uint64_t deadline_us);
/** Give a registered request another deadline. */
void request_postpone(struct node *node, struct request *request, uint64_t deadline_us);
/** Put the timers of all registered requests into the heap. */
void request_set_timers(struct node *node);
struct request *request_find(struct node *node, uint64_t id, enum request_kind kind);
void request_answer(struct node *node, struct request *request, const struct answer *answer);
void request_timeout(struct node *node, struct request *request);
int request_target_of(const struct request *request, uint16_t member);

/* zones.c */
/** `member` is this one, or of its zone. */
bool zones_is_near(const struct node *node, uint16_t member);
/** Put those of the places that are nearest to the front, in an order that is stable. */
void zones_order(const struct node *node, struct request *request);
/** Once the targets are known: what the levels by zone in request->quorum and ->other need here.
 *  QUORUM_IMPOSSIBLE, with the level and a text, where the zone of this member has no owner. */
kvorum_status zones_resolve(struct node *node, struct request *request, const char **ret_level,
                            const char **ret_reason);
/** For the machines; nothing where no level is about zones. */
void zones_fill(const struct node *node, const struct request *request, struct target_zones *ret);
/** A write whose coordinator must be of this zone. */
bool zones_must_be_near(const struct request *request);
/** Which zones gave too few answers for `level`; false, and no text: it does not fail by zones. */
bool zones_append_lacking(struct node *node, const struct request *request, const char *level,
                          struct buffer *text);

/* placement.c */
/** The generation is the bucket's first: who means another one says so. */
bool placement_address(struct node *node, struct bytes type, struct bytes bucket, struct bytes key,
                       struct key_address *ret_address);
/** Let the views of `address` live as long as `arena`.  False: no memory. */
bool address_copy(struct arena *arena, struct key_address *address);
struct engine *placement_store(struct node *node, uint32_t partition); /* NULL: not this shard's */
/** Resolve levels for the owners of request->address into request->quorum, and for a write to a
 *  partition that moves into request->other.  QUORUM_IMPOSSIBLE names the level. */
kvorum_status placement_quorum(struct node *node, struct request *request,
                               const struct quorum_levels *asked,
                               const struct quorum_levels *bucket, const char **ret_level);
/** The owners of `partition` for buckets with `n` replicas; while it moves those until now and
 *  those to come, each once.  Returns how many. */
uint16_t placement_owners(const struct node *node, uint32_t partition, uint8_t n,
                          uint16_t ret_owners[PLACEMENT_OWNERS_MAX]);
bool placement_is_owner(const struct node *node, uint32_t partition, uint8_t n, uint16_t member);
/** Fill request->targets for its address and quorum: those whom a read asks, or a write. */
void placement_read_targets(struct node *node, struct request *request);
void placement_write_targets(struct node *node, struct request *request);
struct net_address placement_of(struct node *node, uint16_t member, uint32_t partition);
bool placement_reachable(struct node *node, uint16_t member);
/** Store keys: 'o' partition u16 type-size u8 type bucket-size u16 bucket [generation u64] key,
 *  numbers big-endian; the generation is there where the top bit of the bucket's size is set. */
struct bytes store_key(struct arena *arena, const struct key_address *address);
/** The smallest key above everything that starts with `prefix`, which has a byte below 0xff. */
struct bytes store_key_end(struct arena *arena, struct bytes prefix);
bool store_key_parse(struct bytes key, struct key_address *ret_address);

/* replica.c */
struct replica_read {
    struct engine_view view; /* give back with engine_release when `held` */
    bool held;
    struct bytes encoding; /* empty: no such key */
};
/** WOULD_BLOCK as from fetch_view: replica_wait, before anything was done. */
kvorum_status replica_read(struct node *node, const struct key_address *address,
                           struct replica_read *ret_read);
/** The partition's store takes no writes any more. */
bool replica_is_poisoned(const struct node *node, uint32_t partition);
/** Put off by an event that replica_read told WOULD_BLOCK.  `fetch` may be NULL: OVERLOADED. */
kvorum_status replica_wait(struct node *node, const struct key_address *address,
                           struct fetch *fetch);

enum commit_kind {
    COMMIT_NOTHING,
    COMMIT_ANSWER,
    COMMIT_TARGET,
    COMMIT_PROPERTIES,
    COMMIT_PROPERTIES_ANSWER,
    COMMIT_STREAM, /* of an incoming stream's record */
    COMMIT_TENURE, /* request_id: the partition */
    COMMIT_SUSPECT_ANSWER,
    COMMIT_LOSS, /* request_id: the store */
    COMMIT_GENERATION,
    COMMIT_PROMISE, /* of a generation */
    COMMIT_FENCE,   /* request_id: the partition; target: which promise */
};
/** What to do once a batch is as durable as asked. */
struct commit_plan {
    enum commit_kind kind;
    struct net_address to;   /* ANSWER, PROPERTIES_ANSWER, SUSPECT_ANSWER, PROMISE: to whom */
    uint64_t request_id;     /* these: the asker's; TARGET, PROPERTIES: ours */
    uint8_t target, attempt; /* TARGET */
    kvorum_status verdict;   /* ANSWER: said instead of OK */
    uint64_t generation;     /* PROMISE */
};
enum engine_durability replica_durability(const struct node *node, bool must_sync);
kvorum_status replica_submit(struct node *node, struct engine *store,
                             const struct engine_batch *batch, enum engine_durability durability,
                             const struct commit_plan *plan);
/** Store an object as it is, with the hint that goes with it when `stand_in`.  `before`: the
 *  repair_digest of what it replaces. */
kvorum_status replica_store(struct node *node, const struct key_address *address, uint64_t before,
                            struct bytes encoding, const struct target *target, bool must_sync,
                            const struct commit_plan *plan);
/** Merge `encoding`, which was read under `fence`, into what is stored and acknowledge by `plan`.
 *  WOULD_BLOCK as replica_read; FENCED.
 *  `ret_digest`: object_digest of what is stored when it is OK; or NULL. */
kvorum_status replica_merge(struct node *node, const struct key_address *address,
                            struct bytes encoding, uint64_t fence, const struct target *target,
                            bool must_sync, const struct commit_plan *plan, uint64_t *ret_digest);
/** The same for nobody's sake, now or when it would not block. */
void replica_merge_quietly(struct node *node, const struct key_address *address,
                           struct bytes encoding, uint64_t fence);
void replica_on_get(struct node *node, struct net_address from, const struct message *message);
void replica_on_merge(struct node *node, struct net_address from, const struct message *message);
void replica_done(struct node *node);

/* read.c, write.c, forward.c, composite.c */
uint64_t read_start(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                    void *context);
void read_on_answer(struct node *node, struct net_address from, const struct message *message);
void read_on_failed(struct node *node, struct request *request, uint8_t target);
void read_on_deadline(struct node *node, struct request *request);
void read_reopen(struct node *node, struct request *request);

uint64_t write_start(struct node *node, const struct operation *operation, node_answer_fn on_answer,
                     void *context);
/** From the beginning, with what is kept of it: nothing has happened yet. */
uint64_t write_again(struct node *node, struct request *request);
void write_on_acknowledged(struct node *node, struct request *request, uint8_t target,
                           kvorum_status status, bool durable);
void write_on_answer(struct node *node, struct net_address from, const struct message *message);
void write_on_deadline(struct node *node, struct request *request);
/** A newer fence of `partition` was promised here: writes that others refused go out again. */
void write_on_promised(struct node *node, uint32_t partition);

/* write_again.c, and what it shares with write.c */
extern const char write_not_written[];
void write_reopen(struct node *node, struct request *request);
/** Resumed: give the object to our own store, target `at`. */
void write_store_again(struct node *node, struct request *request, uint8_t at);
/** write_object.c: what is stored and sent, into request->encoding.  `own`: our target.
 *  WOULD_BLOCK as from replica_read, before anything was done. */
kvorum_status write_make(struct node *node, struct request *request, int own,
                         const struct operation *operation);
/** The object to target `at`, another member or shard. */
void write_send(struct node *node, struct request *request, uint8_t at);
/** NULL: its time is over, and its timer answers, or has answered; or it has begun again. */
struct request *write_in_time(struct node *node, uint64_t id, uint8_t attempt);
/** write_fenced.c: target `at` promised a newer fence than that of the object. */
void write_on_fenced(struct node *node, struct request *request, uint8_t at);
/** Parked, and its time is over. */
void write_on_parked(struct node *node, struct request *request);
void write_step(struct node *node, struct request *request, struct put_event event);
bool write_settle(struct node *node, struct request *request);
int write_local_target(const struct request *request); /* -1: none */
/** Levels and targets, by the epoch in force; else what level cannot be met. */
kvorum_status write_place(struct node *node, struct request *request, const char **ret_level,
                          const char **ret_reason);
/** A new machine for the targets. */
void write_prepare(struct node *node, struct request *request);
/** Answer and close.  Returns 0. */
uint64_t write_refuse(struct node *node, struct request *request, kvorum_status status,
                      const char *level, const char *reason);

/** `request`, a write whose targets are known and of which nothing has happened yet, goes to one of
 *  them.  Returns its id, or 0 when it was answered already. */
uint64_t forward_begin(struct node *node, struct request *request,
                       const struct operation *operation);
/** Its member cannot coordinate it and nothing was written: another may. */
bool forward_is_inability(kvorum_status status);
bool forward_is_unable(const struct request *request, uint16_t member);
void forward_note_unable(struct request *request, uint16_t member, kvorum_status status);
void forward_on_request(struct node *node, struct net_address from, const struct message *message);
void forward_on_answer(struct node *node, struct net_address from, const struct message *message);
void forward_done(struct node *node);
void forward_on_lost(struct node *node, struct request *request);
void forward_on_unsent(struct node *node, struct request *request);

/** A copy that lives as long as `arena`.  False: no memory. */
bool operation_copy(struct arena *arena, const struct operation *from, struct operation *ret);
bool composite_needed(const struct operation *operation);
uint64_t composite_start(struct node *node, const struct operation *operation,
                         node_answer_fn on_answer, void *context);

/* list.c */
void list_on_request(struct node *node, struct net_address from, const struct message *message);
void list_on_answer(struct node *node, struct net_address from, const struct message *message);
void list_on_lost(struct node *node, struct request *request, uint16_t member);
void list_cancel(struct node *node, struct request *request);
void list_on_deadline(struct node *node, struct request *request);
void list_reopen(struct node *node, struct request *request);

/* reopen.c */
/** Refused by somebody who goes by epoch `newer`. */
void reopen_note(struct request *request, uint64_t newer);
/** Instead of failing with `verdict`: true when it will be begun again once this member goes by the
 *  epoch by which it was refused.  Until then it is `parked`, and its events mean nothing. */
bool reopen_later(struct node *node, struct request *request, kvorum_status verdict);
/** It begins anew, by the epoch in force. */
void reopen_begin(struct node *node, struct request *request);
/** At the end of an event that made some request ready (node->reopen_due). */
void reopen_run(struct node *node);

/* property_table.c */
kvorum_status property_table_open(struct node *node);
void property_table_close(struct node *node);
uint64_t property_table_digest(const struct node *node);
/** The largest n of any bucket. */
uint8_t property_table_largest_n(const struct node *node);
/** Bit n is set when some bucket may have n replicas. */
uint32_t property_table_ns(const struct node *node);
void property_table_get(struct node *node, struct bytes type, struct bytes bucket,
                        struct bucket_properties *ret_properties);
/** The same, and how the bucket treats concurrent values, as far as is known here. */
void property_table_mode(struct node *node, struct bytes type, struct bytes bucket,
                         struct bucket_properties *ret_properties, struct object_mode *ret_mode);
/** Of two members' words on one bucket's mode, the later decision. */
static inline struct object_mode mode_later(struct object_mode a, struct object_mode b)
{
    return b.since > a.since ? b : a;
}
void property_on_message(struct node *node, struct net_address from, const struct message *message);
void property_on_answer(struct node *node, struct net_address from, const struct message *message);
void property_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status);
void property_on_deadline(struct node *node, struct request *request);
/** A packet says what `member` has: all that we have, or something else. */
void property_on_digest(struct node *node, uint16_t member, uint64_t digest);
/** The list of members is another one. */
void property_on_members(struct node *node);
void property_on_death(struct node *node, uint16_t member);
void property_push(struct node *node, struct net_address to);
void property_pull(struct node *node);

/* hints.c, hints_replay.c, suspect*.c: see node/hints.h */
struct hint_queue;
/** What hints_add put into a batch; counted by hints_added before the store is given it, since the
 *  next event may come from inside. */
struct hint_change {
    struct hint_queue *queue; /* NULL: nothing */
    bool replaces;
    uint64_t replaced_size, size, order;
};
kvorum_status hints_open(struct node *node);
void hints_close(struct node *node);
/** Into the batch that stores the object under `key` (its store key): it is owed to `owner`.
 *  STORE_FULL: as much is owed to it as may be (hints_refuse); the batch is unchanged. */
kvorum_status hints_add(struct node *node, struct engine_batch *batch, uint16_t owner,
                        uint32_t partition, struct bytes key, uint64_t size,
                        struct hint_change *ret_change);
void hints_added(struct node *node, const struct hint_change *change);
void hints_not_added(struct node *node, const struct hint_change *change); /* refused after all */
/** Instead of the write: a durable mark, then the refusal goes where `plan` says.  STORE_FULL where
 *  that is left to the caller, who coordinates the write. */
kvorum_status hints_refuse(struct node *node, const struct key_address *address, uint16_t owner,
                           const struct commit_plan *plan);
/** What this shard stores under `address`, of `size` bytes, is owed to `owner`: a hint, or a
 *  mark. */
void hints_owe(struct node *node, const struct key_address *address, uint16_t owner, uint64_t size);
/** The same where this shard does not store it (any more): a mark. */
void hints_suspect(struct node *node, uint32_t partition, uint16_t owner);
/** Returns when to be called again. */
uint64_t hints_tick(struct node *node);
void hints_on_acknowledged(struct node *node, struct request *request, kvorum_status status,
                           bool durable);
/** Tombstones of the partition made before `until_ms` (wall clock) are gone: hints from before then
 *  will be destroyed, not delivered.  In memory: whoever collects says it again after a restart. */
void hints_on_collected(struct node *node, uint32_t partition, uint64_t until_ms);
/** Every object of the partition was compared with `member` and brought over, for buckets with any
 *  number of replicas, since it was last suspected: marks of it are settled. */
void hints_compared(struct node *node, uint32_t partition, uint16_t member);
void suspect_on_request(struct node *node, struct net_address from, const struct message *message);
void suspect_on_answer(struct node *node, struct net_address from, const struct message *message);
void suspect_on_deadline(struct node *node, struct request *request);
void suspect_answer(struct node *node, struct net_address to, uint64_t request_id,
                    kvorum_status status);

/* expiry.c */
bool expiry_open(struct node *node);
void expiry_tick(struct node *node);
/** Into the batch that stores `encoding` under `key`: when to look at it again. */
kvorum_status expiry_add(struct node *node, struct engine_batch *batch, struct bytes key,
                         struct bytes encoding);
/** Deadlines until then are over by every clock of the cluster. */
uint64_t expiry_passed_ms(const struct node *node);
struct bytes expiry_from_insert(struct node *node, struct bytes encoding); /* a planted mistake */

/* epochs_change.c */
void epochs_on_deadline(struct node *node, struct request *request);

/* gossip.c */
kvorum_status gossip_open(struct node *node);
void gossip_close(struct node *node);
/** Shard 0: anything but a packet. */
void gossip_step(struct node *node, enum swim_event_kind kind, uint16_t member);
void gossip_on_message(struct node *node, struct net_address from, const struct message *message);
/** Put `epoch` into force for the gossip and node->peers: config.epoch is then `epoch`, in which we
 *  have our old slot.  NO_MEMORY: nothing changed. */
KVORUM_CHECKED kvorum_status gossip_members_changed(struct node *node, const struct epoch *epoch);
/** How long it usually takes at most until a member that fell silent is known to be dead. */
uint64_t gossip_patience_us(const struct node *node);

/* reason.c: texts for people, in the scratch arena */
const char *reason_invalid(struct node *node, const char *what);
const char *reason_quorum(struct node *node, const struct request *request, kvorum_status status,
                          const char *level, uint8_t answered, uint8_t needed);
const char *reason_printf(struct node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** "pets/cat", shortened and made printable. */
const char *reason_key(struct node *node, const struct key_address *address);

#endif
