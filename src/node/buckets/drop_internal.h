/* SPDX-License-Identifier: Apache-2.0 */
/** What drop*.c share.  What others call, and the map: drop.h. */
#ifndef NODE_DROP_INTERNAL_H
#define NODE_DROP_INTERNAL_H

#include "node/buckets/drop.h"
#include "node/internal.h"

enum {
    DROP_ASK_DECIDE = 1, /* to shard 0 of the same node: do it for me */
    DROP_ASK_PROMISE,    /* to every member: may it be this one? */
    DROP_ASK_AGAIN_US = 500 * 1000,
};

/** Of one shard. */
struct drops {
    uint64_t promised; /* the latest generation, of any bucket, that was promised to anybody */
    uint16_t to;       /* and to whom */
    struct list errands;
};

/** One that is being decided, on shard 0; on the others only who waits. */
struct drop {
    struct bytes type, bucket;
    uint64_t generation; /* what the others are asked for */
    uint64_t refused;    /* the latest that somebody else knows of */
    uint64_t end_us;     /* given up */
    bool storing;        /* decided, as far as others are concerned */
    bool going_round;    /* stored, and on its way through the shards */
    unsigned refusals;   /* so far */
    bool again;          /* the next attempt begins when the timer says so */
    bool *agreed;        /* by member; NULL: shard 0 does it for us */
};

/** For another shard of this node. */
struct drop_errand {
    struct list link; /* node->drops->errands */
    struct node *node;
    struct net_address to;
    uint64_t request_id;
};

/* drop_decide.c */
void drop_end(struct node *node, struct request *request, kvorum_status status, const char *reason);
/** Ask everybody for a generation above whatever was heard of. */
void drop_attempt(struct node *node, struct request *request);

/* drop_begin.c */
/** Shard `from` of this node asks for it, and is answered. */
void drop_run_errand(struct node *node, struct net_address from, uint64_t request_id,
                     const Peer__Drop *asked);

/* drop_promise.c */
void drop_answer(struct node *node, struct net_address to, uint64_t request_id,
                 kvorum_status status, const char *reason, uint64_t generation);

#endif
