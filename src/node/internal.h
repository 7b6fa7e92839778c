/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of node/ share.
 *
 *      node.c       create, destroy, what brackets every call
 *      submit.c     operations in                 dispatch.c   messages in and out
 *      timers.c     time                          links.c      links that break
 *      inspect.c    looking in                    reason.c     texts for people
 *      request.c    the pool of requests, their ids and deadlines
 *
 *  The doors of the rooms (README.md) that nearly all of them use are opened here too.
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
#include "node/buckets/property_table.h"
#include "node/coordinate/coordinate.h"
#include "node/epochs/epochs.h"
#include "node/handoff/handoff.h"
#include "node/hints/owed.h"
#include "node/members/members.h"
#include "node/node.h"
#include "node/placement/placement.h"
#include "node/replica/fetch.h"
#include "node/replica/replica.h"
#include "object/hlc.h"

enum {
    SCRATCH_LIMIT = 1 << 30,
    REQUEST_ARENA_LIMIT = 1 << 30,
    TARGETS_MAX = REPLICAS_MAX,
    UNABLE_MAX = 8,           /* members that one write is not sent to again */
    KEPT_SIZE_MAX = 64 << 20, /* of writes that are with another member */
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
    REQUEST_RECOVER, /* handed to shard 0 */
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

/** The owner that it is, or stands in for. */
static inline uint16_t target_owner(const struct target *target)
{
    return target->stand_in ? target->owner : target->address.member;
}

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
    uint8_t steps_open;          /* PUT: steps of its machine that are being carried out */
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
        struct recover_wish *recover;
    };
    struct bytes encoding; /* PUT: the object being written; GET: the merged one after the reply */
    uint64_t before;       /* PUT: repair_digest of what it replaces here */
    uint64_t fence;        /* PUT: under which `encoding` was read */
    uint64_t collected;    /* GET: the newest round that took something, by the answers */
    uint32_t fence_drops;  /* PUT: collect_drops when it was made */
    uint32_t fenced;       /* PUT: targets that refused what was read under an older fence */

    /* last, since nearly all requests touch the first few alone: hundreds are in flight */
    struct target targets[TARGETS_MAX];
    struct target_zones zones; /* where they stand; zones_fill */
};

/** What this shard knows of a member. */
struct node_peer {
    enum liveness_state state;
    uint64_t since_us;
};

struct gossip;

struct node {
    struct node_config config;
    struct hlc hlc;
    struct random random;
    uint64_t next_id;
    uint64_t now_us;     /* of the event being handled */
    uint64_t life_actor; /* of this life alone; config.actor may be taken up from the one before */
    size_t kept_size;    /* of operations kept while other members coordinate them */
    bool reopen_due;     /* some parked request may go on */
    unsigned depth;      /* nested entries: answers may submit again */
    bool ready;          /* the buckets' properties are known: operations are taken */
    uint64_t left_epoch; /* by which it is no member any more (left.c); 0: it is one */
    bool newcomer;       /* JOINING: they are learnt from other members first */
    bool refusal_reported;
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
    struct lives *lives;     /* lives.h; shard 0 */
    struct recover *recover; /* recover.h; shard 0 */
    struct tasks *tasks;
    struct scrub *scrub;
    struct drops *drops;
    struct reclaim *reclaim;
    struct collect *collect;
    struct node_counters counters;
    struct histogram latency[OPERATION_KINDS];
};

/* links.c */
/** Nobody will answer any more. */
void node_fail_all(struct node *node);

/* node.c */
void node_enter(struct node *node);
void node_leave(struct node *node);

/* dispatch.c */
bool node_send(struct node *node, struct net_address to, uint8_t kind, uint64_t request_id,
               struct bytes body, struct bytes tail);
/** In the name of `request`, whose targets count by the epoch that they are of: a member that knows
 *  a newer one for the partition refuses, whatever this member has adopted since. */
bool request_send(struct node *node, const struct request *request, struct net_address to,
                  uint8_t kind, struct bytes body, struct bytes tail);
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
/** What request_find would say, of a request that had that id once: who has one needs no search.
 *  Its memory lives as long as the node and gets other ids. */
static inline bool request_is(const struct request *request, uint64_t id, enum request_kind kind)
{
    return request->registered && request->id == id && request->kind == kind;
}
void request_answer(struct node *node, struct request *request, const struct answer *answer);
void request_timeout(struct node *node, struct request *request);
int request_target_of(const struct request *request, uint16_t member);
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
/** When the time of an operation that comes now is over. */
uint64_t request_time_over_us(const struct node *node, const struct operation *operation);

/* reason.c: texts for people, in the scratch arena */
const char *reason_invalid(struct node *node, const char *what);
const char *reason_quorum(struct node *node, const struct request *request, kvorum_status status,
                          const char *level, uint8_t answered, uint8_t needed);
const char *reason_printf(struct node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** A level that a bucket with `n` replicas cannot have here. */
const char *reason_impossible(struct node *node, const char *level, uint32_t n);
/** "pets/cat", shortened and made printable. */
const char *reason_key(struct node *node, const struct key_address *address);

#endif
