/* SPDX-License-Identifier: Apache-2.0 */
/** Quorum levels: n r w dw pr pw node_confirms, numbers or words, resolved and checked. */
#ifndef CLUSTER_QUORUM_H
#define CLUSTER_QUORUM_H

#include "base/bytes.h"
#include "kvorum/status.h"

/* Values of a level before it is resolved; the same numbers travel in Riak's messages. */
#define LEVEL_ONE 4294967294u
#define LEVEL_QUORUM 4294967293u
#define LEVEL_ALL 4294967292u
#define LEVEL_DEFAULT 4294967291u

enum { REPLICAS_MAX = 16, REPLICAS_DEFAULT = 3 };

struct quorum_levels {
    uint32_t n;                               /* 0: default */
    uint32_t r, w, dw, pr, pw, node_confirms; /* LEVEL_* or a number */
    int8_t basic_quorum, notfound_ok, sloppy; /* 0, 1, or -1: default */
};

/** The levels that apply to one request: plain numbers, 0 <= level <= n, 1 <= r, 1 <= dw. */
struct quorum {
    uint8_t n, r, w, dw, pr, pw, node_confirms;
    bool basic_quorum, notfound_ok, sloppy;
};

/** All LEVEL_DEFAULT and -1, n 0: "nothing asked". */
void quorum_levels_init(struct quorum_levels *levels);
static inline bool quorum_levels_equal(const struct quorum_levels *a, const struct quorum_levels *b)
{
    return a->n == b->n && a->r == b->r && a->w == b->w && a->dw == b->dw && a->pr == b->pr &&
           a->pw == b->pw && a->node_confirms == b->node_confirms &&
           a->basic_quorum == b->basic_quorum && a->notfound_ok == b->notfound_ok &&
           a->sloppy == b->sloppy;
}
/** "one|quorum|all|default" or a decimal number; false when it is neither. */
bool quorum_level_parse(struct bytes text, uint32_t *ret_level);
/** Resolve `asked` over `bucket` for a cluster of `member_count` nodes.
 *
 *  What neither states is: n 3; r w dw quorum; pr pw node_confirms 0; notfound_ok true;
 *  basic_quorum false; sloppy true.  A request may lower the bucket's n, not raise it.  The
 *  effective n is the smaller of n and the members; words (quorum, all) are words about the
 *  effective n.
 *
 *  A *number*, from wherever it comes, is QUORUM_IMPOSSIBLE when it is above n, and when it is
 *  above the effective n too if the quorum is strict or the level is node_confirms (which promises
 *  machines); otherwise it is lowered to the effective n, so that a bucket with w=3 works on the
 *  first two nodes of a new cluster.  r and dw are at least 1.  On QUORUM_IMPOSSIBLE
 *  *ret_level_name names the level ("w") and *ret_quorum is untouched. */
KVORUM_CHECKED kvorum_status quorum_resolve(const struct quorum_levels *asked,
                                            const struct quorum_levels *bucket,
                                            uint16_t member_count, struct quorum *ret_quorum,
                                            const char **ret_level_name);

#endif
