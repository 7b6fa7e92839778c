/* SPDX-License-Identifier: Apache-2.0 */
/** One exchange: a member compares its replica of a partition with another member's and makes both
 *  hold the merge of the two.  A step function on the side that began; the other side only answers
 *  questions about its tree, its keys and its objects, and remembers nothing.
 *
 *      NODES     ask the root; of what differs the children, down to the leaves
 *      SETTLING  wait: what was on its way to one of us arrives
 *      LEAVES    ask the leaves that differed once more; only those that still do go on
 *      KEYS      list the keys of these leaves on both sides, a page of the key range at a time:
 *                digest and newest stamp of each
 *      ACTING    for each key that differs
 *                  only they have it, or theirs is newer    fetch, merge here; where that made
 *                                                           something new of both, push it
 *                  only we have it, or ours is newer        push, they merge; then fetch where
 *                                                           that made something new of both
 *                then the next page
 *      FINISHED
 *
 *  So an object travels once, in the direction that makes sense, and only where it differs; twice
 *  where both sides have something.  Stamps decide nothing but who sends first.  Nobody overwrites:
 *  whoever receives an object merges it by version.
 *
 *  An object that is no longer what was compared is left alone: somebody is writing it.
 *
 *  A question that is not answered in time is asked again, from where the exchange stood, and the
 *  third time ends it.  Answers to earlier questions change nothing.
 *
 *  Sources: Merkle 1987; Demers et al. 1987 for anti-entropy with resolution in both directions;
 *  that only stable differences count is Riak's.
 *
 *  Memory: 17 KiB, and a page of keys in the caller's arena.  Units: microseconds, bytes. */
#ifndef CLUSTER_REPAIR_EXCHANGE_H
#define CLUSTER_REPAIR_EXCHANGE_H

#include "cluster/repair/tree.h"

enum {
    EXCHANGE_BATCH_MAX = 64, /* objects fetched or pushed at a time */
    EXCHANGE_PAGE_MAX = 4096 /* keys a side and page */
};

enum exchange_state {
    EXCHANGE_NEW,
    EXCHANGE_NODES,
    EXCHANGE_SETTLING,
    EXCHANGE_LEAVES,
    EXCHANGE_KEYS,
    EXCHANGE_ACTING,
    EXCHANGE_FINISHED,
};

enum exchange_event_kind {
    EXCHANGE_START,
    EXCHANGE_NODES_ANSWER,
    EXCHANGE_KEYS_ANSWER,
    EXCHANGE_OBJECT, /* what became of one difference: `index`, `result` */
    EXCHANGE_REFUSED,
    EXCHANGE_TICK,
};

/** A key of a wanted leaf. */
struct exchange_entry {
    struct bytes key;
    uint16_t leaf;
    uint64_t digest; /* never 0 */
    uint64_t stamp;  /* of the newest of its versions, in any unit */
};

/** The keys of one side behind the cursor, ascending.  `next`: where to go on; empty: no more. */
struct exchange_page {
    const struct exchange_entry *entries;
    uint32_t count; /* at most EXCHANGE_PAGE_MAX */
    struct bytes next;
};

enum exchange_result {
    EXCHANGE_MOVED, /* fetched and merged here, or pushed and acknowledged; `digest`: of ours now */
    EXCHANGE_LEFT,  /* nothing to fetch or push: it changed, or there is nothing new */
    EXCHANGE_LATER, /* there was no room for it in the answer */
    EXCHANGE_FAILED,
};

struct exchange_event {
    uint64_t now_us;
    enum exchange_event_kind kind;
    uint32_t question;            /* ANSWERs, OBJECT, REFUSED: the one they belong to */
    const struct hash_tree *tree; /* NODES_ANSWER: ours, current */
    const uint64_t *hashes;       /* NODES_ANSWER: of the nodes asked for, in their order */
    uint32_t hash_count;
    struct exchange_page ours, theirs; /* KEYS_ANSWER */
    uint32_t index;                    /* OBJECT: of the difference */
    enum exchange_result result;
    uint64_t digest;
    kvorum_status status; /* REFUSED: why; ends the exchange */
};

/** What is to be done for a key that differs. */
enum exchange_action {
    EXCHANGE_FETCH, /* theirs, if its digest still is `theirs` */
    EXCHANGE_PUSH,  /* ours, if its digest still is `ours` */
    EXCHANGE_CHECK, /* fetch theirs, unless its digest is `ours` */
    EXCHANGE_SETTLED,
};

struct exchange_difference {
    struct bytes key;
    uint64_t ours, theirs; /* digests; 0: no object */
    enum exchange_action action;
    bool waiting; /* in the batch under way */
};

enum exchange_ask {
    EXCHANGE_ASK_NOTHING,
    EXCHANGE_ASK_NODES,   /* `level`, `nodes`, `count` */
    EXCHANGE_ASK_KEYS,    /* of both sides: `leaves`, `after` */
    EXCHANGE_ASK_OBJECTS, /* fetch `differences` [nodes[i]], actions FETCH and CHECK */
    EXCHANGE_ASK_PUSH,    /* push them */
};

/** Everything pointed to is the machine's and holds until its next step. */
struct exchange_effects {
    enum exchange_ask ask;
    uint32_t question;
    uint8_t level;
    const uint16_t *nodes;   /* NODES */
    const uint32_t *indices; /* OBJECTS, PUSH: of differences */
    uint32_t count;
    const struct leaf_set *leaves;
    struct bytes after; /* empty: from the beginning */
    bool finished;
    kvorum_status status; /* OK, TIMEOUT, or that of REFUSED */
};

struct exchange_figures {
    uint64_t keys_compared, keys_differing;
    uint64_t fetched, pushed, left, failed; /* objects */
};

struct exchange {
    /* set by the caller before START, the rest zero */
    uint64_t settle_us;  /* how long a difference must have lasted; 0: act at once */
    uint64_t timeout_us; /* of a question */
    struct arena *arena; /* the machine's alone, until FINISHED */
    bool narrowed;       /* the caller lists some keys of a leaf only */
    uint32_t question;   /* any number to count on from */
    /* the machine's */
    enum exchange_state state;
    uint64_t deadline_us; /* TICK then */
    uint8_t tries;
    uint8_t level;
    uint16_t nodes[HASH_TREE_LEAVES];
    uint32_t node_count;
    struct leaf_set differing, explained; /* leaves that differed twice; in which a key differs */
    struct bytes after;
    bool last_page;
    struct exchange_difference *differences;
    uint32_t difference_count, settled_count; /* the first `settled_count` need nothing more */
    uint32_t batch[EXCHANGE_BATCH_MAX];
    uint32_t batch_count, waiting_count;
    bool progress; /* in this batch */
    struct exchange_figures figures;
};

void exchange_step(struct exchange *exchange, const struct exchange_event *event,
                   struct exchange_effects *ret);

/** After FINISHED with OK: leaves that differed twice although no key of them did.  One of the two
 *  trees does not say what its store holds, so both sides mark them (hash_tree_mark).  False: there
 *  are none. */
bool exchange_doubts(const struct exchange *exchange, struct leaf_set *ret_leaves);

#endif
