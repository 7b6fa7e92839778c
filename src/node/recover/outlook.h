/* SPDX-License-Identifier: Apache-2.0 */
/** What will not work after a recovery, or not as before, for buckets with given levels: by the
 *  epoch it goes on from, the first of the new line, and the table once all has moved.
 *
 *  Pure.  What did not work before either is not told. */
#ifndef NODE_RECOVER_OUTLOOK_H
#define NODE_RECOVER_OUTLOOK_H

#include "base/arena.h"
#include "cluster/replication/quorum.h"
#include "cluster/ring/ring.h"

enum outlook_kind {
    OUTLOOK_LOST,     /* partitions of which no copy is left */
    OUTLOOK_DOUBTFUL, /* less than a majority of the copies is */
    OUTLOOK_COPIES,   /* fewer copies than n can be kept */
    OUTLOOK_COLUMNS,  /* n is above the columns of the table */
    OUTLOOK_LEVEL,    /* a level cannot be met */
    OUTLOOK_MOVING,   /* nor until partitions have moved */
    OUTLOOK_ZONE,     /* a zone that each_quorum asked has no node any more */
    OUTLOOK_UNSEEN,   /* there is more than is told; not by outlook_judge */
};

struct outlook {
    const struct epoch *base, *next;
    const bool *lost;   /* by slot of `base` */
    struct epoch after; /* `next` once all has moved */
    uint8_t columns;    /* of `after` */
    struct arena *arena;
};

/** "lost", "doubtful", ... */
const char *outlook_kind_name(enum outlook_kind kind);
/** `table`: as in struct change_plan; all but `ret` stays as long as it is used. */
void outlook_init(struct outlook *ret, const struct epoch *base, const struct epoch *next,
                  uint16_t *table, const bool *lost, struct arena *arena);
/** `find` is told of each thing that will not work; its text is `arena`'s, and NULL without memory.
 *  `levels` are a bucket's, over all defaults, with n. */
void outlook_judge(const struct outlook *outlook, const struct quorum_levels *levels,
                   void (*find)(void *context, enum outlook_kind kind, const char *text),
                   void *context);

#endif
