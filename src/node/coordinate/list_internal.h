/* SPDX-License-Identifier: Apache-2.0 */
/** Listing keys and buckets: each partition is asked of one live owner, owners one after another, a
 *  page at a time, so that nothing grows with the size of a bucket.
 *
 *      list.c            a client's listing: from its beginning over its pages to its end
 *      list_ask.c        the coordinator: asks for a page, then for the next
 *      list_coverage.c   which owner is asked for which partition, and what is asked for next
 *      list_replica.c    what a replica is asked: a scan, which becomes an answer
 *      list_page.c       what is on a page: read from the stores, by a job
 *
 *  A cursor is the store key at which to go on.  Keys of a partition are in the same order
 *  everywhere, so when a member fails in the middle of a partition another owner continues from the
 *  same cursor. */
#ifndef NODE_LIST_INTERNAL_H
#define NODE_LIST_INTERNAL_H

#include "node/internal.h"

/** Of a replica: the page behind `cursor` in `partitions` (ascending); those before the cursor's
 *  are done. */
struct list_question {
    enum list_kind kind;
    struct bytes type, bucket; /* LIST_BUCKETS: no bucket */
    struct bytes cursor;       /* empty: from the beginning */
    const uint32_t *partitions;
    size_t count;
};

/* --- list_page.c ----------------------------------------------------------------------------- */

enum { LIST_PAGE_ENTRIES = 1000 };

struct page {
    struct arena *arena; /* of the names */
    enum list_kind kind;
    struct object_mode mode; /* of the bucket, where there is one */
    uint64_t now_ms;         /* wall clock */
    uint32_t limit;
    struct bytes *names;
    uint64_t *generations; /* LIST_BUCKETS: in which each name was found */
    uint32_t count;
    size_t size;
    uint64_t counted;
    struct bytes next; /* empty: nothing follows */
};

/** A page being read.  What it points to is in the reading's arena. */
struct list_scan {
    struct reading reading; /* first */
    struct page page;
    struct list_question question;
    uint64_t generation;    /* of the bucket */
    struct engine **stores; /* of each of its partitions */

    /* who asked: another shard, or a listing here */
    uint64_t epoch; /* of the question */
    struct net_address from;
    uint64_t request_id;
    uint32_t number; /* the listing's, of the question */
};

/** For reading->read. */
kvorum_status list_page_read(struct reading *reading, bool nowait);

/* --- list_replica.c -------------------------------------------------------------------------- */

/** All is copied.  Own: reading_start's from there on, `done` closes it.  NULL: no memory. */
struct list_scan *list_scan_open(struct node *node, const struct list_question *question,
                                 void (*done)(struct node *node, struct reading *reading));
/** Some of its partitions changed owners: it may have been swept under the scan. */
bool list_scan_is_outdated(const struct node *node, const struct list_scan *scan);

/* --- list_coverage.c ------------------------------------------------------------------------- */

/** Who is asked for what.  In the request's arena, but for the cursor. */
struct coverage {
    uint16_t *members; /* by partition: who is asked; RING_NO_MEMBER: done */
    bool *failed;      /* by member */
    uint32_t *group;   /* partitions of the page being asked for, ascending */
    uint32_t group_count;
    struct net_address to;
    struct buffer cursor; /* empty: from the start of the group */
};

/** False: no memory. */
bool coverage_init(const struct node *node, struct arena *arena, struct coverage *coverage);
void coverage_done(struct coverage *coverage);
/** Choose an owner of each partition, for a bucket with `n` replicas.  False: some partition has no
 *  owner left to ask. */
bool coverage_assign(struct node *node, struct coverage *coverage, uint8_t n);
/** The same for what `member`, who failed, still owed. */
bool coverage_replace(struct node *node, struct coverage *coverage, uint8_t n, uint16_t member);
/** The same for what is open of partitions that changed since epoch `former`, another one being in
 *  force now.  Nobody is bad any more. */
bool coverage_follow(struct node *node, struct coverage *coverage, uint8_t n, uint64_t former);
/** The partitions to ask for next, and whom: group and to.  False: all are done. */
bool coverage_next(struct node *node, struct coverage *coverage);
/** A page of the group came; `next`: where to go on, empty: behind the group. */
void coverage_advance(struct coverage *coverage, struct bytes next);

/* --- list.c ---------------------------------------------------------------------------------- */

struct listing {
    enum list_kind kind;
    struct bytes type, bucket;
    node_list_fn on_page;
    void *context;
    uint64_t timeout_us;
    struct coverage coverage;
    bool wanted, waiting, delivering;
    uint32_t page; /* of the question under way */
    uint64_t counted;
    struct map seen; /* LIST_BUCKETS: names already delivered */
    uint32_t seen_count;
};

extern const char list_no_owner[];
/** The bucket's, as far as there are members. */
uint8_t list_bucket_n(struct node *node, const struct listing *listing);
/** Count a page that a replica sent, and hand it to the client; the listing may be over. */
void list_take_page(struct node *node, struct request *request, struct page *page);
/** Hand a page to the client.  It may cancel the listing from inside: find it again afterwards. */
void list_deliver(struct node *node, struct request *request, struct list_page *page);
/** The last page, and the end. */
void list_fail(struct node *node, struct request *request, kvorum_status status,
               const char *reason);

/* --- list_ask.c ------------------------------------------------------------------------------ */

/** Go on while the client wants more and nothing is under way.  `id`: of the request, which may be
 *  over. */
void list_pump(struct node *node, uint64_t id);

#endif
